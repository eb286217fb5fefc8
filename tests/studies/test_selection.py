"""Studies of made-up runs in which it is known who is better, and by how much."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from recsys.errors import UserError
from recsys.studies.selection import select

N_USERS = 200


def run(model: str, split: str, metric: str, test: np.ndarray, valid: float, seconds: float = 1.0):
    return SimpleNamespace(
        config={"model": {"_target_": f"recsys.models.x.{model}"}, "seed": 0},
        metrics={f"valid/{metric}": valid, f"test/{metric}": float(test.mean())},
        manifest={
            "data": {"name": "made-up"},
            "split": {"name": "folds", "fingerprint": split},
            "seconds": {"fit": seconds},
        },
        per_user=pd.DataFrame({"user_id": np.arange(N_USERS), metric: test}),
    )


def study(lead: float, noise: float = 0.05, metric: str = "ndcg@10", splits: tuple[str, ...] = ("a", "b")) -> list:
    """Good is ahead of Fair on test by `lead`, give or take `noise` a user, and of Poor by far."""
    rng = np.random.default_rng(0)
    runs = []
    for split in splits:
        fair = rng.random(N_USERS)
        runs += [
            run("Good", split, metric, fair + lead + rng.normal(0, noise, N_USERS), valid=0.5, seconds=30.0),
            run("Fair", split, metric, fair, valid=0.4, seconds=2.0),
            run("Poor", split, metric, fair - 1, valid=0.1),
        ]
    return runs


def test_validation_chooses_and_test_says_how_sure_that_is():
    selection = select(study(lead=0.05), "ndcg@10")
    assert selection.ranking.index.tolist() == ["Good", "Fair", "Poor"]
    assert selection.lead.mean == pytest.approx(0.05, abs=0.01)
    assert (selection.n_splits, selection.n_users) == (2, N_USERS)
    told = " ".join(selection.sentences())
    assert "Use Good: that it is better than Fair is beyond reasonable doubt." in told
    assert "Good took 30 s and Fair 2 s" in told


def test_a_lead_within_chance_is_not_called_one():
    told = " ".join(select(study(lead=0.0001), "ndcg@10").sentences())
    assert "that Good is better than Fair is not shown" in told.replace("That", "that")
    assert "Use Good" not in told


def test_a_choice_that_the_test_contradicts_is_said_to_be_one():
    told = " ".join(select(study(lead=-0.05), "ndcg@10").sentences())
    assert "validation chose it, but on test Fair is ahead by more than chance" in told


def test_less_of_an_error_is_better():
    runs = study(lead=-0.05, metric="rmse")
    for made in runs:
        made.metrics["valid/rmse"] = 1 - made.metrics["valid/rmse"]
    selection = select(runs, "rmse")
    assert selection.ranking.index[0] == "Good"
    assert selection.lead.mean == pytest.approx(0.05, abs=0.01)


def test_a_model_that_was_not_run_on_all_splits_is_left_out_and_named():
    runs = [made for made in study(lead=0.05) if made.config["model"]["_target_"] != "recsys.models.x.Good"]
    runs.append(study(lead=0.05)[0])
    selection = select(runs, "ndcg@10")
    assert selection.left_out == ["Good"]
    assert selection.ranking.index[0] == "Fair"


def test_further_splits_of_one_model_and_models_without_the_metric_are_no_trouble():
    runs = [run("Unrated", "a", "mae", np.ones(N_USERS), valid=0.1), *study(lead=0.05)]
    runs.append(run("Good", "c", "ndcg@10", np.zeros(N_USERS), valid=0.0))
    selection = select(runs, "ndcg@10")
    assert selection.left_out == ["Unrated"]
    assert selection.n_splits == 2
    assert selection.ranking["Good"] == 0.5


def test_what_cannot_be_chosen_by_is_refused():
    with pytest.raises(UserError, match="More of novelty@10 is not better or worse: choose by one of hr, precision"):
        select(study(lead=0.05), "novelty@10")
    with pytest.raises(UserError, match="No run has a metric valid/hr@10"):
        select(study(lead=0.05), "hr@10")
    with pytest.raises(UserError, match="no two models that were run on all splits"):
        select(study(lead=0.05)[:1], "ndcg@10")
