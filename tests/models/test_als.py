import numpy as np
import pytest
import torch

from recsys.data.dataset import Dataset
from recsys.data.query import History, Query
from recsys.errors import UserError
from recsys.models import ials
from recsys.models.als import ALS
from recsys.models.base import EmbedsHistories, ScoresByProducts
from recsys.models.ials import IALS


def slow_solve(interactions: np.ndarray, factors: np.ndarray, alpha: float, l2: float, power: float) -> np.ndarray:
    """Solve one ridge regression per row, over all columns, with weights and targets written out."""
    solved = []
    for row in interactions:
        weights = row + alpha
        targets = row / weights  # weight 1 on the target 1 and alpha on the target 0
        l2_row = l2 * (row.sum() + alpha * len(row)) ** power
        system = factors.T @ (weights[:, None] * factors) + l2_row * np.eye(factors.shape[1])
        solved.append(np.linalg.solve(system, factors.T @ (weights * targets)))
    return np.array(solved)


@pytest.mark.parametrize("numbers", [1, 500, 1 << 20])
@pytest.mark.parametrize("power", [0.0, 1.0])
def test_ials_is_alternating_ridge_regression(timed: Dataset, power, numbers, monkeypatch):
    monkeypatch.setattr(ials, "NUMBERS_PER_BATCH", numbers)
    alpha, l2 = 0.2, 0.05
    model = IALS(4, alpha, l2, power, init_std=1.0, n_sweeps=3, seed=5).fit(timed)
    interactions = timed.matrix().toarray().astype(np.float64)
    items = torch.randn(40, 4, generator=torch.Generator().manual_seed(5)).numpy() / 2
    for _ in range(3):
        users = slow_solve(interactions, items, alpha, l2, power)
        items = slow_solve(interactions.T, users, alpha, l2, power)
    np.testing.assert_allclose(model.item_factors, items, atol=1e-4)
    users = slow_solve(interactions, items, alpha, l2, power)
    np.testing.assert_allclose(model.user_factors, users, atol=1e-4)


@pytest.mark.parametrize("settings", [{"l2": 0.0}, {"unobserved_weight": 0.0}], ids=str)
def test_penalties_that_leave_a_singular_system_are_an_error(settings):
    train = Dataset.from_arrays([0, 0, 1], [0, 1, 1], n_users=3, n_items=3)  # user 2 and item 2 have no ratings
    with pytest.raises(UserError, match="l2 and unobserved_weight must be larger for these data"):
        IALS(8, **settings).fit(train)


def test_als_folds_in_a_history_by_the_normal_equations_of_its_paper(timed: Dataset):
    model = ALS(4, l2=0.5, confidence=3.0).fit(timed)
    y = model.item_factors.astype(np.float64)
    rated = np.zeros(40)
    rated[[3, 8, 21]] = 1.0
    confidence = 1 + 2 * rated  # 3 where rated
    vector = np.linalg.solve(y.T @ (confidence[:, None] * y) + 0.5 * np.eye(4), y.T @ (confidence * rated))
    scores = model.score(Query.of_histories(History.of_items([[3, 8, 21]])))
    np.testing.assert_allclose(scores[0], y @ vector, rtol=1e-4, atol=1e-6)


def test_als_ends_near_a_fixed_point_of_its_normal_equations(timed: Dataset):
    model = ALS(3, l2=1.0, n_sweeps=100).fit(timed)
    expected = model.user_embeddings() @ model.item_embeddings().T
    np.testing.assert_allclose(model.score(timed.query(np.arange(60))), expected, atol=0.01)


@pytest.mark.parametrize("model", [ALS(8), IALS(8)], ids=lambda m: type(m).__name__)
def test_embeddings_give_the_scores(model, timed: Dataset):
    model.fit(timed)
    assert isinstance(model, EmbedsHistories)
    assert isinstance(model, ScoresByProducts)
    users = np.array([3, 9, 50])
    scores = model.score(timed.query(users))
    assert np.abs(scores - model.user_embeddings()[users] @ model.item_embeddings().T).max() < 0.05


@pytest.mark.parametrize("model", [ALS(2), IALS(2)], ids=lambda m: type(m).__name__)
def test_a_new_rating_moves_the_scores_of_items_rated_by_the_same_users(model):
    """There are two groups of users and items; a new user rates items of one group."""
    groups = np.arange(20)[:, None] % 2 == np.arange(10) % 2
    users, items = (groups & (np.random.default_rng(0).random((20, 10)) < 0.8)).nonzero()
    model.fit(Dataset.from_arrays(users, items))
    scores = model.score(Query.of_histories(History.of_items([[0, 4]])))[0]
    assert scores[[2, 6, 8]].min() > scores[1::2].max() + 0.3
    np.testing.assert_allclose(model.embed(History.of_items([[]])), 0, atol=1e-6)


@pytest.mark.parametrize("model", [ALS(8), IALS(8)], ids=lambda m: type(m).__name__)
def test_vectors_that_do_not_fit_in_memory_are_an_error(model, timed: Dataset, monkeypatch):
    monkeypatch.setattr("recsys.models.memory.available_bytes", lambda: 1000)
    with pytest.raises(UserError, match="8 numbers for each of 60 users and 40 items would take"):
        model.fit(timed)


def test_the_gram_matrix_of_all_items_is_computed_once(timed: Dataset, monkeypatch):
    model = IALS(embedding_dim=4, n_sweeps=1).fit(timed)
    computed = []
    columns = model._columns
    monkeypatch.setattr(model, "_columns", lambda factors: computed.append(len(factors)) or columns(factors))
    for user in range(3):
        model.score(timed.query(np.array([user])))
    assert computed == [timed.n_items]
