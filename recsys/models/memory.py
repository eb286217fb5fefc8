"""Refuse what would not fit in memory before hours are spent on it, and say what to do instead."""

from __future__ import annotations

import os
from pathlib import Path

from recsys.errors import UserError

MEMINFO = Path("/proc/meminfo")


def available_bytes() -> int:
    """Memory that may still be taken: as Linux estimates it, elsewhere all that the machine has."""
    if MEMINFO.is_file():
        fields = dict(line.split(":") for line in MEMINFO.read_text().splitlines())
        return int(fields["MemAvailable"].removesuffix("kB")) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def check_memory(n_bytes: int, what: str, instead: str) -> None:
    """Check that something can be held.

    Args:
        n_bytes: the most memory that is held at one time.
        what: what takes it, the sentence's subject.
        instead: what to do where it does not fit.

    Raises:
        UserError: it cannot.
    """
    available = available_bytes()
    if n_bytes > available:
        raise UserError(f"{what} takes {n_bytes / 1e9:.1f} GB of memory, {available / 1e9:.1f} GB are free: {instead}.")


def check_item_pairs(bytes_per_pair: int, n_items: int, model: str) -> None:
    """Check that numbers for all pairs of films can be held.

    Raises:
        UserError: the catalogue is too large for a dense matrix over it.
    """
    check_memory(
        bytes_per_pair * n_items**2,
        f"{model} on {n_items:,} films",
        "leave out rarely rated films with data.cleaning.item_core, or take model=item_knn or model=ials",
    )
