"""Which run is served in a run's place: the last of those that were promoted over it.

`RUN/serving.json` has the refits that were promoted, the last of them served: {"promoted": ["refits/2026-11-22"]}.
Without the file, or with none in it, it is RUN itself. If the last change was a roll-back, the file has its time, too:
{"promoted": [], "rolled_back": 1795345200}, seconds UTC.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from recsys.errors import UserError
from recsys.files import write_whole
from recsys.studies.runs import Run, is_finished

SERVING = "serving.json"
REFITS = "refits"  # the directory of a run that its refits lie in


def data_name(run: Run) -> str:
    """The data set that a run was trained on, of a refit without the feedback."""
    return str(run.manifest["data"]["name"]).partition("+")[0]


def refitted(directory: Path) -> Path:
    """The run that a refit is of; of any other run, itself."""
    return directory.parent.parent if directory.parent.name == REFITS else directory


def current(run: Path) -> Path:
    """The directory of the run that is served in a run's place."""
    return [run, *promoted(run)][-1]


def promote(run: Path, refit: Path) -> None:
    """Let a refit of a run be served in its place.

    Raises:
        UserError: it is no finished run in the run's directory.
    """
    if not (refit.is_relative_to(run) and is_finished(refit)):
        raise UserError(f"{refit} is no finished refit of {run}: python -m recsys refit {run} makes one.")
    _write(run, [*promoted(run), refit])


def roll_back(run: Path) -> Path:
    """Let the run before the one that is served be served again; gives its directory.

    Raises:
        UserError: there is none.
    """
    before = promoted(run)
    if not before:
        raise UserError(f"{run} is served as it is: no refit was promoted over it that could be taken back.")
    _write(run, before[:-1], rolled_back=int(time.time()))
    return current(run)


def promoted(run: Path) -> list[Path]:
    """The directories of refits that were promoted and are still there, the last of them served."""
    return [run / name for name in _read(run).get("promoted", []) if is_finished(run / name)]


def rolled_back(run: Path) -> int:
    """When a refit was taken back, in seconds UTC; 0 where none was, or another was promoted since."""
    return int(_read(run).get("rolled_back", 0))


def _read(run: Path) -> dict[str, Any]:
    file = run / SERVING
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def _write(run: Path, refits: list[Path], **also: int) -> None:
    text = json.dumps({"promoted": [str(refit.relative_to(run)) for refit in refits], **also}, indent=2) + "\n"
    write_whole(run / SERVING, lambda file: file.write(text.encode()))
