"""Checks that a computation fits in memory, before hours are spent on it."""

from __future__ import annotations

import os
from pathlib import Path

from recsys.errors import UserError

MEMINFO = Path("/proc/meminfo")


def available_bytes() -> int:
    """Return the memory that can still be allocated: Linux's own estimate, elsewhere all that the machine has."""
    if MEMINFO.is_file():
        fields = dict(line.split(":") for line in MEMINFO.read_text().splitlines())
        return int(fields["MemAvailable"].removesuffix("kB")) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def check_memory(n_bytes: int, subject: str, advice: str) -> None:
    """Check that a computation fits in memory.

    Args:
        n_bytes: the peak of its memory.
        subject: what needs the memory, as the subject of the error's sentence.
        advice: what to do if it does not fit.

    Raises:
        UserError: it does not fit.
    """
    available = available_bytes()
    if n_bytes > available:
        raise UserError(
            f"{subject} takes {n_bytes / 1e9:.1f} GB of memory, {available / 1e9:.1f} GB are free: {advice}."
        )


def check_item_pairs(bytes_per_pair: int, n_items: int, model: str) -> None:
    """Check that a dense matrix over all pairs of items fits in memory.

    Args:
        bytes_per_pair: the peak of memory for each pair.
        n_items: size of the catalogue.
        model: name of the model, for the error.

    Raises:
        UserError: it does not fit.
    """
    check_memory(
        bytes_per_pair * n_items**2,
        f"{model} on {n_items:,} items",
        "leave out rarely rated items with data.cleaning.item_core, or take model=item_knn or model=ials",
    )
