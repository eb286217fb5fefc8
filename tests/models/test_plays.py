"""Plays as weights, held against the equations of their papers, written out and solved by hand or in slow loops."""

import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.data.query import History, Query
from recsys.errors import UserError
from recsys.models.als import ALS
from recsys.models.ease import EASE
from recsys.models.ials import IALS
from recsys.models.support import removal_losses

MODELS = [EASE(play_weight=0.5), ALS(2, play_weight=0.5), IALS(2, play_weight=0.5)]


@pytest.fixture
def played(timed: Dataset) -> Dataset:
    """The ratings of `timed`, each with 0 to 9 plays."""
    plays = np.random.default_rng(1).integers(0, 10, len(timed))
    return Dataset.from_arrays(timed.users, timed.items, times=timed.times, plays=plays, n_users=60, n_items=40)


def confidence(played: Dataset, alpha: float, epsilon: float | None = None) -> np.ndarray:
    """Return c of Hu, Koren and Volinsky where an item was played, else 0: float64 (n_users, n_items)."""
    weights = np.zeros((played.n_users, played.n_items))
    for user, item, plays in zip(played.users, played.items, played.plays, strict=True):
        weights[user, item] = 1 + alpha * (plays if epsilon is None else np.log(1 + plays / epsilon))
    return weights


def test_ease_regresses_on_weighted_interactions_by_hand():
    """Two users and two items: X = [[3, 1], [2, 0]], so the Gram matrix is [[13, 3], [3, 1]]."""
    train = Dataset.from_arrays([0, 0, 1], [0, 1, 0], plays=[4, 0, 2])
    model = EASE(l2=1.0, play_weight=0.5).fit(train)
    np.testing.assert_allclose(model.item_weights, [[0, 3 / 14], [3 / 2, 0]], rtol=1e-6)
    scores = model.score(train.query(np.array([0, 1])))
    np.testing.assert_allclose(scores, [[1.5, 9 / 14], [0, 6 / 14]], rtol=1e-6)


def test_als_solves_the_equation_of_the_paper(played: Dataset):
    model = ALS(4, l2=0.5, n_sweeps=3, play_weight=0.3).fit(played)
    y = model.item_factors.astype(np.float64)
    rows = confidence(played, 0.3)
    scores = model.score(played.query(np.arange(60)))
    for user, row in enumerate(rows):
        c = np.where(row > 0, row, 1)
        x = np.linalg.solve(y.T @ (c[:, None] * y) + 0.5 * np.eye(4), y.T @ (c * (row > 0)))
        np.testing.assert_allclose(scores[user], y @ x, atol=1e-3)


@pytest.mark.parametrize("epsilon", [None, 2.0])
def test_ials_is_ridge_regression_with_the_weights_of_the_paper(epsilon, played: Dataset):
    alpha_0, l2 = 0.2, 0.05
    model = IALS(3, alpha_0, l2, 0.0, n_sweeps=2, play_weight=0.3, play_scale=epsilon).fit(played)
    y = model.item_factors.astype(np.float64)
    expected = []
    for row in confidence(played, 0.3, epsilon):
        system = y.T @ ((row + alpha_0)[:, None] * y) + l2 * np.eye(3)
        expected.append(np.linalg.solve(system, y.T @ row))
    np.testing.assert_allclose(model.user_factors, expected, atol=1e-4)
    np.testing.assert_allclose(model.embed(played.histories()), expected, atol=1e-4)


@pytest.mark.parametrize("model", [EASE(), ALS(2), IALS(2)], ids=lambda m: type(m).__name__)
def test_plays_change_nothing_by_default(model, played: Dataset, timed: Dataset):
    query = played.query(np.arange(60))
    scores = model.fit(played).score(query)
    assert np.array_equal(scores, model.fit(timed).score(timed.query(np.arange(60))))


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_an_item_of_a_history_without_plays_was_played_once(model, played: Dataset):
    model.fit(played)
    once = History(np.array([0, 2]), np.array([3, 8]), np.ones(2, np.float32), plays=np.ones(2, np.float32))
    unknown = History.of_items([[3, 8]])
    assert np.array_equal(model.score(Query.of_histories(once)), model.score(Query.of_histories(unknown)))


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_weights_need_data_with_plays(model, timed: Dataset):
    with pytest.raises(UserError, match=r"with play_weight=0.5 needs data with plays, .* column in plays"):
        model.fit(timed)


def test_reasons_count_plays(played: Dataset):
    model = EASE(play_weight=0.5).fit(played)
    history = played.history(np.array([0]))
    scores = model.score_without_fallback(Query(np.array([0]), history))[0]
    losses = removal_losses(model, 0, history, np.arange(len(history.items)), np.arange(played.n_items))
    np.testing.assert_allclose(losses.sum(axis=0), scores, atol=1e-5)
