"""What every model in configs/model owes to everybody else. A new model is tested by having a config."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recsys.config import compose, instantiate
from recsys.config.loader import CONFIGS
from recsys.data.dataset import Dataset
from recsys.data.query import History
from recsys.data.split import Split
from recsys.data.splitters import LeaveOneOut
from recsys.errors import UserError
from recsys.models.base import EmbedsHistories, HasEmbeddings, Recommender, load
from recsys.models.neural import NeuralRecommender
from recsys.models.trees import RatingTrees

MODELS = sorted(path.stem for path in (CONFIGS / "model").glob("*.yaml"))
SAME_FOR_ALL = {"popularity", "bias"}  # they cannot tell one user's taste from another's
OWN_VECTORS = {"two_tower", "two_tower_1m", "svd_pp"}  # users whom they know have something beside their history
N_USERS, N_ITEMS = 60, 40


@pytest.fixture(scope="module")
def split(name: str) -> Split:
    """A checkerboard: even users watch even films, odd users odd ones; everybody most of what they would like.

    The films' genres tell which is which. For models of ratings, people also watch what they do not like, and say so.
    """
    rng = np.random.default_rng(0)
    likes = np.arange(N_USERS)[:, None] % 2 == np.arange(N_ITEMS) % 2
    watched = rng.random(likes.shape) < 0.6
    rates = untrained(name).predicts_ratings
    users, items = (watched if rates else watched & likes).nonzero()
    ratings = rng.choice([3.0, 4.0, 5.0], len(users)) - 2 * (rates & ~likes[users, items])
    times = rng.integers(0, 10**9, len(users))
    dataset = Dataset.from_arrays(users, items, ratings, times, n_users=N_USERS, n_items=N_ITEMS)
    dataset.item_frame["genres"] = [["even"], ["odd"]] * (N_ITEMS // 2)
    return LeaveOneOut()(dataset)


def untrained(name: str, seed: int = 0) -> Recommender:
    """A model as its config has it, but for settings that suit a data set of a few hundred ratings."""
    light = ["encoder=tfidf", "encoder.n_components=4"]
    model = instantiate(compose("train", [f"model={name}", f"seed={seed}", *light]).model)
    if isinstance(model, NeuralRecommender):
        batch_size = 16 if model.loss == "softmax" else 128
        small = {"batch_size": batch_size, "lr": 0.02, "max_epochs": 40, "weight_decay": 0.0}
        model = type(model)(**{**model.hyperparameters(), **small})
    if isinstance(model, RatingTrees):
        beneath = {name: model.models[name] for name in ("bias", "item_knn")}
        small = {"models": beneath, "n_trees": 20, "min_samples_leaf": 5, "n_folds": 2, "n_segments": 2}
        model = type(model)(**{**model.hyperparameters(), **small})
    return model


@pytest.fixture(scope="module", params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def model(name: str, split: Split) -> Recommender:
    return untrained(name).fit(split.train, split.valid)


@pytest.fixture
def users() -> np.ndarray:
    return np.array([5, 0, -1, 59, 5])


def test_scores_are_finite_float32_a_row_a_user_and_a_column_a_film(model: Recommender, split: Split, users):
    scores = model.score(users, split.train.history(users))
    assert scores.shape == (5, N_ITEMS)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


def test_a_users_scores_do_not_depend_on_who_else_is_asked_for(model: Recommender, split: Split, users):
    together = model.score(users, split.train.history(users))
    alone = model.score(users[1:2], split.train.history(users[1:2]))
    np.testing.assert_allclose(together[1], alone[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(together[0], together[4], rtol=1e-4, atol=1e-5)


def test_pairs_are_scored_like_rows_or_in_stars(model: Recommender, split: Split, users):
    rows, items = np.array([0, 0, 1, 2, 4, 3]), np.array([3, 39, 0, 7, 8, 1])
    history = split.train.history(users)
    predicted = model.predict(users, history, rows, items)
    assert predicted.shape == (6,)
    assert predicted.dtype == np.float32
    expected = model.score(users, history)[rows, items]
    if model.predicts_ratings:
        expected = np.clip(expected, *split.dataset.scale)
    np.testing.assert_allclose(predicted, expected, rtol=1e-5)


def test_a_model_that_uses_history_follows_it_and_another_ignores_it(model: Recommender, users):
    empty, some = History.of_items([[]] * 5), History.of_items([[0, 2, 4], [6], [1, 3], [5], [0, 2, 4]], rating=1.0)
    differs = not np.array_equal(model.score(users, empty), model.score(users, some))
    assert differs == model.uses_history


def test_a_loaded_model_scores_identically(model: Recommender, split: Split, users, tmp_path: Path):
    model.save(tmp_path)
    loaded = load(tmp_path, trusted=model.pickled)
    assert loaded.hyperparameters() == model.hyperparameters()
    history = split.train.history(users)
    np.testing.assert_array_equal(loaded.score(users, history), model.score(users, history))


def test_the_same_seed_trains_the_same_model(name: str, model: Recommender, split: Split, users):
    again = untrained(name).fit(split.train, split.valid)
    history = split.train.history(users)
    np.testing.assert_array_equal(again.score(users, history), model.score(users, history))


def test_fitting_and_scoring_change_nothing_that_they_are_given(name: str, split: Split, users):
    train = copy.deepcopy(split.train)
    history = train.history(users)
    before = copy.deepcopy(history)
    untrained(name).fit(train, split.valid).score(users, history)
    for given, kept in ((train, split.train), (history, before)):
        for field in ("items", "ratings", "times"):
            np.testing.assert_array_equal(getattr(given, field), getattr(kept, field))


def test_hyperparameters_are_attributes_that_make_the_same_model(model: Recommender):
    settings = model.hyperparameters()
    assert type(model)(**settings).hyperparameters() == settings


def test_embeddings_have_a_row_a_user_and_a_row_a_film(model: Recommender):
    if not isinstance(model, HasEmbeddings):
        pytest.skip("has no embeddings")
    users, items = model.user_embeddings(), model.item_embeddings()
    assert (len(users), len(items)) == (N_USERS, N_ITEMS)
    assert users.shape[1] == items.shape[1]
    assert users.dtype == items.dtype == np.float32


def test_who_is_placed_by_a_history_lies_where_a_user_with_that_history_does(
    name: str, model: Recommender, split: Split
):
    if not isinstance(model, EmbedsHistories):
        pytest.skip("places nobody by a history")
    placed = model.embed(split.train.history(np.arange(N_USERS)))
    assert placed.dtype == np.float32
    assert placed.shape == model.user_embeddings().shape
    if name not in OWN_VECTORS:
        np.testing.assert_allclose(placed, model.user_embeddings(), atol=1e-3)


def test_a_warm_start_goes_on_from_what_was_learned_and_takes_up_new_users(name: str, model: Recommender, split: Split):
    """A user is new, two change places, and steps are so small that nothing is forgotten in the one epoch."""
    if not isinstance(model, NeuralRecommender):
        with pytest.raises(UserError, match="cannot continue"):
            untrained(name).continue_from(model, np.arange(N_USERS))
        return
    earlier = np.array([1, 0, *range(2, N_USERS), -1])
    later = Dataset.from_arrays(
        np.append(np.argsort(earlier[:-1])[split.train.users], N_USERS),
        np.append(split.train.items, 0),
        np.append(split.train.ratings, 5.0),
        n_items=N_ITEMS,
    )
    later = replace(later, item_frame=split.train.item_frame)
    learned = copy.copy(model)
    learned.lr = 1e-9
    warm = type(model)(**{**learned.hyperparameters(), "max_epochs": 1})
    warm.continue_from(learned, earlier)
    warm = warm.fit(later).refit(later)
    users = np.arange(N_USERS)
    was = model.score(earlier[users], later.history(users))
    np.testing.assert_allclose(warm.score(users, later.history(users)), was, rtol=1e-3, atol=0.05)
    assert np.isfinite(warm.score(np.array([N_USERS]), later.history(np.array([N_USERS])))).all()


def test_a_learning_model_recovers_the_checkerboard(name: str, model: Recommender, split: Split):
    if name in SAME_FOR_ALL:
        pytest.skip("is the same for everybody")
    users = np.arange(N_USERS)
    scores = model.score(users, split.train.history(users))
    scores[split.train.matrix().toarray() > 0] = np.nan
    likes = users[:, None] % 2 == np.arange(N_ITEMS) % 2
    liked, others = np.where(likes, scores, np.nan), np.where(likes, np.nan, scores)
    wins = liked[:, :, None] > others[:, None, :]
    known = ~np.isnan(liked)[:, :, None] & ~np.isnan(others)[:, None, :]
    assert wins[known].mean() > 0.9  # 0.5 by chance
