import numpy as np
import pytest

from recsys.metrics.beyond_accuracy import (
    cosine_diversity,
    coverage,
    gini,
    jaccard_diversity,
    mean_popularity,
    miscalibration,
    novelty,
)

LISTS = np.array([[0, 1, 2], [2, 3, -1], [3, -1, -1], [-1, -1, -1]])
COUNTS = np.array([8, 4, 2, 0])


def test_novelty_is_the_mean_self_information():
    # With 8 users the items have 0, 1 and 2 bits; the last, without ratings, counts as rated once: 3 bits.
    assert novelty(LISTS, COUNTS, n_users=8).tolist() == [1.0, 2.5, 3.0, 0.0]


def test_mean_popularity_is_the_mean_number_of_ratings():
    assert mean_popularity(LISTS, COUNTS).tolist() == [14 / 3, 1.0, 0.0, 0.0]


def test_jaccard_diversity_worked_by_hand():
    genres = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]], np.float32)
    # 0 and 1 share one of two genres; all other pairs share none.
    assert jaccard_diversity(LISTS, genres).tolist() == pytest.approx([(0.5 + 1 + 1) / 3, 1.0, 0.0, 0.0])
    assert jaccard_diversity(np.array([[0, 1]]), genres[[0, 0]]).tolist() == [0.0]


def test_cosine_diversity_worked_by_hand():
    embeddings = np.array([[2, 0], [0, 3], [1, 1], [-1, -1]], np.float32)
    half = 1 - np.sqrt(0.5)
    assert cosine_diversity(LISTS, embeddings) == pytest.approx([(1 + 2 * half) / 3, 2.0, 0.0, 0.0], abs=1e-6)


@pytest.mark.parametrize(
    ("exposure", "expected_coverage", "expected_gini"),
    [([5, 5, 5, 5], 1.0, 0.0), ([0, 0, 0, 8], 0.25, 0.75), ([1, 3], 1.0, 0.25), ([0, 4, 0, 4], 0.5, 0.5)],
)
def test_coverage_and_gini_worked_by_hand(exposure, expected_coverage, expected_gini):
    assert coverage(np.array(exposure)) == expected_coverage
    assert gini(np.array(exposure)) == expected_gini


def test_gini_equals_the_mean_absolute_difference():
    exposure = np.random.default_rng(0).integers(0, 50, 200)
    differences = np.abs(exposure[:, None] - exposure).mean()
    assert gini(exposure) == pytest.approx(differences / (2 * exposure.mean()))


def test_miscalibration_is_the_divergence_of_genres_worked_by_hand():
    item_distributions = np.array([[1, 0], [0, 1], [0.5, 0.5], [0, 0]])
    user_distributions = np.array([[0.5, 0.5], [0.75, 0.25], [1, 0], [1, 0], [0, 0]])
    lists = np.array([[0, 1], [2, 3], [1, -1], [3, -1], [0, 1]])
    smoothed = 0.99 * 0.5 + 0.01 * np.array([0.75, 0.25])
    of_second = 0.75 * np.log(0.75 / smoothed[0]) + 0.25 * np.log(0.25 / smoothed[1])
    missed = np.log(1 / 0.01)
    measured = miscalibration(lists, user_distributions, item_distributions)
    np.testing.assert_allclose(measured, [0, of_second, missed, missed, 0], atol=1e-12)
