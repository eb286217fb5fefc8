"""train.py as a process of its own, for commands that train."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from recsys.config import loader
from recsys.errors import UserError
from recsys.files import short


def run_train(arguments: Sequence[str], directory: Path, purpose: str) -> None:
    """Run train.py, with its output on stderr.

    Args:
        arguments: of train.py.
        directory: that it writes to.
        purpose: of the training, for the message when it fails: `run`, `refit`.

    Raises:
        UserError: the training failed.
    """
    train = [sys.executable, str(loader.CONFIGS.parent / "train.py"), *arguments]
    if subprocess.run(train, stdout=2, check=False).returncode:  # noqa: S603
        raise UserError(f"The {purpose} failed, and says above why; its files so far are in {short(directory)}.")
