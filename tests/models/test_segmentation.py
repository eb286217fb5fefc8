"""Segments of planted groups and of noise; profiles of ratings against a slow loop."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from recsys.data.dataset import Dataset, History
from recsys.errors import UserError
from recsys.models.segmentation import FILM_DAMPING, PROFILE_DAMPING, RatingProfiles, Segmentation, film_means

METHODS = ("kmeans", "gaussian_mixture", "agglomerative", "hdbscan")


@pytest.fixture
def groups() -> tuple[np.ndarray, np.ndarray]:
    """Three groups of 40 points in 5 dimensions, far from each other, and which is whose."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 40)
    return 10 * np.eye(5)[labels] + rng.normal(size=(120, 5)), labels


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_groups_that_are_there(groups, method):
    points, labels = groups
    segmentation = Segmentation(3, method).fit(points)
    assert adjusted_rand_score(labels, segmentation.assign(points)) > 0.99


@pytest.mark.parametrize("method", METHODS)
def test_a_restored_segmentation_assigns_identically(groups, method):
    fitted = Segmentation(3, method, n_components=2).fit(groups[0])
    restored = Segmentation(3, method, n_components=2).restore(fitted.arrays())
    strangers = np.random.default_rng(1).normal(3, 5, (50, 5))
    np.testing.assert_array_equal(restored.assign(strangers), fitted.assign(strangers))


def test_whose_segment_it_is_does_not_depend_on_who_else_is_asked_for(groups):
    fitted = Segmentation(3, "gaussian_mixture").fit(groups[0])
    np.testing.assert_array_equal(fitted.assign(groups[0][50:51]), fitted.assign(groups[0])[50:51])


def test_distances_are_to_the_centres(groups):
    points, labels = groups
    fitted = Segmentation(3).fit(points)
    nearest = fitted.distances(points).argmin(axis=1)
    np.testing.assert_array_equal(nearest, fitted.assign(points))
    to_means = np.linalg.norm(points[:, None] - [points[labels == label].mean(axis=0) for label in range(3)], axis=2)
    np.testing.assert_allclose(np.sort(fitted.distances(points)), np.sort(to_means))  # five dimensions keep distances


def test_hdbscan_tells_how_many_are_noise(groups):
    far = np.full((12, 5), 100.0) * np.arange(1, 13)[:, None]
    fitted = Segmentation(3, "hdbscan").fit(np.concatenate([groups[0], far]))
    assert fitted.noise >= 12 / 132


def test_fewer_users_than_segments_are_refused(groups):
    with pytest.raises(UserError, match="7 segments cannot be made of 5 users"):
        Segmentation(7).fit(groups[0][:5])


def test_noise_alone_is_one_segment_to_hdbscan():
    points = np.random.default_rng(0).normal(size=(60, 8))
    fitted = Segmentation(2, "hdbscan").fit(points)
    assert fitted.noise == 1
    assert not fitted.assign(points).any()


@pytest.mark.parametrize("method", METHODS)
def test_segments_are_numbered_by_size(method):
    points = 20 * np.eye(4)[np.repeat(range(4), (10, 40, 20, 30))] + np.random.default_rng(0).normal(size=(100, 4))
    assert np.bincount(Segmentation(4, method).fit(points).assign(points)).tolist() == [40, 30, 20, 10]


def test_an_unknown_method_is_refused():
    with pytest.raises(UserError, match="method=kmean is not known: choose one of kmeans"):
        Segmentation(method="kmean")


@pytest.fixture
def ratings() -> Dataset:
    """Two users, four films: war, war and comedy, comedy, and one of no genre."""
    ratings = Dataset.from_arrays([0, 0, 1, 1, 1], [0, 1, 1, 2, 3], [5, 4, 2, 3, 1])
    films = ratings.item_frame.assign(
        genres=[["War"], ["War", "Comedy"], ["Comedy"], []], year=[1950, 1951, 1990, 1991]
    )
    return replace(ratings, item_frame=films)


def test_profiles_are_shares_and_stars_by_genre_and_decade_less_everybodys(ratings):
    means = film_means(ratings)
    assert means[0] == pytest.approx(3 + (5 - 3) / (1 + FILM_DAMPING))
    shares = np.zeros((4, 5))  # Comedy, War, none, 1950s, 1990s
    for film, columns in enumerate(([1, 3], [0, 1, 3], [0, 4], [2, 4])):
        shares[film, columns] = 1 / len(columns)
    watched = (shares[[0, 1]] - shares[ratings.items].mean(axis=0)).sum(axis=0)
    above = np.array([5, 4]) - means[[0, 1]]
    liked = (above - above.mean()) @ shares[[0, 1]]
    by_hand = np.concatenate([watched, liked]) / (2 + PROFILE_DAMPING)
    profile = RatingProfiles().fit(ratings).of(ratings.history(np.array([0])))[0]
    np.testing.assert_allclose(np.sort(profile), np.sort(by_hand), atol=1e-6)  # columns stand in another order


def test_somebody_of_whom_nothing_is_known_is_average(ratings):
    profile = RatingProfiles().fit(ratings).of(History.of_items([[]]))
    assert profile.shape == (1, 10)
    assert not profile.any()


def test_a_strict_rater_has_the_profile_of_a_generous_one_with_the_same_taste(ratings):
    profiles = RatingProfiles().fit(ratings)
    stars = np.array([4, 5, 3, 4], np.float32)
    strict, generous = (profiles.of(History(np.array([0, 4]), np.arange(4), given)) for given in (stars - 2, stars))
    np.testing.assert_allclose(strict, generous, atol=1e-6)
    assert generous.any()


def test_restored_profiles_are_the_same(ratings):
    profiles = RatingProfiles().fit(ratings)
    history = ratings.history(np.arange(2))
    np.testing.assert_array_equal(RatingProfiles().restore(profiles.arrays()).of(history), profiles.of(history))


def test_films_of_which_nothing_is_told_make_no_profiles(timed):
    with pytest.raises(UserError, match="genres and years"):
        RatingProfiles().fit(timed)
