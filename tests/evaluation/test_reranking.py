from dataclasses import asdict, replace
from itertools import combinations

import numpy as np
import pytest

from recsys.config import compose, instantiate
from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import History, Query
from recsys.data.splitters import Ratio
from recsys.errors import UserError
from recsys.evaluation import reranking
from recsys.evaluation.evaluate import check, evaluate
from recsys.evaluation.protocols import SampledNegatives
from recsys.evaluation.reranking import Calibrated, MaximalMarginalRelevance, Surprising
from recsys.metrics.beyond_accuracy import jaccard_diversity
from recsys.metrics.genres import distributions, genre_indicators, history_distributions
from recsys.metrics.ranking import mask_seen, top_k
from tests.evaluation.random_models import RandomEmbeddings, RandomScores

KS = (5, 10)
KINDS = [MaximalMarginalRelevance, Calibrated, Surprising]


@pytest.fixture
def holdout(timed: Dataset) -> Holdout:
    """Items have one to three of five genres, item 0 has none."""
    rng = np.random.default_rng(7)
    genres = [[]] + [rng.choice(list("ABCDE"), rng.integers(1, 4), replace=False).tolist() for _ in range(39)]
    described = replace(timed, item_frame=timed.item_frame.assign(genres=genres))
    return Ratio(valid=0.2, test=0.4)(described).test


def jaccard(one: set, other: set) -> float:
    return len(one & other) / max(len(one | other), 1)


def divergence(target: np.ndarray, listed: list[np.ndarray]) -> float:
    """Steck's, by a plain loop over genres."""
    total = np.sum(listed, axis=0)
    mixed = total / max(total.sum(), 1)
    smoothed = 0.99 * mixed + 0.01 * target
    return sum(p * np.log(p / q) for p, q in zip(target, smoothed, strict=True) if p > 0)


def by_hand(candidates: list[int], scores: np.ndarray, cost, trade_off: float, k: int) -> list[int]:
    """The greedy list of one user; `cost` takes the items listed so far and the next one."""
    values = scores[candidates]
    relevance = dict(zip(candidates, (values - values.min()) / (values.max() - values.min()), strict=True))
    listed: list[int] = []
    while len(listed) < k:
        left = [item for item in candidates if item not in listed]
        listed.append(max(left, key=lambda item: (1 - trade_off) * relevance[item] - trade_off * cost(listed, item)))
    return listed


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trade_off", [0.3, 0.7])
def test_lists_are_those_of_a_plain_greedy_loop(kind, trade_off, holdout):
    model, n, k = RandomScores(), 12, 5
    evaluation = evaluate(model, holdout, ks=(k,), reranker=kind(trade_off, n))
    genres = [set(names) for names in holdout.known.item_frame["genres"]]
    of_items, counts = distributions(genre_indicators(holdout.known.item_frame)), holdout.known.item_counts
    for row, user in enumerate(holdout.users):
        history = holdout.known.history(np.array([user]))
        ranked = mask_seen(model.score(Query(np.array([user]), history)), history)
        candidates = top_k(ranked, np.array([user]), n)[0].tolist()
        target = distributions(of_items[history.items].sum(axis=0, keepdims=True))[0]
        costs = {
            MaximalMarginalRelevance: lambda listed, item: max(
                (jaccard(genres[item], genres[i]) for i in listed), default=0
            ),
            Calibrated: lambda listed, item, p=target: divergence(p, of_items[[*listed, item]]),
            Surprising: lambda listed, item: np.log1p(counts[item]) / np.log1p(counts.max()),
        }
        assert evaluation.top[row].tolist() == by_hand(candidates, ranked[0], costs[kind], trade_off, k)


@pytest.mark.parametrize("reranker", [*(kind(0.0) for kind in KINDS), MaximalMarginalRelevance(0.0, 7, "embeddings")])
def test_without_a_trade_off_the_list_is_the_models_own(reranker, holdout):
    own, reordered = (evaluate(RandomEmbeddings(), holdout, ks=KS, reranker=each) for each in (None, reranker))
    np.testing.assert_array_equal(own.top, reordered.top)
    assert own.summary == reordered.summary


def test_scores_that_are_equal_keep_the_models_order(holdout):
    model = RandomScores()
    model.scores[:] = 1
    own, reordered = (evaluate(model, holdout, ks=KS, reranker=each) for each in (None, Calibrated(0.0)))
    np.testing.assert_array_equal(own.top, reordered.top)


@pytest.mark.parametrize(
    ("reranker", "goal", "sign"),
    [
        (MaximalMarginalRelevance(), "diversity@10", 1),
        (MaximalMarginalRelevance(similarity="embeddings"), "embedding_diversity@10", 1),
        (Calibrated(), "miscalibration@10", -1),
        (Surprising(), "mean_popularity@10", -1),
    ],
    ids=["genres", "embeddings", "calibrated", "surprising"],
)
def test_a_larger_trade_off_brings_lists_closer_to_the_goal(reranker, goal, sign, holdout):
    evaluations = [
        evaluate(RandomEmbeddings(), holdout, ks=KS, reranker=replace(reranker, trade_off=trade_off))
        for trade_off in (0.0, 0.5, 1.0)
    ]
    values = [sign * evaluation.summary[goal] for evaluation in evaluations]
    assert values[0] < values[1] <= values[2]
    assert evaluations[0].summary["auc"] == evaluations[2].summary["auc"]


@pytest.mark.parametrize("kind", KINDS)
def test_only_candidates_are_reordered(kind, holdout):
    own, reordered = (evaluate(RandomScores(), holdout, ks=(10,), reranker=each) for each in (None, kind(1.0, 6)))
    np.testing.assert_array_equal(own.top[:, 6:], reordered.top[:, 6:])
    np.testing.assert_array_equal(np.sort(own.top[:, :6]), np.sort(reordered.top[:, :6]))
    assert (own.top != reordered.top).any()


@pytest.mark.parametrize("kind", KINDS)
def test_short_lists_stay_short(kind, holdout):
    protocol = SampledNegatives(n=4)
    own, reordered = (evaluate(RandomScores(), holdout, protocol, (5,), reranker=each) for each in (None, kind(1.0)))
    assert (own.top >= 0).sum() == (reordered.top >= 0).sum()
    rank = kind(1.0).ranker(RandomScores(), holdout.known)
    scores = np.full((1, 40), -np.inf, np.float32)
    scores[0, [3, 8]] = 1, 2
    assert sorted(rank(scores, np.array([0]), History.of_items([[1, 2]]), 4)[0]) == [-1, -1, 3, 8]


@pytest.mark.parametrize("kind", KINDS)
def test_a_users_list_does_not_depend_on_the_batch(kind, holdout, monkeypatch):
    monkeypatch.setattr(reranking, "_BLOCK_SIZE", 7)
    whole, single = (
        evaluate(RandomScores(), holdout, ks=KS, reranker=kind(0.5), batch_bytes=size).top for size in (2**26, 1)
    )
    np.testing.assert_array_equal(whole, single)


@pytest.mark.parametrize("kind", KINDS)
def test_a_user_without_a_history_has_a_list(kind, holdout):
    rank = kind(0.5).ranker(RandomScores(), holdout.known)
    top = rank(RandomScores().scores[:1].copy(), np.array([-1]), History.of_items([[]]), 10)
    assert len(set(top[0])) == 10


@pytest.mark.parametrize("kind", KINDS)
def test_values_out_of_range_are_refused(kind):
    for trade_off in (-0.1, 1.1, float("nan")):
        with pytest.raises(UserError, match="trade_off, the weight of the other goal, must be between 0"):
            kind(trade_off)
    with pytest.raises(UserError, match="n_candidates must be at least 1"):
        kind(n_candidates=0)


def test_an_unknown_similarity_is_refused():
    with pytest.raises(UserError, match=r"similarity must be one of genres, embeddings \(got 'embedding'\)"):
        MaximalMarginalRelevance(similarity="embedding")


def test_requirements_of_a_goal_are_checked_before_any_scoring(timed, holdout):
    bare = Ratio()(timed).test
    for kind in (MaximalMarginalRelevance, Calibrated):
        with pytest.raises(UserError, match="items of arrays have no genres"):
            check(RandomScores(), KS, bare, reranker=kind())
    with pytest.raises(UserError, match="RandomScores has no embeddings"):
        check(RandomScores(), KS, holdout, reranker=MaximalMarginalRelevance(similarity="embeddings"))
    with pytest.raises(UserError, match="protocol=ratings ranks no items"):
        check(RandomScores(), KS, holdout, None, Calibrated())


@pytest.mark.parametrize(
    ("name", "kind"), [("mmr", MaximalMarginalRelevance), ("calibrated", Calibrated), ("surprising", Surprising)]
)
def test_configs_name_the_rerankers(name, kind):
    reranker = instantiate(compose("train", [f"reranker={name}"]).reranker)
    assert reranker == kind(**asdict(reranker))


def test_the_distribution_of_a_history_is_the_mean_over_its_items():
    of_items = distributions(np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0]], np.float32))
    history = History.of_items([[0, 1, 2], [2], []])
    np.testing.assert_allclose(history_distributions(history, of_items), [[0.25, 0.75, 0], [0, 0, 0], [0, 0, 0]])


def test_pairs_of_a_diverse_list_share_less(holdout):
    """The metric of the goal, computed independently of the reranker."""
    genres = [set(names) for names in holdout.known.item_frame["genres"]]
    top = evaluate(RandomScores(), holdout, ks=(5,), reranker=MaximalMarginalRelevance(1.0)).top
    by_pairs = [np.mean([1 - jaccard(genres[a], genres[b]) for a, b in combinations(row, 2)]) for row in top]
    measured = jaccard_diversity(top, genre_indicators(holdout.known.item_frame))
    np.testing.assert_allclose(measured, by_pairs, rtol=1e-6)
