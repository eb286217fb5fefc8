"""Refits: the active run is trained again with viewers' feedback, and the new run replaces it if it is not worse.

    RUN/serving.json        which refit is active in place of RUN, see `rollout`
    RUN/refits/tried.json   the settings and feedback (as a hash) of the last refit, and its error if it failed
    RUN/refits/TIME/        a refit: a run like any other, which also holds:
        feedback.csv        the viewers' ratings at that time, on which it was trained; see `pseudonyms`
        refit.yaml          the config with which it was trained
        promotion.json      the comparison with earlier runs and the decision, see `promotion`

Viewers' ratings are an additional source of the run's data (`recsys.data.gather`), so the data of a refit are cleaned,
split and used for evaluation like the data of any run. A refit has the same films as its run, and viewers become
additional users.
"""

from __future__ import annotations

import fcntl
import glob
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recsys.data.dataset import Dataset
from recsys.data.split import Split
from recsys.errors import UserError
from recsys.files import reading, short, write_text, write_whole
from recsys.invocation import recsys_command
from recsys.progress import progress_shown
from recsys.studies.runs import Run, read_run
from recsys.web import rollout
from recsys.web.promotion import PROMOTION, PromotionDecision, PromotionTest, RecodedModel, looks
from recsys.web.pseudonyms import id_in_runs
from recsys.web.rollout import REFITS
from recsys.web.store import Store

SNAPSHOT, CONFIG, TRIED, LOCK = "feedback.csv", "refit.yaml", "tried.json", "lock"
FEEDBACK = "feedback"  # name of the feedback among the sources
N_INACTIVE = 5  # inactive refits that are not deleted
MIN_RATINGS = 3  # a split that holds out last ratings has users with fewer ratings in train only

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Refitter:
    """Trains a run again with viewers' feedback, and promotes the result if it is not worse.

    Attributes:
        run: directory of the run.
        store: feedback store.
        split_of: function that returns the split that a config describes, see `recsys.config.splits.Splits`.
        train: function that trains a run, given its config and its directory.
        warm: whether training continues from the weights of the active run.
        margin: see `PromotionTest.compare`.
        trusted: whether models may be unpickled, which can run arbitrary code.
        unattended: whether the refit is started by a schedule. After a failed refit or a roll-back, an unattended refit
            does nothing until there is new feedback.
    """

    run: Path
    store: Store
    split_of: Callable[[Mapping[str, Any]], Split]
    train: Callable[[Mapping[str, Any], Path], None]
    warm: bool = False
    margin: float | None = None
    trusted: bool = False
    unattended: bool = False

    def refit(self) -> PromotionDecision | None:
        """Refit the active run, and promote the refit if it is not worse.

        Returns:
            The decision, or None if no refit was needed: the last refit had the same feedback and settings or, for an
            unattended refit, there is no new feedback since a roll-back. A refit that failed is repeated unless this
            refit is unattended.

        Raises:
            UserError: there is no feedback to train on, another refit is running, the data of the run have changed, the
                model cannot continue from the weights of the active run, too few test ratings are left for the
                comparison, or training fails.
        """
        with refit_lock(self.run):
            active = read_run(rollout.active(self.run))
            before = self._split(active)
            ratings = self._ratings(before.dataset)
            request = {
                "feedback": sha256(_snapshot(ratings)).hexdigest(),
                "warm": self.warm,
                "margin": self.margin,
                "served": active.directory.name,
            }
            if self._is_done(request, ratings):
                return None
            try:
                decision = self._refit(active, before, ratings)
            except Exception as error:
                self._note(request | {"failed": str(error)})
                raise
            finally:
                self._delete_earlier(Path(active.config["cache_dir"]))
            self._note(request | {"served": rollout.active(self.run).name})
            return decision

    def _refit(self, active: Run, before: Split, ratings: pd.DataFrame) -> PromotionDecision:
        directory = self.run / REFITS / f"{datetime.now(UTC):%Y-%m-%d_%H-%M-%S-%f}"
        directory.mkdir()
        write_whole(directory / SNAPSHOT, lambda file: file.write(_snapshot(ratings)))
        config = config_with_feedback(active, before.dataset, directory, self.warm)
        test = self._promotion_test(active, before, ratings, config)
        look = looks(self.run / REFITS) + 1
        self.train(config, directory)
        comparisons = test.compare(read_run(directory).model(self.trusted), self.margin, look)
        decision = PromotionDecision(
            str(short(active.directory)), str(short(directory)), test.metric, look, comparisons
        )
        decision.write(directory)
        if decision.promoted:
            rollout.promote(self.run, directory)
        return decision

    def _promotion_test(
        self, active: Run, before: Split, ratings: pd.DataFrame, config: Mapping[str, Any]
    ) -> PromotionTest:
        """Prepare the comparison with earlier runs before the refit is trained, so that errors are reported early."""
        with progress_shown(False):  # the training prints the same notes
            after = self.split_of(config)
        _check_trained_on(ratings, active.learned_from(after), after.name)  # the refit has the same settings
        runs = [active] if active.directory == self.run else [active, read_run(self.run)]
        splits = [before, *map(self._split, runs[1:])]
        models = [run.model(self.trusted) for run in runs]
        if self.warm:
            models[0].continue_from(models[0], np.arange(before.dataset.n_users))
        users = [after.dataset.users_in(split.dataset) for split in splits]
        learned = [run.has_learned(split, after.dataset) for run, split in zip(runs, splits, strict=True)]
        return PromotionTest(
            {
                str(short(run.directory)): RecodedModel(model, codes)
                for run, model, codes in zip(runs, models, users, strict=True)
            },
            after.for_warm_start(np.any(learned, axis=0)).test,
            in_data=users[-1] >= 0,
            metric="rmse" if models[0].predicts_ratings else str(config["optimized_metric"]).partition("/")[0],
            ks=config["ks"],
        )

    def _split(self, run: Run) -> Split:
        split = self.split_of(run.config)
        run.check_split(split)
        return split

    def _is_done(self, request: Mapping[str, Any], ratings: pd.DataFrame) -> bool:
        """Return whether no refit is needed.

        No refit is needed if the last refit had the same request (feedback and settings), but a refit that failed is
        repeated unless this refit is unattended. An unattended refit is also not needed if there is no new feedback
        since a roll-back.
        """
        if self.unattended and ratings["time"].max() <= rollout.rolled_back_at(self.run):
            return True
        file = self.run / REFITS / TRIED
        with reading(file, "remove it"):
            tried = dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}
        failed = tried.pop("failed", None) is not None
        return tried == request and (self.unattended or not failed)

    def _note(self, tried: Mapping[str, Any]) -> None:
        text = json.dumps(tried, indent=2) + "\n"
        write_text(self.run / REFITS / TRIED, text)

    def _ratings(self, dataset: Dataset) -> pd.DataFrame:
        """Return the viewers' ratings of the run's films, with each user id as it appears in runs; see `pseudonyms`."""
        ratings = self.store.ratings()
        known = ratings["movie_id"].isin(dataset.item_frame["movie_id"].astype(str))
        if ratings.empty:
            raise UserError(
                f"{self.store.address} holds no rating yet: let viewers rate films, with "
                f"{recsys_command('serve', short(self.run))}, or name another store with --store."
            )
        if not known.any():
            raise UserError(
                f"{self.store.address} holds no rating of a film of {dataset.name}, so it belongs to other data: name "
                "another store with --store, or another run."
            )
        if not known.all():
            log.warning(
                "Ratings of films that %s lacks: %s of %s.", dataset.name, f"{sum(~known):,}", f"{len(known):,}"
            )
        users = {*dataset.user_frame["user_id"].astype(str)}
        return ratings[known].assign(user_id=[id_in_runs(user_id, users) for user_id in ratings[known]["user_id"]])

    def _delete_earlier(self, cache_dir: Path) -> None:
        """Delete earlier refits together with their cached data.

        The active refit, the refit that was active before it, and the latest `N_INACTIVE` other refits stay. The latest
        other refit that was compared also stays, since the number of all comparisons is read from its `promotion.json`;
        see `looks`.
        """
        used = rollout.promoted(self.run)[-2:]
        others = sorted(path for path in (self.run / REFITS).iterdir() if path.is_dir() and path not in used)
        recent = [path for path in others if (path / "config.yaml").is_file()][-N_INACTIVE:]  # training began
        compared = [path for path in others if (path / PROMOTION).is_file()][-1:]
        for directory in set(others).difference(recent, compared):
            for path in (directory, *cache_dir.glob(f"*/*+{glob.escape(directory.name)}-*")):
                shutil.rmtree(path)


def _snapshot(ratings: pd.DataFrame) -> bytes:
    return ratings.to_csv(index=False).encode()


def _check_trained_on(ratings: pd.DataFrame, learned: Dataset, split: str) -> None:
    """Check that the refit trains on at least one of the viewers' ratings.

    A temporal split may put all these ratings into its test set.

    Raises:
        UserError: the training part of the split has none of the ratings.
    """
    users, items = (
        pd.Index(frame[column].astype(str)).get_indexer(pd.Index(ratings[column]))
        for frame, column in ((learned.user_frame, "user_id"), (learned.item_frame, "movie_id"))
    )
    if not np.isin(users * learned.n_items + items, learned.pairs).any():
        raise UserError(
            f"The split {split} leaves none of the viewers' ratings ({len(ratings):,}) to train on: wait for more of "
            "them or, if it splits at a point in time, serve and refit a run of another split (split=leave_last_out)."
        )


def config_with_feedback(active: Run, dataset: Dataset, directory: Path, warm: bool) -> dict[str, Any]:
    """Return a refit's config: the active run's config with the viewers' ratings as an additional data source.

    If the active run is itself a refit, the new ratings replace its source of feedback.

    Args:
        active: the run to refit.
        dataset: the data set on which that run was trained.
        directory: directory of the refit, which holds the viewers' ratings.
        warm: whether training continues from the run's weights.
    """
    config = deepcopy(active.config_in(directory))
    lowest, highest = dataset.scale
    source = {
        "_target_": "recsys.data.sources.Files",
        "path": str((directory / SNAPSHOT).resolve()),
        "columns": {
            "user_id": "user_id",
            "movie_id": "movie_id",
            "rating": "rating" if lowest < highest else None,  # None for data of interactions without ratings
            # if any source has times, ratings without a time are dropped
            "time": None if dataset.times is None else "time",
        },
        "scale": [lowest, highest],
    }
    data = config["data"]
    if "sources" not in data:
        cleaning = {"cleaning": data.pop("cleaning")} if "cleaning" in data else {}
        data = {"_target_": "recsys.data.gather.Gathered", "sources": {dataset.name: data}, **cleaning}
    cleaning = data.get("cleaning") or {"_target_": "recsys.data.clean.Cleaning"}
    data |= {
        "cleaning": cleaning | {"max_dropped": 1.0},  # what is dropped was accepted when the run was trained
        "sources": data["sources"] | {FEEDBACK: source},
        "scale": [lowest, highest],
        "name": f"{dataset.name.partition('+')[0]}+{directory.name}",
    }
    split = config["split"]
    if "train_only_below" in split:
        split["train_only_below"] = max(split["train_only_below"], MIN_RATINGS)
    settings = {
        "run_dir": str(directory),
        "pruning": None,  # a refit is not a trial of the search to which the run may have belonged
        "warm_from": str(active.directory) if warm else None,
        "resume": None,
    }
    return config | {"data": data, **settings}


@contextmanager
def refit_lock(run: Path) -> Iterator[None]:
    """Hold the lock of a run, which allows one refit or roll-back of the run at a time.

    The lock is released at the end of the `with` statement, and also if the process is killed.

    Args:
        run: directory of the run.

    Raises:
        UserError: another process holds the lock.
    """
    (run / REFITS).mkdir(exist_ok=True)
    with (run / REFITS / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{short(run)} is already being refitted: wait for that refit, or stop it.") from None
        yield
