"""Off-policy evaluation of a run: estimates the rewards of its lists from feedback that viewers gave on other lists.

For each list in the feedback store, the run recommends to the same viewer with the same options, given only the
feedback from before that list. The viewer's reactions to those films that are in both lists show how well the run would
have done; see `recsys.evaluation.off_policy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich.table import Column, Table

from recsys.counted import counted
from recsys.errors import UserError
from recsys.evaluation.intervals import LEVEL
from recsys.evaluation.off_policy import OffPolicy, off_policy
from recsys.metrics.ratings import RELEVANT_RATING
from recsys.progress_bar import ProgressBar
from recsys.studies.runs import Run
from recsys.terminal import terminal
from recsys.web.lists import ListOptions, Order
from recsys.web.rollout import data_name, original

if TYPE_CHECKING:
    from recsys.web.loaded_run import LoadedRun
    from recsys.web.store import Store

REWARDS = {"click": "clicks", "rating": f"ratings of at least {RELEVANT_RATING:g} stars"}
FULL_SUPPORT = 0.95  # with a smaller share of films that could have been shown, IPS is reported to be too low


@dataclass(frozen=True)
class Replay:
    """Estimated rewards of a run.

    Attributes:
        run: name of the run.
        reward: kind of reward, a key of `REWARDS`.
        shown_by: number of logged lists that were used, keyed by the name of the run that produced them.
        left_out: number of logged lists that were not used, because the run cannot serve their viewers or may have
            learned from the feedback on them.
        found: the estimates, in rewards per list.
    """

    run: str
    reward: str
    shown_by: Mapping[str, int]
    left_out: int
    found: OffPolicy

    def plain(self) -> dict[str, Any]:
        """Return all attributes as plain values for JSON, with None in place of NaN."""
        return _plain(asdict(self))

    def sentences(self) -> list[str]:
        """Return sentences about how reliable the estimates are."""
        found = self.found
        sentences = [
            f"The effective sample size is {counted(round(found.effective_sample_size), 'film')}; the largest weight "
            f"is {found.largest_weight:.3g}."
        ]
        support = f"About {min(found.support, 1):.0%} of this run's films could have been shown"
        if found.support < FULL_SUPPORT:
            sentences.append(
                f"{support}: IPS counts the others as worth nothing, so it is too low; SNIPS assumes that they "
                "are worth as much as these."
            )
        else:
            sentences.append(f"{support}.")
        if self.left_out:
            sentences.append(
                f"Left out: {counted(self.left_out, 'list')}. The run cannot serve the viewer, or is newer than the "
                "list and may have learned from its outcomes."
            )
        return sentences


def replay(loaded: LoadedRun, store: Store, reward: str = "click") -> Replay:
    """Estimate the rewards that a run's lists would have received from viewers.

    If the run is a refit, only lists shown after its training are used, since it may have learned from the feedback on
    earlier lists.

    Args:
        loaded: the run to evaluate.
        store: feedback store with the logged lists and the viewers' reactions.
        reward: kind of reward, a key of `REWARDS`.

    Raises:
        UserError: no list can be used, or the lists contain films of another data set.
    """
    impressions = store.impressions()
    _check_data(impressions, loaded, store)
    is_usable = impressions["time"] > _learned_until(loaded.run)
    if not loaded.scores_new_users:
        is_usable &= impressions["user_id"].map(loaded.has_user)
    usable = impressions[is_usable]
    n_lists = usable["list_id"].nunique()
    if not n_lists:
        raise UserError(
            f"No list in {store.address} can be used to evaluate {loaded.name}: serve a run, and replay once viewers "
            "whom this run can serve have seen lists that are newer than the run."
        )
    is_listed, mean_length = _replayed_lists(usable, loaded, store)
    outcomes = {"click": usable["clicked"], "rating": usable["stars"] >= RELEVANT_RATING}[reward]
    rows = usable.assign(reward=outcomes.astype(float), listed=is_listed)
    shown_by = usable.drop_duplicates("list_id")["run"].value_counts()
    left_out = impressions["list_id"].nunique() - n_lists
    estimates = off_policy(rows, mean_length)
    return Replay(loaded.name, reward, {str(run): int(n) for run, n in shown_by.items()}, left_out, estimates)


def print_replay(replayed: Replay) -> None:
    """Print a table of the estimates, and below it sentences about how reliable they are."""
    found = replayed.found
    table = Table("", Column("a list", justify="right"), Column(f"{LEVEL:.0%} interval"), title_justify="left")
    lists, viewers = counted(found.n_lists, "list"), counted(found.n_users, "viewer")
    table.title = f"{REWARDS[replayed.reward].capitalize()} in {lists} of {viewers}"
    as_shown = ", ".join(f"{name} ({n:,})" for name, n in replayed.shown_by.items())
    rows = {f"as shown by {as_shown}": found.observed, f"{replayed.run}: IPS": found.ips, "SNIPS": found.snips}
    for name, value in rows.items():
        mean, _, ends = str(value).partition(" ")
        table.add_row(name, mean, ends)
    terminal().print(table)
    print("\n".join(replayed.sentences()))


def _check_data(impressions: pd.DataFrame, loaded: LoadedRun, store: Store) -> None:
    """Check that the logged lists contain only films of the run's data set.

    Raises:
        UserError: the lists contain films of another data set.
    """
    logged, data = {str(request["data"]) for request in impressions["request"]}, data_name(loaded.run)
    if logged - {data} or not set(impressions["movie_id"]) <= loaded.catalogue.codes.keys():
        raise UserError(
            f"{store.address} has lists of films of {', '.join(sorted(logged))}, and {loaded.name} was trained on "
            f"{data}: replay a run of the same data."
        )


def _learned_until(run: Run) -> float:
    """Return the Unix time in seconds until which a refit may have learned from feedback; -inf if it is not a refit."""
    if original(run.directory) == run.directory:
        return -np.inf
    return datetime.fromisoformat(run.manifest["finished"]).timestamp()


def _replayed_lists(shown: pd.DataFrame, loaded: LoadedRun, store: Store) -> tuple[pd.Series, float]:
    """Return which of the shown films the run would list too, and the mean length of its lists.

    Args:
        shown: the impressions (n rows), a row for each film of each logged list.
        loaded: the run.
        store: feedback store, which provides each viewer's opinions at the time of a list.

    Returns:
        float64 (n,), 1 for a film that the run would list and 0 for any other film; and the mean number of films in the
        run's lists.
    """
    is_listed = pd.Series(0.0, shown.index)
    lengths = []
    for _, films in ProgressBar(shown.groupby("list_id", sort=False), desc="replaying"):
        logged = films.iloc[0]
        opinions = store.opinions(logged["user_id"], before=logged["time"]).of_films(loaded.catalogue.codes)
        replayed = loaded.recommend(logged["user_id"], opinions, _options(logged))
        is_listed[films.index] = films["movie_id"].isin([film.film.movie_id for film in replayed.films]).astype(float)
        lengths.append(len(replayed.films))
    return is_listed, float(np.mean(lengths))


def _options(logged: pd.Series) -> ListOptions:
    request = vars(ListOptions()) | logged["request"]
    first, last = request["years"]
    return ListOptions(
        int(logged["k"]),
        tuple(request["genres"]),
        (first, last),
        request["surprise"],
        tuple(request["without"]),
        Order(request["order"]),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return None if value != value else value
