"""Small data sets that tests share."""

import gc
import importlib.metadata
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from recsys.__main__ import main
from recsys.analysis import figures, search_history
from recsys.data.dataset import Dataset
from tests.compositions import _shared_compositions  # noqa: F401 - a fixture
from tests.servers import _unverified_extensions, fill, mariadb, postgres, server  # noqa: F401 - fixtures
from tests.training import data, prepared_cache, train_command, train_small  # noqa: F401 - fixtures

# Each Trainer looks for callbacks in the metadata of all packages, which takes a fifth of the time of a small fit.
importlib.metadata.entry_points = cache(importlib.metadata.entry_points)

LONGEST = (
    "test_contract.py", "test_every_page.py", "test_spark.py", "test_feedback.py", "test_training.py",
    "test_studies.py", "test_reading.py", "test_databases.py", "test_refit.py", "test_train.py", "test_start.py",
    "test_config.py", "test_store.py", "test_interruptions.py", "test_sources.py", "test_metadata.py", "test_steps.py",
)  # fmt: skip


# The objects of all imported modules live as long as the tests: a garbage collector that goes through them again and
# again takes a twelfth of the time.
gc.disable()


def pytest_collection_finish() -> None:
    """Collect garbage from here on, and seldom, among the objects that tests make."""
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: one at the end would leave all other processes idle."""
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(ranks)))


@pytest.fixture(scope="session", autouse=True)
def _coarse_figures() -> Iterator[None]:
    """Draw few pixels: most of the time of a report would go into them, and no test looks at them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "DPI", 30)
        yield


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
