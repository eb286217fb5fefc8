"""Small data sets that tests share, and what makes all of them faster. tests/conftest.py imports it."""

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from recsys.__main__ import main
from recsys.analysis import figures, search_history
from recsys.data.dataset import Dataset
from tests.compositions import _shared_compositions  # noqa: F401 - a fixture
from tests.servers import _unverified_extensions, fill, mariadb, postgres, server  # noqa: F401 - fixtures
from tests.training import data, pool, prepared_cache, train_command, train_small  # noqa: F401 - fixtures


@pytest.fixture(scope="session", autouse=True)
def _coarse_figures() -> Iterator[None]:
    """Draw few pixels: most of the time of a report would go into them, and no test looks at them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "DPI", 30)
        yield


@pytest.fixture(scope="session", autouse=True)
def _unsynced_files() -> Iterator[None]:
    """Leave it to the system when files reach the disk: waiting for it takes as long as computing what a run writes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(autouse=True)
def _log_of_one_test() -> Iterator[None]:
    """Restore the root logger: Hydra gives it handlers of the test's own output, which is closed when the test ends."""
    root = logging.getLogger()
    handlers, level = [*root.handlers], root.level
    yield
    for handler in {*root.handlers} - {*handlers}:
        root.removeHandler(handler)
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def undrawn(monkeypatch) -> None:
    """Reports whose figures are made but not drawn, which takes most of their time."""
    monkeypatch.setattr(figures, "data_uri", lambda fig: "data:image/svg+xml;base64,")
    for module in (figures, search_history):
        monkeypatch.setattr(module, "freeze_layout", lambda fig: None)
        monkeypatch.setattr(module, "save", lambda fig, directory, name, *texts: None)


@pytest.fixture
def timed() -> Dataset:
    """60 users with 3 to 22 ratings of 40 films; only 30 different times, so that many are equal."""
    rng = np.random.default_rng(0)
    counts = rng.integers(3, 23, size=60)
    users = np.repeat(np.arange(60), counts)
    items = np.concatenate([rng.choice(40, count, replace=False) for count in counts])
    ratings = rng.integers(1, 6, size=len(users))
    times = rng.integers(0, 30, size=len(users))
    return Dataset.from_arrays(users, items, ratings, times, n_users=60, n_items=40, fingerprint="timed")


@pytest.fixture
def untimed(timed: Dataset) -> Dataset:
    """The same ratings without times."""
    return Dataset.from_arrays(timed.users, timed.items, timed.ratings, n_users=60, n_items=40, fingerprint="untimed")


@pytest.fixture
def command(monkeypatch, capsys):
    """`python -m recsys ARGUMENTS` in this process, in a wide terminal; gives the exit status, stdout and stderr."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["recsys", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "160")
        status = 0
        try:
            main()
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    return run
