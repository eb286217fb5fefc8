"""What a run's lists would have been worth to viewers who were shown those of other runs, told from the log of these.

For every list in the store the run makes its own, for the same viewer, moment and wish, from what was known then; what
came of the films that both lists have tells how well it would have done (`recsys.evaluation.off_policy`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from tqdm import tqdm

from recsys.errors import UserError
from recsys.evaluation.intervals import LEVEL
from recsys.evaluation.off_policy import OffPolicy, off_policy
from recsys.metrics.ratings import RELEVANT_RATING
from recsys.studies.runs import Run
from recsys.web.served import Served, Wish
from recsys.web.serving import data_name, refitted
from recsys.web.store import Store

REWARDS = {"click": "clicks", "rating": f"ratings of {RELEVANT_RATING:g} stars and up"}
SUPPORTED = 0.95  # share of a run's films that could have been shown, below which IPS is told to be too low


@dataclass(frozen=True)
class Replay:
    """A run beside those that made the lists.

    Attributes:
        run: name of the one.
        reward: what was counted, a key of `REWARDS`.
        shown_by: lists by the run that made them.
        left_out: lists that tell nothing about the run: it knows nobody new, or was made of what came of them.
        found: the estimates, in rewards a list.
    """

    run: str
    reward: str
    shown_by: Mapping[str, int]
    left_out: int
    found: OffPolicy

    def plain(self) -> dict[str, Any]:
        """For programs; None stands for what cannot be told."""
        return _plain(asdict(self))

    def sentences(self) -> list[str]:
        """How far to trust the estimates."""
        found = self.found
        told = [
            f"As much is known as from {found.effective_sample_size:,.0f} films of equal weight; the largest weight is "
            f"{found.largest_weight:.3g}."
        ]
        support = f"About {min(found.support, 1):.0%} of this run's films could have been shown"
        if found.support < SUPPORTED:
            told.append(
                f"{support}: IPS takes the others to be worth nothing, so it is too low, SNIPS to be like these."
            )
        else:
            told.append(f"{support}.")
        if self.left_out:
            told.append(
                f"{self.left_out:,} lists are left out: for viewers whom the run does not know, or older than the run, "
                "which has learned from what came of them."
            )
        return told


def replay(served: Served, store: Store, reward: str = "click") -> Replay:
    """Estimate what a run's lists would have been worth to the viewers in a store.

    A refit has learned from what came of earlier lists, so only those that were shown since it was made count.

    Args:
        served: the run.
        store: of what was shown, and what viewers said.
        reward: a key of `REWARDS`.

    Raises:
        UserError: no list tells anything about the run, or they are of films of another data set.
    """
    log = store.impressions()
    _check_data(log, served, store)
    usable = log["time"] > _learned_until(served.run)
    if not served.takes_new_people:
        usable &= log["user_id"].map(served.is_known)
    shown = log[usable]
    n_lists = shown["list_id"].nunique()
    if not n_lists:
        raise UserError(
            f"No list in {store.address} tells anything about {served.name}: serve a run, and replay when people whom "
            "this one knows have seen lists that were made after it."
        )
    listed, n_listed = _listed(shown, served, store)
    worth = {"click": shown["clicked"], "rating": shown["stars"] >= RELEVANT_RATING}[reward]
    rows = shown.assign(reward=worth.astype(float), listed=listed)
    shown_by = shown.drop_duplicates("list_id")["run"].value_counts()
    left_out = log["list_id"].nunique() - n_lists
    return Replay(
        served.name, reward, {str(run): int(n) for run, n in shown_by.items()}, left_out, off_policy(rows, n_listed)
    )


def print_replay(replayed: Replay) -> None:
    """A row for each estimate, and how far to trust them."""
    found = replayed.found
    table = Table("", Column("a list", justify="right"), Column(f"{LEVEL:.0%} interval"), title_justify="left")
    table.title = f"{REWARDS[replayed.reward].capitalize()} in {found.n_lists:,} lists of {found.n_users:,} viewers"
    as_shown = ", ".join(f"{name} ({n:,})" for name, n in replayed.shown_by.items())
    rows = {f"as shown by {as_shown}": found.observed, f"{replayed.run}: IPS": found.ips, "SNIPS": found.snips}
    for name, value in rows.items():
        mean, _, ends = str(value).partition(" ")
        table.add_row(escape(name), mean, escape(ends))
    Console().print(table)
    print("\n".join(replayed.sentences()))


def _check_data(log: pd.DataFrame, served: Served, store: Store) -> None:
    """Hold a log to a run's data set.

    Raises:
        UserError: it is of another one.
    """
    shown_of, data = {str(request["data"]) for request in log["request"]}, data_name(served.run)
    if shown_of - {data} or not set(log["movie_id"]) <= served.catalogue.codes.keys():
        raise UserError(
            f"{store.address} has lists of films of {', '.join(sorted(shown_of))}, and {served.name} was trained on "
            f"{data}: replay a run of the same data."
        )


def _learned_until(run: Run) -> float:
    """Seconds UTC until when feedback may have been learned from; of a run that is no refit, none has."""
    if refitted(run.directory) == run.directory:
        return -np.inf
    return datetime.fromisoformat(run.manifest["finished"]).timestamp()


def _listed(shown: pd.DataFrame, served: Served, store: Store) -> tuple[pd.Series, float]:
    """Whether the run lists each film that was shown, float64 (n,), and how many films its lists have on average."""
    listed = pd.Series(0.0, shown.index)
    lengths = []
    for _, films in tqdm(shown.groupby("list_id", sort=False), desc="replaying", disable=None):
        of = films.iloc[0]
        own = served.recommend(of["user_id"], store.opinions(of["user_id"], before=of["time"]), _wish(of))
        listed[films.index] = films["movie_id"].isin([one.film.movie_id for one in own.films]).astype(float)
        lengths.append(len(own.films))
    return listed, float(np.mean(lengths))


def _wish(of: pd.Series) -> Wish:
    asked = vars(Wish()) | of["request"]
    first, last = asked["years"]
    return Wish(int(of["k"]), tuple(asked["genres"]), (first, last), asked["surprise"], tuple(asked["without"]))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return None if value != value else value
