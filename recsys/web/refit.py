"""Refits: the run that is served is trained again with what viewers said, and is replaced if that made it no worse.

    RUN/serving.json        which refit is served in RUN's place, see `serving`
    RUN/refits/tried.json   what the last refit was asked for, and why it failed if it did
    RUN/refits/TIME/        a run like any other, and beside what runs hold:
        feedback.csv        the viewers' ratings that it learned from, as they were then
        refit.yaml          its config, as it was trained by
        promotion.json      how it compares with earlier runs, and whether it took their place, see `promotion`

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
from recsys.files import short, write_whole
from recsys.studies.runs import Run, read_run
from recsys.web import serving
from recsys.web.promotion import Promotion, Recoded, Trial
from recsys.web.serving import REFITS
from recsys.web.store import Store

SNAPSHOT, CONFIG, TRIED, LOCK = "feedback.csv", "refit.yaml", "tried.json", "lock"
FEEDBACK = "feedback"  # the source's name
KEPT = 5  # refits that are not served, for a look at them; earlier ones are removed
NEEDED = 3  # ratings of a user that some splits hold the last of out: who has fewer is only trained on

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Refits:
    """Refits of one run.

    Attributes:
        run: its directory.
        store: what viewers said.
        split_of: gives the split of a config, see `recsys.config.Splits`.
        train: trains a config in a directory.
        warm: whether training continues from the weights of the run that is served.
        margin: see `Trial.compare`.
        trusted: whether models may be loaded that are unpickled, which runs code.
        unattended: whether nobody asks for this refit in particular: then what failed is not tried again, and what was
            taken back not followed by another refit, before there is further feedback.
    """

    run: Path
    store: Store
    split_of: Callable[[Mapping[str, Any]], Split]
    train: Callable[[Mapping[str, Any], Path], None]
    warm: bool = False
    margin: float | None = None
    trusted: bool = False
    unattended: bool = False

    def refit(self) -> Promotion | None:
        """Make a refit of the run that is served, and serve it if it is not worse; None where nothing is new.

        Raises:
            UserError: there is no feedback on the run's films, or none to be trained on, another refit is at work, the
                run's data are no longer what they were, its model cannot continue from weights, nothing is left to
                compare by, or training fails.
        """
        with alone(self.run):
            served = read_run(serving.current(self.run))
            before = self._split(served)
            ratings = self._ratings(before.dataset)
            asked = {
                "feedback": sha256(_snapshot(ratings)).hexdigest(),
                "warm": self.warm,
                "margin": self.margin,
                "served": served.directory.name,
            }
            if self._is_done(asked, ratings):
                return None
            try:
                promotion = self._refit(served, before, ratings)
            except Exception as error:
                self._note(asked | {"failed": str(error)})
                raise
            finally:
                self._remove_earlier(Path(served.config["cache_dir"]))
            self._note(asked | {"served": serving.current(self.run).name})
            return promotion

    def _refit(self, served: Run, before: Split, ratings: pd.DataFrame) -> Promotion:
        directory = self.run / REFITS / f"{datetime.now(UTC):%Y-%m-%d_%H-%M-%S-%f}"
        directory.mkdir()
        write_whole(directory / SNAPSHOT, lambda file: file.write(_snapshot(ratings)))
        config = with_feedback(served, before.dataset, directory, self.warm)
        trial = self._trial(served, before, ratings, config)
        self.train(config, directory)
        comparisons = trial.compare(read_run(directory).model(self.trusted), self.margin)
        promotion = Promotion(str(short(served.directory)), str(short(directory)), trial.metric, comparisons)
        promotion.write(directory)
        if promotion.promoted:
            serving.promote(self.run, directory)
        return promotion

    def _trial(self, served: Run, before: Split, ratings: pd.DataFrame, config: Mapping[str, Any]) -> Trial:
        """What a refit of some config will be held to; all that can stand in its way is told before it is trained."""
        after = self.split_of(config)
        _check_trained_on(ratings, served.learned_from(after), after.name)  # the refit has the same settings
        runs = [served] if served.directory == self.run else [served, read_run(self.run)]
        splits = [before, *map(self._split, runs[1:])]
        models = [run.model(self.trusted) for run in runs]
        if self.warm:
            models[0].continue_from(models[0], np.arange(before.dataset.n_users))
        users = [after.dataset.users_in(split.dataset) for split in splits]
        learned = [run.has_learned(split, after.dataset) for run, split in zip(runs, splits, strict=True)]
        return Trial(
            {
                str(short(run.directory)): Recoded(model, codes)
                for run, model, codes in zip(runs, models, users, strict=True)
            },
            after.for_warm_start(np.any(learned, axis=0)).test,
            own=users[-1] >= 0,
            metric="rmse" if models[0].predicts_ratings else str(config["optimized_metric"]).partition("/")[0],
            ks=config["ks"],
        )

    def _split(self, run: Run) -> Split:
        split = self.split_of(run.config)
        run.check_split(split)
        return split

    def _is_done(self, asked: Mapping[str, Any], ratings: pd.DataFrame) -> bool:
        """Whether the last refit was just this one, or a roll-back is to hold."""
        if self.unattended and ratings["time"].max() <= serving.rolled_back(self.run):
            return True
        file = self.run / REFITS / TRIED
        tried = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        failed = tried.pop("failed", None) is not None
        return tried == asked and (self.unattended or not failed)

    def _note(self, tried: Mapping[str, Any]) -> None:
        text = json.dumps(tried, indent=2) + "\n"
        write_whole(self.run / REFITS / TRIED, lambda file: file.write(text.encode()))

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

    def _remove_earlier(self, cache_dir: Path) -> None:
        """Keep what is served, what a roll-back would serve, and the last refits beside these; remove all others."""
        used = serving.promoted(self.run)[-2:]
        others = sorted(path for path in (self.run / REFITS).iterdir() if path.is_dir() and path not in used)
        kept = [path for path in others if (path / "config.yaml").is_file()][-KEPT:]  # the rest never began to train
        for directory in set(others).difference(kept):
            for tables in (directory, *cache_dir.glob(f"*/*+{directory.name}-*")):
                shutil.rmtree(tables)


def _snapshot(ratings: pd.DataFrame) -> bytes:
    return ratings.to_csv(index=False).encode()


def _check_trained_on(ratings: pd.DataFrame, learned: Dataset, split: str) -> None:
    """Hold it to some of the viewers' ratings being learned from; a cut in time may leave them all to the test."""
    users, items = (
        pd.Index(frame[column].astype(str)).get_indexer(pd.Index(ratings[column]))
        for frame, column in ((learned.user_frame, "user_id"), (learned.item_frame, "movie_id"))
    )
    if not np.isin(users * learned.n_items + items, learned.pairs).any():
        raise UserError(
            f"The split {split} leaves none of the viewers' {len(ratings):,} ratings to train on: wait for more of "
            "them or, where it cuts at a moment in time, serve and refit a run of another split (split=leave_last_out)."
        )


def with_feedback(served: Run, dataset: Dataset, directory: Path, warm: bool) -> dict[str, Any]:
    """The config of a run with one more source, or with that source's later ratings.

    Args:
        served: the run.
        dataset: its data.
        directory: of the refit, where the viewers' ratings lie.
        warm: whether to continue from the run's weights.
    """
    config = deepcopy(served.portable_config())
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
        "resume": None,
    }
    return config | {"data": data, **own}


@contextmanager
def alone(run: Path) -> Iterator[None]:
    """Hold it to one refit or roll-back of a run at a time; the lock goes with the process, however that ends.

    Raises:
        UserError: another process is at it.
    """
    (run / REFITS).mkdir(exist_ok=True)
    with (run / REFITS / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{short(run)} is being refitted already: wait until that has ended, or end it.") from None
        yield
