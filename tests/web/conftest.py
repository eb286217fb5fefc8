"""Runs that the tests of `recsys.web` share, services for these runs, and stores of feedback."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

import train
from recsys.config import compose, instantiate
from recsys.data.address import Address
from recsys.data.dataset import Dataset
from recsys.data.prepare import prepare
from recsys.studies.runs import Run
from recsys.web import database
from recsys.web.database import create_engine
from recsys.web.deadline import Deadline
from recsys.web.exploration import Exploration
from recsys.web.recommendation_service import RecommendationService
from recsys.web.store import Store
from recsys.web.visits import Visits

N_USERS, N_FILMS = 60, 60
LIMIT = 300  # seconds; a busy machine takes as long as it takes
TITLES = {0: "The Matrix", 1: "<script>alert(1)</script>", 2: "Amélie", 3: "Heat"}  # the others are invented


@pytest.fixture(scope="session", autouse=True)
def _unsynced_commits() -> Iterator[None]:
    """Leave it to the system when commits in SQLite reach the disk, which each would wait for."""
    configure = database._configure_sqlite

    def unsynced(connection: sqlite3.Connection, record: object) -> None:
        configure(connection, record)
        connection.execute("PRAGMA synchronous = OFF")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_configure_sqlite", unsynced)
        yield


def write_data(folder: Path, ratings: list[tuple], films: pd.DataFrame | None, *overrides: str) -> list[str]:
    """Write ratings (user, film, rating, time) and films as CSV; gives the overrides that read them."""
    frame = pd.DataFrame(ratings, columns=["user_id", "movie_id", "rating", "time"])
    frame.to_csv(folder / "ratings.csv", index=False)
    data = ["data=files", f"data.path={folder}/ratings.csv", "data.scale=[0.5,5]", "logger=none"]
    data += [f"cache_dir={folder}/cache", *overrides]
    if films is None:
        return data
    films.to_csv(folder / "films.csv", index=False)
    return [*data, f"data.films_path={folder}/films.csv", *(f"data.films_columns.{name}={name}" for name in films)]


def train_run(directory: Path, *overrides: str) -> Path:
    train.train(compose("train", [*overrides, f"run_dir={directory}"]))
    return directory


def dataset_of(run: Run) -> Dataset:
    cfg = OmegaConf.create(run.config)
    return prepare(instantiate(cfg.data), Path(cfg.cache_dir)).dataset


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> dict[str, Path]:
    """EASE, iALS and GMF, which cannot serve new users; half of the users like comedies (even films), half dramas."""
    folder = tmp_path_factory.mktemp("web")
    rng = np.random.default_rng(0)
    ratings = [
        (user + 1, film, rng.integers(3, 6) if film % 2 == user % 2 else rng.integers(1, 4), 10**9 + user * 1000 + film)
        for user in range(N_USERS)
        for film in rng.permutation(N_FILMS)
        if rng.random() < (0.5 if film % 2 == user % 2 else 0.1)
    ]
    films = pd.DataFrame({"movie_id": range(N_FILMS)})
    films["title"] = [TITLES.get(i, f"Great {'Hope' if i % 2 else 'Joke'} number {i}") for i in films["movie_id"]]
    films["year"] = 1950 + films["movie_id"]
    films["genres"] = np.where(films["movie_id"] % 2, "Drama", "Comedy")
    films["poster"] = np.where(films["movie_id"] == 5, "http://127.0.0.1:9/poster.jpg", "")
    data = write_data(folder, ratings, films, "data.scale=[1,5]", "ks=[1,5,10]")
    models = {
        "ease": ["model=ease", "model.l2=5", "model.prior_strength=0"],
        "ials": ["model=ials", "model.embedding_dim=8", "model.prior_strength=0"],
        "lightgcn": ["model=lightgcn", "model.max_epochs=2"],
    }
    return {name: train_run(folder / name, *data, *overrides) for name, overrides in models.items()}


@pytest.fixture(scope="session")
def replay_runs(tmp_path_factory) -> dict[str, Path]:
    """EASE and popularity on 30 users, who like dramas or comedies."""
    folder = tmp_path_factory.mktemp("replay")
    rng = np.random.default_rng(0)
    ratings = [
        (f"u{user}", item, rng.integers(3, 6), 10**9 + rng.integers(10**6))
        for user in range(30)
        for item in np.arange(user % 2, 40, 2)
        if rng.random() < 0.5
    ]
    films = pd.DataFrame({"movie_id": range(40), "title": [f"Film {i} ({1980 + i})" for i in range(40)]})
    films["genres"] = ["Drama" if i % 2 else "Comedy" for i in films["movie_id"]]
    data = write_data(folder, ratings, films, "data.name=small", "ks=[5]")
    return {model: train_run(folder / model, *data, f"model={model}") for model in ("ease", "popularity")}


@pytest.fixture(scope="session")
def small_run(tmp_path_factory) -> Callable[..., Path]:
    """Train a run on 30 users who rated 6 to 11 of the 24 films that are of their parity or, rarely, not."""
    folder = tmp_path_factory.mktemp("small")
    rng = np.random.default_rng(0)
    ratings = [
        (user, film, rng.integers(3, 6), 10**9 + rng.integers(10**6))
        for user in range(30)
        for film in rng.permutation([*range(user % 2, 24, 2), 5, 6])[: rng.integers(6, 12)]
    ]
    once = pd.DataFrame(ratings).drop_duplicates([0, 1]).itertuples(index=False, name=None)
    data = write_data(folder, [*once], None, "data.scale=[1,5]", "ks=[5,10]")

    def small_run(*overrides: str) -> Path:
        directory = tmp_path_factory.mktemp("run")
        return train_run(directory / "run", *data, f"cache_dir={directory}/cache", *overrides)

    return small_run


@pytest.fixture(scope="session")
def small_ease(small_run) -> Path:
    return small_run("model=ease", "model.l2=5", "model.prior_strength=0")


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory) -> Path:
    """The file of an empty store: it is copied faster than the migrations create it."""
    file = tmp_path_factory.mktemp("feedback") / "feedback.sqlite"
    Store.open(Address.parse(str(file))).close()
    return file


@pytest.fixture
def feedback(tmp_path, empty_store) -> Iterator[Store]:
    """An empty store of feedback in SQLite."""
    address = Address.parse(str(shutil.copy(empty_store, tmp_path / "feedback.sqlite")))
    store = Store(address, create_engine(address))
    yield store
    store.close()


@pytest.fixture(scope="session")
def loaded_service(runs, empty_store) -> RecommendationService:
    """A service over all runs, loaded once; `service` gives it the store of a test."""
    address = Address.parse(str(empty_store))
    service = RecommendationService(runs, dataset_of, Store(address, create_engine(address)), deadline=Deadline(LIMIT))
    service.load_all()
    return service


@pytest.fixture
def service(loaded_service, feedback) -> RecommendationService:
    """A service over all runs and an empty store, without randomized places."""
    loaded_service.store, loaded_service.visits, loaded_service.explore = feedback, Visits(), Exploration()
    return loaded_service
