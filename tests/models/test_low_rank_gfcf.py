import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.data.query import History, Query
from recsys.errors import UserError
from recsys.models.gfcf import GFCF, normalised_interactions
from recsys.models.low_rank_gfcf import LowRankGFCF

QUERY = Query.of_histories(History.of_items([[2, 5], [7]]))


def test_the_linear_filter_is_the_best_one_of_its_rank(timed: Dataset):
    model = LowRankGFCF(rank=5, n_frequencies=3, ideal_weight=0.3).fit(timed)
    normalised, degrees = normalised_interactions(timed)
    _, values, vectors = np.linalg.svd(normalised.toarray())
    linear = vectors[:5].T @ np.diag(values[:5] ** 2) @ vectors[:5]
    ideal = (vectors[:3].T / degrees) @ (vectors[:3].T * degrees).T
    np.testing.assert_allclose(model.item_basis @ model.item_weights, linear + 0.3 * ideal, atol=1e-4)


def test_with_most_singular_vectors_scores_are_those_of_the_dense_weights(timed: Dataset):
    full = GFCF(n_frequencies=5).fit(timed)
    model = LowRankGFCF(rank=39, n_frequencies=5).fit(timed)
    np.testing.assert_allclose(model.score(QUERY), full.score(QUERY), atol=0.02)


def test_what_an_interaction_adds_is_its_weights(timed: Dataset):
    model = LowRankGFCF(rank=5).fit(timed)
    (losses,) = model.removal_losses(QUERY.history.select(np.array([1])), np.array([0]), np.array([3, 4]))
    np.testing.assert_allclose(losses, model.score(QUERY)[1, [3, 4]], rtol=1e-4, atol=1e-6)


def test_memory_grows_with_the_items_and_not_with_their_pairs(monkeypatch):
    large = Dataset.from_arrays([0, 1], [0, 1], n_users=2, n_items=84_000)
    monkeypatch.setattr("recsys.models.memory.available_bytes", lambda: 10**9)
    LowRankGFCF(rank=64).fit(large)
    monkeypatch.setattr("recsys.models.memory.available_bytes", lambda: 10**8)
    with pytest.raises(UserError, match=r"LowRankGFCF of rank 64 on 84,000 items .* a lower rank"):
        LowRankGFCF(rank=64).fit(large)


def test_a_rank_of_zero_is_an_error():
    with pytest.raises(UserError, match="rank must be"):
        LowRankGFCF(rank=0)
