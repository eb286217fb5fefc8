"""Runs that are interrupted or terminated, how they resume, and runs that another process is at work on."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys.interruption import UNREAD, exit_on_closed_pipe
from recsys.invocation import train_command
from recsys.models.ease import EASE
from recsys.models.neural.callbacks import EpochSeeds
from recsys.studies.runs import find_runs, is_finished, read_run
from tests.training import interrupt_once

ROOT = Path(__file__).parents[1]
SETTINGS = {"mf": ("model=mf", "model.max_epochs=4", "logger=none"), "ease": ("model=ease", "logger=none")}


@pytest.fixture(scope="module")
def whole() -> dict[str, dict[str, float]]:
    """Metrics of uninterrupted runs, by model."""
    return {}


@pytest.fixture
def metrics_of(whole, train_small, tmp_path) -> Callable[[str], dict[str, float]]:
    """Metrics of an uninterrupted run of a model, which is trained once for all tests on the same data."""

    def metrics(model: str) -> dict[str, float]:
        if model not in whole:
            assert train_small(*SETTINGS[model], f"hydra.run.dir={tmp_path}/whole") == 0
            whole[model] = read_run(tmp_path / "whole").metrics
        return whole[model]

    return metrics


def test_an_interrupted_run_says_how_to_continue_and_ends_with_the_metrics_of_an_uninterrupted_one(
    train_small, metrics_of, tmp_path, monkeypatch, capsys
):
    with monkeypatch.context() as patch:
        interrupt_once(patch, EpochSeeds, "on_train_epoch_start", at_call=2)
        assert train_small(*SETTINGS["mf"], f"hydra.run.dir={tmp_path}/broken") == 130
    said = capsys.readouterr().err
    assert "python train.py resume=" in said
    assert said.rstrip().endswith("broken")
    assert train_small(f"resume={tmp_path}/broken") == 0
    assert read_run(tmp_path / "broken").metrics == metrics_of("mf")


def test_resuming_with_another_config_names_what_differs(train_small, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        interrupt_once(patch, EASE, "fit")
        assert train_small("model=ease", f"hydra.run.dir={tmp_path}/run") == 130
    assert train_small(f"resume={tmp_path}/run", "model.l2=3", "seed=1") == 2
    assert "(model.l2, seed)" in capsys.readouterr().err
    assert train_small(f"resume={tmp_path}/run", "seed=0") == 0


def test_a_run_can_be_resumed_with_another_number_of_processes(train_small, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_once(patch, EASE, "fit")
        assert train_small("model=ease", "trainer=sharded", f"hydra.run.dir={tmp_path}/run") == 130
    assert train_small(f"resume={tmp_path}/run", "trainer.devices=1") == 0
    assert read_run(tmp_path / "run").config["trainer"]["devices"] == 1


def test_a_run_that_begins_in_the_place_of_a_finished_one_is_not_finished(train_small, tmp_path, monkeypatch):
    place = f"hydra.run.dir={tmp_path}/run"
    assert train_small("model=ease", place) == 0
    interrupt_once(monkeypatch, EASE, "fit")
    assert train_small("model=ease", "seed=1", place) == 130
    assert not is_finished(tmp_path / "run")


def test_resuming_a_finished_run_or_a_directory_without_a_run_is_refused(train_small, tmp_path, capsys):
    assert train_small(f"resume={tmp_path}/nothing") == 2
    assert f"resume={tmp_path}/nothing does not exist: " in capsys.readouterr().err
    (tmp_path / "nothing").mkdir()
    assert train_small(f"resume={tmp_path}/nothing") == 2
    assert "must name a run directory" in capsys.readouterr().err
    assert train_small("model=popularity", f"hydra.run.dir={tmp_path}/run") == 0
    capsys.readouterr()
    assert train_small(f"resume={tmp_path}/run") == 2
    assert "finished" in capsys.readouterr().err


def heed_sigint() -> None:
    """Undo that the tests may have been started in the background of a shell, which ignores SIGINT there."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(("number", "status", "said"), [("SIGINT", 130, "\nInterrupted.\n"), ("SIGTERM", -15, "")])
@pytest.mark.parametrize("imported", ["argparse", "hydra", "omegaconf"])
@pytest.mark.parametrize("program", [["train.py"], ["-m", "recsys", "train"]])
def test_a_signal_during_the_imports_ends_a_program_without_a_traceback(
    tmp_path, program, imported, number, status, said
):
    (tmp_path / f"{imported}.py").write_text(f"import signal\nsignal.raise_signal(signal.{number})")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}  # comes before the installed packages
    command = [sys.executable, *program]
    settings = {"cwd": ROOT, "env": environment, "preexec_fn": heed_sigint}
    ended = subprocess.run(command, capture_output=True, text=True, **settings)
    assert (ended.returncode, ended.stderr) == (status, said)


def terminate_once(monkeypatch, owner: type, method: str, at_call: int = 0) -> None:
    """SIGTERM in one call of a method."""
    original, calls = getattr(owner, method), iter(range(10**6))

    def terminated(*args, **kwargs):
        if next(calls) == at_call:
            signal.raise_signal(signal.SIGTERM)
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, method, terminated)


@pytest.mark.parametrize(
    ("model", "owner", "method"), [("mf", EpochSeeds, "on_train_epoch_start"), ("ease", EASE, "fit")]
)
def test_sigterm_ends_a_run_with_status_143_and_says_how_to_continue(
    train_small, metrics_of, tmp_path, monkeypatch, capsys, model, owner, method
):
    with monkeypatch.context() as patch:
        terminate_once(patch, owner, method, at_call=2 if model == "mf" else 0)
        assert train_small(*SETTINGS[model], f"hydra.run.dir={tmp_path}/broken") == 143
    said = capsys.readouterr().err.rstrip()
    assert said.endswith(f"Terminated; to continue: {train_command(f'resume={tmp_path}/broken')}")
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert train_small(f"resume={tmp_path}/broken") == 0
    assert read_run(tmp_path / "broken").metrics == metrics_of(model)


def test_sigterm_stops_a_sweep(train_small, tmp_path, monkeypatch):
    terminate_once(monkeypatch, EASE, "fit", at_call=2)  # a run fits twice
    assert train_small("-m", "model=ease", "seed=0,1,2", f"hydra.sweep.dir={tmp_path}/sweep") == 143
    assert len(find_runs(tmp_path / "sweep")) == 1
    assert not list((tmp_path / "sweep").glob("2_*"))


def test_a_requeued_job_of_slurm_resumes_its_own_run(train_small, tmp_path, monkeypatch):
    settings = (*SETTINGS["mf"], f"hydra.run.dir={tmp_path}/run")
    with monkeypatch.context() as patch:
        terminate_once(patch, EpochSeeds, "on_train_epoch_start", at_call=2)
        assert train_small(*settings) == 143
    epochs: list[int] = []
    original = EpochSeeds.on_train_epoch_start

    def counted(callback, trainer, module):
        epochs.append(trainer.current_epoch)
        original(callback, trainer, module)

    monkeypatch.setattr(EpochSeeds, "on_train_epoch_start", counted)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert train_small(*settings, "refit=true") == 0
    assert epochs[:2] == [2, 3]
    epochs.clear()
    assert train_small(*settings, "refit=true") == 0  # a finished run, as of a sweep that is requeued, is not run again
    assert epochs == []
    assert train_small(*settings, "seed=1") == 0  # another run in the same place starts anew
    assert epochs[0] == 0


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (["model=ease"], "hydra.run.dir"),
        (["-m", "model=ease", "seed=0"], "hydra.sweep.dir"),
        (["hparams_search=ease", "hydra.sweeper.n_trials=1"], "hydra.sweep.dir"),
    ],
)
def test_a_run_at_work_is_not_started_a_second_time(train_small, tmp_path, capsys, arguments, place):
    command_line = [*arguments, f"{place}={tmp_path}/place"]
    (tmp_path / "place").mkdir()
    with (tmp_path / "place" / ".lock").open("wb") as at_work:
        fcntl.flock(at_work, fcntl.LOCK_EX)
        assert train_small(*command_line) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {tmp_path}/place is in use by another process: ")
    assert len(said.splitlines()) == 1
    assert [path.name for path in (tmp_path / "place").iterdir()] == [".lock"]
    assert train_small(*command_line) == 0  # the lock of a process that has ended is none


def test_a_job_of_a_sweep_at_work_cannot_be_resumed(train_small, tmp_path, monkeypatch):
    def is_locked(directory: Path) -> bool:
        with (directory / ".lock").open("wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

    subdir = "hydra.sweep.subdir=${hydra.job.num}_ease_seed${seed}"
    jobs = [tmp_path / "sweep" / f"{i}_ease_seed{i}" for i in (0, 1)]
    locked: list[list[bool]] = []
    fit = EASE.fit

    def observed(model, *args, **kwargs):
        locked.append([is_locked(job) for job in jobs if job.exists()])
        return fit(model, *args, **kwargs)

    monkeypatch.setattr(EASE, "fit", observed)
    sweep = ("-m", "model=ease", "seed=0,1", "refit=false", f"hydra.sweep.dir={tmp_path}/sweep", subdir)
    assert train_small(*sweep) == 0
    assert locked == [[True], [False, True]]


@pytest.mark.parametrize("program", [["train.py"], ["-m", "recsys"], ["-m", "recsys", "select"]])
def test_a_closed_pipe_ends_a_command_without_a_word(program):
    reader, writer = os.pipe()
    os.close(reader)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, *program, "--help"]
    with os.fdopen(writer, "w") as unread:
        ended = subprocess.run(command, cwd=ROOT, env=buffered, stdout=unread, stderr=subprocess.PIPE, text=True)
    assert (ended.returncode, ended.stderr) == (UNREAD, "")


def test_a_connection_that_breaks_while_stdout_is_read_is_an_error():
    with pytest.raises(BrokenPipeError), exit_on_closed_pipe():
        raise BrokenPipeError
