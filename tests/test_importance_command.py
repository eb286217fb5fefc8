"""Tests of `python -m recsys importance` on tiny runs."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import train
from recsys.analysis.importance import report
from recsys.config import compose
from recsys.errors import LARGEST

LIGHT = (
    "model=gradient_boosting",
    "model.features={predictions: false, texts: false, people: false, segments: false}",
    "model.n_trees=10",
    "model.n_folds=2",
    "model.n_segments=2",
    "protocol=ratings",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train with overrides into a directory of the given name, and return the directory."""
    folder = tmp_path_factory.mktemp("importance")
    rng = np.random.default_rng(0)
    rows = [
        (f"u{u}", i, rng.integers(1, 6), 10**9 + rng.integers(10**6)) for u in range(40) for i in range(u % 3, 30, 2)
    ]
    pd.DataFrame(rows, columns=["user_id", "movie_id", "rating", "time"]).to_csv(folder / "ratings.csv", index=False)
    films = pd.DataFrame({"movie_id": range(30), "title": "Film", "genres": ["Drama", "Comedy"] * 15})
    films.to_csv(folder / "films.csv", index=False)
    data = [
        "data=files",
        f"data.path={folder}/ratings.csv",
        f"data.films_path={folder}/films.csv",
        *(f"data.films_columns.{name}={name}" for name in films),
        "split=ratio",
        "logger=none",
        f"cache_dir={folder}/cache",
    ]

    def run(name: str, *overrides: str) -> Path:
        train.train(compose("train", [*data, "ks=[1,5]", *overrides, f"run_dir={folder}/{name}"]))
        return folder / name

    return run


@pytest.fixture(scope="module")
def boosted(trained) -> Path:
    return trained("boosted", *LIGHT, "model.interval=0.8")


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(report, "N_REPEATS", 1)
    monkeypatch.setattr(report, "N_LISTED", 3)


def test_the_report_is_self_contained_and_has_all_figures(boosted, command):
    status, out, _ = command("importance", boosted, "--trusted")
    assert status == 0
    assert "Intervals at the 80.0% level contain" in out
    assert "report.html" in out
    page = (boosted / "trees" / "report.html").read_text()
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    names = ("groups", "columns", "dependence", "calibration", "errors", "coverage")
    assert sorted(path.stem for path in (boosted / "trees").glob("*.png")) == sorted(names)
    assert page.count("<img") == len(names)
    for name in names:
        assert (boosted / "trees" / f"{name}.svg").read_text().lstrip().startswith("<?xml")


@pytest.mark.usefixtures("undrawn")
def test_the_report_of_a_run_without_intervals_says_how_to_learn_them(trained, command):
    run = trained("without", *LIGHT)
    assert command("importance", run, "--trusted")[0] == 0
    page = (run / "trees" / "report.html").read_text()
    assert "model.interval=0.9" in page
    assert page.count("<img") == 5


def test_a_pickled_model_is_not_loaded_without_trusted(boosted, command, tmp_path):
    liked = ("--liked", "Film")
    for arguments in (
        ("importance", boosted),
        ("recommend", boosted, *liked),
        ("load", boosted, "--to", tmp_path / "films.duckdb"),
    ):
        status, _, err = command(*arguments)
        assert status == 2
        assert err.startswith("error: ")
        assert "--trusted" in err
        assert len(err.splitlines()) == 1


def test_a_trusted_run_of_trees_recommends(boosted, command):
    status, out, _ = command("recommend", boosted, "--user", "u3", "--trusted", "--json")
    assert status == 0
    assert '"run"' in out


def test_other_models_untested_runs_and_other_splits_are_refused(trained, boosted, command, tmp_path):
    untested = Path(shutil.copytree(boosted, tmp_path / "untested"))
    (untested / "per_user.parquet").unlink()
    other = Path(shutil.copytree(boosted, tmp_path / "other"))
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["split"]["fingerprint"] = "another"
    (other / "manifest.json").write_text(json.dumps(manifest))
    for run, words in (
        (trained("bias", "model=bias", "protocol=ratings"), "must hold a tree ensemble (got Bias)"),
        (untested, "was not tested"),
        (other, "The split is no longer the one"),
        (tmp_path, "holds no finished run"),
    ):
        status, _, err = command("importance", run, "--trusted")
        assert status == 2
        assert err.splitlines()[-1].startswith("error: ")
        assert words in err


@pytest.mark.parametrize("seed", ["-1", "many", "4294967296"])
def test_an_invalid_seed_is_refused(command, tmp_path, seed):
    status, _, err = command("importance", tmp_path, f"--seed={seed}")
    assert status == 2
    assert f"must be a seed, a whole number from 0 to 4294967295 (got '{seed}')" in err


@pytest.mark.usefixtures("undrawn")
def test_every_seed_of_a_run_is_a_seed_of_the_report(boosted, command):
    assert command("importance", boosted, "--trusted", f"--seed={LARGEST}")[0] == 0
