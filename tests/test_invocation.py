"""Commands in messages, as the user can type them."""

import sys
from pathlib import Path

import pytest

from recsys import invocation
from recsys.__main__ import main
from recsys.models.ease import EASE
from tests.training import interrupt_once

PYTHON = "/somewhere/bin/python"


@pytest.fixture
def started(monkeypatch):
    """Begin a process by a command line, in an environment whose programs the shell does not find."""
    monkeypatch.setattr(sys, "executable", PYTHON)

    def start(*arguments: str) -> None:
        monkeypatch.setattr(sys, "orig_argv", [PYTHON, *arguments])

    return start


def test_commands_are_those_by_which_the_process_was_started(started, monkeypatch):
    started("train.py", "model=ease")
    assert invocation.train_command("seed=1") == f"{PYTHON} train.py seed=1"
    assert invocation.recsys_command("table", "outputs") == f"{PYTHON} -m recsys table outputs"
    started("-m", "recsys", "train", "model=ease")
    assert invocation.train_command("seed=1") == f"{PYTHON} -m recsys train seed=1"
    started("/elsewhere/recsys", "train", "model=ease")
    assert invocation.train_command("seed=1") == "/elsewhere/recsys train seed=1"
    monkeypatch.setattr(invocation.shutil, "which", lambda name: f"/elsewhere/{name}")
    assert invocation.recsys_command("table", "outputs") == "recsys table outputs"


def test_an_installed_package_names_no_file_among_its_modules(started, monkeypatch):
    monkeypatch.setattr(invocation, "IS_CHECKOUT", False)
    started("/site-packages/recsys/train.py", "model=ease")  # as a refit starts it
    assert invocation.train_command("seed=1") == f"{PYTHON} -m recsys train seed=1"


def test_arguments_of_commands_are_quoted_for_the_shell(started):
    started("train.py")
    assert invocation.recsys_command("recommend", Path("my run"), "--liked", "Schindler's List").endswith(
        """ recommend 'my run' --liked 'Schindler'"'"'s List'"""
    )


def test_an_interrupted_run_of_the_installed_script_is_continued_by_it(data, tmp_path, monkeypatch, capsys):
    arguments = ["train", *data, "model=ease", "logger=none", f"hydra.run.dir={tmp_path}/broken"]
    monkeypatch.setattr(sys, "argv", ["/elsewhere/recsys", *arguments])
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, *sys.argv])
    interrupt_once(monkeypatch, EASE, "fit")
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().err.rstrip()
    assert said.endswith(f"to continue: /elsewhere/recsys train resume={tmp_path}/broken")
