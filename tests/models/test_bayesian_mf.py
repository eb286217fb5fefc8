import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recsys.data.dataset import Dataset
from recsys.data.query import Pairs
from recsys.data.split import Split
from recsys.data.splitters import Ratio
from recsys.errors import UserError
from recsys.models.base import Recommender
from recsys.models.bayesian_mf import BayesianMF, Prior, RatingRows, draw_vectors, draw_wishart, orthogonal_columns
from recsys.models.bias import Bias

N_USERS, N_ITEMS = 80, 60
SHORT = {"embedding_dim": 4, "n_sweeps": 80, "burn_in": 30, "n_samples": 50}


def planted(genres_decide: bool) -> Split:
    """Return ratings of two-dimensional tastes with noise 0.3, whose items are alike within a genre or not at all."""
    rng = np.random.default_rng(1)
    tastes, genres = rng.normal(0, 1, (N_USERS, 2)), rng.integers(0, 4, N_ITEMS)
    vectors = rng.normal(0, 0.7, (4, 2))[genres] if genres_decide else rng.normal(0, 0.7, (N_ITEMS, 2))
    rated = rng.random((N_USERS, N_ITEMS)) < (0.1 if genres_decide else 0.4)
    rated[np.arange(N_USERS), np.arange(N_USERS) % N_ITEMS] = True
    users, items = rated.nonzero()
    ratings = 3 + (tastes[users] * vectors[items]).sum(1) + rng.normal(0, 0.3, len(users))
    dataset = Dataset.from_arrays(users, items, ratings, n_users=N_USERS, n_items=N_ITEMS)
    dataset.item_frame["genres"] = [[f"genre {genre}"] for genre in genres]
    return Ratio(test=0.3)(dataset)


def rmse(model: Recommender, split: Split) -> float:
    train = split.refit_train
    return error(model.fit(train), train, split.test.ratings)


def error(model: Recommender, train: Dataset, test: Dataset) -> float:
    predicted = model.predict(Pairs(train.query(np.arange(N_USERS)), test.users, test.items))
    return float(np.sqrt(np.mean((predicted - test.ratings) ** 2)))


def test_planted_tastes_are_recovered_down_to_the_noise():
    split = planted(genres_decide=False)
    assert rmse(BayesianMF(side=[], **SHORT), split) < 0.45 < rmse(Bias(), split)


def test_item_metadata_helps_where_ratings_are_few():
    split = planted(genres_decide=True)
    assert rmse(BayesianMF(side=["facts"], **SHORT), split) < 0.95 * rmse(BayesianMF(side=[], **SHORT), split)


def test_shuffled_ratings_are_predicted_no_better_than_by_the_mean():
    split = planted(genres_decide=False)
    train = split.refit_train
    shuffled = np.random.default_rng(0).permutation(train.ratings)
    noise = Dataset.from_arrays(train.users, train.items, shuffled, n_users=N_USERS, n_items=N_ITEMS)
    test = split.test.ratings
    model = BayesianMF(side=[], **SHORT).fit(noise)
    assert error(model, noise, test) == pytest.approx(test.ratings.std(), rel=0.1)


def test_vectors_are_drawn_from_their_posterior():
    """Mean and covariance of many draws are those of the linear regression in closed form."""

    n_draws = 20_000  # rows with the same ratings

    class Given:
        means = np.tile([0.5, -0.5, 0.1], (n_draws, 1))
        precision, rng = np.diag([2.0, 1.0, 4.0]), np.random.default_rng(0)

    others = np.array([[1.0, 0.0, 9.0], [0.5, 2.0, 9.0], [-1.0, 1.0, 9.0]])  # the last element, a bias, plays no part
    ratings, alpha = np.array([1.0, -2.0, 0.5]), 3.0
    rows = RatingRows.from_pairs(np.repeat(np.arange(n_draws), 3), np.tile(np.arange(3), n_draws), n_draws)
    draws = draw_vectors(rows, np.tile(ratings, n_draws), others, alpha, Given)
    partners = np.column_stack([others[:, :2], np.ones(3)])
    covariance = np.linalg.inv(Given.precision + alpha * partners.T @ partners)
    mean = covariance @ (Given.precision @ Given.means[0] + alpha * partners.T @ ratings)
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.02)


def test_wishart_draws_average_to_degrees_times_scale():
    scale, rng = np.array([[2.0, 0.5], [0.5, 1.0]]), np.random.default_rng(0)
    draws = [draw_wishart(scale, 5, rng) for _ in range(5000)]
    np.testing.assert_allclose(np.mean(draws, axis=0), 5 * scale, rtol=0.05)


def test_invalid_settings_are_errors():
    with pytest.raises(UserError, match="side must be one of rated, facts"):
        BayesianMF(side=["plot"])
    with pytest.raises(UserError, match=r"n_samples must be between 1 and .*got 300.*: raise model\.n_sweeps"):
        BayesianMF(n_samples=300)


def test_items_without_ratings_and_frames_without_metadata_are_supported(timed: Dataset):
    bare = Dataset(**{**vars(timed), "item_frame": pd.DataFrame({"movie_id": range(45), "title": [""] * 45})})
    scores = BayesianMF(**SHORT).fit(bare).score(bare.query(np.array([0, -1])))
    assert scores.shape == (2, 45)
    assert np.isfinite(scores).all()


def test_side_information_that_does_not_fit_in_memory_is_an_error(timed: Dataset, monkeypatch):
    monkeypatch.setattr("recsys.models.memory.available_bytes", lambda: 2_000_000)
    many = Dataset.from_arrays([0, 1], [0, 1], n_users=400, n_items=300)
    with pytest.raises(UserError, match=r"Side information in 300 columns would take .*: leave out the ratings"):
        BayesianMF(embedding_dim=1, side=["rated"], n_sweeps=2, burn_in=0, n_samples=1).fit(many)


def test_steps_of_the_prior_belong_to_one_joint_distribution():
    """If vectors are drawn anew from the prior after each step, the draws of its parameters follow their own prior.

    Geweke, "Getting It Right: Joint Distribution Tests of Posterior Simulators", JASA 2004.
    """
    rng = np.random.default_rng(0)
    side_information = sparse.csr_matrix(rng.standard_normal((6, 3)))
    prior = Prior(side_information, 1, rng)
    vectors = rng.standard_normal((6, 1))
    log_lambdas = []
    for _ in range(6000):
        prior.draw(vectors)
        vectors = prior.means + rng.standard_normal((6, 1)) / np.sqrt(prior.precision)
        log_lambdas.append(np.log(prior.link_precision))
    expected = np.log(rng.gamma(0.5, 2.0, 100_000))
    assert np.mean(log_lambdas) == pytest.approx(expected.mean(), abs=0.4)
    assert np.std(log_lambdas) == pytest.approx(expected.std(), rel=0.2)


@pytest.mark.parametrize("shape", [(5, 12), (12, 5)])
def test_rotation_preserves_products_of_side_information(shape: tuple[int, int]):
    """A column that is a copy of another one is left out."""
    matrix = np.random.default_rng(0).standard_normal(shape)
    matrix[:, 0] = matrix[:, 1]
    columns, squares = orthogonal_columns(sparse.csr_matrix(matrix))
    assert columns.shape == (shape[0], 5 if shape[0] == 5 else 4)
    np.testing.assert_allclose(columns @ columns.T, matrix @ matrix.T, atol=1e-9)
    np.testing.assert_allclose(columns.T @ columns, np.diag(squares), atol=1e-9)
