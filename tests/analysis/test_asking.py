import numpy as np
import pytest

from recsys.analysis import asking
from recsys.analysis.asking import Panel, Questions, list_quality, simulate
from recsys.data.dataset import Dataset
from recsys.data.query import History, Query
from recsys.models.ease import EASE
from recsys.models.popularity import Popularity

N_ITEMS = 30


@pytest.fixture(scope="module")
def train() -> Dataset:
    """Users of two tastes: of the items from 2, some rate the even ones and others the odd ones; all rate 0 or 1."""
    rng = np.random.default_rng(0)
    rows = [
        (user, item)
        for user in range(60)
        for item in [int(rng.integers(2)), *rng.choice(np.arange(2 + user % 2, N_ITEMS, 2), 9, replace=False)]
    ]
    users, items = zip(*rows, strict=True)
    return Dataset.from_arrays(users, items, rng.integers(1, 6, len(rows)), n_items=N_ITEMS, fingerprint="tastes")


@pytest.fixture(scope="module")
def model(train: Dataset) -> EASE:
    return EASE(5.0, prior_strength=0.1).fit(train)


@pytest.fixture
def panel(train: Dataset) -> Panel:
    return Panel.draw(train)


def test_half_of_the_ratings_of_each_user_answer_and_the_others_are_held_out(train, panel):
    seen = ~np.isnan(panel.answers)
    assert (seen.sum(axis=1) == train.user_counts // 2).all()
    assert (panel.relevant.lengths == train.user_counts - train.user_counts // 2).all()
    held_out = panel.relevant.matrix(N_ITEMS).toarray() > 0
    np.testing.assert_array_equal(seen ^ held_out, train.matrix().toarray() > 0)


def test_an_answer_is_the_users_rating_or_that_the_film_was_not_seen():
    held_out = History.of_items([[3], [3]])
    answers = np.array([[np.nan, 2, 5, np.nan], [4, np.nan, np.nan, np.nan]], np.float32)
    seen, query = Panel(np.array([7, 8]), answers, held_out, None).answered(np.array([[2, 0, 1], [2, 0, 1]]))
    assert seen.tolist() == [[True, False, True], [False, True, False]]
    assert query.users.tolist() == [7, 8]
    assert (query.history.indptr.tolist(), query.history.items.tolist()) == ([0, 2, 3], [2, 1, 0])
    assert query.history.ratings.tolist() == [5, 2, 4]


def test_the_order_that_matches_the_most_answers_applies():
    questions = Questions({(): [0, 1, 2, 3], (True,): [5, 6, 7], (True, False): [8, 9]})
    assert questions.next(np.empty((2, 0), bool)).tolist() == [0, 0]
    assert questions.next(np.array([[True], [False]])).tolist() == [5, 1]
    assert questions.next(np.array([[True, True], [True, False], [False, True]])).tolist() == [6, 8, 2]
    assert questions.next(np.array([[True, False, True]])).tolist() == [9]


def test_a_simulation_measures_the_list_after_each_question(model, panel):
    quality, n_seen = simulate(model, panel, Questions.in_order([0, 1, 2]), 3)
    asked = np.tile([0, 1], (len(panel.users), 1))
    seen, query = panel.answered(asked)
    np.testing.assert_array_equal(n_seen[2], seen.sum(axis=1))
    np.testing.assert_array_equal(quality[2], list_quality(model, query, panel.relevant))


def test_an_item_that_was_not_seen_can_be_recommended():
    train = Dataset.from_arrays([0, 0, 1], [0, 1, 0])
    model, empty = Popularity().fit(train), Query.of_histories(History.of_items([[]]))
    assert list_quality(model, empty, History.of_items([[0]])) == pytest.approx(1.0)


def test_questions_by_expected_gain_find_the_taste_of_a_user(model, train, panel):
    popular = asking.by_popularity(train, 20)
    gain = asking.by_expected_gain(model, panel, popular, 4)
    assert len(set(gain)) == 4
    by_gain, by_popularity = (simulate(model, panel, Questions.in_order(each), 4)[0][-1] for each in (gain, popular))
    assert by_gain.mean() > by_popularity.mean()


def test_the_first_question_has_the_largest_gain(model, train, panel):
    candidates = asking.by_popularity(train, 10)
    after = [simulate(model, panel, Questions.in_order([item]), 1)[0][1].mean() for item in candidates]
    assert asking.by_expected_gain(model, panel, candidates, 1) == [candidates[int(np.argmax(after))]]


def test_a_tree_asks_differently_after_different_answers(model, train):
    many = Panel.draw(train).select(np.repeat(np.arange(60), 3))
    questions = asking.tree_of_questions(model, many, asking.by_popularity(train, 20), 4, depth=1)
    assert set(questions.orders) == {(), (True,), (False,)}
    assert questions.orders[True,] != questions.orders[False,]
    assert [len(questions.orders[path]) for path in ((), (True,))] == [4, 3]


def test_a_panel_of_training_users_has_only_active_ones():
    train = Dataset.from_arrays([0, 0, 0, 1, 2, 2, 3, 3, 3], [0, 1, 2, 0, 1, 2, 0, 1, 2])
    assert asking.panel_of_trained(train, 10).users.tolist() == [0, 3]
    assert len(asking.panel_of_trained(train, 1).users) == 1


def test_without_users_to_learn_from_films_are_chosen_by_popularity():
    train = Dataset.from_arrays([0, 1, 2], [1, 1, 0])
    assert asking.first_questions(EASE(5.0).fit(train), train, 2) == [1, 0]


def test_entropy_prefers_films_on_which_ratings_differ():
    train = Dataset.from_arrays([0, 1, 2, 0, 1, 2], [0, 0, 0, 1, 1, 1], [5, 5, 5, 1, 3, 5])
    assert asking.by_popularity_and_entropy(train, 2) == [1]


def test_unlike_films_are_popular_and_of_both_tastes(train):
    chosen = asking.by_unlikeness(train, 6)
    assert len(set(chosen)) == 6
    assert chosen[0] == train.item_counts.argmax()
    assert {item % 2 for item in chosen} == {0, 1}


def test_a_page_asks_about_popular_films_if_the_model_does_not_score_new_users(train, model):
    popularity = Popularity().fit(train)
    assert asking.first_questions(popularity, train, 5) == asking.by_popularity(train, 5)
    assert asking.first_questions(model, train, 5) != asking.by_popularity(train, 5)
