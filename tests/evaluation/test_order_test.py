"""The order test: histories in random order, for models that read their order and for others."""

import numpy as np
import pytest

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import History
from recsys.errors import UserError
from recsys.evaluation.evaluate import evaluate
from recsys.evaluation.order_test import check_order_test, order_test
from recsys.evaluation.protocols import FullRanking, SampledNegatives
from recsys.models.base import Recommender
from recsys.models.ease import EASE
from recsys.studies.testing import Measurement
from tests.evaluation.random_models import RandomScores

FULL = FullRanking()


class Successor(Recommender):
    """Scores the item whose code follows that of the last item of the history."""

    uses_history = True
    reads_order = True

    def _fit(self, train, valid, context):
        """Learn nothing."""

    def _score(self, query):
        scores = np.zeros((len(query), 40), np.float32)
        last = query.history.items[query.history.indptr[1:] - 1]
        scores[np.arange(len(query)), (last + 1) % 40] = 1
        return scores


@pytest.fixture
def steps() -> Holdout:
    """300 users who rated 10 consecutive items; the last one is held out."""
    starts = np.random.default_rng(0).integers(0, 40, size=300)
    users, places = np.repeat(np.arange(300), 10), np.tile(np.arange(10), 300)
    dataset = Dataset.from_arrays(users, (starts[users] + places) % 40, times=places, n_items=40)
    return Holdout(dataset.select(places == 9), dataset.select(places < 9))


def test_shuffled_histories_keep_their_items_ratings_and_times():
    history = History(
        np.array([0, 3, 3, 8]), np.arange(8, dtype=np.int32), np.arange(8, dtype=np.float32), np.arange(8) + 100
    )
    shuffled = history.shuffled(np.random.default_rng(1))
    assert shuffled.items.tolist() != history.items.tolist()
    assert sorted(shuffled.items[:3]) == [0, 1, 2]
    assert sorted(shuffled.items[3:]) == [3, 4, 5, 6, 7]
    assert shuffled.ratings.tolist() == shuffled.items.tolist()
    assert shuffled.times.tolist() == history.times.tolist()


def test_a_model_that_reads_only_the_order_finds_one_in_nine_items_without_it(steps):
    model = Successor().fit(steps.known)
    assert evaluate(model, steps, FULL, [1]).summary["ndcg@1"] == 1
    (name, found), *others = order_test(model, steps, FULL, [1]).items()
    assert (name, others) == ("ndcg@1/shuffled_history", [])
    assert abs(found - 1 / 9) < 4 * np.sqrt(1 / 9 * 8 / 9 / 300)


def test_the_order_test_is_deterministic_and_depends_on_its_seed(steps):
    model = Successor().fit(steps.known)
    first, again, other = (order_test(model, steps, FULL, [5, 10], seed=seed) for seed in (0, 0, 1))
    assert first == again != other
    assert list(first) == ["ndcg@10/shuffled_history"]


def test_every_protocol_has_its_order_test(steps):
    assert list(order_test(Successor().fit(steps.known), steps, SampledNegatives(9), [5])) == [
        "ndcg@5/sampled9/shuffled_history"
    ]


def test_models_that_declare_to_read_the_order_are_always_tested_for_it(steps):
    name = "ndcg@10/shuffled_history"
    assert name in Measurement(FULL, [10], None).test(Successor().fit(steps.known), steps).summary
    ease = EASE().fit(steps.known)
    assert name not in Measurement(FULL, [10], None).test(ease, steps).summary
    tested = Measurement(FULL, [10], None, order_test=True).test(ease, steps).summary
    assert tested[name] == tested["ndcg@10"]  # EASE reads no order


def test_models_without_histories_and_protocols_without_ranking_are_refused():
    with pytest.raises(UserError, match=r"scores by histories \(got RandomScores"):
        check_order_test(RandomScores(), FULL)
    with pytest.raises(UserError, match="must have a protocol that ranks items"):
        check_order_test(EASE(), None)
