import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.data.split import Split
from recsys.data.splitters import LeaveLastOut
from recsys.models.two_stage import BoostedTwoStage

EASE = {"_target_": "recsys.models.ease.EASE", "l2": 5.0}
MARKOV = {"_target_": "recsys.models.markov.Markov"}
TWO = {"markov": MARKOV, "ease": EASE}
LIGHT = {"n_trees": 10, "min_samples_leaf": 5, "n_labels": 2, "n_candidates": 5}


@pytest.fixture(scope="module")
def split() -> Split:
    """Half of the users rate the first half of the items, the others the rest."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(30), 8)
    items = np.concatenate([rng.permutation(12)[:8] + 12 * (user % 2) for user in range(30)])
    return LeaveLastOut()(Dataset.from_arrays(users, items, times=np.arange(240), fingerprint="halves"))


def test_x(split):
    model = BoostedTwoStage(TWO, **LIGHT).fit(split.train, split.valid)
    s = model.score(split.train.query(np.arange(4)))
    print(s, model.fit_report)
    print(model.feature_contributions(split.train.query(np.arange(1)), np.arange(12)))
