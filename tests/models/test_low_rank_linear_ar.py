import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.data.query import History, Query
from recsys.errors import UserError
from recsys.models import low_rank_linear_ar
from recsys.models.low_rank_linear_ar import LowRankLinearAR
from tests.models.test_linear_ar import samples


@pytest.mark.parametrize("backward_weight", [0.0, 0.3])
@pytest.mark.parametrize("steps_per_chunk", [7, 10_000])
def test_weights_are_the_ridge_regression_of_the_next_item_on_the_projected_history_before_it(
    timed: Dataset, backward_weight: float, steps_per_chunk: int, monkeypatch
):
    monkeypatch.setattr(low_rank_linear_ar, "STEPS_PER_CHUNK", steps_per_chunk)
    model = LowRankLinearAR(half_lives=[0.5, 12.0], l2=2.0, backward_weight=backward_weight, rank=5).fit(timed)
    basis = np.kron(np.eye(2), model.item_basis)
    gram, products = 2.0 * np.eye(10), 0.0
    for step, weight in ((1, 1.0), (-1, backward_weight)):
        inputs, targets = samples(timed, [0.5, 12.0], step)
        projected = inputs @ basis
        gram, products = gram + weight * projected.T @ projected, products + weight * projected.T @ targets
    np.testing.assert_allclose(model.item_weights, np.linalg.solve(gram, products), atol=2e-4)


def test_the_basis_holds_the_main_singular_vectors_of_the_interactions(timed: Dataset):
    basis = LowRankLinearAR(rank=5).fit(timed).item_basis
    main = np.linalg.svd(timed.matrix().toarray())[2][:5]
    np.testing.assert_allclose(np.linalg.svd(main @ basis)[1], np.ones(5), rtol=1e-4)


def test_scores_are_products_of_weights_and_the_projected_history(timed: Dataset):
    model = LowRankLinearAR(half_lives=[1.0, 4.0], l2=2.0, rank=5).fit(timed)
    scores = model.score(Query.of_histories(History.of_items([[2, 5]])))
    early, late = model.item_basis[2], model.item_basis[5]
    features = np.concatenate([late + early / 2, late + early * 2 ** (-1 / 4)])
    np.testing.assert_allclose(scores[0], features @ model.item_weights, rtol=1e-4, atol=1e-6)


def test_a_rank_that_does_not_fit_in_memory_is_an_error(timed: Dataset, monkeypatch):
    monkeypatch.setattr("recsys.models.memory.available_bytes", lambda: 10**4)
    with pytest.raises(UserError, match=r"LowRankLinearAR at 3 time scales and rank 512 on 40 items .* a lower rank"):
        LowRankLinearAR().fit(timed)


@pytest.mark.parametrize("cells", [([0, 0], [0, 1]), ([0, 1], [0, 0])], ids=["user", "item"])
def test_a_single_user_or_item_leaves_no_dimension_and_all_items_equal(cells: tuple[list[int], list[int]]):
    train = Dataset.from_arrays(*cells, times=np.arange(2))
    model = LowRankLinearAR(rank=5).fit(train)
    assert not model.score(train.query(np.arange(train.n_users))).any()
