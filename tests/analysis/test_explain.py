"""Tests of reasons: the named film is the one that contributes most to the score."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recsys.analysis.explain import KINDS, Explainer, Reason
from recsys.analysis.recommend import recommend
from recsys.analysis.report import LEGEND
from recsys.data.dataset import Dataset
from recsys.data.query import History, Query
from recsys.models.base import Recommender
from recsys.models.dae import DAE
from recsys.models.ease import EASE
from recsys.models.ials import IALS
from recsys.models.item_to_item import ItemToItem
from recsys.models.knn import ItemKNN
from recsys.models.markov import Markov
from recsys.models.mf import MF
from recsys.models.popularity import Popularity
from recsys.models.support import HISTORY, ORDER, most_liked, removal_losses
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


def without(history: History, *items: int) -> History:
    return History.of_items([[i for i in history.items if i not in items]], rating=4.0)


def models() -> list[Recommender]:
    autoencoder = DAE(hidden_dim=16, max_epochs=30, lr=0.02, batch_size=16)
    return [EASE(l2=5.0), ItemKNN(k=20), IALS(embedding_dim=8, n_sweeps=5), autoencoder]


@pytest.mark.parametrize("model", models(), ids=lambda model: type(model).__name__)
def test_removing_the_reason_lowers_a_score_more_than_removing_random_films(model, ratings):
    model.fit(ratings)
    rng = np.random.default_rng(1)
    drops = []
    for user in np.flatnonzero(ratings.user_counts > 4)[:20]:
        history = ratings.history(np.array([user]))
        for film in recommend(model, ratings, user, history, np.arange(N_ITEMS), k=3):
            assert film.reason is not None
            assert film.reason.kind == HISTORY

            def drop(*items: int, film=film, user=user, history=history) -> float:
                query = Query(np.array([user]), without(history, *items))
                return film.score - model.score_without_fallback(query)[0, film.item]

            named = film.reason.items
            assert drop(named[0]) == pytest.approx(film.reason.strength, rel=1e-3, abs=1e-5)
            alone = {item: drop(item) for item in history.items}
            assert min(alone[item] for item in named) >= max([alone[i] for i in alone if i not in named]) - 1e-5
            drops.append((drop(*named), drop(*rng.choice(history.items, len(named), replace=False))))
    named, random = np.array(drops).T
    assert named.mean() > 1.5 * random.mean()
    if isinstance(model, ItemToItem):  # elsewhere, what two films add is not the sum of what each adds
        assert (named >= random - 1e-5).all()


def test_the_film_of_a_model_that_reads_order_is_the_one_that_comes_before(ratings):
    model = Markov(window=1).fit(cyclic())
    history = History.of_items([[7, 3, 0]])
    history = replace(history, ratings=np.array([5, 5, 1], np.float32), times=np.arange(3))
    [after_zero, after_nothing] = Explainer(ratings).explain(model, -1, history, np.array([1, 6]))
    assert (after_zero.kind, after_zero.items) == (ORDER, (0,))  # although it was not liked
    assert after_nothing is None


def test_users_who_rated_a_film_soon_after_another_are_counted(ratings):
    model = Markov(window=1).fit(cyclic())
    history = replace(History.of_items([[3, 0]]), times=np.arange(2))
    [reason] = Explainer(cyclic()).explain(model, -1, history, np.array([1]))
    assert (reason.kind, reason.items) == (ORDER, (0,))
    assert (reason.n_agreeing, reason.n_users) == (9, 10)  # film 0 is the last of user 1
    [reason] = Explainer(cyclic()).explain(model, 0, history, np.array([1]))
    assert (reason.n_agreeing, reason.n_users) == (8, 9)  # the others


def test_a_film_whose_position_makes_no_difference_is_a_reason_because_it_was_liked(ratings):
    model = EASE(l2=5.0, half_life=1e6).fit(ratings)  # so long that the order hardly counts
    history = ratings.history(np.array([7]))
    reasons = Explainer(ratings).explain(model, 7, history, np.arange(5))
    assert {reason.kind for reason in reasons if reason is not None} == {HISTORY}


def cyclic() -> Dataset:
    """Ten users, each of whom rates ten films in a cycle: film 1 is next to film 0, and so on."""
    items = np.concatenate([(np.arange(10) + user) % 10 for user in range(10)])
    return Dataset.from_arrays(np.repeat(np.arange(10), 10), items, np.full(100, 4.0), np.arange(100), n_items=10)


def test_removal_losses_of_a_linear_model_are_its_weights(ratings):
    model = EASE(l2=5.0).fit(ratings)
    history = ratings.history(np.array([7]))
    positions, items = np.array([2, 0]), np.array([4, 9, 1])
    result = removal_losses(model, 7, history, positions, items)
    np.testing.assert_allclose(result, model.item_weights[history.items[positions]][:, items], atol=1e-5)


@pytest.mark.parametrize("n_rated", [1, 9])
def test_removal_losses_of_ials_are_those_of_histories_without_each_film(ratings, n_rated, monkeypatch):
    model = IALS(embedding_dim=6, n_sweeps=3, frequency_power=0.7).fit(ratings)
    monkeypatch.setattr(model, "history_weights", lambda history: 1 + history.items.astype(np.float32) / 10)
    history = History.of_items([list(range(n_rated))])
    found = removal_losses(model, -1, history, np.arange(n_rated), np.arange(N_ITEMS))
    [scores] = model.score_without_fallback(Query.of_histories(history))
    for item in range(n_rated):
        [others] = model.score_without_fallback(Query.of_histories(without(history, item)))
        np.testing.assert_allclose(found[item], scores - others, atol=1e-4)


def test_films_rated_below_the_users_mean_are_not_reasons():
    history = History(np.array([0, 4]), np.array([5, 6, 7, 8]), np.array([5, 1, 4, 4], np.float32))
    assert list(history.items[most_liked(history)]) == [5, 8, 7]
    assert list(history.items[most_liked(history, k=2)]) == [5, 8]


def test_an_empty_history_gives_no_reasons(ratings):
    model = EASE().fit(ratings)
    assert Explainer(ratings).explain(model, -1, History.of_items([[]]), np.array([1, 2])) == [None, None]


def test_a_film_without_a_supporting_film_has_no_reason(ratings):
    model = EASE().fit(ratings)
    model.item_weights = -np.ones((N_ITEMS, N_ITEMS), np.float32)
    assert Explainer(ratings).explain(model, -1, History.of_items([[0, 1]]), np.array([2])) == [None]


def test_a_model_that_ignores_histories_gives_the_most_similar_embedding(ratings):
    model = MF(embedding_dim=2, max_epochs=1).fit(ratings)
    model.item_embeddings = lambda: np.array([[1, 0], [0, 2], [3, 1], [0, 0]], np.float32)
    first, second, third = Explainer(ratings).explain(model, 0, History.of_items([[0, 1]]), np.array([2, 1, 3]))
    assert first == Reason("embeddings", (0,), pytest.approx(3 / 10**0.5))
    assert second == Reason("embeddings", (1,), pytest.approx(1))
    assert third is None


def test_a_model_without_embeddings_gives_shared_genres_and_people(ratings):
    frame = pd.DataFrame(
        {
            "genres": [["Drama"], ["Crime", "Drama"], ["Crime"], ["Western"]],
            "actors": [["A", "B"], ["C"], ["C", "D"], []],
        }
    )
    model = Popularity().fit(ratings)
    explainer = Explainer(replace(ratings, item_frame=frame))
    crime, western = explainer.explain(model, 0, History.of_items([[0, 1]]), np.array([2, 3]))
    assert crime == Reason("metadata", (1,), pytest.approx(2 / 4), ("C", "Crime"))
    assert western is None


def test_every_kind_of_reason_is_explained_in_the_terminal_and_on_the_page():
    assert set(KINDS) == LEGEND.keys() == REASON_KINDS.keys()


def test_sentences_depend_on_the_kind_of_reason():
    names = np.array(["Heat (1995)", "Fargo (1996)"], object)
    assert Reason("history", (0,), 1.0).sentence(names) == "because you liked Heat (1995)"
    assert Reason("history", (1, 0), 1.0).sentence(names) == "because you liked Fargo (1996) and Heat (1995)"
    assert Reason("history", (0,), 1.0, ("Crime",)).sentence(names) == "because you liked Heat (1995); in common: Crime"
    assert Reason("order", (0,), 1.0).sentence(names) == "right after Heat (1995)"
    soon = Reason("order", (0,), 1.0, n_agreeing=7, n_users=9)
    assert soon.sentence(names) == "rated within the next 10 films by 7 of the 9 people who rated Heat (1995)"
    assert Reason("embeddings", (0,), 1.0).sentence(names) == "similar to Heat (1995), which you liked"
    shared = Reason("metadata", (0,), 1.0, ("Crime", "C"))
    assert shared.sentence(names) == "Crime, C, like Heat (1995), which you liked"
    agreeing = Reason("history", (1, 0), 1.0, n_agreeing=7, n_users=9)
    assert agreeing.sentence(names) == "liked by 7 of the 9 people who, like you, liked Fargo (1996) and Heat (1995)"


@pytest.fixture
def described(ratings) -> Dataset:
    """Of the films, 0 to 4 are by one director, and 0, 2 and 4 of one genre."""
    frame = ratings.item_frame.assign(
        directors=[["Bergman"] if item < 5 else [] for item in range(N_ITEMS)],
        genres=[["Drama", "Crime"] if item in (0, 2, 4) else ["Drama"] for item in range(N_ITEMS)],
    )
    return replace(ratings, item_frame=frame)


def weighted(weights: dict[tuple[int, int], float]) -> EASE:
    model = EASE()
    model.item_weights = np.zeros((N_ITEMS, N_ITEMS), np.float32)
    for pair, weight in weights.items():
        model.item_weights[pair] = weight
    return model


def test_a_second_film_is_named_if_it_is_half_as_strong(described):
    model = weighted({(10, 20): 1.0, (11, 20): 0.6, (12, 20): 0.5, (10, 21): 1.0, (11, 21): 0.4})
    history = History.of_items([[10, 11, 12]], rating=4.0)
    two, one = Explainer(described).explain(model, -1, history, np.array([20, 21]))
    assert (two.items, one.items) == ((10, 11), (10,))


def test_a_list_names_each_shared_trait_once_and_no_trait_that_is_common(described):
    model = weighted({(0, item): 1.0 for item in range(1, N_ITEMS)} | {(10, 2): 0.9})
    history = History.of_items([[0, 10]], rating=4.0)
    reasons = Explainer(described).explain(model, -1, history, np.array([1, 2, 3, 20]))
    assert [reason.shared for reason in reasons] == [("Bergman",), ("Crime",), (), ()]
    assert reasons[1].items == (0,)  # film 10 shares nothing but what most films are


def test_users_who_liked_the_named_films_and_the_recommended_one_are_counted(described):
    model = weighted({(6, 12): 1.0, (18, 12): 1.0})
    [reason] = Explainer(described).explain(model, -1, History.of_items([[6, 18]], rating=4.0), np.array([12]))
    rated = described.matrix().toarray() > 0
    both = rated[:, 6] & rated[:, 18]
    assert (reason.n_agreeing, reason.n_users) == ((both & rated[:, 12]).sum(), both.sum())
    user = np.flatnonzero(both & rated[:, 12])[0]
    [reason] = Explainer(described).explain(model, user, History.of_items([[6, 18]], rating=4.0), np.array([12]))
    assert (reason.n_agreeing, reason.n_users) == ((both & rated[:, 12]).sum() - 1, both.sum() - 1)  # not the user
    disliked = replace(described, ratings=np.where(described.items == 12, 1, 4).astype(np.float32), scale=(1.0, 5.0))
    [reason] = Explainer(disliked).explain(model, -1, History.of_items([[6, 18]], rating=4.0), np.array([12]))
    assert reason.n_agreeing == 0


def test_sentences_of_a_list_differ(described):
    model = EASE(l2=5.0).fit(described)
    history = described.history(np.array([3]))
    reasons = [film.reason for film in recommend(model, described, 3, history, np.arange(N_ITEMS), k=10)]
    names = described.item_names
    sentences = [reason.sentence(names) for reason in reasons if reason is not None]
    assert len(sentences) > 5
    assert len(set(sentences)) == len(sentences)
