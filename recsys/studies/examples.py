"""What a model recommends to somebody, beside what that person liked: the look that no metric gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from recsys.analysis.explain import most_liked
from recsys.data.dataset import Dataset
from recsys.data.titles import item_names
from recsys.evaluation.ranking import top_k, unseen
from recsys.models.base import Recommender


@dataclass(frozen=True)
class Example:
    """One user's films, in words.

    Attributes:
        user_id: raw id.
        liked: films rated highest, and no lower than the user's mean; the latest first among equals.
        recommended: films that the user has not rated, best first.
    """

    user_id: int | str
    liked: list[str]
    recommended: list[str]

    def rows(self) -> Iterator[tuple[int, str, str]]:
        """Place, film liked, film recommended; "" where one list is shorter."""
        for place, films in enumerate(zip_longest(self.liked, self.recommended, fillvalue=""), start=1):
            yield place, *films


def examples(model: Recommender, known: Dataset, users: np.ndarray, k: int = 10) -> list[Example]:
    """Recommend to some users, int64 (B,), from what is known of them; at most `k` films each way."""
    history = known.history(users)
    top = top_k(unseen(model.score(users, history), history), users, k)  # (B, k)
    names = item_names(known.item_frame)
    made = []
    for row, user in enumerate(users):
        liked = history.items[most_liked(history, row, k)]
        recommended = top[row][top[row] >= 0]
        made.append(Example(known.user_frame["user_id"].iloc[user], list(names[liked]), list(names[recommended])))
    return made


def spread(users: np.ndarray, n: int) -> np.ndarray:
    """At most `n` of some users, evenly over the whole range of codes."""
    return users[np.linspace(0, len(users) - 1, min(n, len(users))).astype(int)]
