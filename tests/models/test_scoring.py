"""Pairs are predicted as rows are scored, and few users are scored at a time."""

import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.data.query import History, Pairs, Query
from recsys.models import scoring
from recsys.models.base import Recommender
from recsys.models.ease import EASE
from recsys.models.svd_pp import SVDPP

USERS_PER_PASS = 7


@pytest.fixture
def pairs(timed: Dataset) -> Pairs:
    """60 pairs in no order with 30 users; some users have none, and those of the second pass have none at all."""
    rng = np.random.default_rng(0)
    others = np.delete(np.arange(30), np.s_[USERS_PER_PASS : 2 * USERS_PER_PASS])
    return Pairs(timed.query(np.arange(30)), rng.choice(others, 60), rng.integers(0, timed.n_items, 60))


def recorded_sizes(scorer, monkeypatch) -> list[int]:
    sizes, score = [], scorer.score
    monkeypatch.setattr(scorer, "score", lambda query: sizes.append(len(query)) or score(query))
    return sizes


@pytest.mark.parametrize("model", [EASE(), SVDPP(max_epochs=1, embedding_dim=2)], ids=["EASE", "SVDPP"])
def test_pairs_are_predicted_by_scoring_few_users_at_a_time(
    model: Recommender, pairs: Pairs, timed: Dataset, monkeypatch
):
    expected = model.fit(timed).score(pairs.query)[pairs.rows, pairs.items]
    sizes = recorded_sizes(model, monkeypatch)
    monkeypatch.setattr(scoring, "SCORES_PER_PASS", USERS_PER_PASS * timed.n_items)
    np.testing.assert_allclose(
        model.predict(pairs), np.clip(expected, *model.scale) if model.predicts_ratings else expected, rtol=1e-5
    )
    assert sizes == [7, 7, 7, 2]  # of 30 users, without the seven who have no pairs


def test_a_module_predicts_pairs_by_scoring_few_users_at_a_time(pairs: Pairs, timed: Dataset, monkeypatch):
    module = SVDPP(max_epochs=1, embedding_dim=2).fit(timed).module
    expected = module.score(pairs.query)[pairs.rows, pairs.items]
    sizes = recorded_sizes(module, monkeypatch)
    monkeypatch.setattr(scoring, "SCORES_PER_PASS", USERS_PER_PASS * timed.n_items)
    np.testing.assert_allclose(module.predict(pairs), expected, rtol=1e-5)
    assert sizes == [7, 7, 7, 2]


@pytest.mark.parametrize("n_users", [0, 3])
def test_no_pairs_have_no_predictions(n_users: int, timed: Dataset):
    query = Query.of_histories(History.of_items([[1]] * n_users))
    none = np.empty(0, np.int64)
    assert EASE().fit(timed).predict(Pairs(query, none, none)).shape == (0,)
