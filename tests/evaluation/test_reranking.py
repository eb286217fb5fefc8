from dataclasses import asdict, replace
from itertools import combinations

import numpy as np
import pytest

from recsys.config import compose, instantiate
from recsys.data.dataset import Dataset, History, Holdout
from recsys.data.splitters import Ratio
from recsys.errors import UserError
from recsys.evaluation import metrics, reranking
from recsys.evaluation.evaluate import SampledNegatives, check, evaluate
from recsys.evaluation.genres import genres, shares, tastes
from recsys.evaluation.ranking import top_k, unseen
from recsys.evaluation.reranking import Calibrated, MaximalMarginalRelevance, Surprising
from tests.evaluation.test_evaluate import RandomScores, RandomSpace

KS = (5, 10)
KINDS = [MaximalMarginalRelevance, Calibrated, Surprising]


@pytest.fixture
def holdout(timed: Dataset) -> Holdout:
    """Films have one to three of five genres, film 0 none."""
    rng = np.random.default_rng(7)
    told = [[]] + [rng.choice(list("ABCDE"), rng.integers(1, 4), replace=False).tolist() for _ in range(39)]
    described = replace(timed, item_frame=timed.item_frame.assign(genres=told))
    return Ratio(valid=0.2, test=0.4)(described).test


def jaccard(one: set, other: set) -> float:
    return len(one & other) / max(len(one | other), 1)


def divergence(taste: np.ndarray, listed: list[np.ndarray]) -> float:
    """Steck's, by a plain loop over genres."""
    total = np.sum(listed, axis=0)
    mixed = total / max(total.sum(), 1)
    smoothed = 0.99 * mixed + 0.01 * taste
    return sum(p * np.log(p / q) for p, q in zip(taste, smoothed, strict=True) if p > 0)


def by_hand(candidates: list[int], scores: np.ndarray, cost, trade_off: float, k: int) -> list[int]:
    """The greedy list of one user; `cost` of the films listed so far and the next one."""
    values = scores[candidates]
    relevance = dict(zip(candidates, (values - values.min()) / (values.max() - values.min()), strict=True))
    listed: list[int] = []
    while len(listed) < k:
        left = [film for film in candidates if film not in listed]
        listed.append(max(left, key=lambda film: (1 - trade_off) * relevance[film] - trade_off * cost(listed, film)))
    return listed


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trade_off", [0.3, 0.7])
def test_lists_are_those_of_a_plain_greedy_loop(kind, trade_off, holdout):
    model, n, k = RandomScores(), 12, 5
    evaluation = evaluate(model, holdout, ks=(k,), reranker=kind(trade_off, n))
    told = [set(films) for films in holdout.known.item_frame["genres"]]
    of_films, counts = shares(genres(holdout.known.item_frame)), holdout.known.item_counts
    for row, user in enumerate(holdout.users):
        history = holdout.known.history(np.array([user]))
        ranked = unseen(model.score(np.array([user]), history), history)
        candidates = top_k(ranked, np.array([user]), n)[0].tolist()
        taste = shares(of_films[history.items].sum(axis=0, keepdims=True))[0]
        costs = {
            MaximalMarginalRelevance: lambda listed, film: max(
                (jaccard(told[film], told[i]) for i in listed), default=0
            ),
            Calibrated: lambda listed, film, p=taste: divergence(p, of_films[[*listed, film]]),
            Surprising: lambda listed, film: np.log1p(counts[film]) / np.log1p(counts.max()),
        }
        assert evaluation.top[row].tolist() == by_hand(candidates, ranked[0], costs[kind], trade_off, k)


@pytest.mark.parametrize("reranker", [*(kind(0.0) for kind in KINDS), MaximalMarginalRelevance(0.0, 7, "embeddings")])
def test_without_a_trade_off_the_list_is_the_models_own(reranker, holdout):
    own, reordered = (evaluate(RandomSpace(), holdout, ks=KS, reranker=each) for each in (None, reranker))
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
def test_the_more_is_traded_the_nearer_the_goal(reranker, goal, sign, holdout):
    traded = [
        evaluate(RandomSpace(), holdout, ks=KS, reranker=replace(reranker, trade_off=trade_off))
        for trade_off in (0.0, 0.5, 1.0)
    ]
    values = [sign * evaluation.summary[goal] for evaluation in traded]
    assert values[0] < values[1] <= values[2]
    assert traded[0].summary["auc"] == traded[2].summary["auc"]


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
    wide = kind(1.0).lists(RandomScores(), holdout.known)
    scores = np.full((1, 40), -np.inf, np.float32)
    scores[0, [3, 8]] = 1, 2
    assert sorted(wide(scores, np.array([0]), History.of_items([[1, 2]]), 4)[0]) == [-1, -1, 3, 8]


@pytest.mark.parametrize("kind", KINDS)
def test_a_users_list_does_not_depend_on_who_else_is_asked_for(kind, holdout, monkeypatch):
    monkeypatch.setattr(reranking, "_USERS_AT_ONCE", 7)
    whole, single = (
        evaluate(RandomScores(), holdout, ks=KS, reranker=kind(0.5), batch_bytes=size).top for size in (2**26, 1)
    )
    np.testing.assert_array_equal(whole, single)


@pytest.mark.parametrize("kind", KINDS)
def test_somebody_without_a_history_has_a_list(kind, holdout):
    lists = kind(0.5).lists(RandomScores(), holdout.known)
    top = lists(RandomScores().scores[:1].copy(), np.array([-1]), History.of_items([[]]), 10)
    assert len(set(top[0])) == 10


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_traded_is_refused(kind):
    for trade_off in (-0.1, 1.1, float("nan")):
        with pytest.raises(UserError, match="lies outside 0"):
            kind(trade_off)
    with pytest.raises(UserError, match="n_candidates=0"):
        kind(n_candidates=0)


def test_what_a_goal_needs_is_asked_for_before_any_scoring(timed, holdout):
    bare = Ratio()(timed).test
    for kind in (MaximalMarginalRelevance, Calibrated):
        with pytest.raises(UserError, match="films of arrays have no genres"):
            check(RandomScores(), KS, bare, reranker=kind())
    with pytest.raises(UserError, match="RandomScores has no embeddings"):
        check(RandomScores(), KS, holdout, reranker=MaximalMarginalRelevance(similarity="embeddings"))
    with pytest.raises(UserError, match="protocol=ratings ranks nothing"):
        check(RandomScores(), KS, holdout, None, Calibrated())


@pytest.mark.parametrize(
    ("name", "kind"), [("mmr", MaximalMarginalRelevance), ("calibrated", Calibrated), ("surprising", Surprising)]
)
def test_configs_name_what_is_there(name, kind):
    made = instantiate(compose("train", [f"reranker={name}"]).reranker)
    assert made == kind(**asdict(made))


def test_a_taste_is_the_mean_of_the_films_shares():
    of_films = shares(np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0]], np.float32))
    history = History.of_items([[0, 1, 2], [2], []])
    np.testing.assert_allclose(tastes(history, of_films), [[0.25, 0.75, 0], [0, 0, 0], [0, 0, 0]])


def test_pairs_of_a_diverse_list_share_less(holdout):
    """The metric that the goal is judged by is worked out apart from the goal."""
    told = [set(films) for films in holdout.known.item_frame["genres"]]
    top = evaluate(RandomScores(), holdout, ks=(5,), reranker=MaximalMarginalRelevance(1.0)).top
    by_pairs = [np.mean([1 - jaccard(told[a], told[b]) for a, b in combinations(row, 2)]) for row in top]
    measured = metrics.jaccard_diversity(top, genres(holdout.known.item_frame))
    np.testing.assert_allclose(measured, by_pairs, rtol=1e-6)
