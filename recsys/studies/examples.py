"""What a model recommends to somebody, beside what that person liked: the look that no metric gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import pandas as pd

from recsys.data.dataset import Dataset
from recsys.evaluation.ranking import top_k, unseen
from recsys.models.base import Recommender


@dataclass(frozen=True)
class Example:
    """One user's films, in words.

    Attributes:
        user_id: raw id.
        liked: films rated highest, the latest first among equals.
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
    names = film_names(known.item_frame)
    made = []
    for row, user in enumerate(users):
        seen = slice(history.indptr[row], history.indptr[row + 1])
        best_first = np.argsort(-history.ratings[seen][::-1], kind="stable")
        liked = history.items[seen][::-1][best_first][:k]
        recommended = top[row][top[row] >= 0]
        made.append(Example(known.user_frame["user_id"].iloc[user], list(names[liked]), list(names[recommended])))
    return made


def spread(users: np.ndarray, n: int) -> np.ndarray:
    """At most `n` of some users, evenly over the whole range of codes."""
    return users[np.linspace(0, len(users) - 1, min(n, len(users))).astype(int)]


def film_names(item_frame: pd.DataFrame) -> np.ndarray:
    """Title and year of each film as text (n_items,); the raw id where the title is not known."""
    titles = item_frame["title"].astype(object).where(item_frame["title"].notna(), None)
    years = item_frame["year"] if "year" in item_frame else pd.Series(pd.NA, item_frame.index)
    return np.array(
        [
            f"film {movie_id}" if title is None else title if pd.isna(year) else f"{title} ({year})"
            for movie_id, title, year in zip(item_frame["movie_id"], titles, years, strict=True)
        ],
        dtype=object,
    )
