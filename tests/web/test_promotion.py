"""Refits and earlier runs, compared on users whose test films they find or do not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import numpy as np
import pytest

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import History
from recsys.errors import UserError
from recsys.models.base import FitContext, Recommender
from recsys.web.promotion import USERS, VIEWERS, Comparison, Promotion, Trial

N_USERS, N_FILMS = 400, 20
OWN = np.arange(N_USERS) < 300  # the others are viewers


class Finds(Recommender):
    """Ranks the test film, 0, first for some users and last for all others."""

    def __init__(self, found: Iterable[int]) -> None:
        self.found = [*found]

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        return self

    def score(self, users: np.ndarray, history: History) -> np.ndarray:
        scores = np.tile(np.arange(N_FILMS, dtype=np.float32), (len(users), 1))
        scores[np.isin(users, self.found), 0] = N_FILMS
        return scores


class Errs(Recommender):
    """Predicts stars that are off by so much, where all are 3."""

    predicts_ratings = True
    scale = (1.0, 5.0)

    def __init__(self, off: float) -> None:
        self.off = off

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        return self

    def score(self, users: np.ndarray, history: History) -> np.ndarray:
        return np.full((len(users), N_FILMS), 3 + self.off, np.float32)


def trial(earlier: dict[str, Recommender], own: np.ndarray = OWN, metric: str = "hr@10") -> Trial:
    known, found = (
        Dataset.from_arrays(np.arange(N_USERS), np.full(N_USERS, film), np.full(N_USERS, 3.0), n_items=N_FILMS)
        for film in (1, 0)
    )
    return Trial(earlier, Holdout(found, known), own, metric, [10])


def verdict(earlier: dict[str, Recommender], refit: Recommender) -> Promotion:
    return Promotion("RUN", "refit", "hr@10", trial(earlier).compare(refit, None))


def test_gains_of_viewers_do_not_hide_losses_of_the_users_of_the_data():
    promotion = verdict({"RUN": Finds(range(300))}, Finds(range(60, 400)))
    assert {each.who: round(each.better * each.users) for each in promotion.comparisons} == {USERS: -60, VIEWERS: 100}
    assert not promotion.promoted


def test_viewers_may_not_be_shown_to_be_worse_off():
    everybody = {"RUN": Finds(range(400))}
    assert verdict(everybody, Finds(range(399))).promoted
    assert not verdict(everybody, Finds(range(350))).promoted


def test_small_losses_do_not_add_up():
    first, later, last = (Finds(range(lost, 400)) for lost in (0, 15, 30))
    assert verdict({"RUN": first}, later).promoted
    assert verdict({"refits/1": later}, last).promoted
    assert not verdict({"refits/1": later, "RUN": first}, last).promoted


def test_viewers_are_left_out_and_said_to_be_where_there_are_fewer_than_two():
    comparisons = trial({"RUN": Finds([])}, np.arange(N_USERS) > 0).compare(Finds([]), None)
    assert [comparison.who for comparison in comparisons] == [USERS]
    assert any("fewer than two" in told for told in Promotion("RUN", "refit", "hr@10", comparisons).sentences())


def test_users_of_the_data_are_never_left_out():
    with pytest.raises(UserError, match="fewer than two users of the data"):
        trial({"RUN": Finds([])}, np.arange(N_USERS) == 0)


def test_a_metric_that_no_user_has_is_told():
    with pytest.raises(UserError, match="No single user has a coverage@10"):
        trial({"RUN": Finds([])}, metric="coverage@10")


@pytest.mark.parametrize(("off", "margin", "holds"), [(0.909, None, True), (0.94, None, False), (0.94, 0.1, True)])
def test_a_hundredth_of_an_error_may_be_lost_or_what_is_asked_for(off, margin, holds):
    comparisons = trial({"RUN": Errs(0.9)}, metric="rmse").compare(Errs(off), margin)
    assert [comparison.holds for comparison in comparisons if comparison.who == USERS] == [holds]


@pytest.mark.parametrize(
    ("low", "high", "margin", "holds"),
    [
        (-0.01, 1.0, 0.1, True),
        (-0.011, 1.0, 0.1, False),
        (-0.01, 1.0, 0.01, False),
        (-1.0, 0.0, None, True),
        (-1.0, -0.001, None, False),
    ],
)
def test_users_are_to_be_shown_not_worse_off_and_viewers_not_to_be_shown_worse_off(low, high, margin, holds):
    comparison = Comparison("", "RUN", 100, before=0.1, after=0.1, better=0.0, low=low, high=high, margin=margin)
    assert comparison.holds is holds
