"""Numbers with nouns in messages, such as `1 film` or `2,000 films`."""

from __future__ import annotations


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """Return a number followed by its noun: `1 film`, `2,000 films`.

    Args:
        n: the number.
        noun: the noun in the singular.
        plural: the noun in the plural; None appends an s.
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"
