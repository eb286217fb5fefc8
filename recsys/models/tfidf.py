"""TF-IDF profiles: an item is the TF-IDF vector of its metadata, a user the mean vector of the rated items."""

from __future__ import annotations

from collections.abc import Sequence

from recsys.data.text import FIELDS
from recsys.errors import check_positive
from recsys.models.content import ContentProfile
from recsys.models.recency import HalfLife


class TfidfProfile(ContentProfile):
    """Scores an item by the cosine between its TF-IDF vector and the user's profile; see `ContentProfile`.

    Args:
        min_count: number of items whose metadata must contain a word for the word to be used.
        fields: metadata fields whose text is an item's document, in this order.
        half_life: see `WeighsHistories`.
        prior_strength: see `ReadsHistories`.
        popularity_half_life: see `ReadsHistories`.
        popularity_by: see `ReadsHistories`.

    Raises:
        UserError: a value is not allowed.
    """

    def __init__(
        self,
        min_count: int = 2,
        fields: Sequence[str] = FIELDS,
        half_life: HalfLife = None,
        prior_strength: float = 0.0,
        popularity_half_life: float | None = None,
        popularity_by: Sequence[str] = (),
    ) -> None:
        check_positive(min_count=min_count)
        super().__init__(
            {"_target_": "recsys.data.text.TfidfEncoder", "min_count": min_count},
            fields,
            half_life=half_life,
            prior_strength=prior_strength,
            popularity_half_life=popularity_half_life,
            popularity_by=popularity_by,
        )
        self.min_count = min_count
