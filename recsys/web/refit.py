"""Refits: the run that is served is trained again with what viewers said, and is replaced if that made it no worse.

    RUN/serving.json        which refit is served in RUN's place, see `serving`
    RUN/refits/TIME/        a run like any other, and beside what runs hold:
        feedback.csv        the viewers' ratings that it learned from, as they were then
        refit.yaml          its config, as it was trained by
        promotion.json      how it compares with the run that was served, and whether it took its place

Viewers' ratings are one more source of the data that the run was trained on (`recsys.data.gather`), so that cleaning,
splits and evaluation are those of every run. Films stay those of the run; viewers join its users.
"""

from __future__ import annotations

import fcntl
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from recsys.data.dataset import Dataset, History, Holdout
from recsys.data.split import Split
from recsys.errors import UserError
from recsys.evaluation.evaluate import FULL_RANKING, evaluate
from recsys.evaluation.significance import bootstrap_interval
from recsys.files import write_whole
from recsys.models.base import FitContext, Recommender
from recsys.studies.runs import Run, read_run, short
from recsys.studies.selection import ERRORS
from recsys.web import serving
from recsys.web.serving import REFITS
from recsys.web.store import Store

SNAPSHOT, CONFIG, PROMOTION, LOCK = "feedback.csv", "refit.yaml", "promotion.json", "lock"
FEEDBACK = "feedback"  # the source's name
MARGIN = 0.1
KEPT = 5  # refits that are not served, for a look at them; earlier ones are removed
NEEDED = 3  # ratings of a user that some splits hold the last of out: who has fewer is only trained on

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Promotion:
    """How a refit compares with the run that was served, on ratings that neither has learned from.

    It takes the run's place if it is shown to be not worse: the interval of the difference, paired over users, lies
    above a loss of `margin` times what the run reached (a test of non-inferiority). That a test finds no difference
    would not do, since with few users it finds none between any two models; nor has a refit to be better, since what
    viewers said of a hundred films cannot show in the mean over everybody. A tenth is what the interval of some
    hundred users can resolve. The test ratings decide here, so that figures of a promoted run are no longer those of
    one that was tested once.

    Attributes:
        served: the run that was served.
        refit: the run that may take its place.
        feedback: digest of the viewers' ratings.
        metric: what both are compared by, a mean over users.
        users: who have a rating to be found.
        before: what the served run reaches.
        after: what the refit reaches.
        better: how far the refit is better, of errors how far it is below.
        low: lower end of the interval of that.
        high: its upper end.
        margin: share of `before` that may be lost.
    """

    served: str
    refit: str
    feedback: str
    metric: str
    users: int
    before: float
    after: float
    better: float
    low: float
    high: float
    margin: float

    @classmethod
    def of(
        cls, values: pd.DataFrame, metric: str, margin: float, served: Path, refit: Path, feedback: str
    ) -> Promotion:
        """Compare the columns `before` and `after` of a metric, a row a user; see the attributes for the others."""
        better = (values["after"] - values["before"]).to_numpy() * (-1 if metric in ERRORS else 1)
        interval = bootstrap_interval(better)
        same = np.isnan(interval.low)  # for every user
        return cls(
            served=str(short(served)),
            refit=str(short(refit)),
            feedback=feedback,
            metric=metric,
            users=len(better),
            before=float(values["before"].mean()),
            after=float(values["after"].mean()),
            better=interval.mean,
            low=interval.mean if same else interval.low,
            high=interval.mean if same else interval.high,
            margin=margin,
        )

    @property
    def promoted(self) -> bool:
        """Whether the refit takes the place of the served run."""
        return self.low >= -self.margin * self.before

    def sentences(self) -> list[str]:
        """The figures and the verdict."""
        verdict = (
            f"is not worse by more than {self.margin:.0%}: it is served from now on."
            if self.promoted
            else f"may be worse by more than {self.margin:.0%}: {self.served} goes on to be served."
        )
        return [
            f"{self.metric} of {self.users:,} users: {self.after:.4f} with the feedback, {self.before:.4f} as served; "
            f"better by {self.better:+.4f} [{self.low:+.4f}, {self.high:+.4f}].",
            f"{self.refit} {verdict}",
        ]

    def write(self, directory: Path) -> None:
        """Keep it, with the verdict."""
        text = json.dumps(asdict(self) | {"promoted": self.promoted}, indent=2) + "\n"
        write_whole(directory / PROMOTION, lambda file: file.write(text.encode()))


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


@dataclass(frozen=True)
class Refits:
    """Refits of one run.

    Attributes:
        run: its directory.
        store: what viewers said.
        split_of: gives the split of a config, see `recsys.config.Splits`.
        train: trains a config in a directory.
        warm: whether training continues from the weights of the run that is served.
        margin: see `Promotion`.
        trusted: whether models may be loaded that are unpickled, which runs code.
    """

    run: Path
    store: Store
    split_of: Callable[[Mapping[str, Any]], Split]
    train: Callable[[Mapping[str, Any], Path], None]
    warm: bool = False
    margin: float = MARGIN
    trusted: bool = False

    def refit(self) -> Promotion | None:
        """Make a refit of the run that is served, and serve it if it is not worse; None where nobody said anything new.

        Raises:
            UserError: there is no feedback on the run's films, another refit is at work, the run's data are no longer
                what they were, its model cannot continue from weights, or training fails.
        """
        with alone(self.run):
            served = read_run(serving.current(self.run))
            try:
                return self._refit(served)
            finally:
                self._remove_earlier(Path(served.config["cache_dir"]))

    def _refit(self, served: Run) -> Promotion | None:
        before = self.split_of(served.config)
        served.check_split(before)
        snapshot = self._ratings(before.dataset).to_csv(index=False).encode()
        feedback = sha256(snapshot).hexdigest()
        if feedback == self._last_feedback():
            return None
        model = served.model(self.trusted)
        if self.warm:  # to find out before anything is trained whether it can
            model.continue_from(model, np.arange(before.dataset.n_users))
        directory = self.run / REFITS / f"{datetime.now(UTC):%Y-%m-%d_%H-%M-%S-%f}"
        directory.mkdir()
        write_whole(directory / SNAPSHOT, lambda file: file.write(snapshot))
        config = with_feedback(served, before.dataset, directory, self.warm)
        after = self.split_of(config)
        recoded = Recoded(model, after.dataset.users_in(before.dataset))
        self.train(config, directory)
        refit = read_run(directory)
        learned = served.has_learned(before, after.dataset) | refit.has_learned(after, after.dataset)
        metric, values = self._measured(refit, recoded, after.unlearned(learned).test)
        promotion = Promotion.of(values, metric, self.margin, served.directory, directory, feedback)
        promotion.write(directory)
        if promotion.promoted:
            serving.promote(self.run, directory)
        return promotion

    def _ratings(self, dataset: Dataset) -> pd.DataFrame:
        """The viewers' ratings of the run's films."""
        ratings = self.store.ratings()
        known = ratings["movie_id"].isin(dataset.item_frame["movie_id"].astype(str))
        if ratings.empty:
            raise UserError(
                f"{self.store.address} holds no rating yet: let viewers rate films, with python -m recsys serve "
                f"{short(self.run)}, or name another store with --store."
            )
        if not known.any():
            raise UserError(
                f"None of the films that {self.store.address} has ratings of is in {dataset.name}: the feedback is on "
                "other data, so name another store with --store, or another run."
            )
        if not known.all():
            log.warning(
                "%s of %s ratings are of films that %s lacks.", f"{sum(~known):,}", f"{len(known):,}", dataset.name
            )
        return ratings[known]

    def _last_feedback(self) -> str | None:
        """Digest of the ratings that the last refit learned from."""
        written = sorted((self.run / REFITS).glob(f"*/{PROMOTION}"))
        return json.loads(written[-1].read_text())["feedback"] if written else None

    def _measured(self, refit: Run, served: Recommender, test: Holdout) -> tuple[str, pd.DataFrame]:
        """What both reach with the same histories: the metric, and `before` and `after` of each user."""
        if len(test.users) < 2:
            raise UserError(
                f"{short(refit.directory)} is not served, as fewer than two users have a test rating that no model has "
                "learned from: wait for further feedback, or leave out --warm."
            )
        rates = served.predicts_ratings
        metric = "rmse" if rates else str(refit.config["optimized_metric"]).partition("/")[0]
        models = {"before": served, "after": refit.model(self.trusted)}
        measured = {
            name: evaluate(model, test, None if rates else FULL_RANKING, refit.config["ks"]).per_user
            for name, model in models.items()
        }
        if metric not in measured["after"]:
            raise UserError(
                f"No single user has a {metric}, which runs are to be compared by: train with another optimized_metric."
            )
        return metric, pd.DataFrame({name: per_user[metric] for name, per_user in measured.items()})

    def _remove_earlier(self, cache_dir: Path) -> None:
        """Keep what is served, what a roll-back would serve, and the last refits beside these; remove all others."""
        used = serving.promoted(self.run)[-2:]
        others = sorted(path for path in (self.run / REFITS).iterdir() if path.is_dir() and path not in used)
        for directory in others[:-KEPT]:
            for tables in (directory, *cache_dir.glob(f"*/*+{directory.name}-*")):
                shutil.rmtree(tables)


def with_feedback(served: Run, dataset: Dataset, directory: Path, warm: bool) -> dict[str, Any]:
    """The config of a run with one more source, or with that source's later ratings.

    Args:
        served: the run.
        dataset: its data.
        directory: of the refit, where the viewers' ratings lie.
        warm: whether to continue from the run's weights.
    """
    own_place, written = json.dumps(served.config["run_dir"]), json.dumps(served.config)
    config = json.loads(written.replace(own_place, '"${run_dir}"'))  # as before configs were resolved
    lowest, highest = dataset.scale
    source = {
        "_target_": "recsys.data.sources.Files",
        "path": str((directory / SNAPSHOT).resolve()),
        "columns": {
            "user_id": "user_id",
            "movie_id": "movie_id",
            "rating": "rating" if lowest < highest else None,  # of data that only say what was watched
            # where any source has times, ratings without one are dropped
            "time": None if dataset.times is None else "time",
        },
        "scale": [lowest, highest],
    }
    data = config["data"]
    if "sources" not in data:  # of several that are gathered already, feedback among them or not
        cleaning = {"cleaning": data.pop("cleaning")} if "cleaning" in data else {}
        data = {"_target_": "recsys.data.gather.Gathered", "sources": {dataset.name: data}, **cleaning}
    data |= {
        "sources": data["sources"] | {FEEDBACK: source},
        "scale": [lowest, highest],
        "name": f"{dataset.name.partition('+')[0]}+{directory.name}",
    }
    split = config["split"]
    if "train_only_below" in split:
        split["train_only_below"] = max(split["train_only_below"], NEEDED)
    own = {
        "run_dir": str(directory),
        "warm_from": str(served.directory) if warm else None,
        "trained": None,
        "resume": None,
        "peek": False,
    }
    return config | {"data": data, **own}


@contextmanager
def alone(run: Path) -> Iterator[None]:
    """Hold it to one refit of a run at a time; the lock goes with the process, however that ends.

    Raises:
        UserError: another process is at it.
    """
    (run / REFITS).mkdir(exist_ok=True)
    with (run / REFITS / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{short(run)} is being refitted already: wait until that has ended.") from None
        yield
