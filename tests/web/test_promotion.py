"""Refitter are compared with earlier runs on users whose test film they find or miss."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import Query
from recsys.errors import UserError
from recsys.models.base import FitContext, Recommender
from recsys.web.promotion import ERROR_RATE, USERS, VIEWERS, GroupComparison, PromotionDecision, PromotionTest, level

N_USERS, N_FILMS = 400, 20
IN_DATA = np.arange(N_USERS) < 300  # the others are viewers


class Finds(Recommender):
    """Ranks the test film, 0, first for some users and last for all others."""

    def __init__(self, found: Iterable[int]) -> None:
        self.found = [*found]

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        """Learn nothing."""

    def _score(self, query: Query) -> np.ndarray:
        scores = np.tile(np.arange(N_FILMS, dtype=np.float32), (len(query), 1))
        scores[np.isin(query.users, self.found), 0] = N_FILMS
        return scores


class Errs(Recommender):
    """Predicts ratings with a constant error, where all ratings are 3."""

    predicts_ratings = True
    scale = (1.0, 5.0)

    def __init__(self, off: float) -> None:
        self.off = off

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        """Learn nothing."""

    def _score(self, query: Query) -> np.ndarray:
        return np.full((len(query), N_FILMS), 3 + self.off, np.float32)


def promotion_test(
    earlier: dict[str, Recommender], in_data: np.ndarray = IN_DATA, metric: str = "hr@10"
) -> PromotionTest:
    stars = np.full(N_USERS, 3.0)
    known, found = (
        replace(Dataset.from_arrays(np.arange(N_USERS), np.full(N_USERS, film), stars, n_items=N_FILMS), scale=(1, 5))
        for film in (1, 0)
    )
    return PromotionTest(earlier, Holdout(found, known), in_data, metric, [10])


def decision(earlier: dict[str, Recommender], refit: Recommender) -> PromotionDecision:
    return PromotionDecision("RUN", "refit", "hr@10", 1, promotion_test(earlier).compare(refit, None))


def test_gains_of_viewers_do_not_hide_losses_of_users():
    promotion = decision({"RUN": Finds(range(300))}, Finds(range(60, 400)))
    assert {each.who: round(each.better * each.users) for each in promotion.comparisons} == {USERS: -60, VIEWERS: 100}
    assert not promotion.promoted


def test_a_refit_that_is_significantly_worse_for_viewers_is_not_promoted():
    earlier = {"RUN": Finds(range(400))}
    assert decision(earlier, Finds(range(399))).promoted
    assert not decision(earlier, Finds(range(350))).promoted


def test_small_losses_do_not_add_up():
    first, later, last = (Finds(range(lost, 400)) for lost in (0, 15, 30))
    assert decision({"RUN": first}, later).promoted
    assert decision({"refits/1": later}, last).promoted
    assert not decision({"refits/1": later, "RUN": first}, last).promoted


def test_fewer_than_two_viewers_are_not_compared_and_the_decision_says_so():
    comparisons = promotion_test({"RUN": Finds([])}, np.arange(N_USERS) > 0).compare(Finds([]), None)
    assert [comparison.who for comparison in comparisons] == [USERS]
    assert any(
        "fewer than two" in sentence
        for sentence in PromotionDecision("RUN", "refit", "hr@10", 1, comparisons).sentences()
    )


@pytest.mark.parametrize(("n_users", "warns"), [(199, True), (200, False)])
def test_a_decision_on_few_users_says_that_mistakes_are_more_frequent(n_users, warns):
    comparisons = promotion_test({"RUN": Finds([])}, np.arange(N_USERS) < n_users).compare(Finds([]), None)
    sentences = PromotionDecision("RUN", "refit", "hr@10", 1, comparisons).sentences()
    assert any(f"With {n_users} users of the data, fewer than 200" in sentence for sentence in sentences) == warns


def test_fewer_than_two_users_of_the_data_are_refused():
    with pytest.raises(UserError, match="fewer than two users of the data"):
        promotion_test({"RUN": Finds([])}, np.arange(N_USERS) == 0)


def test_a_metric_that_single_users_lack_is_refused():
    with pytest.raises(UserError, match=r"must be defined for single users \(got coverage@10\)"):
        promotion_test({"RUN": Finds([])}, metric="coverage@10")


@pytest.mark.parametrize(("off", "margin", "passed"), [(0.908, None, True), (0.94, None, False), (0.94, 0.1, True)])
def test_the_default_margin_of_errors_is_a_hundredth(off, margin, passed):
    comparisons = promotion_test({"RUN": Errs(0.9)}, metric="rmse").compare(Errs(off), margin)
    assert [comparison.passed for comparison in comparisons if comparison.who == USERS] == [passed]


@pytest.mark.parametrize(
    ("bound", "high", "margin", "passed"),
    [
        (-0.01, 1.0, 0.1, True),
        (-0.011, 1.0, 0.1, False),
        (-0.01, 1.0, 0.01, False),
        (-1.0, 0.0, None, True),
        (-1.0, -0.001, None, False),
    ],
)
def test_users_need_non_inferiority_and_viewers_no_significant_loss(bound, high, margin, passed):
    comparison = GroupComparison("", "RUN", 100, 0.1, 0.1, better=0.0, low=-1.0, high=high, bound=bound, margin=margin)
    assert comparison.passed is passed


def test_all_looks_at_the_same_test_ratings_share_one_error_rate():
    levels = [level(look) for look in range(1, 10_001)]
    assert levels == sorted(levels, reverse=True)
    assert 0.999 * ERROR_RATE < sum(levels) < ERROR_RATE


def test_a_loss_that_is_within_the_margin_at_the_first_look_may_be_beyond_it_at_a_later_one():
    test, refit = promotion_test({"RUN": Finds(range(400))}), Finds(range(18, 400))
    first, tenth = (test.compare(refit, None, look)[0] for look in (1, 10))
    assert (first.low, first.high) == (tenth.low, tenth.high)
    assert first.passed
    assert not tenth.passed
