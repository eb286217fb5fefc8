"""Recommendations and neighbours as tables in the terminal, and as plain values for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from recsys.analysis.explain import EMBEDDINGS, HISTORY, METADATA, most_liked
from recsys.analysis.recommend import UNKNOWN, Recommendation
from recsys.data.dataset import Dataset, History
from recsys.data.titles import item_names
from recsys.models.base import Recommender

SHOWN = 5  # films that somebody liked
LEGEND = {
    HISTORY: "Reason: the film without which the score would fall most.",
    EMBEDDINGS: "Reason: the liked film with the nearest embedding; the model itself goes by no history.",
    METADATA: "Reason: the liked film that shares most genres and people; the model itself goes by no history.",
}


def print_recommendations(
    model: Recommender, dataset: Dataset, user: int, history: History, recommended: Sequence[Recommendation]
) -> None:
    """A row for each film, best first, and what kind of reasons they have."""
    names = item_names(dataset.item_frame)
    who = "somebody" if user == UNKNOWN else f"user {dataset.user_frame['user_id'].iloc[user]},"
    liked = ", ".join(names[history.items[most_liked(history, k=SHOWN)]])
    kinds = dict.fromkeys(r.reason.kind for r in recommended if r.reason)
    table = _table("score", "reason")
    table.title = f"{type(model).__name__} for {who} who liked {liked or 'nothing yet'}"
    table.caption = "\n".join(LEGEND[kind] for kind in kinds)
    for place, r in enumerate(recommended, start=1):
        reason = r.reason.sentence(names) if r.reason else ""
        table.add_row(str(place), *_cells(dataset, r.item), f"{r.score:.3f}", reason)
    Console().print(table)


def print_neighbours(
    model: Recommender, dataset: Dataset, film: int, measure: str, near: Sequence[tuple[int, float]]
) -> None:
    """A row for each film, nearest first, and what nearness is."""
    table = _table("similarity")
    table.title = f"Near to {item_names(dataset.item_frame)[film]} for {type(model).__name__}"
    table.caption = f"Similarity: {measure}."
    for place, (item, similarity) in enumerate(near, start=1):
        table.add_row(str(place), *_cells(dataset, item), f"{similarity:.3f}")
    Console().print(table)


def recommendations(
    dataset: Dataset, user: int, history: History, recommended: Sequence[Recommendation]
) -> dict[str, Any]:
    """For programs: `user_id` (None for somebody new), what that person `liked` most, and `recommendations`."""
    names = item_names(dataset.item_frame)
    listed = []
    for r in recommended:
        reason = r.reason and {
            "kind": r.reason.kind,
            "film": _described(dataset, r.reason.item),
            "strength": r.reason.strength,
            "shared": r.reason.shared,
            "sentence": r.reason.sentence(names),
        }
        listed.append({**_described(dataset, r.item), "score": r.score, "reason": reason})
    return {
        "user_id": None if user == UNKNOWN else _plain(dataset.user_frame["user_id"].iloc[user]),
        "liked": [_described(dataset, item) for item in history.items[most_liked(history)]],
        "recommendations": listed,
    }


def neighbours(dataset: Dataset, film: int, measure: str, near: Sequence[tuple[int, float]]) -> dict[str, Any]:
    """For programs: the `film`, the `measure` of similarity in words, and `neighbours`."""
    listed = [{**_described(dataset, item), "similarity": similarity} for item, similarity in near]
    return {"film": _described(dataset, film), "measure": measure, "neighbours": listed}


def _table(*further: str) -> Table:
    table = Table("", "title", "year", "genres", *further, title_justify="left", caption_justify="left")
    for column in table.columns:
        column.justify = "right" if column.header in ("", "score", "similarity") else "left"
    return table


def _cells(dataset: Dataset, item: int) -> tuple[str, str, str]:
    """Title, year and genres; the raw id where the title is not known."""
    film = _described(dataset, item)
    return film["title"] or f"film {film['movie_id']}", str(film["year"] or ""), ", ".join(film["genres"])


def _described(dataset: Dataset, item: int) -> dict[str, Any]:
    """A film in plain values; None for what is not known."""
    film = dataset.item_frame.iloc[item]
    described = {name: _plain(film.get(name)) for name in ("movie_id", "title", "year")}
    return {**described, "genres": list(film.get("genres", []))}


def _plain(value: Any) -> Any:
    """A cell of a frame as JSON has it."""
    return None if pd.isna(value) else getattr(value, "item", lambda: value)()
