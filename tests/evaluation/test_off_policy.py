"""Off-policy estimates, on logs of users whose click probabilities are known."""

import numpy as np
import pandas as pd
import pytest

from recsys.evaluation.off_policy import off_policy

N_USERS, N_ITEMS, K, POOL, DRAWN = 40, 12, 4, 10, 2
CLICK_PROBABILITY = np.random.default_rng(0).uniform(0.05, 0.6, (N_USERS, N_ITEMS))
CLICK_PROBABILITY[:, : K - DRAWN] += (
    0.3  # items that are always shown are clicked more often, so that clicks alone are biased
)


def log(seed: int, listed: np.ndarray) -> pd.DataFrame:
    """A list for each user: the first K - DRAWN items, and DRAWN sampled from the rest of a pool of POOL."""
    rng = np.random.default_rng(seed)
    n_fixed = K - DRAWN
    drawn = rng.permuted(np.tile(np.arange(n_fixed, POOL), (N_USERS, 1)), axis=1)[:, :DRAWN]
    items = np.hstack([np.tile(np.arange(n_fixed), (N_USERS, 1)), drawn])
    users = np.repeat(np.arange(N_USERS), K)
    return pd.DataFrame(
        {
            "list_id": users,
            "user_id": users,
            "propensity": np.where(items < n_fixed, 1.0, DRAWN / (POOL - n_fixed)).ravel(),
            "reward": (rng.random(len(users)) < CLICK_PROBABILITY[users, items.ravel()]).astype(float),
            "listed": listed[items.ravel()].astype(float),
        }
    )


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """Few resamples, since most tests check estimates only."""
    monkeypatch.setattr("recsys.evaluation.intervals.N_RESAMPLES", 9)


def estimates(listed: np.ndarray, n: int = 80) -> pd.DataFrame:
    found = [off_policy(log(seed, listed), K) for seed in range(n)]
    return pd.DataFrame(
        [(one.ips.mean, one.snips.mean, one.support) for one in found], columns=["ips", "snips", "support"]
    )


def test_inverse_propensities_estimate_the_reward_of_another_models_lists():
    listed = np.isin(np.arange(N_ITEMS), [0, 4, 7, 9])  # one that is always shown, three sampled ones
    reward = CLICK_PROBABILITY[:, listed].sum(axis=1).mean()
    found = estimates(listed)
    error = found.std() / np.sqrt(len(found))
    assert abs(found["ips"].mean() - reward) < 3 * error["ips"]
    assert abs(found["support"].mean() - 1) < 3 * error["support"]
    assert abs(found["snips"].mean() - reward) < 0.03 * reward
    assert found["snips"].std() < found["ips"].std()
    naive = np.mean([K * shown[shown["listed"] == 1]["reward"].mean() for shown in (log(s, listed) for s in range(80))])
    assert naive > reward + 0.2


def test_items_that_could_not_be_shown_count_as_without_reward():
    listed = np.isin(np.arange(N_ITEMS), [4, 7, 10, 11])
    found = estimates(listed).mean()
    assert found["support"] == pytest.approx(0.5, abs=0.03)
    assert found["ips"] == pytest.approx(CLICK_PROBABILITY[:, [4, 7]].sum(axis=1).mean(), rel=0.05)


def test_estimates_for_the_logging_model_are_the_observed_reward():
    shown = log(0, np.ones(N_ITEMS))
    own = off_policy(shown.assign(listed=shown["propensity"]), K)
    assert own.ips == own.snips == own.observed
    assert own.observed.mean == shown["reward"].sum() / N_USERS
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
    assert (found.n_lists, found.n_users) == (2, 2)
    assert found.observed.mean == 1.5
    assert found.ips.mean == (1 + 4) / 2
    assert found.snips.mean == pytest.approx(3 * 5 / 6)
    assert found.support == (1 + 4 + 1) / 2 / 3
    assert found.effective_sample_size == pytest.approx(36 / 18)
    assert found.largest_weight == 4


def test_lists_without_common_items_have_no_estimate():
    found = off_policy(log(0, np.zeros(N_ITEMS)), K)
    assert (found.ips.mean, found.support, found.effective_sample_size) == (0, 0, 0)
    assert np.isnan(found.snips.mean)


def test_lists_of_one_user_are_not_independent(monkeypatch):
    monkeypatch.setattr("recsys.evaluation.intervals.N_RESAMPLES", 999)
    once = log(0, np.ones(N_ITEMS))
    often = pd.concat([once.assign(list_id=once["list_id"] + N_USERS * copy) for copy in range(5)])
    assert off_policy(often, K).observed == off_policy(once, K).observed
