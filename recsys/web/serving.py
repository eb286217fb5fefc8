"""Which run is served in a run's place: the last of those that were promoted over it.

`RUN/serving.json` has the refits that were promoted, the last of them served: {"promoted": ["refits/2026-11-22"]}.
Without the file, or with none in it, it is RUN itself.
"""

from __future__ import annotations

import json
from pathlib import Path

from recsys.errors import UserError
from recsys.files import write_whole
from recsys.studies.runs import is_finished

SERVING = "serving.json"


def current(run: Path) -> Path:
    """The directory of the run that is served in a run's place."""
    promoted = _promoted(run)
    return run / promoted[-1] if promoted else run


def promote(run: Path, refit: Path) -> None:
    """Let a refit of a run be served in its place.

    Raises:
        UserError: it is no finished run in the run's directory.
    """
    if not (refit.is_relative_to(run) and is_finished(refit)):
        raise UserError(f"{refit} is no finished refit of {run}: python -m recsys refit {run} makes one.")
    _write(run, [*_promoted(run), str(refit.relative_to(run))])


def roll_back(run: Path) -> Path:
    """Let the run before the one that is served be served again; gives its directory.

    Raises:
        UserError: there is none.
    """
    promoted = _promoted(run)
    if not promoted:
        raise UserError(f"{run} is served as it is: no refit was promoted over it that could be taken back.")
    _write(run, promoted[:-1])
    return current(run)


def _promoted(run: Path) -> list[str]:
    file = run / SERVING
    return json.loads(file.read_text(encoding="utf-8"))["promoted"] if file.is_file() else []


def _write(run: Path, promoted: list[str]) -> None:
    text = json.dumps({"promoted": promoted}, indent=2) + "\n"
    write_whole(run / SERVING, lambda file: file.write(text.encode()))
