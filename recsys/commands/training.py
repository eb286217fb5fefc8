"""Runs train.py in a child process, for commands that train models."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from recsys.errors import UserError
from recsys.files import short
from recsys.interruption import exit_on_sigterm


def run_train(arguments: Sequence[str], directory: Path, purpose: str) -> None:
    """Run train.py in a child process and wait until it ends; its output goes to stderr.

    Args:
        arguments: command-line arguments of train.py.
        directory: directory to which train.py writes, for the error message.
        purpose: what the training is called in the error message, `run` or `refit`.

    Raises:
        UserError: the training failed.
    """
    train = [sys.executable, "-m", "recsys", "train", *arguments]  # which finds packages in the current folder too
    with exit_on_sigterm():  # so that SIGTERM also ends the child
        status = subprocess.run(train, stdout=2, check=False).returncode  # noqa: S603
    if status:
        raise UserError(f"The {purpose} failed; the reason is above, and its files so far are in {short(directory)}.")
