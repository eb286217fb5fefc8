"""Checks that every `Recommender` must pass, like scikit-learn's `check_estimator` for estimators.

Three lines test a model from outside the project, with any test runner:

    from recsys.testing import check_recommender

    def test_my_model():
        check_recommender(lambda seed: MyModel(max_epochs=40, seed=seed))

The data are a checkerboard of `N_USERS` users and `N_ITEMS` items: users with even codes rate items with even codes,
and users with odd codes rate items with odd codes. The genres of items are `even` and `odd`. A model that predicts
ratings is also trained on low ratings of the other items. `CHECKS` lists the checks, which can also be run as separate
tests on a model that is trained once, as in tests/test_contract.py.
"""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import History, Pairs, Query
from recsys.errors import UserError
from recsys.models.base import (
    EmbedsHistories,
    HasEmbeddings,
    Recommender,
    ScoresByProducts,
    check_saved,
    load,
    must_be_trusted,
)

N_USERS, N_ITEMS = 60, 40
SEED = 0
LIKES = np.arange(N_USERS)[:, None] % 2 == np.arange(N_ITEMS) % 2  # (N_USERS, N_ITEMS)
SOME_USERS = np.array([5, 0, -1, N_USERS - 1, 5])  # an unknown one among them, and one twice
NONE_FAIL: Mapping[str, str] = MappingProxyType({})
EPOCHS = "max_epochs"  # setting of models that train in epochs; some checks need only a few


def check_recommender(
    build: Callable[[int], Recommender], expected_failed_checks: Mapping[str, str] = NONE_FAIL
) -> None:
    """Train a model on a small data set and run all checks on it.

    Args:
        build: function that takes a seed and returns an untrained model, with settings that suit a data set of a few
            hundred ratings.
        expected_failed_checks: checks that the model need not pass, which are not run: the name of each check with
            the reason.

    Raises:
        AssertionError: the model fails a check; the message describes the failure.
        ValueError: a key of `expected_failed_checks` is not the name of a check.
    """
    names = {check.__name__ for check in CHECKS}
    if unknown := [name for name in expected_failed_checks if name not in names]:
        raise ValueError(f"expected_failed_checks must be names of checks in recsys.testing.CHECKS (got {unknown}).")
    trained = TrainedModel(build)
    for check in CHECKS:
        if check.__name__ not in expected_failed_checks:
            check(trained)


class TrainedModel:
    """A model that is trained on the checkerboard only once, when a check first needs it.

    Args:
        build: see `check_recommender`.

    Attributes:
        train: the training interactions.
        given: copy of `train` on which the model is trained; a comparison with `train` shows whether `fit` changed it.
        valid: one held-out rating of each user.
    """

    def __init__(self, build: Callable[[int], Recommender]) -> None:
        self.build = build
        self.train, self.valid = checkerboard(build(SEED).predicts_ratings)
        self.given = copy.deepcopy(self.train)

    @cached_property
    def model(self) -> Recommender:
        """Return the model, trained with the seed `SEED` on first access."""
        return self.build(SEED).fit(self.given, self.valid)

    @property
    def query(self) -> Query:
        """Return a query for `SOME_USERS`, with their training ratings as histories."""
        return self.train.query(SOME_USERS)


def checkerboard(with_dislikes: bool) -> tuple[Dataset, Holdout]:
    """Build the checkerboard, with times and genres: training interactions, and one held-out interaction of each user.

    Args:
        with_dislikes: whether users also rate items of the other genre, with 1 to 3; items of their own genre always
            have ratings from 3 to 5.

    Returns:
        The training interactions, about 60% of all possible ones, and a holdout with one random rating of each user.
    """
    rng = np.random.default_rng(0)
    seen = rng.random(LIKES.shape) < 0.6
    users, items = (seen if with_dislikes else seen & LIKES).nonzero()
    ratings = rng.choice([3.0, 4.0, 5.0], len(users)) - 2 * ~LIKES[users, items]
    times = rng.integers(0, 10**9, len(users))
    dataset = Dataset.from_arrays(
        users, items, ratings, times, n_users=N_USERS, n_items=N_ITEMS, fingerprint="checkerboard"
    )
    dataset.item_frame["genres"] = [["even"], ["odd"]] * (N_ITEMS // 2)
    held_out = np.zeros(len(dataset), bool)
    held_out[rng.integers(dataset.indptr[:-1], dataset.indptr[1:])] = True
    train = dataset.select(~held_out)
    return train, Holdout(dataset.select(held_out), train)


def check_fit_returns_the_model_and_reports_its_cost(trained: TrainedModel) -> None:
    """`fit` returns the model itself, and sets its `fit_report`."""
    _require(isinstance(trained.model, Recommender), f"fit must return the model itself (got {trained.model!r}).")
    _require(trained.model.fit_report.seconds > 0, "fit_report.seconds must be above zero.")


def check_scores_are_finite_float32_rows(trained: TrainedModel) -> None:
    """Scores are finite float32 numbers, with a row per user (known or unknown) and a column per item."""
    scores = trained.model.score(trained.query)
    expected = (len(SOME_USERS), N_ITEMS)
    _require(scores.shape == expected, f"score must return the shape {expected} (got {scores.shape}).")
    _require(scores.dtype == np.float32, f"score must return float32 (got {scores.dtype}).")
    _require(bool(np.isfinite(scores).all()), "score must return finite numbers, also for an unknown user.")


def check_scores_do_not_depend_on_other_users_of_the_query(trained: TrainedModel) -> None:
    """A user has the same scores in a query of one user as in a query with other users."""
    together = trained.model.score(trained.query)
    alone = trained.model.score(trained.train.query(SOME_USERS[1:2]))
    _require(_close(together[1], alone[0]), "A user's scores must not depend on the other users of the query.")
    _require(_close(together[0], together[4]), "A user who is twice in a query must have the same scores twice.")


def check_pairs_are_predicted_as_rows_are_scored(trained: TrainedModel) -> None:
    """`predict` returns elements of the result of `score`; a model that predicts ratings clips them to the scale."""
    rows, items = np.array([0, 0, 1, 2, 4, 3]), np.array([3, N_ITEMS - 1, 0, 7, 8, 1])
    predicted = trained.model.predict(Pairs(trained.query, rows, items))
    expected = trained.model.score(trained.query)[rows, items]
    if trained.model.predicts_ratings:
        expected = np.clip(expected, *trained.train.scale)
    _require(predicted.shape == (6,), f"predict must return a score per pair (got the shape {predicted.shape} for 6).")
    _require(predicted.dtype == np.float32, f"predict must return float32 (got {predicted.dtype}).")
    _require(np.allclose(predicted, expected, rtol=1e-5), "predict must return the scores of its pairs.")


def check_scores_follow_the_history_only_if_declared(trained: TrainedModel) -> None:
    """A user's scores depend on the history in the query if, and only if, the model declares this.

    The attribute `uses_history` declares it for users in the training data, `scores_new_users` for other users.
    """
    even = History.of_items([[0, 2, 4], [6], [0, 2], [4], [0, 2, 4]])
    odd = History.of_items([[1, 3, 5], [7], [1, 3], [5], [1, 3, 5]])
    first, second = (trained.model.score(Query(SOME_USERS, history)) for history in (even, odd))
    for name, users in (("uses_history", SOME_USERS >= 0), ("scores_new_users", SOME_USERS < 0)):
        declared = getattr(trained.model, name)
        _require(
            np.array_equal(first[users], second[users]) != declared,
            f"{name} must be true if scores depend on the history of the query, and false otherwise (got {declared}).",
        )


def check_scores_follow_the_order_only_if_declared(trained: TrainedModel) -> None:
    """A history and its reverse give different scores if `reads_order` is true, otherwise the same scores."""
    forth = History.of_items([[0, 2, 3, 8], [6, 5], [0, 1, 2], [7, 4], [9, 3, 5]])
    back = History.of_items([[8, 3, 2, 0], [5, 6], [2, 1, 0], [4, 7], [5, 3, 9]])
    first, second = (trained.model.score(Query(SOME_USERS, history)) for history in (forth, back))
    differ = not _close(first, second)
    _require(
        differ == trained.model.reads_order,
        "reads_order must be true if scores depend on the order of the history, and false otherwise "
        f"(got {trained.model.reads_order}).",
    )


def check_users_without_history_are_ranked_by_popularity(trained: TrainedModel) -> None:
    """A user without a history has item counts as scores or, if the model predicts ratings, ratings within the scale.

    Item counts are required only if the model uses histories. The presence of users without a history in a query must
    then not change the scores of the other users.
    """
    empty = Query(SOME_USERS, History.of_items([[]] * len(SOME_USERS)))
    if trained.model.predicts_ratings:
        predicted = trained.model.predict(Pairs(empty, np.arange(len(SOME_USERS)), np.arange(len(SOME_USERS))))
        lowest, highest = trained.train.scale
        _require(
            bool(((predicted >= lowest) & (predicted <= highest)).all()),
            f"Predictions for users without a history must be ratings from {lowest} to {highest} (got {predicted}).",
        )
    elif trained.model.uses_history:
        scores = trained.model.score(empty)
        _require(
            np.array_equal(scores, np.tile(trained.train.item_counts, (len(SOME_USERS), 1))),
            "The scores of a user without a history must be the number of training interactions of each item.",
        )
        one = Query(SOME_USERS, History.of_items([[], [], [1, 3], [], []]))
        _require(
            _close(trained.model.score(one)[2], trained.model.score(one.between(2, 3))[0]),
            "Users without a history in a query must not change the scores of a user with one.",
        )


def check_unknown_users_do_not_have_the_scores_of_the_last_user(trained: TrainedModel) -> None:
    """The code of an unknown user, -1, is not used as an array index, which would select the last user."""
    query = Query(np.array([0, N_USERS - 1, -1]), History.of_items([[0, 2, 4]] * 3))
    first, last, unknown = trained.model.score(query)
    _require(
        _close(first, last) or not _close(unknown, last),
        "The scores of an unknown user (-1) must not be those of the last user, whose position is -1 in arrays too.",
    )


def check_loaded_model_scores_identically(trained: TrainedModel) -> None:
    """A loaded model has the hyperparameters and the scores of the saved model.

    It is loaded with `trusted=True` only if it is pickled, or if its class is not in `recsys.models`.
    """
    with tempfile.TemporaryDirectory() as directory:
        trained.model.save(Path(directory))
        try:
            check_saved(trained.model, Path(directory), trained.query)
        except UserError as error:
            raise AssertionError(str(error)) from error
        loaded = load(Path(directory), must_be_trusted(trained.model))
    _require(
        np.array_equal(loaded.score(trained.query), trained.model.score(trained.query)),
        "A loaded model must have exactly the scores of the saved one.",
    )


def check_same_seed_trains_the_same_model(trained: TrainedModel) -> None:
    """Two models with the same seed have equal scores if both are trained on the same data for two epochs."""

    def fitted() -> Recommender:
        return _with_epochs(trained.build(SEED), 2).fit(copy.deepcopy(trained.train), trained.valid)

    first = fitted() if EPOCHS in trained.model.hyperparameters() else trained.model
    _require(
        np.array_equal(first.score(trained.query), fitted().score(trained.query)),
        "Models of the same seed must be equal after training: draw random numbers from a generator of that seed.",
    )


def check_inputs_are_left_unchanged(trained: TrainedModel) -> None:
    """Fitting and scoring change neither the training data nor the query."""
    query = trained.query
    trained.model.score(query)
    _require(np.array_equal(query.users, SOME_USERS), "score must leave the users of its query unchanged.")
    given, original = trained.given, trained.train
    for name, history, unchanged in (
        ("fit", given.histories(), original.histories()),
        ("score", query.history, trained.query.history),
    ):
        for part in ("indptr", "items", "ratings", "times"):
            _require(
                np.array_equal(getattr(history, part), getattr(unchanged, part)),
                f"{name} must leave its inputs unchanged (the {part} of interactions have changed).",
            )
    _require(
        given.item_frame.equals(original.item_frame) and given.user_frame.equals(original.user_frame),
        "fit must leave the frames of users and items unchanged.",
    )


def check_hyperparameters_build_the_same_model(trained: TrainedModel) -> None:
    """A model's hyperparameters, converted to JSON and back, build a model with the same hyperparameters."""
    hyperparameters = trained.model.hyperparameters()
    copied = type(trained.model)(**json.loads(json.dumps(hyperparameters))).hyperparameters()
    _require(copied == hyperparameters, f"Hyperparameters must be the same after construction (got {copied}).")


def check_embeddings_have_a_row_per_user_and_item(trained: TrainedModel) -> None:
    """Embeddings, if the model has any, are float32, with a row per user or item and the same width for both."""
    if not isinstance(trained.model, HasEmbeddings):
        return
    users, items = trained.model.user_embeddings(), trained.model.item_embeddings()
    _require(len(users) == N_USERS, f"user_embeddings must have a row per user (got {len(users)} for {N_USERS}).")
    _require(len(items) == N_ITEMS, f"item_embeddings must have a row per item (got {len(items)} for {N_ITEMS}).")
    _require(
        users.shape[1:] == items.shape[1:],
        f"Embeddings of users and items must have equal lengths (got {users.shape[1:]} and {items.shape[1:]} numbers).",
    )
    _require(
        users.dtype == items.dtype == np.float32, f"Embeddings must be float32 (got {users.dtype}, {items.dtype})."
    )


def check_histories_are_embedded_as_users_with_them_are(trained: TrainedModel) -> None:
    """If the model embeds histories, `embed` returns a user's embedding for the user's training history."""
    if not isinstance(trained.model, EmbedsHistories):
        return
    embedded, users = trained.model.embed(trained.train.histories()), trained.model.user_embeddings()
    _require(embedded.dtype == np.float32, f"embed must return float32 (got {embedded.dtype}).")
    _require(embedded.shape == users.shape, f"embed must return the shape {users.shape} (got {embedded.shape}).")
    _require(
        np.allclose(embedded, users, atol=1e-3),
        "embed must return the embeddings of users for their training histories, unless users have separate weights.",
    )


def check_products_of_vectors_are_the_scores(trained: TrainedModel) -> None:
    """Inner products of `user_vectors` and `item_vectors`, if the model has these, are its scores without fallback."""
    if not isinstance(trained.model, ScoresByProducts):
        return
    query = trained.train.query(np.arange(N_USERS))
    products = trained.model.user_vectors(query) @ trained.model.item_vectors().T
    _require(
        _close(products, trained.model.score_without_fallback(query)),
        "Scores must be the products of user_vectors and item_vectors.",
    )


def check_warm_start_keeps_what_was_learned(trained: TrainedModel) -> None:
    """A warm start preserves the earlier model's scores, even if user codes change and there is a new user.

    Scores are compared only for models with the setting `lr`, a learning rate, which is set so low that another epoch
    hardly changes the scores. A model that cannot continue from an earlier model must raise `UserError`.
    """
    model = trained.model
    earlier_codes = np.array([1, 0, *range(2, N_USERS), -1])
    if type(model).continue_from is Recommender.continue_from:
        _require_error(lambda: trained.build(SEED).continue_from(model, earlier_codes), "continue from another one")
        return
    settings = model.hyperparameters()
    short = {name: value for name, value in {"lr": 1e-9, EPOCHS: 1}.items() if name in settings}
    earlier = copy.copy(model)
    for name, value in short.items():
        setattr(earlier, name, value)
    warm = type(model)(**{**settings, **short})
    warm.continue_from(earlier, earlier_codes)
    later = _with_a_new_user(trained.train, earlier_codes)
    warm = warm.fit(later).refit(later)
    scores = warm.score_without_fallback(later.query(np.arange(N_USERS + 1)))
    _require(bool(np.isfinite(scores).all()), "A user who is new after a warm start must have finite scores.")
    if "lr" in short:
        expected = model.score_without_fallback(Query(earlier_codes[:-1], later.history(np.arange(N_USERS))))
        _require(
            np.allclose(scores[:-1], expected, rtol=1e-3, atol=0.05),
            "A warm start must begin with the weights of the earlier model, by the earlier codes of users.",
        )


def check_data_without_times_can_be_learned(trained: TrainedModel) -> None:
    """A model that ignores order can be trained on data without times, and a ranking model also without ratings.

    A model that reads the order must raise `UserError`.
    """
    train, predicts_ratings = trained.train, trained.model.predicts_ratings
    ratings = train.ratings if predicts_ratings else np.ones_like(train.ratings)
    scale = train.scale if predicts_ratings else (1.0, 1.0)
    plain = replace(train, times=None, ratings=ratings, scale=scale, fingerprint="plain")
    if trained.model.reads_order:
        _require_error(lambda: trained.build(SEED).fit(plain), "learn from the order of data without times")
        return
    scores = _with_epochs(trained.model, 1).fit(plain).score(plain.query(SOME_USERS))
    _require(bool(np.isfinite(scores).all()), "A model must be able to learn from data without times.")


def check_checkerboard_is_recovered(trained: TrainedModel) -> None:
    """Unrated items of the user's genre score higher than unrated items of the other genre.

    This must be so in over 90% of all pairs of one item of each genre. Non-personalised models cannot pass.
    """
    users = np.arange(N_USERS)
    scores = trained.model.score(trained.train.query(users))
    scores[trained.train.matrix().toarray() > 0] = np.nan
    liked, others = np.where(LIKES, scores, np.nan), np.where(LIKES, np.nan, scores)
    wins = liked[:, :, None] > others[:, None, :]
    known = ~np.isnan(liked)[:, :, None] & ~np.isnan(others)[:, None, :]
    share = wins[known].mean()
    _require(
        share > 0.9,
        f"An item that a user likes must be scored above one that the user dislikes in 90% of pairs (got {share:.0%}, "
        "and chance gives 50%): train longer, or with larger steps.",
    )


CHECKS: tuple[Callable[[TrainedModel], None], ...] = (
    check_fit_returns_the_model_and_reports_its_cost,
    check_scores_are_finite_float32_rows,
    check_scores_do_not_depend_on_other_users_of_the_query,
    check_pairs_are_predicted_as_rows_are_scored,
    check_scores_follow_the_history_only_if_declared,
    check_scores_follow_the_order_only_if_declared,
    check_users_without_history_are_ranked_by_popularity,
    check_unknown_users_do_not_have_the_scores_of_the_last_user,
    check_loaded_model_scores_identically,
    check_same_seed_trains_the_same_model,
    check_inputs_are_left_unchanged,
    check_hyperparameters_build_the_same_model,
    check_embeddings_have_a_row_per_user_and_item,
    check_histories_are_embedded_as_users_with_them_are,
    check_products_of_vectors_are_the_scores,
    check_warm_start_keeps_what_was_learned,
    check_data_without_times_can_be_learned,
    check_checkerboard_is_recovered,
)


def _with_epochs(model: Recommender, max_epochs: int) -> Recommender:
    """Return an untrained model with the same settings but, if the model has a `max_epochs`, with the given value."""
    settings = model.hyperparameters()
    return type(model)(**settings | ({EPOCHS: max_epochs} if EPOCHS in settings else {}))


def _with_a_new_user(train: Dataset, earlier_codes: np.ndarray) -> Dataset:
    """Return the ratings with changed user codes, and with one more rating, by a new user whose code is `N_USERS`.

    Args:
        train: the ratings.
        earlier_codes: int64 (N_USERS + 1,) for each user of the result, the code in `train`; -1 for the new user.
    """
    later = Dataset.from_arrays(
        np.append(np.argsort(earlier_codes[:-1])[train.users], N_USERS),
        np.append(train.items, 0),
        np.append(train.ratings, 5.0),
        None if train.times is None else np.append(train.times, 0),
        n_items=N_ITEMS,
    )
    return replace(later, item_frame=train.item_frame)


def _require(condition: bool, sentence: str) -> None:
    """Raise an AssertionError with the given sentence if the condition is false, even under `python -O`."""
    if not condition:
        raise AssertionError(sentence)


def _require_error(refused: Callable[[], object], what: str) -> None:
    try:
        refused()
    except UserError:
        return
    raise AssertionError(f"A model that cannot {what} must raise UserError.")


def _close(some: np.ndarray, others: np.ndarray) -> bool:
    return np.allclose(some, others, rtol=1e-4, atol=1e-5)
