"""Whether a refit takes the place of the run that is served: it is compared with earlier runs on what none has learned.

The users of the data that the first run was trained on and the viewers who are new to these data are compared apart,
since a refit helps the latter so much, having learned from them at all, that their gain would hide what the others
lose. And a refit is held to the first run as well as to the one that is served, or small losses would add up.

The test ratings decide here, at every refit the same users', which no test corrects for: figures of a promoted run are
no longer those of one that was tested once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import History
from recsys.errors import UserError
from recsys.evaluation.evaluate import evaluate
from recsys.evaluation.intervals import bootstrap_interval
from recsys.evaluation.protocols import FULL_RANKING
from recsys.files import write_whole
from recsys.models.base import FitContext, Recommender
from recsys.studies.direction import ERRORS

PROMOTION = "promotion.json"
USERS, VIEWERS = "users of the data", "viewers new to the data"
RANKING_MARGIN = 0.1  # what the interval of some hundred users can resolve
ERROR_MARGIN = 0.01  # a tenth of an error is more than what separates plain biases from the best models


@dataclass(frozen=True)
class Comparison:
    """How a refit compares with an earlier run for one group of users.

    Users of the data have to be shown not worse off: the interval of the difference, paired over users, lies above a
    loss of `margin` times what the earlier run reached (a test of non-inferiority). That a test finds no difference
    would not do, since with few users it finds none between any two models; nor has a refit to be better, since what
    viewers said of a hundred films cannot show in the mean over everybody. Viewers, who are few at first, could never
    be shown to lie within a margin, so that of them it is only asked that they are not shown to be worse off.

    Attributes:
        who: `USERS` or `VIEWERS`.
        earlier: the earlier run.
        users: how many of them have a rating to be found.
        before: what the earlier run reaches, a mean over users.
        after: what the refit reaches.
        better: how far the refit is better, of errors how far it is below.
        low: lower end of the interval of that.
        high: its upper end.
        margin: share of `before` that has to be shown not to be lost; None of viewers.
    """

    who: str
    earlier: str
    users: int
    before: float
    after: float
    better: float
    low: float
    high: float
    margin: float | None

    @property
    def holds(self) -> bool:
        """Whether the group does not stand in the refit's way."""
        return self.high >= 0 if self.margin is None else self.low >= -self.margin * self.before

    def sentence(self, metric: str) -> str:
        """The figures, and what they show."""
        if self.margin is None:
            shown = "not shown to be worse" if self.holds else "worse"
        else:
            shown = f"{'not' if self.holds else 'may be'} worse by more than {100 * self.margin:.3g}%"
        return (
            f"{metric} of {self.users:,} {self.who}: {self.after:.4f} of the refit, {self.before:.4f} of "
            f"{self.earlier}; better by {self.better:+.4f} [{self.low:+.4f}, {self.high:+.4f}]: {shown}."
        )


@dataclass(frozen=True)
class Promotion:
    """The verdict on a refit.

    Attributes:
        served: the run that was served.
        refit: the run that may take its place.
        metric: what runs are compared by, a mean over users.
        comparisons: with the run that was served and, where that is a refit, with the one that was refitted first.
    """

    served: str
    refit: str
    metric: str
    comparisons: tuple[Comparison, ...]

    @property
    def promoted(self) -> bool:
        """Whether the refit takes the place of the served run."""
        return all(comparison.holds for comparison in self.comparisons)

    def sentences(self) -> list[str]:
        """The figures and the verdict."""
        told = [comparison.sentence(self.metric) for comparison in self.comparisons]
        if not any(comparison.who == VIEWERS for comparison in self.comparisons):
            told.append(f"Of {VIEWERS} fewer than two have a rating to be found: they are not compared.")
        verdict = "is served from now on" if self.promoted else f"is not served: {self.served} goes on to be"
        return [*told, f"{self.refit} {verdict}."]

    def write(self, directory: Path) -> None:
        """Keep it, with the verdict."""
        text = json.dumps(asdict(self) | {"promoted": self.promoted}, indent=2) + "\n"
        write_whole(directory / PROMOTION, lambda file: file.write(text.encode()))


class Trial:
    """What earlier runs reach, which a refit is to be compared with.

    Args:
        earlier: their models, by name.
        test: ratings that no model has learned from, the refit's neither.
        own: bool (n_users,) who is a user of the data, and no viewer new to them.
        metric: what to compare by.
        ks: list lengths.

    Raises:
        UserError: fewer than two users of the data can be compared, or single users have no such metric.
    """

    def __init__(
        self, earlier: Mapping[str, Recommender], test: Holdout, own: np.ndarray, metric: str, ks: Sequence[int]
    ) -> None:
        is_own = own[test.users]
        if is_own.sum() < 2:
            raise UserError(
                f"A refit could not be compared, as fewer than two {USERS} have a test rating that no model has "
                "learned from: wait for further feedback, or serve and refit a run of a split in time for each user "
                "(split=leave_last_out)."
            )
        self.groups = {USERS: is_own} | ({VIEWERS: ~is_own} if (~is_own).sum() >= 2 else {})
        self.test, self.metric, self.ks = test, metric, ks
        self.before = {name: self._measured(model) for name, model in earlier.items()}

    def compare(self, refit: Recommender, margin: float | None) -> tuple[Comparison, ...]:
        """Compare a refit with each earlier run, group by group; None takes the margin that suits the metric."""
        margin = (ERROR_MARGIN if self.metric in ERRORS else RANKING_MARGIN) if margin is None else margin
        after = self._measured(refit)
        return tuple(
            self._compared(who, name, before[chosen], after[chosen], margin if who == USERS else None)
            for name, before in self.before.items()
            for who, chosen in self.groups.items()
        )

    def _measured(self, model: Recommender) -> np.ndarray:
        """The metric of each user who is tested, with the same histories whatever the model."""
        measured = evaluate(model, self.test, None if model.predicts_ratings else FULL_RANKING, self.ks).per_user
        if self.metric not in measured:
            raise UserError(
                f"No single user has a {self.metric}, which runs are to be compared by: train with another "
                "optimized_metric."
            )
        return measured[self.metric].to_numpy()

    def _compared(
        self, who: str, earlier: str, before: np.ndarray, after: np.ndarray, margin: float | None
    ) -> Comparison:
        better = (after - before) * (-1 if self.metric in ERRORS else 1)
        interval = bootstrap_interval(better)
        same = np.isnan(interval.low)  # for every user
        return Comparison(
            who=who,
            earlier=earlier,
            users=len(better),
            before=float(before.mean()),
            after=float(after.mean()),
            better=interval.mean,
            low=interval.mean if same else interval.low,
            high=interval.mean if same else interval.high,
            margin=margin,
        )


class Recoded(Recommender):
    """A trained model, asked by the user codes of later data.

    Args:
        model: of the same films.
        users: int64 (n_users,) the code that each user of the later data has in the model's, -1 of new ones.
    """

    def __init__(self, model: Recommender, users: np.ndarray) -> None:
        self.model = model
        self.users = np.append(users, -1)  # the last one is who is unknown, -1, in the later data, too
        self.predicts_ratings, self.uses_history = model.predicts_ratings, model.uses_history

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        """Leave the model as it is."""
        return self

    def score(self, users: np.ndarray, history: History) -> np.ndarray:
        """See `Recommender.score`."""
        return self.model.score(self.users[users], history)

    def predict(
        self, users: np.ndarray, history: History, rows: np.ndarray, items: np.ndarray, times: np.ndarray | None = None
    ) -> np.ndarray:
        """See `Recommender.predict`."""
        return self.model.predict(self.users[users], history, rows, items, times)
