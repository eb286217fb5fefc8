"""Example recommendations: items that a model recommends to some users, next to items that they liked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from recsys.data.dataset import Dataset
from recsys.data.query import Query
from recsys.evaluation.reranking import Ranker, rank_by_score
from recsys.metrics.ranking import mask_seen
from recsys.models.base import Recommender
from recsys.models.support import most_liked


@dataclass(frozen=True)
class Example:
    """The titles of items that a user liked, and of items that a model recommends to this user.

    Attributes:
        user_id: the user's raw id.
        liked: titles of the items with the user's highest ratings, none below the user's mean rating; among
            items with equal ratings, the one that was rated last comes first.
        recommended: titles of items that the user has not rated, best first.
    """

    user_id: int | str
    liked: list[str]
    recommended: list[str]

    def rows(self) -> Iterator[tuple[int, str, str]]:
        """Yield (position from 1, liked title, recommended title); in the shorter list, missing titles are ""."""
        for place, titles in enumerate(zip_longest(self.liked, self.recommended, fillvalue=""), start=1):
            yield place, *titles


def examples(
    model: Recommender, query: Query, dataset: Dataset, k: int = 10, rank: Ranker = rank_by_score
) -> list[Example]:
    """Recommend items to some users from their histories.

    Args:
        model: fitted model.
        query: B known users of the data set with their histories, whose items are not recommended.
        dataset: data set with the ids of the users and the titles of the items.
        k: maximum length of the lists of liked and of recommended items.
        rank: function that turns scores into lists of recommended items.

    Returns:
        An example for each user, in the order of the query.
    """
    history = query.history
    top = rank(mask_seen(model.score(query), history), query.users, history, k)  # (B, k), -1 where fewer are left
    titles = dataset.item_names
    found = []
    for row, user in enumerate(query.users):
        liked = history.items[most_liked(history, row, k)]
        recommended = top[row][top[row] >= 0]
        found.append(Example(dataset.user_frame["user_id"].iloc[user], list(titles[liked]), list(titles[recommended])))
    return found


def spread(size: int, n: int) -> np.ndarray:
    """Return at most `n` evenly spaced positions from 0 to `size` - 1, int64, ascending."""
    return np.linspace(0, size - 1, min(n, size)).astype(int)
