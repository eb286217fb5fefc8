"""Recommendations for one person, each with its reason, and the neighbours of one film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from recsys.analysis.explain import Reason, explain
from recsys.analysis.similar import similarities
from recsys.data.dataset import Dataset, History
from recsys.errors import UserError
from recsys.metrics.ranking import mask_seen, top_k
from recsys.models.base import Recommender

UNKNOWN = -1


@dataclass(frozen=True)
class Recommendation:
    """A film for somebody.

    Attributes:
        item: its code.
        score: the model's.
        reason: why, or None where nothing that the person liked speaks for it.
    """

    item: int
    score: float
    reason: Reason | None


def recommend(
    model: Recommender, dataset: Dataset, user: int, history: History, candidates: np.ndarray, k: int
) -> list[Recommendation]:
    """The best films for one person that are not in that person's history.

    Args:
        model: trained on this data set.
        dataset: whose films they are.
        user: code, or `UNKNOWN`.
        history: one row.
        candidates: int64 (m,) films to choose from.
        k: how many at most.
    """
    users = np.array([user])
    scores = model.score(users, history)
    items = top_k(mask_seen(scores, history, candidates), users, k)[0]
    items = items[items >= 0]
    reasons = explain(model, user, history, items, dataset.item_frame)
    return [Recommendation(int(i), float(scores[0, i]), reason) for i, reason in zip(items, reasons, strict=True)]


def recommend_to_all(model: Recommender, dataset: Dataset, k: int, batch_size: int = 1024) -> pd.DataFrame:
    """The best films for each user that the user has not rated, without reasons.

    Args:
        model: trained on this data set.
        dataset: whose users and films they are.
        k: how many at most.
        batch_size: users at a time.

    Returns:
        A row for each film of each user: `user_id`, `place` from 1, `movie_id`, `score`.
    """
    console = Console(stderr=True)
    starts = range(0, dataset.n_users, batch_size)
    lists = []
    for start in track(starts, "Recommending", console=console, transient=True, disable=not console.is_terminal):
        users = np.arange(start, min(start + batch_size, dataset.n_users))
        history = dataset.history(users)
        scores = model.score(users, history)
        items = top_k(mask_seen(scores, history), users, k)  # (B, k)
        rows, places = np.nonzero(items >= 0)
        listed = items[rows, places]
        lists.append(
            pd.DataFrame({"user": users[rows], "place": places + 1, "item": listed, "score": scores[rows, listed]})
        )
    found = pd.concat(lists)
    return pd.DataFrame(
        {
            "user_id": dataset.user_frame["user_id"].to_numpy()[found["user"]],
            "place": found["place"].to_numpy(),
            "movie_id": dataset.item_frame["movie_id"].to_numpy()[found["item"]],
            "score": found["score"].to_numpy(),
        }
    )


def user_code(dataset: Dataset, user_id: str) -> int:
    """The code of a raw user id as one types it.

    Raises:
        UserError: there is no such user.
    """
    ids = dataset.user_frame["user_id"].astype(str)
    found = np.flatnonzero(ids == user_id)
    if not len(found):
        raise UserError(f"There is no user {user_id} in {dataset.name}: ids are like {', '.join(ids[:3])}.")
    return int(found[0])


def liked_by_somebody_new(model: Recommender, dataset: Dataset, items: Sequence[int]) -> History:
    """A history of films that all get the highest rating.

    Raises:
        UserError: the model scores only users whom it was trained on.
    """
    if not model.uses_history:
        raise UserError(
            f"{type(model).__name__} ignores what somebody new likes: choose one of its users with --user, or a run of "
            "a model that scores by histories, such as ease."
        )
    return History.of_items([list(dict.fromkeys(items))], rating=dataset.scale[1])


def neighbours(model: Recommender, item: int, candidates: np.ndarray, k: int) -> tuple[str, list[tuple[int, float]]]:
    """The films nearest to one: what is measured, in words, and at most k codes with their similarity.

    Args:
        model: trained.
        item: code of the one film.
        candidates: int64 (m,) films to choose from.
        k: how many at most.

    Raises:
        UserError: the model knows no similar films.
    """
    measure, near = similarities(model, np.array([item]))
    items = top_k(mask_seen(near, History.of_items([[item]]), candidates), np.array([UNKNOWN]), k)[0]
    return measure, [(int(i), float(near[0, i])) for i in items[items >= 0]]
