"""Suggestions for ids that do not exist."""

from __future__ import annotations

from collections.abc import Iterable

ALIKE = 80  # percentage of equal characters, without regard to case, from which an id is suggested


def id_hint(wanted: str, ids: Iterable[str], examples: Iterable[str]) -> str:
    """Return the end of a sentence about an id that does not exist: similar ids or, if none is similar, examples.

    Numbers with equal digits say nothing about each other, so there are no suggestions for a number.

    Args:
        wanted: the id that does not exist.
        ids: all ids.
        examples: a few ids.
    """
    from rapidfuzz.fuzz import ratio  # not imported by commands that find their ids
    from rapidfuzz.process import extract
    from rapidfuzz.utils import default_process

    similar = (
        []
        if wanted.isdigit()
        else extract(wanted, [*ids], scorer=ratio, processor=default_process, score_cutoff=ALIKE, limit=3)
    )
    if similar:
        return f"did you mean {' or '.join(name for name, _, _ in similar)}?"
    return f"ids are like {', '.join(examples)}."
