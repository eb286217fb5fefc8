"""Segments of planted groups and of noise; rating profiles worked by hand."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from recsys.data.dataset import Dataset
from recsys.data.query import History
from recsys.errors import UserError
from recsys.models.rating_profiles import ITEM_DAMPING, PROFILE_DAMPING, RatingProfiles, damped_item_means
from recsys.models.segmentation import Segmentation

METHODS = ("kmeans", "gaussian_mixture", "agglomerative", "hdbscan")


@pytest.fixture
def groups() -> tuple[np.ndarray, np.ndarray]:
    """Return three groups of 40 points in 5 dimensions, far from each other, and the labels of the points."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 40)
    return 10 * np.eye(5)[labels] + rng.normal(size=(120, 5)), labels


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_planted_groups(groups, method):
    points, labels = groups
    segmentation = Segmentation(3, method).fit(points)
    assert adjusted_rand_score(labels, segmentation.predict(points)) > 0.99


@pytest.mark.parametrize("method", METHODS)
def test_a_restored_segmentation_predicts_identically(groups, method):
    fitted = Segmentation(3, method, n_components=2).fit(groups[0])
    restored = Segmentation(3, method, n_components=2).restore(fitted.arrays())
    others = np.random.default_rng(1).normal(3, 5, (50, 5))
    np.testing.assert_array_equal(restored.predict(others), fitted.predict(others))


def test_a_points_segment_does_not_depend_on_the_other_points(groups):
    fitted = Segmentation(3, "gaussian_mixture").fit(groups[0])
    np.testing.assert_array_equal(fitted.predict(groups[0][50:51]), fitted.predict(groups[0])[50:51])


def test_distances_are_to_the_centres(groups):
    points, labels = groups
    fitted = Segmentation(3).fit(points)
    nearest = fitted.distances(points).argmin(axis=1)
    np.testing.assert_array_equal(nearest, fitted.predict(points))
    to_means = np.linalg.norm(points[:, None] - [points[labels == label].mean(axis=0) for label in range(3)], axis=2)
    np.testing.assert_allclose(
        np.sort(fitted.distances(points)), np.sort(to_means)
    )  # all five dimensions are used, so distances are the same


def test_hdbscan_stores_the_share_of_noise(groups):
    far = np.full((12, 5), 100.0) * np.arange(1, 13)[:, None]
    fitted = Segmentation(3, "hdbscan").fit(np.concatenate([groups[0], far]))
    assert fitted.noise >= 12 / 132


def test_more_segments_than_users_are_an_error(groups):
    with pytest.raises(UserError, match=r"n_segments must be from 2 to 4, given 5 users \(got 7\)"):
        Segmentation(7).fit(groups[0][:5])


def test_hdbscan_puts_pure_noise_in_one_segment():
    points = np.random.default_rng(0).normal(size=(60, 8))
    fitted = Segmentation(2, "hdbscan").fit(points)
    assert fitted.noise == 1
    assert not fitted.predict(points).any()


@pytest.mark.parametrize("method", METHODS)
def test_segments_are_numbered_by_size(method):
    points = 20 * np.eye(4)[np.repeat(range(4), (10, 40, 20, 30))] + np.random.default_rng(0).normal(size=(100, 4))
    assert np.bincount(Segmentation(4, method).fit(points).predict(points)).tolist() == [40, 30, 20, 10]


def test_an_unknown_method_names_the_known_ones():
    with pytest.raises(UserError, match="method must be one of kmeans"):
        Segmentation(method="kmean")


@pytest.fixture
def ratings() -> Dataset:
    """Return two users and four items: war, war and comedy, comedy, and one without a genre."""
    ratings = Dataset.from_arrays([0, 0, 1, 1, 1], [0, 1, 1, 2, 3], [5, 4, 2, 3, 1])
    item_frame = ratings.item_frame.assign(
        genres=[["War"], ["War", "Comedy"], ["Comedy"], []], year=[1950, 1951, 1990, 1991]
    )
    return replace(ratings, item_frame=item_frame)


def test_profiles_are_shares_and_ratings_by_genre_and_decade_less_the_average(ratings):
    means = damped_item_means(ratings)
    assert means[0] == pytest.approx(3 + (5 - 3) / (1 + ITEM_DAMPING))
    shares = np.zeros((4, 5))  # Comedy, War, none, 1950s, 1990s
    for item, columns in enumerate(([1, 3], [0, 1, 3], [0, 4], [2, 4])):
        shares[item, columns] = 1 / len(columns)
    frequencies = (shares[[0, 1]] - shares[ratings.items].mean(axis=0)).sum(axis=0)
    above = np.array([5, 4]) - means[[0, 1]]
    preferences = (above - above.mean()) @ shares[[0, 1]]
    by_hand = np.concatenate([frequencies, preferences]) / (2 + PROFILE_DAMPING)
    profile = RatingProfiles().fit(ratings).transform(ratings.history(np.array([0])))[0]
    np.testing.assert_allclose(np.sort(profile), np.sort(by_hand), atol=1e-6)  # the columns are in another order


def test_an_empty_history_has_the_average_profile(ratings):
    profile = RatingProfiles().fit(ratings).transform(History.of_items([[]]))
    assert profile.shape == (1, 10)
    assert not profile.any()


def test_a_strict_rater_has_the_profile_of_a_generous_one_with_the_same_taste(ratings):
    profiles = RatingProfiles().fit(ratings)
    high = np.array([4, 5, 3, 4], np.float32)
    strict, generous = (
        profiles.transform(History(np.array([0, 4]), np.arange(4), given)) for given in (high - 2, high)
    )
    np.testing.assert_allclose(strict, generous, atol=1e-6)
    assert generous.any()


def test_restored_profiles_are_the_same(ratings):
    profiles = RatingProfiles().fit(ratings)
    history = ratings.history(np.arange(2))
    np.testing.assert_array_equal(
        RatingProfiles().restore(profiles.arrays()).transform(history), profiles.transform(history)
    )


def test_profiles_need_genres_or_years(timed):
    with pytest.raises(UserError, match="must have genres or years"):
        RatingProfiles().fit(timed)
