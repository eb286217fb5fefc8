"""Text documents that describe items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

# The most informative fields come first: sentence encoders read only the beginning of a document.
FIELDS = ("title", "year", "genres", "keywords", "tags", "directors", "actors", "writers", "certificate", "plot")


def documents(item_frame: pd.DataFrame, fields: Sequence[str] = FIELDS) -> list[str]:
    """Write a document for each item: the values of its fields, separated by full stops.

    Args:
        item_frame: a row for each item, as `Dataset.item_frame`.
        fields: columns, in the order in which they appear in a document. Missing values and columns that the frame
            lacks are left out.

    Returns:
        A text for each row, such as "Heat. 1995. Crime, Drama. Michael Mann. ..."; "" without any metadata.
    """
    columns = [[_text(value) for value in item_frame[name]] for name in fields if name in item_frame]
    return [". ".join(filter(None, row)) for row in zip(*columns, strict=True)] if columns else [""] * len(item_frame)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return "" if pd.isna(value) else str(value)
