import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.errors import UserError
from recsys.models.gfcf import GFCF


def test_weights_are_a_linear_and_an_ideal_filter(timed: Dataset):
    model = GFCF(n_frequencies=5, ideal_weight=0.3).fit(timed)
    users, items = (np.maximum(counts, 1.0) for counts in (timed.user_counts, timed.item_counts))
    normalised = timed.matrix().toarray() / np.sqrt(users)[:, None] / np.sqrt(items)
    vectors = np.linalg.svd(normalised)[2][:5].T
    ideal = np.diag(items**-0.5) @ vectors @ vectors.T @ np.diag(items**0.5)
    np.testing.assert_allclose(model.item_weights, normalised.T @ normalised + 0.3 * ideal, atol=1e-4)


def test_there_are_fewer_frequencies_than_items(timed: Dataset):
    np.testing.assert_allclose(GFCF(n_frequencies=1000).fit(timed).item_weights, GFCF(39).fit(timed).item_weights)


def test_a_single_item_can_be_fitted():
    assert GFCF().fit(Dataset.from_arrays([0, 1], [0, 0])).item_weights == pytest.approx(1.0)


def test_full_weights_of_a_large_catalogue_are_refused_before_work_starts(monkeypatch):
    monkeypatch.setattr("recsys.models.memory.available_bytes", lambda: 32 * 10**9)
    with pytest.raises(UserError, match=r"GF-CF on 84,000 items would take 112\.9 GB of memory, .* low_rank_gfcf"):
        GFCF().fit(Dataset.from_arrays([0, 1], [0, 1], n_users=2, n_items=84_000))


@pytest.mark.parametrize("setting", [{"n_frequencies": 0}, {"ideal_weight": -1.0}])
def test_a_setting_that_is_not_allowed_is_an_error(setting: dict):
    with pytest.raises(UserError, match="must be"):
        GFCF(**setting)
