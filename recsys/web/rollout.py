"""The active version of a run, which answers the run's requests: the run itself or its last promoted refit.

`RUN/serving.json` lists the promoted refits, the last of which is active: {"promoted": ["refits/2026-11-22"]}. Without
the file, or with an empty list, RUN itself is active. After a roll-back, the file also holds the Unix time of the
roll-back in seconds: {"promoted": [], "rolled_back": 1795345200}.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from recsys.errors import UserError
from recsys.files import reading, write_text
from recsys.invocation import recsys_command
from recsys.studies.runs import MANIFEST, Run, is_finished

ROLLOUT = "serving.json"
REFITS = "refits"  # subdirectory of a run that holds its refits


def data_name(run: Run) -> str:
    """Return the name of a run's data set; for a refit, this is the name of the original run's data set.

    Raises:
        UserError: the name contains a folder or an unprintable character. Since the feedback store is
            named after the data set, such a name could place the store in another folder.
    """
    name = str(run.manifest["data"]["name"]).partition("+")[0]
    if Path(name).name != name or not name.isprintable():
        raise UserError(f"The data's name in {run.directory / MANIFEST} must be a name without folders (got {name!r}).")
    return name


def original(directory: Path) -> Path:
    """Return the directory of the run that a refit was made from; for a run that is not a refit, its own directory."""
    return directory.parent.parent if directory.parent.name == REFITS else directory


def active(run: Path) -> Path:
    """Return the directory of the active version of a run: the last promoted refit or, without one, the run itself."""
    return [run, *promoted(run)][-1]


def promote(run: Path, refit: Path) -> None:
    """Make a refit the active version of a run.

    Raises:
        UserError: `refit` is not a finished run within the directory of `run`.
    """
    if not (refit.is_relative_to(run) and is_finished(refit)):
        raise UserError(f"{refit} is not a finished refit of {run}: train one with {recsys_command('refit', run)}.")
    _write(run, [*promoted(run), refit])


def roll_back(run: Path) -> Path:
    """Make the previously active version of a run active again, and return its directory.

    Raises:
        UserError: no refit is promoted.
    """
    refits = promoted(run)
    if not refits:
        raise UserError(f"{run} has no promoted refit that could be rolled back.")
    _write(run, refits[:-1], rolled_back=int(time.time()))
    return active(run)


def promoted(run: Path) -> list[Path]:
    """Return the directories of the promoted refits that still exist, in order of promotion; the last one is active.

    Raises:
        UserError: `serving.json` lists a directory that is not a refit of the run.
    """
    refits = [run / name for name in _read(run).get("promoted", [])]
    if others := [str(refit) for refit in refits if original(refit) != run or refit.name == ".."]:
        raise UserError(f"{run / ROLLOUT} must list refits of the run itself (got {others[0]}): remove what it lists.")
    return [refit for refit in refits if is_finished(refit)]


def rolled_back_at(run: Path) -> int:
    """Return the Unix time of the last roll-back in seconds, or 0 if no roll-back followed the last promotion."""
    return _read(run).get("rolled_back", 0)


def _read(run: Path) -> dict[str, Any]:
    file = run / ROLLOUT
    if not file.is_file():
        return {}
    with reading(file):
        found = json.loads(file.read_text(encoding="utf-8"))
        return {"promoted": [str(name) for name in found["promoted"]], "rolled_back": int(found.get("rolled_back", 0))}


def _write(run: Path, refits: list[Path], **further: int) -> None:
    text = json.dumps({"promoted": [str(refit.relative_to(run)) for refit in refits], **further}, indent=2) + "\n"
    write_text(run / ROLLOUT, text)
