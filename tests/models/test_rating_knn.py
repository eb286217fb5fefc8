import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.data.query import History, Pairs, Query
from recsys.errors import UserError
from recsys.models.rating_knn import RatingItemKNN, RatingUserKNN

BIAS = {"item_damping": 1.0, "user_damping": 1.0}


def slow_weight(one: dict[int, float], other: dict[int, float], shrinkage: float, amplification: float) -> float:
    """Return the weight by its definition, given the residuals of two items by user, or of two users by item."""
    shared = sorted(one.keys() & other.keys())
    x, y = (np.array([residuals[key] for key in shared]) for residuals in (one, other))
    if not len(shared):
        return 0.0
    correlation = x @ y / np.sqrt((x @ x) * (y @ y) + 1e-9) * len(shared) / (len(shared) + shrinkage)
    return max(correlation, 0.0) ** amplification


def residuals_by(train: Dataset, model, axis: str) -> list[dict[int, float]]:
    matrix = model.residual_matrix(train.histories()).tocoo()
    rows, columns = (matrix.row, matrix.col) if axis == "user" else (matrix.col, matrix.row)
    tables: list[dict[int, float]] = [{} for _ in range(train.n_users if axis == "user" else train.n_items)]
    for row, column, value in zip(rows, columns, matrix.data, strict=True):
        tables[row][int(column)] = float(value)
    return tables


def test_item_neighbours_predict_by_the_formula(timed: Dataset):
    model = RatingItemKNN(shrinkage=3.0, amplification=2.0, damping=0.1, **BIAS).fit(timed)
    of_item, of_user = residuals_by(timed, model, "item"), residuals_by(timed, model, "user")
    user, item = 7, 21
    weights = {j: slow_weight(of_item[item], of_item[j], 3.0, 2.0) for j in of_user[user] if j != item}
    total = sum(weights[j] * of_user[user][j] for j in weights)
    query = timed.query(np.array([user]))
    bias = model.mean + model.item_bias[item] + model.user_bias(query.history)[0]
    expected = bias + total / (0.1 + sum(weights.values()))
    assert model.score(query)[0, item] == pytest.approx(expected, abs=1e-4)


def test_user_neighbours_predict_by_the_formula(timed: Dataset):
    model = RatingUserKNN(shrinkage=3.0, amplification=1.5, damping=0.1, **BIAS).fit(timed)
    of_user = residuals_by(timed, model, "user")
    user, item = 7, 21
    raters = [v for v in range(timed.n_users) if item in of_user[v] and v != user]
    weights = {v: slow_weight(of_user[user], of_user[v], 3.0, 1.5) for v in raters}
    total = sum(weights[v] * of_user[v][item] for v in raters)
    query = timed.query(np.array([user]))
    bias = model.mean + model.item_bias[item] + model.user_bias(query.history)[0]
    expected = bias + total / (0.1 + sum(weights.values()))
    assert model.score(query)[0, item] == pytest.approx(expected, abs=1e-4)


def test_a_user_is_a_neighbour_of_an_unknown_user_with_the_same_history(timed: Dataset):
    """A user's own rating of an item does not predict it, but it does for an unknown user."""
    model = RatingUserKNN(shrinkage=0.0, damping=0.0, **BIAS).fit(timed)
    history = timed.history(np.array([3]))
    known, unknown = (model.score(Query(np.array([user]), history)) for user in (3, -1))
    rated = history.items
    assert np.abs(unknown[0, rated] - history.ratings).mean() < np.abs(known[0, rated] - history.ratings).mean()


@pytest.mark.parametrize("model", [RatingItemKNN(damping=0.0), RatingUserKNN(damping=0.0)], ids=["item", "user"])
def test_without_damping_and_neighbours_the_bias_is_predicted(model):
    train = Dataset.from_arrays([0, 0, 1], [0, 1, 0], [5.0, 2.0, 2.0], n_items=3)
    queries = [train.query(np.array([0])), Query.of_histories(History.of_items([[]]))]
    for query in queries:
        [scores] = model.fit(train).score(query)
        assert scores[2] == pytest.approx(model.mean + model.user_bias(query.history)[0])


def test_user_neighbours_are_weighted_for_few_users_at_a_time(timed: Dataset, monkeypatch):
    model, query = RatingUserKNN().fit(timed), timed.query(np.arange(timed.n_users))
    expected, sizes, weights = model.score(query), [], model.weights

    def recorded(rows, others):
        sizes.append(rows.shape[0])
        return weights(rows, others)

    monkeypatch.setattr("recsys.models.rating_knn.VALUES_PER_BLOCK", 7 * timed.n_users)
    monkeypatch.setattr(model, "weights", recorded)
    np.testing.assert_array_equal(model.score(query), expected)
    assert max(sizes) == 7
    assert sum(sizes) == timed.n_users


def test_a_catalogue_that_does_not_fit_in_memory_is_an_error(monkeypatch):
    monkeypatch.setattr("recsys.models.memory.available_bytes", lambda: 32 * 10**9)
    train = Dataset.from_arrays([0, 1], [0, 1], n_items=84_000)
    with pytest.raises(UserError, match=r"Correlating 84,000 items would take .*: choose biased_mf"):
        RatingItemKNN().fit(train)


def test_item_neighbours_predict_pairs_exactly_as_they_score_rows_without_scoring_them(timed: Dataset, monkeypatch):
    model, rng = RatingItemKNN(shrinkage=3.0, **BIAS).fit(timed), np.random.default_rng(0)
    query = Query(np.full(21, -1), History.of_items([[], *([*rng.permutation(40)[:n]] for n in range(20))], 4.0))
    pairs = Pairs(query, rng.integers(0, 21, 500), rng.integers(0, 40, 500))
    expected = np.clip(model.score(query)[pairs.rows, pairs.items], *model.scale)
    monkeypatch.setattr("recsys.models.rating_knn.VALUES_PER_BLOCK", 100)
    monkeypatch.setattr(model, "score", None)
    np.testing.assert_array_equal(model.predict(pairs), expected)
