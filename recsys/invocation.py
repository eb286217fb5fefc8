"""Command lines to show in messages, in the form in which the user started this process.

The form, such as `recsys ...` or `python -m recsys ...`, is read from `sys.orig_argv`, since `sys.argv` is changed
while train.py runs.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from recsys.files import short
from recsys.places import IS_CHECKOUT, TRAIN


def recsys_command(*arguments: object) -> str:
    """Return a command line of the package with quoted arguments: `recsys ...` or `python -m recsys ...`."""
    script = Path(*sys.orig_argv[1:2])
    if script.name == "recsys":
        return _joined(_as_found(script), *arguments)
    return program_command("python", "-m", "recsys", *arguments)


def train_command(*arguments: object) -> str:
    """Return a command line for training, with quoted arguments: `python train.py ...` or `recsys train ...`.

    `python train.py ...` is returned only in a checkout, and only if this process was not started by `recsys` itself.
    An installed package has train.py among its modules, where users do not look for it.
    """
    is_of_package = "recsys" in (Path(argument).name for argument in sys.orig_argv[1:3])
    if is_of_package or not IS_CHECKOUT:
        return recsys_command("train", *arguments)
    return program_command("python", short(TRAIN), *arguments)


def program_command(name: str, *arguments: object) -> str:
    """Return a command line, with quoted arguments, that runs a program of this Python environment."""
    return _joined(_as_found(Path(sys.executable).with_name(name)), *arguments)


def _as_found(program: Path) -> str:
    """Return the name of a program if the shell finds the same file under this name, otherwise its path."""
    return program.name if shutil.which(program.name) == str(program) else str(short(program))


def _joined(*parts: object) -> str:
    return shlex.join(map(str, parts))
