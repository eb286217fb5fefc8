"""Tests of finding, measuring, describing and storing segments, with planted segments and with noise."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from recsys.analysis.segments import study as study_module
from recsys.analysis.segments.measures import stability
from recsys.analysis.segments.spaces import RATINGS, points_of, rating_points
from recsys.analysis.segments.stored import StoredSegments, read_segments, with_segments
from recsys.analysis.segments.study import SegmentStudy
from recsys.analysis.segments.traits import Trait, segment_names, trait_effects
from recsys.analysis.segments.verdict import favourites, other_number, verdict
from recsys.data.dataset import Dataset
from recsys.data.query import History
from recsys.data.split import TEST, Split
from recsys.data.splitters import LeaveOneOut
from recsys.errors import UserError
from recsys.models.mf import MF
from recsys.models.segmentation import Segmentation

GENRES = ("War", "Comedy", "Horror")


@pytest.fixture
def planted() -> Dataset:
    """Ninety users who prefer one of three genres; those who prefer comedies are women and give one star more."""
    rng = np.random.default_rng(0)
    tastes, genres = np.arange(90) % 3, np.arange(45) % 3
    users, items = (rng.random((90, 45)) < np.where(tastes[:, None] == genres, 0.6, 0.05)).nonzero()
    stars = rng.integers(2, 5, len(users)) + (tastes[users] == 1)
    ratings = Dataset.from_arrays(users, items, stars, n_users=90, n_items=45, fingerprint="planted")
    films = ratings.item_frame.assign(genres=[[GENRES[genre]] for genre in genres])
    people = ratings.user_frame.assign(gender=pd.Categorical(np.where(tastes == 1, "F", "M")))
    return replace(ratings, item_frame=films, user_frame=people)


@pytest.fixture
def per_user() -> pd.DataFrame:
    """Metrics of a model that hits for all users but those who prefer war films."""
    return pd.DataFrame({"user_id": np.arange(90), "hr@10": (np.arange(90) % 3 > 0).astype(float), "auc": 0.5})


@pytest.fixture
def study() -> SegmentStudy:
    return SegmentStudy(Segmentation(3), space=RATINGS, max_k=5, n_bootstraps=4)


@pytest.fixture
def points(planted) -> np.ndarray:
    return rating_points(planted, planted.history(np.arange(90)))


@pytest.fixture
def found(study, planted, points, per_user):
    return study.find(points, planted, per_user)


def blobs(spread: float) -> np.ndarray:
    return np.eye(8)[np.arange(120) % 3] + spread * np.random.default_rng(0).normal(size=(120, 8))


def test_separate_groups_are_stable_and_noise_is_not():
    for spread, low, high in ((0.05, 0.99, 1.0), (50, -0.1, 0.6)):
        points = blobs(spread)
        segmentation = Segmentation(3)
        labels = segmentation.fit(points).predict(points)
        assert low <= stability(segmentation, points, labels, 5).mean <= high


def test_every_measure_favours_the_planted_number(found):
    assert favourites(found.measures) == dict.fromkeys(
        ("silhouette", "davies_bouldin", "calinski_harabasz", "stability"), 3
    )
    assert found.measures["k"].tolist() == [2, 3, 4, 5]


@pytest.mark.parametrize(
    ("stability", "silhouette", "words"),
    [
        (
            0.98,
            0.22,
            r"are a repeatable division .*, not separate groups: .* agrees with .*, but they are not separated",
        ),
        (0.98, 0.4, r"are groups that recur, with blurred borders: .* agrees with .*, and they are partly separated"),
        (0.9, 0.6, r"are separate groups that recur: .* agrees with .*, and they are well separated"),
        (0.7, 0.1, r"recurs in part, not separate groups: .* agrees in part .*, and they are not separated"),
        (0.7, 0.3, r"groups that recur in part, with blurred borders: .*, and they are partly separated"),
        (0.7, 0.6, r"are separate groups that recur in part: .*, and they are well separated"),
        (0.41, 0.1, r"depend on the sample of the users: .* hardly agrees .*, and they are not separated"),
        (0.41, 0.4, r"depend on the sample .*0.41 ± 0.05.*, but they are partly separated \(silhouette 0.40\)"),
        (0.41, 0.6, r"depend on the sample of the users: .* hardly agrees .*, but they are well separated"),
    ],
)
def test_the_verdict_fits_both_measures_without_contradiction(stability, silhouette, words):
    ends = {"low": stability - 0.05, "high": stability + 0.05}
    assert re.search(words, verdict({"k": 7, "stability": stability, "silhouette": silhouette, **ends}))


def measured(*rows: tuple[int, float, float, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["k", "silhouette", "davies_bouldin", "calinski_harabasz", "stability"])


def test_another_number_that_most_measures_mark_is_named_with_the_setting_that_chooses_it():
    measures = measured((2, 0.31, 1.0, 90, 0.985), (4, 0.22, 1.5, 70, 0.99), (7, 0.2, 1.6, 50, 0.6))
    said = other_number(measures, 7)
    assert "3 of the 4 measures mark 2 segments as best (silhouette 0.31, stability 0.98)" in said
    assert "segments.n_segments=2" in said
    assert "Few segments often win" in said
    unanimous = measures.assign(stability=[1.0, 0.9, 0.6])
    assert other_number(unanimous, 7).startswith("All 4 measures mark 2 segments")


def test_no_other_number_is_named_if_most_measures_mark_the_found_one_or_the_measures_disagree():
    measures = measured((2, 0.31, 1.0, 90, 0.9), (4, 0.22, 1.5, 70, 0.95))
    assert other_number(measures, 2) is None
    split = measured((2, 0.31, 1.0, 60, 0.9), (4, 0.22, 1.5, 70, 0.95), (7, 0.2, 1.6, 50, 0.6))
    assert other_number(split, 7) is None


def test_planted_segments_are_named_by_their_tastes(found):
    by_genre = {profile.name.split(",")[0]: profile for profile in found.profiles}
    assert set(by_genre) == set(GENRES)
    assert "more women" in by_genre["Comedy"].name or "generous raters" in by_genre["Comedy"].name
    assert by_genre["Comedy"].distinctions[0].effect > 1
    assert {profile.n_users for profile in found.profiles} == {30}


def test_typical_films_belong_to_the_segments_genre(found, planted):
    genre_of = dict(zip(planted.item_frame["title"], planted.item_frame["genres"].str[0], strict=True))
    for profile in found.profiles:
        assert {genre_of[film.name] for film in profile.films} == {profile.name.split(",")[0]}
        assert profile.films[0].lift > 1.3


def test_profiles_have_the_models_metrics_and_the_number_of_tested_users(found):
    for profile in found.profiles:
        assert profile.metrics.keys() == {"hr@10"}
        assert profile.metrics["hr@10"].mean == float(not profile.name.startswith("War"))
        assert profile.n_tested == 30


def test_similar_segments_have_distinct_names():
    traits = [Trait(label, label, "", True, str) for label in ("War", "Comedy", "Horror")]
    names = segment_names(traits, np.array([[2, 1, 0.5], [2, 1, 0.1], [0.1, 0.1, 0.1], [0.0, 0.1, 0.1]]))
    assert names == ["War and Comedy and Horror", "War and Comedy", "Near the average (1)", "Near the average (2)"]


def test_effects_are_in_standard_deviations_over_all_users():
    effects = trait_effects(np.array([[0.0, 7], [0, 7], [2, 7], [2, 7]]), np.array([0, 0, 1, 1]))
    np.testing.assert_allclose(effects, [[-1, 0], [1, 0]])


def test_test_ratings_never_enter_profiles(planted):
    split = LeaveOneOut()(planted)
    test = split.labels == TEST
    other = replace(planted, ratings=np.where(test, 1.0, planted.ratings).astype(np.float32))
    users = np.arange(90)
    for part in ("train", "refit_train"):
        known, altered = getattr(split, part), getattr(replace(split, dataset=other), part)
        np.testing.assert_array_equal(
            rating_points(known, known.history(users)), rating_points(altered, altered.history(users))
        )


def store(study, split: Split, found, directory) -> None:
    (directory / "segments").mkdir()
    names = [profile.name for profile in found.profiles]
    segments = StoredSegments(study.segments, names, study.space, split.refit_train.fingerprint)
    segments.write(directory / "segments", split.dataset.user_frame["user_id"], found)


def test_stored_segments_assign_users_as_the_fitted_ones_did(study, planted, points, found, tmp_path):
    store(study, LeaveOneOut()(planted), found, tmp_path)
    stored = read_segments(tmp_path)
    np.testing.assert_array_equal(stored.segmentation.predict(points), found.labels)
    one = points_of(RATINGS, MF(), planted, planted.history(np.array([4])))
    assert stored.segmentation.predict(one) == found.labels[4]
    written = json.loads((tmp_path / "segments" / "segments.json").read_text())
    assert written["names"] == [profile.name for profile in found.profiles]
    assert written["ratings"].endswith("/train+valid")


def test_the_names_of_segments_are_joined_to_the_users_of_a_split(study, planted, found, tmp_path):
    split = LeaveOneOut()(planted)
    store(study, split, found, tmp_path)
    joined = with_segments(split, tmp_path)
    names = [found.profiles[label].name for label in found.labels]
    assert joined.test.known.user_frame["segment"].tolist() == names
    assert joined.fingerprint == split.fingerprint


def test_segments_of_another_split_are_refused(study, planted, found, tmp_path):
    store(study, LeaveOneOut()(planted), found, tmp_path)
    with pytest.raises(UserError, match="found in another split"):
        with_segments(LeaveOneOut(seed=1)(planted), tmp_path)


def test_the_error_for_a_run_without_segments_says_how_to_find_them(planted, tmp_path):
    with pytest.raises(UserError, match=r"python -m recsys segments"):
        with_segments(LeaveOneOut()(planted), tmp_path)


def test_a_model_that_does_not_embed_histories_cannot_place_new_users(planted):
    with pytest.raises(UserError, match=r"MF cannot embed new users.*space=ratings"):
        points_of("embeddings", MF(), planted, History.of_items([[0]]))


def test_users_without_ratings_are_in_no_segment(study, planted, points, per_user):
    some = planted.select(planted.users >= 6)
    assert study.find(points, some, per_user).users.tolist() == list(range(6, 90))


def test_a_method_that_finds_no_segments_is_an_error(planted, per_user):
    noise = np.random.default_rng(0).normal(size=(90, 8))
    with pytest.raises(UserError, match="hdbscan finds no segments among 90 users"):
        SegmentStudy(Segmentation(2, "hdbscan")).find(noise, planted, per_user)


@pytest.mark.parametrize(
    ("setting", "words"),
    [({"space": "films"}, "space.*films"), ({"map": "umap"}, "map.*umap"), ({"max_k": 1}, "max_k must be at least 2")],
)
def test_unknown_settings_are_refused(setting, words):
    with pytest.raises(UserError, match=words):
        SegmentStudy(Segmentation(), **setting)


@pytest.mark.parametrize(("parallel_from", "n_threads"), [(1_000_000, {1}), (1, {2})])
def test_few_points_are_clustered_by_one_thread(
    parallel_from, n_threads, study, planted, points, per_user, monkeypatch
):
    used = set()

    def measure(*arguments) -> pd.DataFrame:
        used.update(library["num_threads"] for library in threadpool_info())
        return pd.DataFrame()

    monkeypatch.setattr(study_module, "measure", measure)
    monkeypatch.setattr(study_module, "PARALLEL_FROM", parallel_from)
    with threadpool_limits(2):
        study.find(points, planted, per_user)
    assert used == n_threads
