"""A limit on the nesting depth of JSON, since DuckDB's parser crashes at several hundred thousand levels."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from recsys.errors import UserError

MAX_LEVELS = 100
BLOCK = 2**24  # bytes
_ESCAPED = re.compile(rb"\\.")
_STRING = re.compile(rb'"[^"\n]*"?')  # one that is not closed ends with its line, and the parser will report it
_OTHERS = bytes(set(range(256)) - set(b'[]{}"\n'))


def check_levels(file: Path, text: Path) -> None:
    """Check that the lists and objects of a JSON file are nested at most `MAX_LEVELS` deep.

    Args:
        file: the original file, for the message.
        text: the file itself if it is in UTF-8, otherwise a copy in UTF-8; this is the file that is read.

    Raises:
        UserError: lists or objects are nested more deeply.
    """
    level = 0
    with text.open("rb") as lines:
        while block := lines.readlines(BLOCK):
            marks = _ESCAPED.sub(b"", b"".join(block)).translate(None, delete=_OTHERS)
            brackets = _STRING.sub(b"", marks.replace(b'""', b"")).replace(b"\n", b"")  # most strings have no brackets
            opens = np.isin(np.frombuffer(brackets, np.uint8), list(b"[{"))
            levels = level + np.cumsum(np.where(opens, 1, -1))
            if levels.max(initial=0) > MAX_LEVELS:
                raise UserError(f"{file} must have at most {MAX_LEVELS} levels of lists and objects (got more).")
            level = int(levels[-1]) if len(levels) else level
