"""Queries one by one after a cut in time: their metrics, those of users, and cold queries apart."""

import numpy as np
import pandas as pd
import pytest

from recsys.data.dataset import Dataset
from recsys.data.splitters import GlobalTime, LeaveOneOut
from recsys.evaluation.cold_queries import kinds, sentence
from recsys.evaluation.evaluate import evaluate
from recsys.evaluation.protocols import FullRanking, SampledNegatives
from recsys.models.ease import EASE
from tests.evaluation.random_models import RandomScores


@pytest.fixture
def cut() -> Dataset:
    """Ratings before and after 100: user 3 and items 4 and 5 have none before it."""
    users = [0, 1, 2, 0, 1, 2, 0, 0, 1, 3, 3]
    items = [0, 1, 2, 1, 2, 0, 3, 5, 4, 5, 4]
    times = [10, 20, 30, 60, 70, 80, 100, 101, 102, 103, 104]
    return Dataset.from_arrays([*users, 2], [*items, 3], times=[*times, 81], n_items=6)


def test_cold_queries_are_counted_by_kind(cut):
    test = GlobalTime("1970-01-01T00:01:00", "1970-01-01T00:01:40", "successive")(cut).test
    assert list(kinds(test)) == [
        "warm",
        "item without training ratings",
        "item without training ratings",
        "both",
        "item without training ratings",
    ]
    assert sentence(test) == (
        "For 1 of 5 queries there is no history, for 4 a held-out item has no training ratings; metrics named /warm "
        "are means over the other 1."
    )


@pytest.mark.parametrize("target", ["first", "last", "successive"])
def test_metrics_of_warm_queries_are_reported_next_to_those_of_all(target, described):
    test = GlobalTime(target=target)(described).test
    evaluation = evaluate(RandomScores(), test, ks=(5, 10))
    warm = (test.history_lengths > 0) & (test.known.item_counts[test.ratings.items] > 0)
    rank = [[*row, item].index(item) for row, item in zip(evaluation.top, test.ratings.items, strict=True)]
    hits = np.array(rank) < 10
    assert evaluation.summary["hr@10"] == pytest.approx(hits.mean())
    assert evaluation.summary["hr@10/warm"] == pytest.approx(hits[warm].mean())
    queries = evaluation.slices[evaluation.slices["slice"] == "query"].set_index("value")
    assert queries["n"].sum() == test.n_queries
    assert queries.loc["warm", "n"] == warm.sum()
    assert queries.loc["warm", "recall@10"] == pytest.approx(evaluation.summary["hr@10/warm"])
    assert queries.loc["warm", "dcg@10"] == pytest.approx(evaluation.summary["ndcg@10/warm"])


def test_users_have_the_mean_of_their_steps_and_the_summary_is_over_steps(described):
    test = GlobalTime(target="successive")(described).test
    evaluation = evaluate(RandomScores(), test, ks=(10,))
    rank = [[*row, item].index(item) for row, item in zip(evaluation.top, test.ratings.items, strict=True)]
    by_user = pd.Series(np.array(rank) < 10).groupby(test.query_users).mean()
    assert evaluation.per_user["user_id"].tolist() == (test.users + 1000).tolist()
    np.testing.assert_allclose(evaluation.per_user["hr@10"], by_user)
    assert evaluation.summary["hr@10"] == pytest.approx(np.mean(np.array(rank) < 10))
    assert evaluation.summary["hr@10"] != pytest.approx(by_user.mean())


def test_items_of_the_history_before_a_step_are_not_ranked(described):
    test = GlobalTime(target="successive")(described).test
    for protocol in (FullRanking(), SampledNegatives(n=9)):
        evaluation = evaluate(RandomScores(), test, protocol, ks=(10,))
        for row, top in enumerate(evaluation.top):
            assert not {*top} & {*test.query(np.array([row])).history.items}


def test_steps_are_scored_by_the_histories_before_them(described):
    split = GlobalTime(target="successive")(described)
    model, test = EASE().fit(split.refit_train), split.test
    evaluation = evaluate(model, test, ks=(5,))
    row = test.n_queries - 1
    alone = model.score(test.query(np.array([row])))[0]
    alone[test.seen(np.array([row])).items] = -np.inf
    assert evaluation.top[row][0] == alone.argmax()


def test_where_ratings_are_predicted_together_no_query_is_cold(described):
    evaluation = evaluate(RandomScores(), GlobalTime()(described).test, ks=(10,))
    assert not [name for name in evaluation.summary if "warm" in name]
    assert "query" not in set(evaluation.slices["slice"])


def test_users_with_and_without_a_history_are_measured_separately(cut):
    split = GlobalTime("1970-01-01T00:01:00", "1970-01-01T00:01:40")(cut)
    test = split.test
    evaluation = evaluate(EASE().fit(split.refit_train), test, ks=(1, 3))
    known = test.history_lengths > 0
    assert known.tolist() == [True, True, False]
    ndcg = evaluation.per_query["ndcg@3"]
    assert evaluation.summary["ndcg@3/with_history"] == pytest.approx(ndcg[known].mean())
    assert evaluation.summary["ndcg@3/without_history"] == pytest.approx(ndcg[~known].mean())


def test_metrics_have_no_suffix_if_all_users_have_a_history(described):
    summary = evaluate(RandomScores(), LeaveOneOut()(described).test, ks=(10,)).summary
    assert not [name for name in summary if "history" in name]
