import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recsys.data.dataset import Dataset
from recsys.data.split import Split
from recsys.data.splitters import Ratio
from recsys.errors import UserError
from recsys.models.bayesian_mf import BayesianMF, Prior, Side, _draw_vectors, _draw_wishart, _orthogonal
from recsys.models.bias import Bias

N_USERS, N_ITEMS = 80, 60
SHORT = {"embedding_dim": 4, "n_sweeps": 80, "burn_in": 30, "n_samples": 50}


def planted(side_tells: bool) -> Split:
    """Stars of two-dimensional tastes with noise 0.3; where sides tell, a film's genre says all about it."""
    rng = np.random.default_rng(1)
    tastes, genres = rng.normal(0, 1, (N_USERS, 2)), rng.integers(0, 4, N_ITEMS)
    vectors = rng.normal(0, 0.7, (4, 2))[genres] if side_tells else rng.normal(0, 0.7, (N_ITEMS, 2))
    watched = rng.random((N_USERS, N_ITEMS)) < (0.1 if side_tells else 0.4)
    watched[np.arange(N_USERS), np.arange(N_USERS) % N_ITEMS] = True
    users, items = watched.nonzero()
    stars = 3 + (tastes[users] * vectors[items]).sum(1) + rng.normal(0, 0.3, len(users))
    dataset = Dataset.from_arrays(users, items, stars, n_users=N_USERS, n_items=N_ITEMS)
    dataset.item_frame["genres"] = [[f"genre {genre}"] for genre in genres]
    return Ratio(test=0.3)(dataset)


def rmse(model, split: Split) -> float:
    users, test = np.arange(N_USERS), split.test.ratings
    predicted = model.fit(split.refit_train).predict(users, split.refit_train.history(users), test.users, test.items)
    return float(np.sqrt(np.mean((predicted - test.ratings) ** 2)))


def test_planted_tastes_are_recovered_down_to_the_noise():
    split = planted(side_tells=False)
    assert rmse(BayesianMF(side=[], **SHORT), split) < 0.45 < rmse(Bias(), split)


def test_what_is_known_of_films_helps_where_ratings_are_few():
    split = planted(side_tells=True)
    assert rmse(BayesianMF(side=["facts"], **SHORT), split) < 0.95 * rmse(BayesianMF(side=[], **SHORT), split)


def test_shuffled_stars_are_predicted_no_better_than_by_the_mean():
    split = planted(side_tells=False)
    train = split.refit_train
    shuffled = np.random.default_rng(0).permutation(train.ratings)
    spread = split.test.ratings.ratings.std()
    users, test = np.arange(N_USERS), split.test.ratings
    blind = Dataset.from_arrays(train.users, train.items, shuffled, n_users=N_USERS, n_items=N_ITEMS)
    predicted = BayesianMF(side=[], **SHORT).fit(blind).predict(users, blind.history(users), test.users, test.items)
    assert np.sqrt(np.mean((predicted - test.ratings) ** 2)) == pytest.approx(spread, rel=0.1)


def test_vectors_are_drawn_from_their_posterior():
    """Mean and covariance of many draws are those of the linear regression in closed form."""

    class Known:
        means, precision, rng = np.array([[0.5, -0.5, 0.1]]), np.diag([2.0, 1.0, 4.0]), np.random.default_rng(0)

    others = np.array([[1.0, 0.0, 9.0], [0.5, 2.0, 9.0], [-1.0, 1.0, 9.0]])  # the last element, a bias, has no part
    stars, alpha = np.array([1.0, -2.0, 0.5]), 3.0
    side = Side.of(np.zeros(3, int), np.arange(3), 1)
    draws = np.concatenate([_draw_vectors(side, stars, others, alpha, Known) for _ in range(20_000)])
    partners = np.column_stack([others[:, :2], np.ones(3)])
    covariance = np.linalg.inv(Known.precision + alpha * partners.T @ partners)
    mean = covariance @ (Known.precision @ Known.means[0] + alpha * partners.T @ stars)
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.02)


def test_wishart_draws_average_to_degrees_times_scale():
    scale, rng = np.array([[2.0, 0.5], [0.5, 1.0]]), np.random.default_rng(0)
    draws = [_draw_wishart(scale, 5, rng) for _ in range(20_000)]
    np.testing.assert_allclose(np.mean(draws, axis=0), 5 * scale, rtol=0.05)


def test_unusable_settings_are_refused():
    with pytest.raises(UserError, match="side=plot is not known: choose among rated, facts"):
        BayesianMF(side=["plot"])
    with pytest.raises(UserError, match=r"hold no 300 samples: raise model\.n_sweeps"):
        BayesianMF(n_samples=300)


def test_films_without_ratings_and_frames_without_facts_are_no_trouble(timed: Dataset):
    bare = Dataset(**{**vars(timed), "item_frame": pd.DataFrame({"movie_id": range(45), "title": [""] * 45})})
    scores = BayesianMF(**SHORT).fit(bare).score(np.array([0, -1]), bare.history(np.array([0, -1])))
    assert scores.shape == (2, 45)
    assert np.isfinite(scores).all()


def test_side_information_that_does_not_fit_in_memory_is_refused(timed: Dataset, monkeypatch):
    monkeypatch.setattr("recsys.models.memory.available_bytes", lambda: 2_000_000)
    many = Dataset.from_arrays([0, 1], [0, 1], n_users=400, n_items=300)
    with pytest.raises(UserError, match=r"Side information in 300 columns takes .*: leave out who rated what"):
        BayesianMF(embedding_dim=1, side=["rated"], n_sweeps=2, burn_in=0, n_samples=1).fit(many)


def test_steps_of_the_prior_belong_to_one_joint_distribution():
    """Where vectors are drawn anew from what the prior says, all its parts stay as likely as they are beforehand.

    Geweke, "Getting It Right: Joint Distribution Tests of Posterior Simulators", JASA 2004.
    """
    rng = np.random.default_rng(0)
    known = sparse.csr_matrix(rng.standard_normal((6, 3)))
    prior = Prior(known, 1, rng)
    vectors = rng.standard_normal((6, 1))
    log_lambdas = []
    for _ in range(20_000):
        prior.draw(vectors)
        vectors = prior.means + rng.standard_normal((6, 1)) / np.sqrt(prior.precision)
        log_lambdas.append(np.log(prior.link_precision))
    beforehand = np.log(rng.gamma(0.5, 2.0, 100_000))
    assert np.mean(log_lambdas) == pytest.approx(beforehand.mean(), abs=0.4)
    assert np.std(log_lambdas) == pytest.approx(beforehand.std(), rel=0.2)


@pytest.mark.parametrize("shape", [(5, 12), (12, 5)])
def test_side_information_is_turned_but_not_changed(shape: tuple[int, int]):
    """A column that says what others do leaves no trace."""
    known = np.random.default_rng(0).standard_normal(shape)
    known[:, 0] = known[:, 1]
    columns, squares = _orthogonal(sparse.csr_matrix(known))
    assert columns.shape == (shape[0], 5 if shape[0] == 5 else 4)
    np.testing.assert_allclose(columns @ columns.T, known @ known.T, atol=1e-9)
    np.testing.assert_allclose(columns.T @ columns, np.diag(squares), atol=1e-9)
