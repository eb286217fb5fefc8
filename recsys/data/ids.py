"""Suggestions of existing ids for messages about an id that does not exist."""

from __future__ import annotations

from collections.abc import Iterable

ALIKE = 80  # percentage of equal characters, without regard to case, from which an id is suggested


def id_hint(wanted: str, ids: Iterable[str], examples: Iterable[str]) -> str:
    """Return the end of a sentence about an id that does not exist, which suggests similar ids or else gives examples.

    If the id is a number, no similar ids are suggested, because numbers with similar digits are unrelated.

    Args:
        wanted: the requested id, which does not exist.
        ids: all existing ids.
        examples: a few existing ids, to show if none is similar.
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
