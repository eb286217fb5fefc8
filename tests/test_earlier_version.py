"""Runs that an earlier version has saved (0.1.0 before the core of deep models was rewritten) are read by this one."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from recsys.data.query import History, Query
from recsys.models.base import Recommender
from recsys.studies.runs import Run, read_run

SAVED = Path(__file__).parent / "earlier_version"
MODELS = sorted(path.name for path in SAVED.iterdir() if path.is_dir())


@pytest.fixture(params=MODELS)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """A saved run, with its data where its config says."""
    directory = tmp_path / request.param
    shutil.copytree(SAVED / request.param, directory)
    config = directory / "config.yaml"
    places = {"RUN": str(directory), "DATA": str(SAVED), "CACHE": str(tmp_path / "cache")}
    text = config.read_text()
    for name, place in places.items():
        text = text.replace(name, place)
    config.write_text(text)
    return read_run(directory)


def query() -> Query:
    stored = np.load(SAVED / "query.npz")
    return Query(stored["users"], History(stored["indptr"], stored["items"], stored["ratings"]))


def scores_of_the_earlier_version(run: Run) -> np.ndarray:
    return np.load(run.directory / "scores.npy")


def test_its_model_scores_as_it_did(run: Run):
    np.testing.assert_allclose(run.model().score(query()), scores_of_the_earlier_version(run), rtol=1e-5, atol=1e-6)


def test_its_model_is_saved_again_and_scores_as_it_did(run: Run, tmp_path: Path):
    model: Recommender = run.model()
    if model.popularity is None:  # it had none, so this version stores none
        model.popularity = np.zeros(15, np.float32)
    model.save(run.directory / "model")
    np.testing.assert_allclose(run.model().score(query()), scores_of_the_earlier_version(run), rtol=1e-5, atol=1e-6)


def test_its_user_is_recommended_items(run: Run, command):
    status, out, err = command("recommend", run.directory, "--user", "3", "-k", "2")
    assert status == 0, err
    assert "Item" in out
