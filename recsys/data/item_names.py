"""Display names of items, made of title and year."""

from __future__ import annotations

import numpy as np
import pandas as pd


def item_names(item_frame: pd.DataFrame) -> np.ndarray:
    """Return the display name of each item, object (n_items,): title and year, or "film ID" if the title is missing."""
    titles = item_frame["title"].astype(object).where(item_frame["title"].notna(), None)
    years = item_frame["year"] if "year" in item_frame else pd.Series(pd.NA, item_frame.index)
    return np.array(
        [
            f"film {movie_id}" if title is None else title if pd.isna(year) else f"{title} ({year})"
            for movie_id, title, year in zip(item_frame["movie_id"], titles, years, strict=True)
        ],
        dtype=object,
    )
