"""A small file of ratings to train on, `train.py` in this process or in others, and interruptions of a run."""

import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import train
from recsys.config import main


@pytest.fixture(scope="session")
def prepared_cache(tmp_path_factory) -> Path:
    """A cache for all tests on `data`, so that they prepare it once; other data have folders of their own in it."""
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture
def data(tmp_path, prepared_cache) -> list[str]:
    """Overrides for 30 users who rated 5 to 15 of 25 films."""
    return write_data(tmp_path, prepared_cache)


def write_data(folder: Path, cache: Path) -> list[str]:
    """Write the small files into a folder; gives the overrides for them."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", item, rng.integers(1, 6), 10**9 + rng.integers(10**6))
        for user in range(30)
        for item in rng.choice(25, rng.integers(5, 16), replace=False)
    ]
    pd.DataFrame(rows, columns=["user_id", "movie_id", "rating", "time"]).to_csv(folder / "ratings.csv", index=False)
    films = pd.DataFrame(
        {"movie_id": range(25), "title": [f"Film {i} ({1950 + i})" for i in range(25)], "genres": "Drama"}
    )
    films.to_csv(folder / "films.csv", index=False)
    return [
        "data=files",
        f"data.path={folder}/ratings.csv",
        f"data.films_path={folder}/films.csv",
        *(f"data.films_columns.{name}={name}" for name in ("movie_id", "title", "genres")),
        "ks=[1,5,10]",
        f"cache_dir={cache}",
    ]


def run_train(*arguments: object) -> int:
    """`python train.py ARGUMENTS` in this process; gives the exit status."""
    on_interrupt = signal.getsignal(signal.SIGINT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYDRA_FULL_ERROR", "0")
        patch.setattr(sys, "argv", ["train.py", *map(str, arguments)])
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("error", "Callback .* raised")  # Hydra goes on after a callback that fails
                main(train.objective)
        except SystemExit as stop:
            return stop.code
        finally:
            signal.signal(signal.SIGINT, on_interrupt)  # Lightning leaves it ignored
    return 0


@pytest.fixture
def train_command() -> Callable[..., int]:
    return run_train


@pytest.fixture
def train_small(data) -> Callable[..., int]:
    """`python train.py ARGUMENTS` on the small file; gives the exit status."""
    return partial(run_train, *data)


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    """Processes that have imported what they need, one for each call: a training cannot fork from one that has trained.

    They are forks of a server that does nothing else, and imports only once what all of them need.
    """
    method = get_context("forkserver")
    method.set_forkserver_preload(["pytest", "train", "recsys.models.mf", "recsys.models.sasrec"])
    with ProcessPoolExecutor(1, method, max_tasks_per_child=1) as pool:
        yield pool


def interrupt_once(monkeypatch, owner: type, method: str, at_call: int = 0) -> None:
    """Ctrl-C in one call of a method."""
    original, calls = getattr(owner, method), iter(range(10**6))

    def interrupted(*args, **kwargs):
        if next(calls) == at_call:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, method, interrupted)
