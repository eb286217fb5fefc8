"""SVD++ and biased matrix factorisation against the equations of their papers, rating by rating."""

import numpy as np
import pytest
import torch

from recsys.data.dataset import Dataset
from recsys.data.query import History, Query
from recsys.models.biased_mf import BiasedMF, PenalisedSquaredError
from recsys.models.neural import RatingBatch
from recsys.models.neural.batches import QueryBatch
from recsys.models.neural.sampling import Interactions
from recsys.models.svd_pp import SVDPP, PenalisedSquaredErrorByUser

L2, BIAS_L2 = 0.3, 0.2
SMALL = {"embedding_dim": 3, "batch_size": 4, "max_epochs": 3, "lr": 0.05, "l2": L2, "bias_l2": BIAS_L2}


@pytest.fixture(scope="module")
def train() -> Dataset:
    """8 users rated 2 to 5 of 6 items from 1 to 5."""
    rng = np.random.default_rng(0)
    rated = [rng.permutation(6)[: 2 + user % 4] for user in range(8)]
    users = np.repeat(np.arange(8), [len(own) for own in rated])
    return Dataset.from_arrays(users, np.concatenate(rated), rng.integers(1, 6, len(users)))


def weights_of(model: BiasedMF | SVDPP) -> dict[str, np.ndarray]:
    return {name.removesuffix(".weight"): rows.numpy() for name, rows in model.module.state_dict().items()}


def predicted(weights: dict[str, np.ndarray], mean: float, user: int, item: int, rated: np.ndarray) -> float:
    """Return equation 15 of Koren, KDD 2008 for SVD++, else equation 4 of Koren, Bell and Volinsky, Computer 2009."""
    vector = weights["users"][user].copy()
    if "rated" in weights:
        vector += sum(weights["rated"][other] for other in rated) / np.sqrt(max(1, len(rated)))
    return mean + weights["user_bias"][user, 0] + weights["item_bias"][item, 0] + weights["items"][item] @ vector


def mean_loss(weights: dict[str, np.ndarray], train: Dataset, count_power: float = 0.0) -> float:
    losses = []
    for user, item, rating in zip(train.users, train.items, train.ratings, strict=True):
        error = rating - predicted(weights, train.mean_rating, user, item, train.items[train.users == user])
        of_user = L2 * (weights["users"][user] ** 2).sum() + BIAS_L2 * weights["user_bias"][user, 0] ** 2
        of_item = L2 * (weights["items"][item] ** 2).sum() + BIAS_L2 * weights["item_bias"][item, 0] ** 2
        n_user, n_item = (train.users == user).sum(), (train.items == item).sum()
        losses.append(error**2 + of_user / n_user**count_power + of_item / n_item**count_power)
    return float(np.mean(losses))


def test_the_loss_of_svd_pp_is_that_of_the_paper_without_its_penalty_on_y(train: Dataset):
    model, objective = SVDPP(**SMALL).fit(train), PenalisedSquaredErrorByUser(L2, BIAS_L2)
    objective.bind(Interactions(train, torch.device("cpu")))
    loss = objective.loss(model.module, model.module.batch(train.query(np.arange(8))))
    assert loss.item() == pytest.approx(mean_loss(weights_of(model), train), rel=1e-5)


@pytest.mark.parametrize("count_power", [0.0, 0.5])
def test_the_loss_of_biased_mf_is_that_of_the_paper_with_penalties_divided_by_counts(
    train: Dataset, count_power: float
):
    model, objective = BiasedMF(**SMALL).fit(train), PenalisedSquaredError(L2, BIAS_L2, count_power)
    interactions = Interactions(train, torch.device("cpu"))
    objective.bind(interactions)
    items = interactions.items.long().unsqueeze(1)
    loss = objective.loss(model.module, RatingBatch(QueryBatch(interactions.users.long()), items, interactions.ratings))
    assert loss.item() == pytest.approx(mean_loss(weights_of(model), train, count_power), rel=1e-5)


def test_ratings_are_predicted_from_the_history_of_the_query(train: Dataset):
    model, histories = SVDPP(**SMALL).fit(train), [[4, 1], [], [5]]
    weights, mean_user = weights_of(model), 8  # the last row is that of unknown users
    scores = model.score(Query(np.array([2, 3, -1]), History.of_items(histories)))
    for row, user in enumerate([2, 3, mean_user]):
        rated = np.array(histories[row], int)
        expected = [predicted(weights, train.mean_rating, user, item, rated) for item in range(6)]
        np.testing.assert_allclose(scores[row], expected, rtol=1e-5)


def test_only_y_has_weight_decay():
    groups = SVDPP(weight_decay=0.1).build(8, 6).parameter_groups()
    assert [group.get("weight_decay") for group in groups] == [None, 0.0]
    assert [len(group["params"]) for group in groups] == [1, 4]
