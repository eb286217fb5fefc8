"""Progress of long work: a bar on a terminal, lines of the log elsewhere."""

from __future__ import annotations

import logging
import sys
from typing import Any

LINE_SECONDS = 30.0
LINE = "{desc}: {n_fmt} of {total_fmt}{unit}, {rate_fmt}, {remaining} left{postfix}"

log = logging.getLogger(__name__)


def progress_options() -> dict[str, Any]:
    """Return options of a `tqdm` bar, by which it logs a line every `LINE_SECONDS` where there is no terminal."""
    if sys.stderr.isatty():
        return {"dynamic_ncols": True}
    every = dict.fromkeys(("mininterval", "maxinterval", "delay"), LINE_SECONDS)
    return {"file": _Lines(), "bar_format": LINE, **every}


class _Lines:
    """A file that logs what a progress bar writes."""

    def write(self, text: str) -> None:
        """Log a line, without the characters that move the cursor."""
        if text.strip():
            log.info("%s", text.strip())

    def flush(self) -> None:
        """Do nothing: every line is logged at once."""
