"""Runs on films with two tastes, and a service over them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

import train
from recsys.config import compose, instantiate
from recsys.data.address import Address
from recsys.data.prepare import prepare
from recsys.studies.runs import Run
from recsys.web.service import Service
from recsys.web.store import Store

N_USERS, N_FILMS = 60, 60
TITLES = {0: "The Matrix", 1: "<script>alert(1)</script>", 2: "Amélie", 3: "Heat"}  # the others are made up


def write_data(folder: Path) -> list[str]:
    """Ratings of 60 users, of whom half like comedies (even films) and half dramas; what reads them."""
    rng = np.random.default_rng(0)
    rows = [
        (user + 1, film, rng.integers(3, 6) if film % 2 == user % 2 else rng.integers(1, 4), 10**9 + user * 1000 + film)
        for user in range(N_USERS)
        for film in rng.permutation(N_FILMS)
        if rng.random() < (0.5 if film % 2 == user % 2 else 0.1)
    ]
    frame = pd.DataFrame(rows, columns=["user_id", "movie_id", "rating", "time"])
    frame.to_csv(folder / "ratings.csv", index=False)
    films = pd.DataFrame({"movie_id": range(N_FILMS)})
    films["title"] = [TITLES.get(i, f"Great {'Hope' if i % 2 else 'Joke'} number {i}") for i in films["movie_id"]]
    films["year"] = 1950 + films["movie_id"]
    films["genres"] = np.where(films["movie_id"] % 2, "Drama", "Comedy")
    films["poster"] = np.where(films["movie_id"] == 5, "http://127.0.0.1:9/poster.jpg", "")
    films.to_csv(folder / "films.csv", index=False)
    return [
        "data=files",
        f"data.path={folder}/ratings.csv",
        "data.scale=[1,5]",
        f"data.films_path={folder}/films.csv",
        *(f"data.films_columns.{name}={name}" for name in ("movie_id", "title", "year", "genres", "poster")),
        "ks=[1,5,10]",
        "logger=none",
        f"cache_dir={folder}/cache",
    ]


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> dict[str, Path]:
    """Runs of EASE, iALS and GMF, of which the last takes nobody new."""
    folder = tmp_path_factory.mktemp("web")
    data = write_data(folder)
    models = {
        "ease": ["model=ease", "model.l2=5"],
        "ials": ["model=ials", "model.embedding_dim=8"],
        "gmf": ["model=gmf", "model.max_epochs=2"],
    }
    for name, chosen in models.items():
        train.train(compose("train", [*data, *chosen, f"run_dir={folder}/{name}"]))
    return {name: folder / name for name in models}


def data_of(run: Run):
    cfg = OmegaConf.create(run.config)
    return prepare(instantiate(cfg.data), Path(cfg.cache_dir)).dataset


@pytest.fixture
def service(runs, tmp_path) -> Iterator[Service]:
    """All of the runs over an empty store, without chance in lists."""
    store = Store.open(Address.parse(str(tmp_path / "feedback.sqlite")))
    yield Service(runs, data_of, store)
    store.close()
