"""Selection among models with a known order and lead."""

from dataclasses import replace

import numpy as np
import pytest

from recsys.errors import UserError
from recsys.evaluation.intervals import Interval
from recsys.studies.runs import Run
from recsys.studies.selection import select
from tests.studies.runs import run_in_memory

N_USERS = 200


def run(model: str, split: str, metric: str, test: np.ndarray, valid: float, seconds: float = 1.0) -> Run:
    metrics = {f"valid/{metric}": valid, f"test/{metric}": float(test.mean())}
    return run_in_memory(model, metrics, split, users={metric: test}, seconds=seconds)


def study(lead: float, noise: float = 0.05, metric: str = "ndcg@10", splits: tuple[str, ...] = ("a", "b")) -> list:
    """Good leads Fair on test by `lead`, with a standard deviation of `noise` over users, and Poor by 1."""
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


def test_validation_chooses_and_test_confirms():
    selection = select(study(lead=0.05), "ndcg@10")
    assert selection.ranking.index.tolist() == ["Good", "Fair", "Poor"]
    assert selection.lead.mean == pytest.approx(0.05, abs=0.01)
    assert (selection.n_splits, selection.n_users) == (2, N_USERS)
    text = " ".join(selection.sentences())
    assert "Use Good: it is better than Fair beyond reasonable doubt." in text
    assert "Training took 30 s for Good and 2 s for Fair" in text


def test_an_insignificant_lead_is_not_a_recommendation():
    selection = replace(select(study(lead=0.05), "ndcg@10"), lead=Interval(0.001, -0.004, 0.006), p_value=0.4)
    text = " ".join(selection.sentences())
    assert "no evidence that Good is better than Fair" in text
    assert "Use Good" not in text


def test_a_choice_that_the_test_contradicts_is_a_warning():
    text = " ".join(select(study(lead=-0.05), "ndcg@10").sentences())
    assert "validation chose it, but Fair is significantly better on test" in text
    assert "Good, which validation chose, is behind Fair by 0.05" in text
    assert "-0.0" not in text


def test_a_small_deficit_on_test_is_no_evidence_for_either():
    selection = select(study(lead=-0.0001, noise=0.01), "ndcg@10")
    selection = replace(selection, lead=Interval(-0.03, -0.07, 0.01), p_value=0.14)
    text = " ".join(selection.sentences())
    assert "is behind Fair by 0.0300 [-0.0100, 0.0700] (200 users, p 0.14)" in text
    assert "no evidence that either of the two is better" in text


def test_the_mean_over_splits_is_mentioned_for_several_only():
    assert "on validation, mean over 2 splits: Good" in select(study(0.05), "ndcg@10").sentences()[0]
    assert "on validation: Good" in select(study(0.05, splits=("a",)), "ndcg@10").sentences()[0]


def test_a_metric_may_name_validation_and_one_of_the_test_is_refused():
    assert select(study(lead=0.05), "valid/ndcg@10").metric == "ndcg@10"
    with pytest.raises(UserError, match=r"Validation chooses the model.* give --metric ndcg@10 without the stage"):
        select(study(lead=0.05), "test/ndcg@10")


def test_smaller_errors_are_better():
    runs = study(lead=-0.05, metric="rmse")
    for each in runs:
        each.metrics["valid/rmse"] = 1 - each.metrics["valid/rmse"]
    selection = select(runs, "rmse")
    assert selection.ranking.index[0] == "Good"
    assert selection.lead.mean == pytest.approx(0.05, abs=0.01)


def test_a_model_that_was_not_run_on_all_splits_is_left_out():
    runs = [each for each in study(lead=0.05) if each.config["model"]["_target_"] != "recsys.models.x.Good"]
    runs.append(study(lead=0.05)[0])
    selection = select(runs, "ndcg@10")
    assert selection.left_out == ["Good"]
    assert selection.ranking.index[0] == "Fair"


def test_splits_of_only_one_model_and_models_without_the_metric_are_ignored():
    runs = [run("Unrated", "a", "mae", np.ones(N_USERS), valid=0.1), *study(lead=0.05)]
    runs.append(run("Good", "c", "ndcg@10", np.zeros(N_USERS), valid=0.0))
    selection = select(runs, "ndcg@10")
    assert selection.left_out == ["Unrated"]
    assert selection.n_splits == 2
    assert selection.ranking["Good"] == 0.5


def test_metrics_without_direction_and_single_models_are_refused():
    with pytest.raises(UserError, match=r"metric must be one that ranks models: hr, precision.*novelty@10"):
        select(study(lead=0.05), "novelty@10")
    with pytest.raises(UserError, match=r"No run has the metric valid/hr@10: .* ndcg, as in valid/ndcg@10"):
        select(study(lead=0.05), "hr@10")
    with pytest.raises(UserError, match="Fewer than two models were run on all splits"):
        select(study(lead=0.05)[:1], "ndcg@10")
