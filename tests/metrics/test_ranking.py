import numpy as np
import pytest

from recsys.data.query import History
from recsys.metrics.ranking import mask_seen, top_k

USERS = np.arange(1000)


def test_lists_the_best_items_best_first():
    scores = np.array([[0.1, 0.9, -1.0, 0.5], [3.0, 2.0, 1.0, 0.0]], np.float32)
    assert top_k(scores, np.array([4, 7]), 3).tolist() == [[1, 3, 0], [0, 1, 2]]


def test_equals_a_full_sort_where_no_scores_are_equal():
    scores = np.random.default_rng(0).permutation(200 * 50).reshape(200, 50).astype(np.float32)
    np.testing.assert_array_equal(top_k(scores, np.arange(200), 20), np.argsort(-scores, axis=1)[:, :20])


@pytest.mark.parametrize("low", [1.0, -1.0, 0.0, 1e-45, 3e38, -2.0])
def test_breaking_ties_never_swaps_scores_that_differ_in_the_last_bit(low):
    low = np.float32(low)
    high = np.nextafter(low, np.float32(np.inf))
    scores = np.tile([low, high, low, high, low, high], (1000, 1))
    top = top_k(scores, USERS, 6)
    assert set(map(tuple, np.sort(top[:, :3], axis=1).tolist())) == {(1, 3, 5)}
    assert set(map(tuple, np.sort(top[:, 3:], axis=1).tolist())) == {(0, 2, 4)}


def test_constant_scores_list_every_item_equally_often_at_each_place():
    n_users, n_items, k = 20_000, 20, 5
    top = top_k(np.zeros((n_users, n_items), np.float32), np.arange(n_users), k)
    assert all(len(set(row)) == k for row in top.tolist())
    for place in range(k):
        listed = np.bincount(top[:, place], minlength=n_items)
        assert abs(listed - n_users / n_items).max() < 5 * np.sqrt(n_users / n_items)


def test_a_tie_across_the_end_of_the_list_is_broken_evenly():
    scores = np.tile(np.array([5, 1, 1, 1, 0], np.float32), (20_000, 1))
    top = top_k(scores, np.arange(20_000), 2)
    assert (top[:, 0] == 0).all()
    assert abs(np.bincount(top[:, 1], minlength=5)[1:4] - 20_000 / 3).max() < 5 * np.sqrt(20_000 * 2 / 9)


def test_minus_zero_ties_with_zero():
    scores = np.tile(np.array([0.0, -0.0], np.float32), (1000, 1))
    assert abs(top_k(scores, USERS, 1).mean() - 0.5) < 0.1


def test_ties_follow_seed_and_user_and_not_the_batch():
    scores = np.random.default_rng(0).integers(0, 3, size=(1000, 30)).astype(np.float32)
    top = top_k(scores, USERS, 10)
    np.testing.assert_array_equal(top, top_k(scores, USERS, 10))
    halves = [top_k(scores[half], USERS[half], 10) for half in (slice(0, 500), slice(500, 1000))]
    np.testing.assert_array_equal(top, np.concatenate(halves))
    assert (top != top_k(scores, USERS, 10, seed=1)).any()
    assert (top != top_k(scores, USERS + 1, 10)).any()


def test_a_shorter_list_is_the_start_of_a_longer_one():
    scores = np.random.default_rng(0).integers(0, 3, size=(1000, 30)).astype(np.float32)
    np.testing.assert_array_equal(top_k(scores, USERS, 5), top_k(scores, USERS, 20)[:, :5])


def test_items_at_minus_infinity_are_never_listed():
    scores = np.array([[-np.inf, 2, -np.inf, -np.inf], [-np.inf] * 4, [1, 1, -np.inf, 0]], np.float32)
    top = top_k(scores, np.arange(3), 3)
    assert top[0].tolist() == [1, -1, -1]
    assert top[1].tolist() == [-1, -1, -1]
    assert set(top[2, :2]) == {0, 1}
    assert top[2, 2] == 3


def test_a_list_longer_than_the_catalogue_is_padded():
    assert top_k(np.array([[1.0, 1.0]], np.float32), np.array([0]), 4)[0, 2:].tolist() == [-1, -1]


def test_seen_items_and_items_that_are_not_candidates_are_masked():
    scores = np.arange(8, dtype=np.float32).reshape(2, 4)
    history = History.of_items([[3], [0, 1]])
    inf = np.inf
    assert mask_seen(scores, history).tolist() == [[0, 1, 2, -inf], [-inf, -inf, 6, 7]]
    assert mask_seen(scores, history, np.array([1, 3])).tolist() == [[-inf, 1, -inf, -inf], [-inf, -inf, -inf, 7]]
    assert scores.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


@pytest.mark.parametrize(("n_items", "k"), [(5000, 10), (5000, 50), (1001, 100), (256, 256), (300, 10)], ids=str)
@pytest.mark.parametrize("n_values", [3, 100, 10**6], ids=["many ties", "ties", "few ties"])
def test_equals_a_full_sort_with_ties_in_the_order_of_constant_scores(n_items, k, n_values):
    rng = np.random.default_rng(0)
    scores = rng.integers(0, n_values, (40, n_items)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.3] = -np.inf
    scores[0, : n_items - 3] = -np.inf
    users = rng.integers(-1, 1000, 40)
    top = top_k(scores, users, k)
    tie_orders = top_k(np.zeros_like(scores), users, n_items)
    for row, tie_order, listed in zip(scores, tie_orders, top, strict=True):
        best = np.lexsort((tie_order.argsort(), -row))[:k]
        assert listed.tolist() == np.where(row[best] > -np.inf, best, -1).tolist()
