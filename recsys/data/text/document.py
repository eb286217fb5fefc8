"""Text documents that describe items, written from their metadata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

# The most informative fields come first: sentence encoders read only the beginning of a document.
FIELDS = ("title", "year", "genres", "keywords", "tags", "directors", "actors", "writers", "certificate", "plot")


def documents(item_frame: pd.DataFrame, fields: Sequence[str] = FIELDS) -> list[str]:
    """Return a document for each item: the values of some of its columns, separated by full stops.

    Args:
        item_frame: a data frame with a row per item, such as `Dataset.item_frame`.
        fields: names of the columns, in the order in which their values appear in a document. Missing values and
            columns that the frame lacks are left out.

    Returns:
        A text for each row, such as "Heat. 1995. Crime, Drama. Michael Mann. ..."; "" if all values are missing.
    """
    columns = [[_text(value) for value in item_frame[name]] for name in fields if name in item_frame]
    return [". ".join(filter(None, row)) for row in zip(*columns, strict=True)] if columns else [""] * len(item_frame)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return "" if pd.isna(value) else str(value)
