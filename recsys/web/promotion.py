"""Decides whether a refit replaces the active run, by a non-inferiority test on ratings that no model has seen.

A refit is a run that was trained again with viewers' feedback. It is tested separately on users of the data set and on
new viewers: the refit is the first model that learns from new viewers, so in a mean over both groups, a gain for the
viewers could hide a loss for the users. A refit is also compared with the original run, because otherwise small
losses would add up over successive refits.

All refits of a run are compared on the same test ratings. Each comparison (a "look" at these ratings) spends a part of
the error rate, so that the probability of promoting any refit that loses more than the acceptable margin is at most
`ERROR_RATE`, however many refits there are (alpha spending: Lan and DeMets, "Discrete Sequential Boundaries for
Clinical Trials", Biometrika 1983). Even so, the test metrics of a promoted run are less trustworthy than those of a run
that was tested only once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import Pairs, Query
from recsys.errors import UserError
from recsys.evaluation.evaluate import evaluate
from recsys.evaluation.protocols import FULL_RANKING
from recsys.evaluation.resampling import Difference, compare
from recsys.files import reading, write_text
from recsys.metrics.direction import direction, sign
from recsys.models.base import FitContext, Recommender

PROMOTION = "promotion.json"
USERS, VIEWERS = "users of the data", "viewers new to the data"
RANKING_MARGIN = 0.1  # with some hundreds of users, smaller losses are within the confidence interval
ERROR_RATE = 0.025  # of all looks together
MANY_USERS = 200  # with fewer, more refits are promoted by mistake than `ERROR_RATE` says
ERROR_MARGIN = 0.01  # 10% of an error is more than the difference between a bias model and the best models


@dataclass(frozen=True)
class GroupComparison:
    """Result of the comparison of a refit with an earlier run on one group of users.

    For users of the data set, the refit must be shown to be non-inferior: the lower bound of its improvement, from
    differences paired by user, must be at least -`margin` times the metric of the earlier run. It would not be enough
    to find no significant difference, since with few users no two models differ significantly. Superiority is not
    required, since new ratings of a hundred films cannot noticeably change a mean over all users. At first there are
    too few new viewers to show non-inferiority, so for them it is enough that the refit is not significantly worse.

    Attributes:
        who: the group, `USERS` or `VIEWERS`.
        earlier: name of the earlier run.
        users: number of test users in the group.
        before: metric of the earlier run, averaged over users.
        after: metric of the refit, averaged over users.
        better: improvement by the refit; a positive value is better, for error metrics too.
        low: lower end of the 95% interval of the improvement.
        high: upper end of the 95% interval of the improvement.
        bound: lower bound of the improvement, which is compared with the margin; see `level` for its error rate.
        margin: largest acceptable loss, as a share of `before`; None for viewers.
    """

    who: str
    earlier: str
    users: int
    before: float
    after: float
    better: float
    low: float
    high: float
    bound: float
    margin: float | None

    @property
    def passed(self) -> bool:
        """Return whether this group's comparison allows the promotion."""
        return self.high >= 0 if self.margin is None else self.bound >= -self.margin * self.before

    def sentence(self, metric: str) -> str:
        """Return a sentence with the metrics of both runs and the conclusion."""
        if self.margin is None:
            conclusion = "not shown to be worse" if self.passed else "worse"
        else:
            conclusion = f"{'not' if self.passed else 'may be'} worse by more than {100 * self.margin:.3g}%"
            conclusion += f", with a lower bound of {self.bound:+.4f} for all refits together"
        return (
            f"{metric} of {self.users:,} {self.who}: refit {self.after:.4f}, {self.earlier} {self.before:.4f}; "
            f"improvement {self.better:+.4f} [{self.low:+.4f}, {self.high:+.4f}]: {conclusion}."
        )


@dataclass(frozen=True)
class PromotionDecision:
    """The decision whether a refit is promoted, with the comparisons behind it.

    Attributes:
        served: name of the run that was active before the decision.
        refit: name of the refit.
        metric: name of the metric that was compared; its values are means over users.
        look: number of refits of the run that were compared on its test ratings so far, including this one.
        comparisons: comparisons with the active run and, if the active run is itself a refit, with the original run.
    """

    served: str
    refit: str
    metric: str
    look: int
    comparisons: tuple[GroupComparison, ...]

    @property
    def promoted(self) -> bool:
        """Return whether the refit replaces the active run."""
        return all(comparison.passed for comparison in self.comparisons)

    def sentences(self) -> list[str]:
        """Return sentences with the comparisons and the decision."""
        sentences = [comparison.sentence(self.metric) for comparison in self.comparisons]
        if not any(comparison.who == VIEWERS for comparison in self.comparisons):
            sentences.append(f"The {VIEWERS} are not compared: fewer than two have a test rating.")
        n_users = min((each.users for each in self.comparisons if each.who == USERS), default=MANY_USERS)
        if self.promoted and n_users < MANY_USERS:
            sentences.append(
                f"With {n_users:,} {USERS}, fewer than {MANY_USERS}, refits that lose more than the margin are "
                f"promoted more often than in {ERROR_RATE:.1%} of cases."
            )
        decision = "is now active" if self.promoted else f"is not promoted: {self.served} stays active"
        return [*sentences, f"{self.refit} {decision}."]

    def write(self, directory: Path) -> None:
        """Write the decision to the file `promotion.json` in a directory."""
        text = json.dumps(asdict(self) | {"promoted": self.promoted}, indent=2) + "\n"
        write_text(directory / PROMOTION, text)


def level(look: int) -> float:
    """Return the part of `ERROR_RATE` that one comparison spends; the parts of all comparisons add up to `ERROR_RATE`.

    Args:
        look: number of the comparison, counted from 1 over all refits of a run.
    """
    return ERROR_RATE * 6 / (math.pi * look) ** 2


def looks(refits: Path) -> int:
    """Return how many refits have been compared with earlier runs, including refits that were deleted later.

    This is the largest `look` in the files `promotion.json`. A file that an earlier version of recsys wrote has no such
    number and counts as 1. If there is no such file, the result is 0.

    Args:
        refits: directory with a subdirectory for each refit.

    Raises:
        UserError: a `promotion.json` is damaged.
    """
    last = 0
    for file in refits.glob(f"*/{PROMOTION}"):
        with reading(file, "remove it"):
            last = max(last, int(json.loads(file.read_text(encoding="utf-8")).get("look", 1)))
    return last


class PromotionTest:
    """Compares a refit with earlier runs, which are evaluated once, when the test is created.

    Args:
        earlier: models of the earlier runs, keyed by the name of the run.
        test: test ratings that neither the earlier models nor the refit have seen.
        in_data: bool (n_users,), whether each user belongs to the original data set; the others are viewers.
        metric: name of the metric to compare.
        ks: list lengths at which metrics are computed.

    Raises:
        UserError: fewer than two users of the data set have a test rating, or the metric is not defined for single
            users.
    """

    def __init__(
        self, earlier: Mapping[str, Recommender], test: Holdout, in_data: np.ndarray, metric: str, ks: Sequence[int]
    ) -> None:
        is_user = in_data[test.users]
        if is_user.sum() < 2:
            raise UserError(
                f"A refit cannot be compared: fewer than two {USERS} have a test rating that no model has seen. "
                "Wait for more feedback, or serve and refit a run with a split in time for each user "
                "(split=leave_last_out)."
            )
        self.groups = {USERS: is_user} | ({VIEWERS: ~is_user} if (~is_user).sum() >= 2 else {})
        self.test, self.metric, self.ks = test, metric, ks
        self.before = {name: self._per_user(model) for name, model in earlier.items()}

    def compare(self, refit: Recommender, margin: float | None, look: int = 1) -> tuple[GroupComparison, ...]:
        """Compare a refit with each earlier run on each group of users.

        Args:
            refit: model of the refit.
            margin: largest acceptable loss, see `GroupComparison`; None for the default margin of the metric.
            look: number of refits that have been compared on these test ratings, including this one.

        Returns:
            One comparison for each earlier run and group.
        """
        margin = (ERROR_MARGIN if direction(self.metric) < 0 else RANKING_MARGIN) if margin is None else margin
        after = self._per_user(refit)
        return tuple(
            self._compare_group(who, name, before[members], after[members], margin if who == USERS else None, look)
            for name, before in self.before.items()
            for who, members in self.groups.items()
        )

    def _per_user(self, model: Recommender) -> np.ndarray:
        """Return a model's metric for each test user, float64; every model gets the same user histories."""
        per_user = evaluate(model, self.test, None if model.predicts_ratings else FULL_RANKING, self.ks).per_user
        if self.metric not in per_user:
            raise UserError(
                f"The metric to compare must be defined for single users (got {self.metric}): train with another "
                "optimized_metric."
            )
        return per_user[self.metric].to_numpy()

    def _compare_group(
        self, who: str, earlier: str, before: np.ndarray, after: np.ndarray, margin: float | None, look: int
    ) -> GroupComparison:
        of_users = ({(0, ""): pd.Series(sign(self.metric) * values)} for values in (after, before))
        better = cast(Difference, compare(*of_users))  # not None, since a group has at least two users
        interval = better.interval
        all_equal = np.isnan(interval.low)  # the improvement is the same for every user
        return GroupComparison(
            who=who,
            earlier=earlier,
            users=better.n_users,
            before=float(before.mean()),
            after=float(after.mean()),
            better=interval.mean,
            low=interval.mean if all_equal else interval.low,
            high=interval.mean if all_equal else interval.high,
            bound=better.lower_bound(level(look)),
            margin=margin,
        )


class RecodedModel(Recommender):
    """Wraps a trained model so that it accepts the user codes of a later version of its data set.

    Args:
        model: the trained model; its item codes are the same as in the later version.
        users: int64 (n_users,), the model's code of each user of the later version; -1 for users new in that version.
    """

    def __init__(self, model: Recommender, users: np.ndarray) -> None:
        self.model = model
        self.users = np.append(users, -1)  # the last entry maps -1, users unknown to the later data too, to itself
        self.predicts_ratings, self.uses_history = model.predicts_ratings, model.uses_history
        if self.predicts_ratings:
            self.scale = model.scale

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        """Do nothing, since the model is already trained; see `Recommender._fit`."""

    def _score(self, query: Query) -> np.ndarray:
        """See `Recommender._score`."""
        return self.model.score(self._recoded(query))

    def _predict(self, pairs: Pairs) -> np.ndarray:
        """See `Recommender._predict`."""
        return self.model.predict(replace(pairs, query=self._recoded(pairs.query)))

    def _recoded(self, query: Query) -> Query:
        return replace(query, users=self.users[query.users])
