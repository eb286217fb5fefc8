from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from recsys.analysis import recommend_to_all as module
from recsys.analysis.recommend_to_all import ListMaker, Shard, recommend_to_all, scores_of, write_lists
from recsys.data.dataset import Dataset
from recsys.errors import UserError
from recsys.metrics.ranking import mask_seen, top_k
from recsys.models.ease import EASE
from recsys.models.ials import IALS

SETTINGS = {"model": "of a test"}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch, timed: Dataset):
    monkeypatch.setattr(module, "USERS_PER_PART", 7)
    monkeypatch.setattr(module, "SCORES_PER_BATCH", 3 * timed.n_items)


def test_lists_of_all_users_are_those_of_score(timed: Dataset):
    model = EASE(5.0, prior_strength=1.0, popularity_half_life=1e-4).fit(timed)
    lists = recommend_to_all(model, timed, k=5)
    query = timed.query(np.arange(timed.n_users))
    scores = model.score(query)
    top = top_k(mask_seen(scores, query.history), query.users, 5)
    assert lists["movie_id"].tolist() == top.ravel().tolist()
    np.testing.assert_array_equal(lists["score"], np.take_along_axis(scores, top, axis=1).ravel())
    assert not np.array_equal(scores, model.score_without_fallback(query))


def test_scores_by_products_are_those_of_score(timed: Dataset):
    model = IALS(embedding_dim=4, n_sweeps=1, prior_strength=0.1).fit(timed)
    query = timed.query(np.append(np.arange(timed.n_users), -1))
    np.testing.assert_allclose(scores_of(model)(query), model.score(query), rtol=1e-5, atol=1e-6)
    assert model.falls_back(query).any()


def read(folder: Path) -> pd.DataFrame:
    return duckdb.read_parquet(str(folder / "*.parquet")).order('"user"::INT, rank').df()


def test_shards_write_the_lists_of_all_users_once(timed: Dataset, tmp_path: Path):
    model = EASE(5.0).fit(timed)
    maker = ListMaker(timed, 5, model.score)
    written = [write_lists(maker, tmp_path, Shard(number, 3), SETTINGS) for number in (3, 1, 2)]
    assert sum(written) == timed.n_users
    expected = recommend_to_all(model, timed, k=5)
    lists = read(tmp_path)
    assert lists.columns.tolist() == ["user", "rank", "item", "score"]
    assert lists["user"].tolist() == expected["user_id"].astype(str).tolist()
    assert lists["item"].tolist() == expected["movie_id"].astype(str).tolist()
    assert lists["rank"].tolist() == expected["place"].tolist()
    np.testing.assert_array_equal(lists["score"], expected["score"])


def test_finished_parts_are_not_written_again(timed: Dataset, tmp_path: Path):
    maker = ListMaker(timed, 5, EASE(5.0).fit(timed).score)
    write_lists(maker, tmp_path, Shard(), SETTINGS)
    before = read(tmp_path)
    (tmp_path / "part-00001.parquet").unlink()
    assert write_lists(maker, tmp_path, Shard(), SETTINGS) == 7
    pd.testing.assert_frame_equal(read(tmp_path), before)


def test_an_interrupted_part_leaves_no_file(timed: Dataset, tmp_path: Path):
    def fail(query):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_lists(ListMaker(timed, 5, fail), tmp_path, Shard(), SETTINGS)
    assert [file.name for file in tmp_path.iterdir()] == ["recommendations.json"]


def test_a_folder_with_other_lists_is_refused(timed: Dataset, tmp_path: Path):
    maker = ListMaker(timed, 5, EASE(5.0).fit(timed).score)
    write_lists(maker, tmp_path, Shard(), SETTINGS)
    with pytest.raises(UserError, match=r"made with the same model \(got"):
        write_lists(maker, tmp_path, Shard(), {"model": "another"})


def test_only_candidates_are_listed(timed: Dataset):
    maker = ListMaker(timed, 5, EASE(5.0).fit(timed).score, candidates=np.array([1, 3]))
    assert set(maker.lists(np.arange(4))["item"]) <= {1, 3}
