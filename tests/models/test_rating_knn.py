import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.errors import UserError
from recsys.models.rating_knn import RatingItemKNN, RatingUserKNN

BIAS = {"item_damping": 1.0, "user_damping": 1.0}


def slow_weight(one: dict[int, float], other: dict[int, float], shrinkage: float, amplification: float) -> float:
    """By the definition: residuals of two films (or users) by who gave them (or to what)."""
    shared = sorted(one.keys() & other.keys())
    x, y = (np.array([residuals[key] for key in shared]) for residuals in (one, other))
    if not len(shared):
        return 0.0
    correlation = x @ y / np.sqrt((x @ x) * (y @ y) + 1e-9) * len(shared) / (len(shared) + shrinkage)
    return max(correlation, 0.0) ** amplification


def residuals_by(train: Dataset, model, axis: str) -> list[dict[int, float]]:
    users = np.arange(train.n_users)
    matrix = model.residuals(train.history(users)).tocoo()
    rows, columns = (matrix.row, matrix.col) if axis == "user" else (matrix.col, matrix.row)
    tables: list[dict[int, float]] = [{} for _ in range(train.n_users if axis == "user" else train.n_items)]
    for row, column, value in zip(rows, columns, matrix.data, strict=True):
        tables[row][int(column)] = float(value)
    return tables


def test_item_neighbours_predict_by_the_formula(timed: Dataset):
    model = RatingItemKNN(shrinkage=3.0, amplification=2.0, damping=0.1, **BIAS).fit(timed)
    of_film, of_user = residuals_by(timed, model, "film"), residuals_by(timed, model, "user")
    user, film = 7, 21
    weights = {j: slow_weight(of_film[film], of_film[j], 3.0, 2.0) for j in of_user[user] if j != film}
    total = sum(weights[j] * of_user[user][j] for j in weights)
    history = timed.history(np.array([user]))
    expected = model.mean + model.item_bias[film] + model.user_bias(history)[0] + total / (0.1 + sum(weights.values()))
    assert model.score(np.array([user]), history)[0, film] == pytest.approx(expected, abs=1e-4)


def test_user_neighbours_predict_by_the_formula(timed: Dataset):
    model = RatingUserKNN(shrinkage=3.0, amplification=1.5, damping=0.1, **BIAS).fit(timed)
    of_user = residuals_by(timed, model, "user")
    user, film = 7, 21
    raters = [v for v in range(timed.n_users) if film in of_user[v] and v != user]
    weights = {v: slow_weight(of_user[user], of_user[v], 3.0, 1.5) for v in raters}
    total = sum(weights[v] * of_user[v][film] for v in raters)
    history = timed.history(np.array([user]))
    expected = model.mean + model.item_bias[film] + model.user_bias(history)[0] + total / (0.1 + sum(weights.values()))
    assert model.score(np.array([user]), history)[0, film] == pytest.approx(expected, abs=1e-4)


def test_somebody_unknown_with_a_users_history_may_be_that_users_neighbour(timed: Dataset):
    """The user's own rating of a film is not what predicts it; for a stranger who rates alike it is."""
    model = RatingUserKNN(shrinkage=0.0, damping=0.0, **BIAS).fit(timed)
    history = timed.history(np.array([3]))
    own, stranger = model.score(np.array([3]), history), model.score(np.array([-1]), history)
    rated = history.items
    assert np.abs(stranger[0, rated] - history.ratings).mean() < np.abs(own[0, rated] - history.ratings).mean()


def test_a_catalogue_that_does_not_fit_in_memory_is_refused(monkeypatch):
    monkeypatch.setattr("recsys.models.memory.available_bytes", lambda: 32 * 10**9)
    train = Dataset.from_arrays([0, 1], [0, 1], n_items=84_000)
    with pytest.raises(UserError, match=r"Correlating 84,000 films takes .*: take model=biased_mf"):
        RatingItemKNN().fit(train)
