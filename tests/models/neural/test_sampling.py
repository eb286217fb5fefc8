"""Epochs of training samples, and negatives."""

import numpy as np
import pytest
import torch

from recsys.data.dataset import Dataset
from recsys.errors import UserError
from recsys.models.neural.sampling import (
    Draw,
    Interactions,
    NegativeSampler,
    RatingEpoch,
    SampledEpoch,
    Share,
    UserEpoch,
    shared_candidates,
)
from recsys.models.neural.sequences import ItemSampler

CPU = torch.device("cpu")
ALONE = Share()


@pytest.fixture
def train() -> Dataset:
    """50 users who rated 2 to 29 of 30 items, one of them none; popularity falls with the item's code."""
    rng = np.random.default_rng(3)
    rated = rng.random((50, 30)) < np.linspace(0.9, 0.1, 30)
    rated[7] = False
    rated[8, :29] = True
    rated[:, 29] = False
    users, items = rated.nonzero()
    return Dataset.from_arrays(users, items, rng.integers(1, 6, len(users)), n_users=50, n_items=30)


def epoch(train: Dataset, power: float = 0.0, seed: int = 1, share: Share = ALONE) -> SampledEpoch:
    positives = Interactions(train, CPU)
    return SampledEpoch(positives, NegativeSampler(positives, power), 4, Draw(64, seed, share))


def pairs(train: Dataset) -> list[tuple[int, int]]:
    return sorted(zip(train.users.tolist(), train.items.tolist(), strict=True))


@pytest.mark.parametrize("power", [0.0, 0.75])
def test_a_training_positive_is_never_drawn_as_a_negative(train: Dataset, power: float):
    if power:
        train = train.select(train.users != 8)  # user 8 rated all that popularity can draw
    rated = train.matrix().toarray() > 0
    for batch in epoch(train, power):
        negatives = batch.items[:, 1:]
        assert not rated[batch.queries.users.unsqueeze(1).expand_as(negatives), negatives].any()


def test_an_epoch_has_every_positive_once(train: Dataset):
    drawn = []
    for batch in epoch(train):
        drawn += zip(batch.queries.users.tolist(), batch.items[:, 0].tolist(), strict=True)
    assert sorted(drawn) == pairs(train)
    assert len(list(epoch(train))) == len(epoch(train))


def test_negatives_are_uniform_over_the_items_that_a_user_has_not_rated():
    train = Dataset.from_arrays([0, 0, 1], [0, 3, 1], n_users=2, n_items=10)
    sampler = NegativeSampler(Interactions(train, CPU))
    drawn = sampler.draw(torch.zeros(8000, dtype=torch.long), 4, torch.Generator().manual_seed(0))
    counts = torch.bincount(drawn.flatten(), minlength=10)
    unseen = [1, 2, 4, 5, 6, 7, 8, 9]
    assert counts[[0, 3]].sum() == 0
    assert torch.allclose(counts[unseen] / counts.sum(), torch.full((8,), 1 / 8), atol=0.0075)  # four standard errors


def test_weighted_negatives_follow_popularity_to_the_power():
    train = Dataset.from_arrays([0, 1, 2, 3, 4, 4], [0, 0, 0, 0, 1, 2], n_users=6, n_items=3)
    sampler = NegativeSampler(Interactions(train, CPU), power=0.5)
    drawn = sampler.draw(torch.full((10000,), 5), 2, torch.Generator().manual_seed(0))
    shares = torch.bincount(drawn.flatten(), minlength=3) / 20000
    assert torch.allclose(shares, torch.tensor([0.5, 0.25, 0.25]), atol=0.015)
    assert torch.allclose(sampler.log_q.exp(), torch.tensor([0.5, 0.25, 0.25]))


def test_a_negative_power_prefers_rarely_rated_items_and_never_draws_unrated_ones():
    train = Interactions(Dataset.from_arrays([0, 1, 2, 3, 4, 4], [0, 0, 0, 0, 1, 2], n_users=6, n_items=4), CPU)
    shares = torch.tensor([0.2, 0.4, 0.4, 0.0])
    assert torch.allclose(NegativeSampler(train, power=-0.5).log_q.exp(), shares)
    assert torch.allclose(ItemSampler(train, 1, power=-0.5).log_q.exp(), shares)
    assert NegativeSampler(train, power=-0.5).draw(torch.full((1000,), 5), 2, torch.Generator()).max() == 2


def test_a_user_who_rated_everything_is_an_error_and_not_an_endless_loop():
    train = Dataset.from_arrays([0, 0, 1], [0, 1, 0])
    with pytest.raises(UserError, match="must have an unrated item"):
        NegativeSampler(Interactions(train, CPU))


def test_the_same_seed_gives_the_same_epoch_and_another_seed_another(train: Dataset):
    first, again, other = (torch.cat([b.items for b in epoch(train, seed=seed)]) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_processes_share_every_batch_without_overlap(train: Dataset):
    whole = [batch.items for batch in epoch(train)]
    shares = [[batch.items for batch in epoch(train, share=Share(rank, 2))] for rank in (0, 1)]
    for batch, even, odd in zip(whole, *shares, strict=True):
        assert torch.equal(batch[::2], even)
        assert torch.equal(batch[1::2], odd)


def test_an_epoch_of_ratings_has_every_rating_once_with_its_user_and_item(train: Dataset):
    drawn = []
    for batch in RatingEpoch(Interactions(train, CPU), Draw(64, 1)):
        drawn += zip(batch.queries.users.tolist(), batch.items[:, 0].tolist(), batch.ratings.tolist(), strict=True)
    assert sorted(drawn) == sorted(zip(train.users.tolist(), train.items.tolist(), train.ratings.tolist(), strict=True))


@pytest.mark.parametrize("batch_size", [1, 7, 50])
def test_batches_of_users_have_all_their_interactions(train: Dataset, batch_size: int):
    drawn = []
    for batch in UserEpoch(Interactions(train, CPU), Draw(batch_size, seed=4)):
        assert len(batch.users) <= batch_size
        assert batch.history.lengths.sum() == len(batch.history.items)
        drawn += zip(batch.users[batch.history.rows].tolist(), batch.history.items.tolist(), strict=True)
    assert sorted(drawn) == pairs(train)


def test_times_reach_the_batches_in_the_order_of_the_history(timed: Dataset):
    [batch] = UserEpoch(Interactions(timed, CPU), Draw(len(timed), seed=4))
    expected = timed.history(batch.users.numpy())
    np.testing.assert_array_equal(batch.history.times, expected.times)
    np.testing.assert_array_equal(batch.history.items, expected.items)


def test_large_epochs_are_drawn_in_parts_and_are_complete(train: Dataset, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("recsys.models.neural.sampling.POSITIVES_PER_DRAW", 100)
    batches = list(epoch(train))
    assert sum(len(batch.items) for batch in batches) == len(train)
    assert {len(batch.items) for batch in batches[:-1]} == {64 // 5}


def test_candidates_weighted_by_their_probability_give_the_sum_over_the_catalogue_in_expectation(train: Dataset):
    torch.manual_seed(0)
    positives, n_negatives, batch_size = Interactions(train, CPU), 5, 4
    draw = (positives.item_counts > 0) / (positives.item_counts > 0).sum()
    values = torch.linspace(1.0, 3.0, 30)  # of items
    own = torch.from_numpy(train.matrix().toarray() > 0)
    expected = torch.where(own[0], 0.0, values)[positives.item_counts > 0].sum()  # of the items unrated by user 0
    totals = []
    for seed in range(400):
        for batch in UserEpoch(positives, Draw(batch_size, seed)):
            if 0 in batch.users:
                items, log_included = shared_candidates(batch, positives.item_counts, draw, 49, n_negatives)
                totals.append(torch.where(own[0], 0.0, values)[items].div(log_included.exp()).sum().item())
                assert set(batch.history.items.tolist()) <= set(items.tolist())
    assert np.mean(totals) == pytest.approx(expected.item(), abs=3 * np.std(totals) / len(totals) ** 0.5)
    assert np.std(totals) > 0
