"""Progress of a loop: a bar in a terminal; elsewhere lines in the log or, if its level is above INFO, on stderr."""

from __future__ import annotations

import logging
import sys
from typing import Any

from tqdm import tqdm

from recsys.progress import is_progress_shown

LINE_SECONDS = 30.0
LINE = "{desc}: {n_fmt} of {total_fmt}{unit}, {pace}, {remaining} left{postfix}"
BAR = "{l_bar}{bar}| {n_fmt} of {total_fmt}{unit} [{elapsed}, {remaining} left, {pace}{postfix}]"
UP = "\x1b[A"  # moves the cursor up, from a bar below another one

log = logging.getLogger(__name__)


class ProgressBar(tqdm):
    """A progress bar of `tqdm`, hidden if `is_progress_shown()` is false.

    If stderr is not a terminal, it writes a line every `LINE_SECONDS` seconds instead.

    Args:
        *arguments: see `tqdm`.
        unit: plural noun for what is counted, or "" to show no noun.
        disable: whether to hide the bar in any case.
        **options: see `tqdm`.
    """

    def __init__(self, *arguments: Any, unit: str = "", disable: bool = False, **options: Any) -> None:
        if sys.stderr.isatty():
            options |= {"dynamic_ncols": True, "bar_format": BAR}
        else:
            every = dict.fromkeys(("mininterval", "maxinterval", "delay"), LINE_SECONDS)
            options |= {"file": _Lines(), "bar_format": LINE, **every}
        is_hidden = disable or not is_progress_shown()
        super().__init__(*arguments, unit=unit and f" {unit}", disable=is_hidden, **options)

    @property
    def format_dict(self) -> dict[str, Any]:
        """Return the values that formats such as `LINE` can show, by name: those of `tqdm`, and `pace`."""
        shown = super().format_dict
        rate = shown["rate"] or (shown["n"] - (shown["initial"] or 0)) / max(shown["elapsed"], 1e-9)
        return shown | {"pace": pace(rate)}


def pace(rate: float) -> str:
    """Format a rate, in units per second, as `12.5 per second`, `1.94 s each` or, if it is 0, `none yet`."""
    if rate == 0:
        return "none yet"
    return f"{rate:.1f} per second" if rate >= 1 else f"{1 / rate:.2f} s each"


class _Lines:
    """File-like object that logs a progress bar as lines, or prints them on stderr if the log level is above INFO."""

    def write(self, text: str) -> None:
        """Log or print a line, without the characters that move the cursor."""
        line = text.replace(UP, "").strip()
        if line and log.isEnabledFor(logging.INFO):
            log.info("%s", line)
        elif line:
            print(line, file=sys.stderr, flush=True)

    def flush(self) -> None:
        """Do nothing, since every line is written immediately."""
