import numpy as np
import pytest
from scipy.optimize import nnls
from sklearn.linear_model import ElasticNet

from recsys.data.dataset import Dataset
from recsys.data.query import History, Query
from recsys.errors import UserError
from recsys.models import slim
from recsys.models.slim import SLIM


@pytest.mark.parametrize("block", [1, 7, 64])
def test_weights_are_those_of_an_elastic_net_per_item(timed: Dataset, block, monkeypatch):
    monkeypatch.setattr(slim, "BLOCK", block)
    l1, l2 = 0.5, 3.0
    weights = SLIM(l1, l2).fit(timed).item_weights.toarray()
    interactions = timed.matrix().toarray().astype(np.float64)
    n_users = len(interactions)
    elastic_net = ElasticNet(
        alpha=(l1 + l2) / n_users,
        l1_ratio=l1 / (l1 + l2),
        fit_intercept=False,
        positive=True,
        tol=1e-10,
        max_iter=10**5,
    )
    for item in range(timed.n_items):
        others = interactions.copy()
        others[:, item] = 0.0
        expected = elastic_net.fit(others, interactions[:, item]).coef_
        np.testing.assert_allclose(weights[:, item], expected, atol=1e-5)


@pytest.mark.parametrize("max_sweeps", [1, 50])
@pytest.mark.parametrize("l1", [0.0, 0.5])
def test_weights_satisfy_the_kkt_conditions_however_short_the_descent(timed: Dataset, l1, max_sweeps):
    l2 = 2.0
    weights = SLIM(l1, l2, max_sweeps=max_sweeps).fit(timed).item_weights.toarray().astype(np.float64)
    interactions = timed.matrix().toarray().astype(np.float64)
    gradient = interactions.T @ (interactions @ weights - interactions) + l2 * weights + l1
    np.fill_diagonal(gradient, 0.0)
    assert np.all(weights >= 0.0)
    assert np.all(weights.diagonal() == 0.0)
    assert np.abs(gradient[weights > 0]).max() < 1e-4
    assert gradient.min() > -slim.MAX_GRADIENT


@pytest.mark.parametrize("patience", [0, 3])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_regression_is_solved_from_any_start(monkeypatch, share, patience):
    monkeypatch.setattr(slim, "PATIENCE", patience)
    rng = np.random.default_rng(0)
    matrix, values = rng.normal(size=(60, 40)), rng.normal(size=60)
    start = rng.random(40) < share
    weights = slim._nonnegative_regression(matrix.T @ matrix, 0.0, matrix.T @ values, start)
    np.testing.assert_allclose(weights, nnls(matrix, values)[0], atol=1e-4)


def test_rounding_errors_of_large_counts_do_not_reverse_a_weight_forever(monkeypatch):
    n_raters, n_shared, l2 = 300_000, 100_000, 200.0
    gram = np.array([[n_raters, n_shared], [n_shared, n_raters]], np.float32)
    weight = 250_000 / (n_raters + l2)
    target = np.array([250_000, weight * n_shared - 1e-4])  # the objective rises with a positive second weight
    in_single_precision = float(np.float32(weight) * np.float32(n_shared))
    assert target[1] - in_single_precision > slim.MAX_GRADIENT  # but seems to fall

    solutions = iter([np.linalg.solve] * 100)  # more is endless
    monkeypatch.setattr(np.linalg, "solve", lambda *system: next(solutions)(*system))
    weights = slim._nonnegative_regression(gram, l2, target, start=np.array([True, False]))
    np.testing.assert_array_equal(weights, [weight, 0.0])


def test_l1_makes_weights_sparse(timed: Dataset):
    dense, sparser = (SLIM(l1, 1.0).fit(timed).item_weights for l1 in (0.0, 8.0))
    assert sparser.nnz < 0.5 * dense.nnz
    assert sparser.nnz > 0
    assert sparser.data.min() > 0


def test_scores_follow_the_history_in_the_query(timed: Dataset):
    model = SLIM(0.1, 1.0).fit(timed)
    weights = model.item_weights.toarray()
    scores = model.score(Query.of_histories(History.of_items([[2, 5]])))
    np.testing.assert_allclose(scores[0], weights[2] + weights[5], rtol=1e-6)


def test_a_catalogue_that_does_not_fit_in_memory_is_an_error(monkeypatch):
    monkeypatch.setattr("recsys.models.memory.available_bytes", lambda: 32 * 10**9)
    train = Dataset.from_arrays([0, 1], [0, 1], n_items=84_000)
    with pytest.raises(UserError, match=r"84,000 items would take 112\.9 GB of memory"):
        SLIM().fit(train)
