"""Tests of reasons: the named film is the one that contributes most to the score."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recsys.analysis.explain import HISTORY, KINDS, ORDER, Reason, contributions, explain, most_liked
from recsys.analysis.recommend import recommend
from recsys.analysis.report import LEGEND
from recsys.data.dataset import Dataset
from recsys.data.query import History, Query
from recsys.models.base import Recommender
from recsys.models.dae import DAE
from recsys.models.ease import EASE
from recsys.models.knn import ItemKNN
from recsys.models.markov import Markov
from recsys.models.mf import MF
from recsys.models.popularity import Popularity
from recsys.web.pages.components import REASON_KINDS

N_USERS, N_ITEMS = 80, 30


@pytest.fixture(scope="module")
def ratings() -> Dataset:
    """Users who each like some of six groups of films, with all ratings equal to 4."""
    rng = np.random.default_rng(0)
    tastes = rng.random((N_USERS, 6)) < 0.4
    rated = rng.random((N_USERS, N_ITEMS)) < np.where(tastes[:, np.arange(N_ITEMS) % 6], 0.7, 0.1)
    rated[:, :2] |= ~rated.any(axis=1, keepdims=True)
    users, items = rated.nonzero()
    times = rng.integers(0, 10**6, len(users))
    return Dataset.from_arrays(users, items, np.full(len(users), 4.0), times, n_users=N_USERS, n_items=N_ITEMS)


def without(history: History, item: int) -> History:
    return History.of_items([[i for i in history.items if i != item]], rating=4.0)


def models() -> list[Recommender]:
    return [EASE(l2=5.0), ItemKNN(k=20), DAE(hidden_dim=16, max_epochs=30, lr=0.02, batch_size=16)]


@pytest.mark.parametrize("model", models(), ids=lambda model: type(model).__name__)
def test_removing_the_reason_lowers_a_score_more_than_removing_a_random_film(model, ratings):
    model.fit(ratings)
    rng = np.random.default_rng(1)
    candidates = np.arange(N_ITEMS)
    drops = []
    for user in np.flatnonzero(ratings.user_counts > 4)[:20]:
        history = ratings.history(np.array([user]))
        for film in recommend(model, ratings, user, history, candidates, k=3):
            assert film.reason is not None
            assert film.reason.kind == HISTORY

            def drop(item: int, film=film, user=user, history=history) -> float:
                return (
                    film.score
                    - model.score_without_fallback(Query(np.array([user]), without(history, item)))[0, film.item]
                )

            assert drop(film.reason.item) == pytest.approx(film.reason.strength, rel=1e-3, abs=1e-5)
            drops.append((drop(film.reason.item), drop(rng.choice(history.items))))
    named, random = np.array(drops).T
    assert (named >= random - 1e-5).all()
    assert named.mean() > 1.5 * random.mean()


def test_the_film_of_a_model_that_reads_order_is_the_one_that_comes_before(ratings):
    model = Markov(window=1).fit(cyclic())
    history = History.of_items([[7, 3, 0]])
    history = replace(history, ratings=np.array([5, 5, 1], np.float32), times=np.arange(3))
    [after_zero, after_nothing] = explain(model, -1, history, np.array([1, 6]), ratings.item_frame)
    assert (after_zero.kind, after_zero.item) == (ORDER, 0)  # although it was not liked
    assert after_nothing is None


def test_a_film_whose_place_makes_no_difference_is_a_reason_by_being_liked(ratings):
    model = EASE(l2=5.0, half_life=1e6).fit(ratings)  # so long that the order hardly counts
    history = ratings.history(np.array([7]))
    reasons = explain(model, 7, history, np.arange(5), ratings.item_frame)
    assert {reason.kind for reason in reasons if reason is not None} == {HISTORY}


def cyclic() -> Dataset:
    """Ten users, each of whom rates ten films in a cycle: film 1 is next to film 0, and so on."""
    items = np.concatenate([(np.arange(10) + user) % 10 for user in range(10)])
    return Dataset.from_arrays(np.repeat(np.arange(10), 10), items, np.full(100, 4.0), np.arange(100), n_items=10)


def test_contributions_in_a_linear_model_are_its_weights(ratings):
    model = EASE(l2=5.0).fit(ratings)
    history = ratings.history(np.array([7]))
    positions = np.array([2, 0])
    result = contributions(model, 7, history, positions)
    np.testing.assert_allclose(result, model.item_weights[history.items[positions]], atol=1e-5)


def test_films_rated_below_the_users_mean_are_no_reasons():
    history = History(np.array([0, 4]), np.array([5, 6, 7, 8]), np.array([5, 1, 4, 4], np.float32))
    assert list(history.items[most_liked(history)]) == [5, 8, 7]
    assert list(history.items[most_liked(history, k=2)]) == [5, 8]


def test_an_empty_history_gives_no_reasons(ratings):
    model = EASE().fit(ratings)
    assert explain(model, -1, History.of_items([[]]), np.array([1, 2]), ratings.item_frame) == [None, None]


def test_a_film_without_a_supporting_film_has_no_reason(ratings):
    model = EASE().fit(ratings)
    model.item_weights = -np.ones((N_ITEMS, N_ITEMS), np.float32)
    assert explain(model, -1, History.of_items([[0, 1]]), np.array([2]), ratings.item_frame) == [None]


def test_a_model_that_ignores_histories_gives_the_most_similar_embedding(ratings):
    model = MF(embedding_dim=2, max_epochs=1).fit(ratings)
    model.item_embeddings = lambda: np.array([[1, 0], [0, 2], [3, 1], [0, 0]], np.float32)
    first, second, third = explain(model, 0, History.of_items([[0, 1]]), np.array([2, 1, 3]), ratings.item_frame)
    assert first == Reason("embeddings", 0, pytest.approx(3 / 10**0.5))
    assert second == Reason("embeddings", 1, pytest.approx(1))
    assert third is None


def test_a_model_without_embeddings_gives_shared_genres_and_people(ratings):
    frame = pd.DataFrame(
        {
            "genres": [["Drama"], ["Crime", "Drama"], ["Crime"], ["Western"]],
            "actors": [["A", "B"], ["C"], ["C", "D"], []],
        }
    )
    model = Popularity().fit(ratings)
    crime, western = explain(model, 0, History.of_items([[0, 1]]), np.array([2, 3]), frame)
    assert crime == Reason("metadata", 1, pytest.approx(2 / 4), ("Crime", "C"))
    assert western is None


def test_every_kind_of_reason_is_explained_in_the_terminal_and_on_the_page():
    assert set(KINDS) == LEGEND.keys() == REASON_KINDS.keys()


def test_sentences_depend_on_the_kind_of_reason():
    names = np.array(["Heat (1995)"])
    assert Reason("history", 0, 1.0).sentence(names) == "because you liked Heat (1995)"
    assert Reason("order", 0, 1.0).sentence(names) == "right after Heat (1995)"
    assert Reason("embeddings", 0, 1.0).sentence(names) == "near to Heat (1995), which you liked"
    assert Reason("metadata", 0, 1.0, ("Crime", "C")).sentence(names) == "Crime, C, like Heat (1995), which you liked"
