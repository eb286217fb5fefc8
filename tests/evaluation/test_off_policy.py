"""Off-policy estimates, on logs of viewers whose tastes are known."""

import numpy as np
import pandas as pd
import pytest

from recsys.evaluation.off_policy import off_policy

N_VIEWERS, N_FILMS, K, POOL, DRAWN = 40, 12, 4, 10, 2
TASTES = np.random.default_rng(0).uniform(0.05, 0.6, (N_VIEWERS, N_FILMS))  # probability of a click
TASTES[:, : K - DRAWN] += 0.3  # what is sure to be shown is liked more, so the clicks on it flatter


def log(seed: int, listed: np.ndarray) -> pd.DataFrame:
    """A list for each viewer: the first K - DRAWN films, and DRAWN of those that follow in a pool of POOL."""
    rng = np.random.default_rng(seed)
    n_sure = K - DRAWN
    drawn = rng.permuted(np.tile(np.arange(n_sure, POOL), (N_VIEWERS, 1)), axis=1)[:, :DRAWN]
    films = np.hstack([np.tile(np.arange(n_sure), (N_VIEWERS, 1)), drawn])
    viewers = np.repeat(np.arange(N_VIEWERS), K)
    return pd.DataFrame(
        {
            "list_id": viewers,
            "user_id": viewers,
            "propensity": np.where(films < n_sure, 1.0, DRAWN / (POOL - n_sure)).ravel(),
            "reward": (rng.random(len(viewers)) < TASTES[viewers, films.ravel()]).astype(float),
            "listed": listed[films.ravel()].astype(float),
        }
    )


@pytest.fixture(autouse=True)
def no_intervals(monkeypatch):
    """Few resamples: most tests look at the estimates alone."""
    monkeypatch.setattr("recsys.evaluation.significance.N_RESAMPLES", 99)


def estimates(listed: np.ndarray, n: int = 150) -> pd.DataFrame:
    found = [off_policy(log(seed, listed), K) for seed in range(n)]
    return pd.DataFrame(
        [(one.ips.mean, one.snips.mean, one.support) for one in found], columns=["ips", "snips", "support"]
    )


def test_inverse_propensities_tell_what_another_model_s_lists_are_worth():
    listed = np.isin(np.arange(N_FILMS), [0, 4, 7, 9])  # one sure film, three drawn ones
    worth = TASTES[:, listed].sum(axis=1).mean()
    found = estimates(listed)
    error = found.std() / np.sqrt(len(found))
    assert abs(found["ips"].mean() - worth) < 3 * error["ips"]
    assert abs(found["support"].mean() - 1) < 3 * error["support"]
    assert abs(found["snips"].mean() - worth) < 0.03 * worth
    assert found["snips"].std() < found["ips"].std()
    naive = np.mean(
        [K * shown[shown["listed"] == 1]["reward"].mean() for shown in (log(s, listed) for s in range(150))]
    )
    assert naive > worth + 0.2


def test_of_films_that_could_not_be_shown_inverse_propensities_know_nothing():
    listed = np.isin(np.arange(N_FILMS), [4, 7, 10, 11])
    found = estimates(listed).mean()
    assert found["support"] == pytest.approx(0.5, abs=0.03)
    assert found["ips"] == pytest.approx(TASTES[:, [4, 7]].sum(axis=1).mean(), rel=0.05)


def test_the_logging_model_s_own_lists_are_worth_what_was_observed():
    shown = log(0, np.ones(N_FILMS))
    own = off_policy(shown.assign(listed=shown["propensity"]), K)
    assert own.ips == own.snips == own.observed
    assert own.observed.mean == shown["reward"].sum() / N_VIEWERS
    assert own.support == 1.0
    assert own.effective_sample_size == len(shown)
    assert own.largest_weight == 1.0


def test_weights_by_hand():
    shown = pd.DataFrame(
        [
            ("a", "ann", 1.0, 1.0, 1.0),
            ("a", "ann", 0.25, 1.0, 1.0),
            ("a", "ann", 0.25, 1.0, 0.0),
            ("b", "bob", 1.0, 0.0, 1.0),
            ("b", "bob", 0.25, 0.0, 0.0),
        ],
        columns=["list_id", "user_id", "propensity", "reward", "listed"],
    )
    found = off_policy(shown, 3)
    assert (found.n_lists, found.n_viewers) == (2, 2)
    assert found.observed.mean == 1.5
    assert found.ips.mean == (1 + 4) / 2
    assert found.snips.mean == pytest.approx(3 * 5 / 6)
    assert found.support == (1 + 4 + 1) / 2 / 3
    assert found.effective_sample_size == pytest.approx(36 / 18)
    assert found.largest_weight == 4


def test_nothing_in_common_is_no_estimate_of_quality():
    found = off_policy(log(0, np.zeros(N_FILMS)), K)
    assert (found.ips.mean, found.support, found.effective_sample_size) == (0, 0, 0)
    assert np.isnan(found.snips.mean)


def test_lists_of_one_viewer_are_not_taken_to_be_independent(monkeypatch):
    monkeypatch.setattr("recsys.evaluation.significance.N_RESAMPLES", 999)
    once = log(0, np.ones(N_FILMS))
    often = pd.concat([once.assign(list_id=once["list_id"] + N_VIEWERS * copy) for copy in range(5)])
    assert off_policy(often, K).observed == off_policy(once, K).observed
