"""The lists of a run with a reranker: what was measured is what is printed, recommended, loaded and served."""

import io
import json
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

import train
from recsys.commands.run_data import data_of, reranker_of, split_of
from recsys.config import compose
from recsys.evaluation.evaluate import evaluate
from recsys.evaluation.reranking import Surprising
from recsys.metrics.ranking import mask_seen, top_k
from recsys.studies.runs import read_run
from recsys.web.events import Opinions
from recsys.web.lists import ListOptions
from recsys.web.recommendation_service import RecommendationService

RERANKER = Surprising(trade_off=1.0, n_candidates=20)
USER = "u3"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """EASE on 40 users, with lists of little-known films; what it prints is in printed.txt."""
    folder = tmp_path_factory.mktemp("reordered")
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", item, 4, 10**9 + rng.integers(10**6))
        for user in range(40)
        for item in range(30)
        if rng.random() < 0.9 - 0.025 * item
    ]
    pd.DataFrame(rows, columns=["user_id", "movie_id", "rating", "time"]).to_csv(folder / "ratings.csv", index=False)
    films = pd.DataFrame({"movie_id": range(30), "title": [f"Number {i}" for i in range(30)]})
    films.to_csv(folder / "films.csv", index=False)
    overrides = [
        *("data=files", f"data.path={folder}/ratings.csv", f"data.films_path={folder}/films.csv"),
        *("data.films_columns.movie_id=movie_id", "data.films_columns.title=title", "ks=[5,10]", "logger=none"),
        *("model=ease", "model.l2=5", "reranker=surprising", "reranker.trade_off=1.0", "reranker.n_candidates=20"),
        *(f"cache_dir={folder}/cache", f"run_dir={folder}/run"),
    ]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as out:
        patch.setenv("COLUMNS", "160")
        train.train(compose("train", overrides))
    (folder / "printed.txt").write_text(out.getvalue())
    return folder / "run"


@pytest.fixture(scope="module")
def expected(run) -> list[str]:
    """The ids of the reordered list of one user."""
    model, dataset = read_run(run).model(), data_of(read_run(run))
    [user] = np.flatnonzero(dataset.user_frame["user_id"] == USER)
    query = dataset.query(np.array([user]))
    scores = mask_seen(model.score(query), query.history)
    ids = dataset.item_frame["movie_id"].astype(str).to_numpy()
    listed = ids[RERANKER.ranker(model, dataset)(scores, query.users, query.history, 5)[0]].tolist()
    assert listed != ids[top_k(scores, query.users, 5)[0]].tolist()
    return listed


def test_recommended_lists_are_reordered(run, expected, command):
    listed = json.loads(command("recommend", run, "--user", USER, "-k", "5", "--json")[1])["recommendations"]
    assert [str(film["movie_id"]) for film in listed] == expected


def test_loaded_lists_are_reordered(run, expected, command, tmp_path):
    assert command("load", run, "-k", "5", "--to", tmp_path / "lists.duckdb")[0] == 0
    with duckdb.connect(tmp_path / "lists.duckdb") as connection:
        rows = connection.execute(
            "SELECT movie_id FROM recommendations WHERE user_id = ? ORDER BY place", [USER]
        ).fetchall()
    assert [str(movie_id) for (movie_id,) in rows] == expected


def test_served_lists_are_reordered_unless_a_viewer_wants_other_surprises(run, expected):
    service = RecommendationService({"run": run}, data_of, store=None, reranker_of=reranker_of)
    recommend = partial(service.loaded_run().recommend, USER, Opinions())
    assert [film.film.movie_id for film in recommend(ListOptions(k=5)).films] == expected
    assert [film.film.movie_id for film in recommend(ListOptions(k=5, surprise=0.1)).films] != expected


def test_printed_lists_are_the_measured_ones_and_own_metrics_are_beside_them(run):
    trained = read_run(run)
    split, model = split_of(trained), trained.model()
    own, reordered = (evaluate(model, split.test, ks=(5, 10), reranker=reranker) for reranker in (None, RERANKER))
    printed = (run.parent / "printed.txt").read_text().replace("│", "┃").split("\n")
    rows = [[cell.strip() for cell in line.split("┃")[1:-1]] for line in printed if line.startswith("┃")]
    assert [row[:3] for row in rows if row[0] == "metric"] == [["metric", "EASE, Surprising", "EASE"]]
    [novelty] = [row[1:3] for row in rows if row[0] == "novelty@10"]
    assert novelty == [f"{each.summary['novelty@10']:.4f}" for each in (reordered, own)]
    assert novelty[0] != novelty[1]
    listed = [row[2] for row in rows if row[0].isdecimal()]
    assert listed == split.dataset.item_names[reordered.top[0]].tolist()
