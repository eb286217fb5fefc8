from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys.data.dataset import Dataset, History
from recsys.data.split import Split
from recsys.data.splitters import Ratio
from recsys.errors import UserError
from recsys.models.base import FitContext, load
from recsys.models.bias import Bias
from recsys.models.features import Embeddings, Pairs, Statistics, Time, concatenated
from recsys.models.ials import IALS
from recsys.models.popularity import Popularity
from recsys.models.trees import GROUPS, GradientBoosting, RandomForest

N_USERS, N_ITEMS = 40, 30
BENEATH = {
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
LIGHT = {"models": BENEATH, "texts": TEXTS, "n_trees": 30, "min_samples_leaf": 5, "n_folds": 3, "n_segments": 3}


@pytest.fixture(scope="module")
def split() -> Split:
    """Half the users like dramas of the odd films, half the comedies of the even ones, all by two stars."""
    rng = np.random.default_rng(0)
    users, items = (rng.random((N_USERS, N_ITEMS)) < 0.6).nonzero()
    likes = users % 2 == items % 2
    stars = np.clip(np.round(3 + np.where(likes, 1, -1) + rng.normal(0, 0.5, len(users))), 1, 5)
    times = 874_000_000 + rng.integers(0, 10**7, len(users))
    dataset = Dataset.from_arrays(users, items, stars, times, n_users=N_USERS, n_items=N_ITEMS, fingerprint="planted")
    person = {"age": [20, None] * (N_USERS // 2), "gender": ["F", None, "M", "M"] * (N_USERS // 4)}
    film = {"genres": [["Comedy"], ["Drama"]] * (N_ITEMS // 2), "year": range(1970, 1970 + N_ITEMS)}
    film["directors"] = [["Ann", "Bo"], ["Cy"], []] * (N_ITEMS // 3)
    return Ratio()(
        replace(
            dataset,
            user_frame=dataset.user_frame.assign(**person),
            item_frame=dataset.item_frame.assign(**film).astype({"year": "Int16"}),
        )
    )


def rmse(model, split: Split) -> float:
    users, test = np.arange(N_USERS), split.test.ratings
    history = split.test.known.history(users)
    predicted = model.predict(users, history, test.users, test.items, test.times)
    return float(np.sqrt(np.mean((predicted - test.ratings) ** 2)))


def training_frame(train: Dataset, **settings) -> pd.DataFrame:
    """What the trees learned from."""
    frames = []

    class Watching(GradientBoosting):
        def _cross_fitted(self, *arguments):
            frames.append(super()._cross_fitted(*arguments))
            return frames[0]

    Watching(**{**LIGHT, **settings}).fit(train)
    return frames[0]


@pytest.mark.parametrize("trees", [GradientBoosting, RandomForest])
def test_trees_find_what_is_planted_where_biases_cannot(trees, split: Split):
    train = split.refit_train
    assert rmse(trees(**LIGHT).fit(train), split) < 0.7 * rmse(Bias().fit(train), split)


@pytest.mark.parametrize("trees", [GradientBoosting, RandomForest])
def test_shuffled_stars_are_predicted_no_better_than_by_the_mean(trees, split: Split):
    """Were a training rating among what it is described by, trees would trust features that tell nothing."""
    train = split.refit_train
    rng = np.random.default_rng(1)
    errors = []
    for _ in range(3):
        shuffled = replace(train, ratings=rng.permutation(train.ratings))
        errors.append(rmse(trees(**LIGHT).fit(shuffled), split))
    by_mean = np.sqrt(np.mean((train.ratings.mean() - split.test.ratings.ratings) ** 2))
    assert 0.98 * by_mean < np.mean(errors) < 1.2 * by_mean  # chance can only be followed to one's cost


def test_what_describes_a_training_rating_does_not_depend_on_it(split: Split, tmp_path: Path):
    """Though segments' numbers may, which are like those of everybody's segments."""
    train = split.train
    place = np.flatnonzero(train.ratings == 5)[20]
    stars = train.ratings.copy()
    stars[place] = 6 - stars[place]
    changed = replace(train, ratings=stars)
    before, after = (training_frame(part, models=BENEATH | FURTHER) for part in (train, changed))
    own = [name for name in before if "segment" not in name]
    pd.testing.assert_series_equal(before.loc[place, own], after.loc[place, own])
    distances = [name for name in before if name.startswith("distance")]
    np.testing.assert_allclose(np.sort(before.loc[place, distances]), np.sort(after.loc[place, distances]), rtol=1e-5)
    assert (before["by bayesian_mf"] != after["by bayesian_mf"]).any()
    others = before["user mean"].to_numpy() != after["user mean"].to_numpy()
    assert set(train.users[others]) == {train.users[place]}  # the user's other ratings see the change
    assert not others[place]


def test_groups_that_are_switched_off_leave_no_column(split: Split):
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


def test_unusable_settings_are_refused():
    with pytest.raises(UserError, match="no group of features 'genre': there are statistics, demographics"):
        RandomForest(features={"genre": False})
    with pytest.raises(UserError, match="n_folds=1 leaves nothing"):
        RandomForest(n_folds=1)


def test_a_model_outside_the_project_is_not_put_beneath(split: Split):
    with pytest.raises(UserError, match=r"no model 'os\.system'"):
        RandomForest(models={"evil": {"_target_": "os.system"}}).fit(split.train)


def test_models_beneath_come_from_the_cache_where_they_were_fitted_before(split: Split, tmp_path: Path, monkeypatch):
    fits = []
    plain = Bias.fit
    monkeypatch.setattr(Bias, "fit", lambda self, *given, **named: fits.append(1) or plain(self, *given, **named))
    settings = {**LIGHT, "models": {"bias": BENEATH["bias"]}, "features": {"statistics": False, "time": False}}
    context = FitContext(cache_dir=tmp_path)
    first = GradientBoosting(**settings).fit(split.train, split.valid, context)
    n_fits = len(fits)
    again = GradientBoosting(**settings).fit(split.train, split.valid, context)
    assert n_fits == 1 + LIGHT["n_folds"]
    assert len(fits) == n_fits
    users = np.arange(3)
    history = split.train.history(users)
    np.testing.assert_array_equal(first.score(users, history), again.score(users, history))


def test_a_saved_forest_is_loaded_only_where_it_is_trusted(split: Split, tmp_path: Path):
    RandomForest(**LIGHT).fit(split.train).save(tmp_path)
    with pytest.raises(UserError, match=r"RandomForest, which is unpickled .* trusted=True .*--trusted"):
        load(tmp_path)
    assert isinstance(load(tmp_path, trusted=True), RandomForest)


class TestEmbeddings:
    @pytest.fixture
    def run(self, split: Split, tmp_path: Path) -> Path:
        """What a run of iALS leaves."""
        IALS(embedding_dim=4).fit(split.train).save(tmp_path / "model")
        np.savez(tmp_path / "embeddings.npz", split=np.array(split.fingerprint))
        return tmp_path

    def test_vectors_product_and_cosine_are_columns(self, split: Split, run: Path):
        frame = training_frame(split.train, embeddings=str(run), models={})
        assert {f"user embedding {i}" for i in range(4)} | {f"film embedding {i}" for i in range(4)} < set(frame)
        vectors = [frame[[f"{side} embedding {i}" for i in range(4)]].to_numpy() for side in ("user", "film")]
        product = (vectors[0] * vectors[1]).sum(axis=1)
        np.testing.assert_allclose(frame["embeddings' product"], product, atol=1e-5)
        lengths = np.prod([np.linalg.norm(side, axis=1) for side in vectors], axis=0)
        np.testing.assert_allclose(frame["embeddings' cosine"], product / lengths, atol=1e-4)

    def test_a_space_that_was_turned_is_turned_back(self, split: Split, run: Path):
        """Trainings on different folds find the same space turned at will."""
        model = load(run / "model")
        straight, turned = Embeddings(model), Embeddings(model)
        turn = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
        turned.users, turned.films = turned.users @ turn, turned.films @ turn
        turned.align(straight, split.train)
        np.testing.assert_allclose(turned.users, straight.users, atol=1e-5)
        np.testing.assert_allclose(turned.films, straight.films, atol=1e-5)

    def test_those_of_another_split_are_refused(self, split: Split, run: Path):
        other = Ratio(seed=1)(split.dataset)
        with pytest.raises(UserError, match="are of another split, whose training ratings may be tested on here"):
            GradientBoosting(**LIGHT, embeddings=str(run)).fit(other.train)

    def test_a_run_without_any_is_refused(self, split: Split, tmp_path: Path):
        Popularity().fit(split.train).save(tmp_path / "model")
        with pytest.raises(UserError, match="holds no embeddings: name a finished run of a model that has some"):
            GradientBoosting(**LIGHT, embeddings=str(tmp_path)).fit(split.train)


class TestColumns:
    """Worked by hand: user 0 rated film 0 with 5 on a Saturday noon and film 1 with 2 an hour later; user 1 nothing."""

    NOON = 874_756_800  # 20 September 1997, 12:00 UTC

    @pytest.fixture
    def train(self) -> Dataset:
        times = [self.NOON, self.NOON + 3600]
        train = Dataset.from_arrays([0, 0], [0, 1], [5.0, 2.0], times, n_users=2, n_items=3)
        films = train.item_frame.assign(genres=[["War"], ["War", "Drama"], ["Drama"]], year=[1990, 1990, 1997])
        return replace(train, item_frame=films)

    def pairs(self, train: Dataset, times: list[int] | None) -> Pairs:
        users = np.array([0, 1])
        given = None if times is None else np.array(times)
        return Pairs(users, train.history(users), np.array([0, 0, 1]), np.array([2, 0, 2]), given)

    def test_time(self, train: Dataset):
        at = [self.NOON + 86_400, self.NOON + 7200, self.NOON]
        told = Time().fit(train).of(self.pairs(train, at))
        assert told["weekday"].tolist() == [6, 5, 5]
        assert told["hour"].tolist() == [12, 14, 12]
        assert told["film year"].tolist() == [1997, 1990, 1997]
        np.testing.assert_allclose(told["film age"], [0.72, 7.72, 0.72], atol=0.01)
        np.testing.assert_allclose(told["days since the user's first rating"].iloc[:2], [1, 1 / 12])
        assert told["user's ratings on the day"].tolist() == [0, 2, 0]

    def test_mood_is_the_damped_mean_residual_of_the_nearest_ratings(self, train: Dataset):
        group = Time().fit(train)
        history = train.history(np.array([0]))
        residuals = history.ratings - group.bias.mean - group.bias.item_bias[history.items]
        residuals -= group.bias.user_bias(history)
        told = group.of(self.pairs(train, [self.NOON] * 3))
        np.testing.assert_allclose(told["user's mood"], [residuals.sum() / (2 + 5)] * 2 + [0], atol=1e-6)

    def test_without_a_time_the_last_rating_is_when(self, train: Dataset):
        told = Time().fit(train).of(self.pairs(train, None))
        assert told["hour"].tolist()[:2] == [13, 13]

    def test_statistics(self, train: Dataset):
        told = Statistics().fit(train).of(self.pairs(train, None))
        assert told["user mean"].tolist()[:2] == [3.5, 3.5]
        assert np.isnan(told["user mean"][2])
        assert told["user spread"][0] == 1.5
        assert told["user ratings"].tolist() == [2, 2, 0]
        assert told["film ratings"].tolist() == [0, 1, 0]
        assert told["film mean"][1] == 5
        # of War the user has film 0 whole and film 1 by a third, of the nineties both by what is left
        assert told["user's share of its kind"][1] == pytest.approx(((0.5 + 1 / 3) * 0.5 + (0.5 + 1 / 3) * 0.5) / 7)

    def test_numbers_are_float32_and_what_is_unknown_is_a_category(self, train: Dataset):
        frame = concatenated([Statistics().fit(train)], self.pairs(train, None))
        assert set(frame.dtypes.astype(str)) == {"float32"}


def test_an_empty_history_and_somebody_unknown_are_described(split: Split):
    model = GradientBoosting(**LIGHT).fit(split.train)
    scores = model.score(np.array([-1, 2]), History.of_items([[], [1, 2]]))
    assert scores.shape == (2, N_ITEMS)
    assert np.isfinite(scores).all()
