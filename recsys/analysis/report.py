"""Output of recommendations, matched histories and similar films: tables for the terminal, and values for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table

from recsys.analysis.explain import METADATA
from recsys.analysis.history_files.matching import MatchedHistory, uncertain_first
from recsys.analysis.recommend import Recommendation
from recsys.counted import counted
from recsys.data.dataset import Dataset
from recsys.data.query import UNKNOWN, History
from recsys.models.histories import LONG, ReadsHistories
from recsys.models.scoring import Scorer
from recsys.models.similar import MEASURE
from recsys.models.support import EMBEDDINGS, HISTORY, ORDER, most_liked
from recsys.terminal import terminal

N_LIKED = 5  # liked films in a title
N_MATCHED = 20  # films of a history in each of two tables
N_GROUPS = 3  # groups of features in a row
LEGEND_OF_FEATURES = "Score by features: the contributions of the groups of features that change the score most."
MOSTLY_POPULAR = (
    "With {}, the score depends most on what is popular among people who had rated as few (model.prior_strength)."
)
LEGEND = {
    ORDER: "Reason (right after, next films): the film without which the score would fall most, as it is recent.",
    HISTORY: "Reason: the liked films without which the score would fall most, and a detail about this film.",
    EMBEDDINGS: "Reason: the liked films with the most similar embeddings; the model itself does not use the history.",
    METADATA: "Reason: the liked film that shares most people and genres; the model itself does not use the history.",
}


def print_recommendations(
    dataset: Dataset, model: Scorer, user: int, history: History, recommendations: Sequence[Recommendation]
) -> None:
    """Print a table of the recommended films with their reasons, best first; a caption explains the reasons."""
    names = dataset.item_names
    name = "a new user" if user == UNKNOWN else f"user {dataset.user_frame['user_id'].iloc[user]}"
    liked = ", ".join(names[history.items[most_liked(history, k=N_LIKED)]])
    kinds = dict.fromkeys(r.reason.kind for r in recommendations if r.reason)
    by_features = any(r.contributions for r in recommendations)
    table = _table("score", "reason", *["score by features"] * by_features)
    table.title = f"Recommendations for {name}, who liked {liked or 'nothing yet'}"
    notes = [LEGEND[kind] for kind in kinds] + [LEGEND_OF_FEATURES] * by_features
    n = len(history.items)
    if isinstance(model, ReadsHistories) and 0 < n < LONG and model.prior_weights(np.array(n)) > 1:
        notes.append(MOSTLY_POPULAR.format(counted(n, "film")))
    table.caption = "\n".join(notes)
    for place, r in enumerate(recommendations, start=1):
        reason = r.reason.sentence(names) if r.reason else ""
        largest = ", ".join(f"{group} {added:+.2f}" for group, added in list(r.contributions.items())[:N_GROUPS])
        table.add_row(str(place), *_cells(dataset, r.item), f"{r.score:.3f}", reason, *[largest] * by_features)
    terminal().print(table)


def print_matched_history(dataset: Dataset, history: MatchedHistory) -> None:
    """Print two tables of a history's films: how films were matched, and why other films are not used.

    Each table has at most `N_MATCHED` films.
    """
    names = dataset.item_names
    matched = Table("film", f"film of {dataset.name}", "rating", "matched by", title_justify="left")
    matched.title = f"{counted(len(history.matched), 'film')} of {history.source}"
    for film in uncertain_first(history.matched)[:N_MATCHED]:
        matched.add_row(film.name, names[film.item], f"{film.rating:g}" if film.is_rated else "seen", film.way)
    unmatched = Table("not used", "reason", title_justify="left")
    unmatched.title = counted(len(history.unmatched), "other")
    for other in history.unmatched[:N_MATCHED]:
        unmatched.add_row(other.name, other.reason)
    for table, n_films in ((matched, len(history.matched)), (unmatched, len(history.unmatched))):
        if n_films:
            rest = n_films - N_MATCHED
            table.caption = f"... and {rest:,} more: --json prints all." if rest > 0 else None
            terminal().print(table)


def print_neighbours(dataset: Dataset, film: int, neighbours: Sequence[tuple[int, float]]) -> None:
    """Print a table of the films that are most similar to a given film.

    Args:
        dataset: data set of the films.
        film: code of the film.
        neighbours: code and similarity of each similar film, the most similar first.
    """
    table = _table("similarity")
    table.title = f"Films similar to {dataset.item_names[film]}"
    table.caption = f"Similarity: {MEASURE}."
    for place, (item, similarity) in enumerate(neighbours, start=1):
        table.add_row(str(place), *_cells(dataset, item), f"{similarity:.3f}")
    terminal().print(table)


def recommendations_as_json(
    dataset: Dataset, user: int, history: History, recommendations: Sequence[Recommendation]
) -> dict[str, Any]:
    """Return recommendations as values for JSON.

    Args:
        dataset: data set of the users and films.
        user: code of the user, or `UNKNOWN` for a new user.
        history: the user's history, one row.
        recommendations: the recommendations, best first.

    Returns:
        A dictionary with the `user_id` (None for a new user), `liked` (the films that the user liked most, the most
        liked film first), and `recommendations` (in the given order).
    """
    names = dataset.item_names
    listed = []
    for r in recommendations:
        reason = r.reason and {
            "kind": r.reason.kind,
            "films": [_film_as_json(dataset, item) for item in r.reason.items],
            "strength": r.reason.strength,
            "shared": r.reason.shared,
            "n_agreeing": r.reason.n_agreeing,
            "n_users": r.reason.n_users,
            "sentence": r.reason.sentence(names),
        }
        film = _film_as_json(dataset, r.item)
        listed.append({**film, "score": r.score, "reason": reason, "contributions": dict(r.contributions)})
    return {
        "user_id": None if user == UNKNOWN else _plain(dataset.user_frame["user_id"].iloc[user]),
        "liked": [_film_as_json(dataset, item) for item in history.items[most_liked(history)]],
        "recommendations": listed,
    }


def matched_history_as_json(dataset: Dataset, history: MatchedHistory) -> dict[str, Any]:
    """Return a matched history as values for JSON: its `source`, the `matched` films, and the `unmatched` films."""
    matched = [
        {
            "name": film.name,
            "film": _film_as_json(dataset, film.item),
            "rating": film.rating,
            "is_rated": film.is_rated,
            "matched_by": film.way,
        }
        for film in history.matched
    ]
    unmatched = [{"name": film.name, "reason": film.reason} for film in history.unmatched]
    return {"source": history.source, "matched": matched, "unmatched": unmatched}


def neighbours_as_json(dataset: Dataset, film: int, neighbours: Sequence[tuple[int, float]]) -> dict[str, Any]:
    """Return similar films as values for JSON: the `film`, the `measure` of similarity in words, and the `neighbours`.

    Args:
        dataset: data set of the films.
        film: code of the film.
        neighbours: code and similarity of each similar film, the most similar first.
    """
    listed = [{**_film_as_json(dataset, item), "similarity": similarity} for item, similarity in neighbours]
    return {"film": _film_as_json(dataset, film), "measure": MEASURE, "neighbours": listed}


def _table(*last_columns: str) -> Table:
    table = Table("", "title", "year", "genres", *last_columns, title_justify="left", caption_justify="left")
    for column in table.columns:
        column.justify = "right" if column.header in ("", "score", "similarity") else "left"
    return table


def _cells(dataset: Dataset, item: int) -> tuple[str, str, str]:
    """Return the title, year and genres of a film as text; an unknown title is replaced by the film's raw id."""
    film = _film_as_json(dataset, item)
    return film["title"] or f"film {film['movie_id']}", str(film["year"] or ""), ", ".join(film["genres"])


def _film_as_json(dataset: Dataset, item: int) -> dict[str, Any]:
    """Return the `movie_id`, `title`, `year` and `genres` of a film as values for JSON; unknown values are None."""
    film = dataset.item_frame.iloc[item]
    known = {name: _plain(film.get(name)) for name in ("movie_id", "title", "year")}
    return {**known, "genres": list(film.get("genres", []))}


def _plain(value: Any) -> Any:
    """Convert a value in a data frame to a value for JSON; a missing value becomes None."""
    return None if pd.isna(value) else getattr(value, "item", lambda: value)()
