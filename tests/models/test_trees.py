from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys.data.dataset import Dataset
from recsys.data.query import History, Pairs, Query
from recsys.data.split import Split
from recsys.data.splitters import Ratio
from recsys.errors import UserError
from recsys.models.base import FitContext, load
from recsys.models.bias import Bias
from recsys.models.feature_groups import Embeddings, People, Statistics, Time, feature_frame
from recsys.models.ials import IALS
from recsys.models.out_of_fold import out_of_fold_features
from recsys.models.popularity import Popularity
from recsys.models.rating_trees import GROUPS
from recsys.models.trees import GradientBoosting, RandomForest

N_USERS, N_ITEMS = 40, 30
BASE_MODELS = {
    "bias": {"_target_": "recsys.models.bias.Bias"},
    "item_knn": {"_target_": "recsys.models.rating_knn.RatingItemKNN"},
}
FURTHER = {
    "user_knn": {"_target_": "recsys.models.rating_knn.RatingUserKNN"},
    "biased_mf": {"_target_": "recsys.models.biased_mf.BiasedMF", "max_epochs": 2, "embedding_dim": 2},
    "svd_pp": {"_target_": "recsys.models.svd_pp.SVDPP", "max_epochs": 2, "embedding_dim": 2},
    "bayesian_mf": {
        "_target_": "recsys.models.bayesian_mf.BayesianMF",
        "embedding_dim": 2,
        "n_sweeps": 4,
        "burn_in": 2,
        "n_samples": 2,
    },
}
TEXTS = {"words": {"_target_": "recsys.data.text.TfidfEncoder", "n_components": 3}}
LIGHT = {"models": BASE_MODELS, "texts": TEXTS, "n_trees": 30, "min_samples_leaf": 5, "n_folds": 3, "n_segments": 3}


@pytest.fixture(scope="module")
def split() -> Split:
    """Half the users like the dramas among the items, half the comedies, each by two points of the rating."""
    rng = np.random.default_rng(0)
    users, items = (rng.random((N_USERS, N_ITEMS)) < 0.6).nonzero()
    likes = users % 2 == items % 2
    ratings = np.clip(np.round(3 + np.where(likes, 1, -1) + rng.normal(0, 0.5, len(users))), 1, 5)
    times = 874_000_000 + rng.integers(0, 10**7, len(users))
    dataset = Dataset.from_arrays(users, items, ratings, times, n_users=N_USERS, n_items=N_ITEMS, fingerprint="planted")
    user_columns = {"age": [20, None] * (N_USERS // 2), "gender": ["F", None, "M", "M"] * (N_USERS // 4)}
    item_columns = {"genres": [["Comedy"], ["Drama"]] * (N_ITEMS // 2), "year": range(1970, 1970 + N_ITEMS)}
    item_columns["directors"] = [["Ann", "Bo"], ["Cy"], []] * (N_ITEMS // 3)
    return Ratio()(
        replace(
            dataset,
            user_frame=dataset.user_frame.assign(**user_columns),
            item_frame=dataset.item_frame.assign(**item_columns).astype({"year": "Int16"}),
        )
    )


def rmse(model, split: Split) -> float:
    test = split.test.ratings
    query = split.test.known.query(np.arange(N_USERS))
    predicted = model.predict(Pairs(query, test.users, test.items, test.times))
    return float(np.sqrt(np.mean((predicted - test.ratings) ** 2)))


def training_frame(train: Dataset, **settings) -> pd.DataFrame:
    """Return the features that the trees would be fitted to."""
    frames = []

    def record(*arguments) -> pd.DataFrame:
        frames.append(out_of_fold_features(*arguments))
        raise InterruptedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recsys.models.rating_trees.out_of_fold_features", record)
        with pytest.raises(InterruptedError):
            GradientBoosting(**{**LIGHT, **settings}).fit(train)
    return frames[0]


@pytest.mark.parametrize("trees", [GradientBoosting, RandomForest])
def test_trees_find_planted_tastes_that_biases_cannot(trees, split: Split):
    train = split.refit_train
    assert rmse(trees(**LIGHT).fit(train), split) < 0.7 * rmse(Bias().fit(train), split)


def test_base_models_score_each_user_once_however_many_passes_the_pairs_take(split: Split, monkeypatch):
    model = GradientBoosting(**{**LIGHT, "models": {"user_knn": FURTHER["user_knn"]}}).fit(split.train)
    query, test = split.train.query(np.arange(N_USERS)), split.test.ratings
    pairs = Pairs(query, test.users, test.items, test.times)
    expected, expected_of_pairs = model.score(query), model.predict(pairs)
    base, sizes = model.base_models["user_knn"], []
    score = base.score
    monkeypatch.setattr(base, "score", lambda query: sizes.append(len(query)) or score(query))
    monkeypatch.setattr("recsys.models.rating_trees.PAIRS_PER_PASS", 3 * N_ITEMS)
    np.testing.assert_array_equal(model.score(query), expected)
    assert sizes == [3] * 13 + [1]
    monkeypatch.setattr("recsys.models.rating_trees.PAIRS_PER_PASS", len(pairs) // 10)
    sizes.clear()
    np.testing.assert_array_equal(model.predict(pairs), expected_of_pairs)
    assert N_USERS <= sum(sizes) < N_USERS + len(sizes)  # the last user of a pass can be the first of the next one


@pytest.mark.parametrize("trees", [GradientBoosting, RandomForest])
def test_shuffled_ratings_are_predicted_no_better_than_by_the_mean(trees, split: Split):
    """If features of a training rating depended on it, trees would trust features that predict nothing."""
    train = split.refit_train
    rng = np.random.default_rng(1)
    errors = []
    for _ in range(2):
        shuffled = replace(train, ratings=rng.permutation(train.ratings))
        errors.append(rmse(trees(**LIGHT).fit(shuffled), split))
    by_mean = np.sqrt(np.mean((train.ratings.mean() - split.test.ratings.ratings) ** 2))
    assert 0.98 * by_mean < np.mean(errors) < 1.2 * by_mean  # fitting noise can only increase the error


def test_features_of_a_training_rating_do_not_depend_on_it(split: Split):
    """The numbers of segments may, since they follow the segments of all training ratings."""
    train = split.train
    place = np.flatnonzero(train.ratings == 5)[20]
    ratings = train.ratings.copy()
    ratings[place] = 6 - ratings[place]
    changed = replace(train, ratings=ratings)
    before, after = (training_frame(part, models=BASE_MODELS | FURTHER) for part in (train, changed))
    own = [name for name in before if "segment" not in name]
    pd.testing.assert_series_equal(before.loc[place, own], after.loc[place, own])
    distances = [name for name in before if name.startswith("distance")]
    np.testing.assert_allclose(np.sort(before.loc[place, distances]), np.sort(after.loc[place, distances]), rtol=1e-5)
    assert (before["by bayesian_mf"] != after["by bayesian_mf"]).any()
    others = before["user mean"].to_numpy() != after["user mean"].to_numpy()
    assert set(train.users[others]) == {train.users[place]}  # features of the user's other ratings do change
    assert not others[place]


def test_without_later_ratings_features_describe_only_the_past(split: Split):
    train = split.train
    place = int(np.argsort(train.times)[len(train) // 2])
    user, time = train.users[[place]], train.times[[place]]
    history = train.history(user)
    before = history.times < time
    assert 0 < before.sum() < len(before) - 1
    model = GradientBoosting(**LIGHT, later_ratings=False).fit(train)
    reversed_later = np.where((train.users == user) & (train.times > time), 6 - train.ratings, train.ratings)
    frames = [
        model.feature_frame(Pairs(ratings.query(user), np.array([0]), train.items[[place]], time))
        for ratings in (train, replace(train, ratings=reversed_later.astype(np.float32)))
    ]
    pd.testing.assert_frame_equal(*frames)
    assert frames[0]["user ratings"].item() == before.sum()
    assert frames[0]["user mean"].item() == pytest.approx(history.ratings[before].mean())


def test_groups_that_are_switched_off_have_no_columns(split: Split):
    everything = set(training_frame(split.train))
    for group, column in {
        "statistics": "user mean",
        "demographics": "gender",
        "genres": "genres=Comedy",
        "people": "people 0",
        "texts": "words 0",
        "time": "hour",
        "segments": "segment",
        "predictions": "by item_knn",
    }.items():
        left = set(training_frame(split.train, features={group: False}))
        assert column in everything - left, group
        assert everything - left != everything
    assert training_frame(split.train, features=dict.fromkeys(GROUPS, False) | {"genres": True}).columns.tolist() == [
        "genres=Comedy",
        "genres=Drama",
    ]


def test_features_of_metadata_that_no_item_has_are_left_out(split: Split, caplog):
    items = split.train.item_frame.drop(columns=["genres", "year", "directors"]).assign(title=None)
    bare = replace(split.train, item_frame=items)
    with caplog.at_level("INFO"):
        model = RandomForest(**LIGHT).fit(bare)
    assert "no metadata for them: segments, texts" in caplog.text
    pairs = Pairs(bare.query(np.arange(N_USERS)), np.arange(N_USERS), np.zeros(N_USERS, int))
    assert np.isfinite(model.predict(pairs)).all()
    assert not {"texts", "segments"} & model.feature_names(pairs).keys()


def test_invalid_settings_are_errors():
    with pytest.raises(UserError, match=r"features must be one of statistics, demographics, .*got 'genre'"):
        RandomForest(features={"genre": False})
    with pytest.raises(UserError, match="n_folds must be at least 2"):
        RandomForest(n_folds=1)


def test_a_class_from_outside_the_project_cannot_be_a_base_model(split: Split):
    with pytest.raises(UserError, match=r"must name a class of recsys\.models .*os\.system"):
        RandomForest(models={"evil": {"_target_": "os.system"}}).fit(split.train)


def test_base_models_with_identical_fits_come_from_the_cache(split: Split, tmp_path: Path, monkeypatch):
    fits = []
    original = Bias.fit
    monkeypatch.setattr(Bias, "fit", lambda self, *given, **named: fits.append(1) or original(self, *given, **named))
    settings = {**LIGHT, "models": {"bias": BASE_MODELS["bias"]}, "features": {"statistics": False, "time": False}}
    context = FitContext(cache_dir=tmp_path)
    first = GradientBoosting(**settings).fit(split.train, split.valid, context)
    n_fits = len(fits)
    again = GradientBoosting(**settings).fit(split.train, split.valid, context)
    assert n_fits == 1 + LIGHT["n_folds"]
    assert len(fits) == n_fits
    query = split.train.query(np.arange(3))
    np.testing.assert_array_equal(first.score(query), again.score(query))


def test_a_refit_learns_from_the_new_ratings_with_refitted_base_models(split: Split):
    model = GradientBoosting(**LIGHT).fit(split.train)
    expected = GradientBoosting(**LIGHT).fit(split.refit_train)
    query = split.refit_train.query(np.arange(3))
    np.testing.assert_array_equal(model.refit(split.refit_train).score(query), expected.score(query))


def test_an_ensemble_of_trees_cannot_be_a_base_model(split: Split):
    models = {"forest": {"_target_": "recsys.models.trees.RandomForest"}}
    with pytest.raises(UserError, match=r"must not be ensembles of trees themselves \(got forest\)"):
        GradientBoosting(models=models).fit(split.train)


def test_a_saved_forest_is_loaded_only_if_trusted(split: Split, tmp_path: Path):
    RandomForest(**LIGHT).fit(split.train).save(tmp_path)
    with pytest.raises(UserError, match=r"RandomForest, which must be unpickled.* --trusted .*trusted=True"):
        load(tmp_path)
    assert isinstance(load(tmp_path, trusted=True), RandomForest)


class TestEmbeddings:
    @pytest.fixture
    def run(self, split: Split, tmp_path: Path) -> Path:
        """Return a directory with the model and the embeddings of a run of iALS."""
        IALS(embedding_dim=4).fit(split.train).save(tmp_path / "model")
        np.savez(tmp_path / "embeddings.npz", split=np.array(split.fingerprint))
        return tmp_path

    def test_vectors_product_and_cosine_are_columns(self, split: Split, run: Path):
        frame = training_frame(split.train, embeddings=str(run), models={})
        assert {f"user embedding {i}" for i in range(4)} | {f"item embedding {i}" for i in range(4)} < set(frame)
        vectors = [frame[[f"{side} embedding {i}" for i in range(4)]].to_numpy() for side in ("user", "item")]
        product = (vectors[0] * vectors[1]).sum(axis=1)
        np.testing.assert_allclose(frame["embeddings' product"], product, atol=1e-5)
        lengths = np.prod([np.linalg.norm(side, axis=1) for side in vectors], axis=0)
        np.testing.assert_allclose(frame["embeddings' cosine"], product / lengths, atol=1e-4)

    def test_a_rotated_space_is_rotated_back(self, split: Split, run: Path):
        """Trainings on different folds find the same space up to a rotation."""
        model = load(run / "model")
        other, rotated = Embeddings(model), Embeddings(model)
        rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
        rotated.users, rotated.items = rotated.users @ rotation, rotated.items @ rotation
        rotated.align(other, split.train)
        np.testing.assert_allclose(rotated.users, other.users, atol=1e-5)
        np.testing.assert_allclose(rotated.items, other.items, atol=1e-5)

    def test_embeddings_of_another_split_are_an_error(self, split: Split, run: Path):
        other = Ratio(seed=1)(split.dataset)
        with pytest.raises(UserError, match="must be of the same split"):
            GradientBoosting(**LIGHT, embeddings=str(run)).fit(other.train)

    def test_a_run_without_embeddings_is_an_error(self, split: Split, tmp_path: Path):
        Popularity().fit(split.train).save(tmp_path / "model")
        with pytest.raises(
            UserError, match=r"must hold embeddings .*: name a finished run of a model such as mf or ials"
        ):
            GradientBoosting(**LIGHT, embeddings=str(tmp_path)).fit(split.train)


class TestColumns:
    """User 0 rated item 0 with 5 on a Saturday noon and item 1 with 2 an hour later; user 1 has no ratings."""

    NOON = 874_756_800  # 20 September 1997, 12:00 UTC

    @pytest.fixture
    def train(self) -> Dataset:
        times = [self.NOON, self.NOON + 3600]
        train = Dataset.from_arrays([0, 0], [0, 1], [5.0, 2.0], times, n_users=2, n_items=3)
        item_frame = train.item_frame.assign(genres=[["War"], ["War", "Drama"], ["Drama"]], year=[1990, 1990, 1997])
        return replace(train, item_frame=item_frame)

    def pairs(self, train: Dataset, times: list[int] | None) -> Pairs:
        given = None if times is None else np.array(times)
        return Pairs(train.query(np.array([0, 1])), np.array([0, 0, 1]), np.array([2, 0, 2]), given)

    def test_time(self, train: Dataset):
        at = [self.NOON + 86_400, self.NOON + 7200, self.NOON]
        frame = Time().fit(train).transform(self.pairs(train, at))
        assert frame["weekday"].tolist() == [6, 5, 5]
        assert frame["hour"].tolist() == [12, 14, 12]
        assert frame["item year"].tolist() == [1997, 1990, 1997]
        np.testing.assert_allclose(frame["item age"], [0.72, 7.72, 0.72], atol=0.01)
        np.testing.assert_allclose(frame["days since the user's first rating"].iloc[:2], [1, 1 / 12])
        assert frame["days since the user's first rating"].iloc[2] == 0
        assert frame["user's ratings on the day"].tolist() == [0, 2, 0]

    def test_mood_is_the_damped_mean_residual_of_the_nearest_ratings(self, train: Dataset):
        group = Time().fit(train)
        history = train.history(np.array([0]))
        residuals = history.ratings - group.bias.mean - group.bias.item_bias[history.items]
        residuals -= group.bias.user_bias(history)
        frame = group.transform(self.pairs(train, [self.NOON] * 3))
        np.testing.assert_allclose(frame["user's mood"], [residuals.sum() / (2 + 5)] * 2 + [0], atol=1e-6)

    def test_pairs_without_times_are_at_the_time_of_the_last_rating(self, train: Dataset):
        frame = Time().fit(train).transform(self.pairs(train, None))
        assert frame["hour"].tolist()[:2] == [13, 13]
        assert frame.drop(columns=["item year", "user's mood", "user's ratings on the day"]).iloc[2].isna().all()

    def test_statistics(self, train: Dataset):
        frame = Statistics().fit(train).transform(self.pairs(train, None))
        assert frame["user mean"].tolist()[:2] == [3.5, 3.5]
        assert np.isnan(frame["user mean"][2])
        assert frame["user spread"][0] == 1.5
        assert frame["user ratings"].tolist() == [2, 2, 0]
        assert frame["item ratings"].tolist() == [0, 1, 0]
        assert frame["item mean"][1] == 5
        # item 0 belongs to War and the nineties by a half each, item 1 to War, Drama and the nineties by a third each
        assert frame["user's share of its kind"][1] == pytest.approx(((0.5 + 1 / 3) * 0.5 + (0.5 + 1 / 3) * 0.5) / 7)

    def test_numbers_are_float32(self, train: Dataset):
        frame = feature_frame([Statistics().fit(train)], self.pairs(train, None))
        assert set(frame.dtypes.astype(str)) == {"float32"}


def test_a_single_person_of_several_items_is_a_column():
    train = Dataset.from_arrays([0, 0, 0, 0], [0, 1, 2, 3], [5.0, 2.0, 3.0, 4.0])
    train = replace(train, item_frame=train.item_frame.assign(directors=[["Ann"], [], ["Ann"], ["Ann"]]))
    assert People().fit(train).items.to_numpy().tolist() == [[1], [0], [1], [1]]


def test_past_histories_end_before_the_time_of_each_pair():
    history = History(np.array([0, 3, 3, 4]), np.array([4, 5, 6, 7]), np.ones(4, np.float32), np.array([10, 20, 30, 5]))
    rows, times = np.array([0, 0, 0, 1, 2, 2]), np.array([9, 20, 99, 50, 5, 6])
    pairs = Pairs(Query(np.array([3, 8, 9]), history), rows, np.arange(6), times)
    past = pairs.with_past_histories()
    assert past.query.users.tolist() == [3, 3, 3, 8, 9, 9]
    assert past.rows.tolist() == list(range(6))
    assert past.query.history.lengths.tolist() == [0, 1, 3, 0, 0, 1]
    assert past.query.history.items.tolist() == [4, 4, 5, 6, 7]
    assert replace(pairs, times=None).with_past_histories().query.history.lengths.tolist() == [3, 3, 3, 0, 1, 1]


def test_a_user_without_a_history_has_the_same_scores_in_any_query(split: Split):
    model = GradientBoosting(**LIGHT).fit(split.train)
    known = split.train.history(np.array([0, 5]))
    histories = replace(known, indptr=np.append(known.indptr, known.indptr[-1]))  # the last row is empty
    [alone] = model.score(Query.of_histories(histories.select(np.array([2]))))
    for rows in ([0, 2], [1, 2], [2, 0], [0, 2, 1]):
        scores = model.score(Query.of_histories(histories.select(np.array(rows))))
        np.testing.assert_array_equal(scores[rows.index(2)], alone)


def test_an_unknown_user_and_an_empty_history_are_scored(split: Split):
    model = GradientBoosting(**LIGHT).fit(split.train)
    scores = model.score(Query(np.array([-1, 2]), History.of_items([[], [1, 2]])))
    assert scores.shape == (2, N_ITEMS)
    assert np.isfinite(scores).all()
