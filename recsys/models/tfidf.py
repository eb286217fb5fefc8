"""TF-IDF profiles: films by the words that are told of them, users by the words of the films that they rated."""

from __future__ import annotations

from collections.abc import Sequence

from recsys.data.text import FIELDS
from recsys.models.content import Profile


class TfidfProfile(Profile):
    """Score a film by the cosine of its words and the user's, each word weighted by how few films have it.

    Args:
        min_count: films that a word must be told of.
        fields: what is told of a film.
    """

    def __init__(self, min_count: int = 2, fields: Sequence[str] = FIELDS) -> None:
        super().__init__({"_target_": "recsys.data.text.TfidfEncoder", "min_count": min_count}, fields)
        self.min_count = min_count
