"""Commands for messages, which a user can type in the same way as the command that started this process.

How it was started is read from `sys.orig_argv`, since `sys.argv` is changed while train.py runs.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from recsys.files import short
from recsys.places import IS_CHECKOUT, TRAIN


def recsys_command(*arguments: object) -> str:
    """Return a command of the package with quoted arguments: `recsys ...` or `python -m recsys ...`."""
    script = Path(*sys.orig_argv[1:2])
    if script.name == "recsys":
        return _joined(_as_found(script), *arguments)
    return program_command("python", "-m", "recsys", *arguments)


def train_command(*arguments: object) -> str:
    """Return a training command with quoted arguments: `python train.py ...`, `recsys train ...`.

    It is `python train.py` only in a checkout, since in an installed package train.py is among the modules.
    """
    is_of_package = "recsys" in (Path(argument).name for argument in sys.orig_argv[1:3])
    if is_of_package or not IS_CHECKOUT:
        return recsys_command("train", *arguments)
    return program_command("python", short(TRAIN), *arguments)


def program_command(name: str, *arguments: object) -> str:
    """Return a command with quoted arguments for a program of this environment."""
    return _joined(_as_found(Path(sys.executable).with_name(name)), *arguments)


def _as_found(program: Path) -> str:
    """Return a program's name if the shell finds the same file under this name, otherwise its path."""
    return program.name if shutil.which(program.name) == str(program) else str(short(program))


def _joined(*parts: object) -> str:
    return shlex.join(map(str, parts))
