import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.errors import UserError
from recsys.models import random_walks
from recsys.models.random_walks import RP3Beta


def walks(train: Dataset, alpha: float, beta: float) -> np.ndarray:
    """The weights by a loop over users and pairs of their items."""
    weights = np.zeros((train.n_items, train.n_items))
    for user in range(train.n_users):
        items = train.items[train.indptr[user] : train.indptr[user + 1]]
        for i in items:
            for j in items[items != i]:
                step = (train.item_counts[i] * train.user_counts[user]) ** -alpha
                weights[i, j] += step * float(train.item_counts[j]) ** -beta
    return weights


@pytest.mark.parametrize("block", [1, 1 << 24])
def test_weights_are_probabilities_of_three_step_walks(timed: Dataset, monkeypatch, block: int):
    monkeypatch.setattr(random_walks, "VALUES_PER_BLOCK", block)
    model = RP3Beta(k=40, alpha=0.7, beta=0.4).fit(timed)
    np.testing.assert_allclose(model.item_weights.toarray(), walks(timed, 0.7, 0.4), rtol=1e-5)


def test_an_item_leads_to_its_k_largest_weights(timed: Dataset):
    weights = RP3Beta(k=5, alpha=1.0, beta=0.0).fit(timed).item_weights
    expected = walks(timed, 1.0, 0.0)
    assert np.diff(weights.indptr).max() == 5
    np.testing.assert_allclose(weights.sum(axis=1).A1, np.sort(expected)[:, -5:].sum(axis=1), rtol=1e-5)


def test_items_without_ratings_have_no_weights():
    weights = RP3Beta().fit(Dataset.from_arrays([0, 0], [1, 2], n_items=4)).item_weights
    np.testing.assert_array_equal(weights.nonzero(), [[1, 2], [2, 1]])


@pytest.mark.parametrize("setting", [{"k": 0}, {"alpha": -1.0}, {"beta": -0.1}])
def test_a_setting_that_is_not_allowed_is_an_error(setting: dict):
    with pytest.raises(UserError, match="must be"):
        RP3Beta(**setting)
