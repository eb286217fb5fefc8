"""What experiments/reproducibility compares, and how."""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.studies.identity import code_digest

EXPERIMENT = Path(__file__).parents[1] / "experiments" / "reproducibility"
RESULT = {"task": "ranking", "settings": "s", "weights": "a", "scores": "b", "lists": "c", "machine": "x"}
RESULT |= {"test/ndcg@10": 0.08}
ARRAYS = {"scores": np.array([[0.0, 2.0], [4.0, 6.0]], np.float32), "lists": np.array([[1, 0], [1, 0]])}


@pytest.fixture
def repeat(monkeypatch) -> ModuleType:
    return _imported(monkeypatch, "repeat")


@pytest.fixture
def fit_models(monkeypatch) -> ModuleType:
    return _imported(monkeypatch, "fit_models")


def _imported(monkeypatch: pytest.MonkeyPatch, name: str) -> ModuleType:
    monkeypatch.syspath_prepend(EXPERIMENT)
    module = __import__(name)
    sys.modules.pop(name)
    return module


def test_equal_results_are_equal_in_everything(repeat):
    found = repeat.comparison(RESULT, RESULT, ARRAYS, ARRAYS)
    assert found["metrics"] is found["weights"] is found["scores"] is True
    assert (found["difference"], found["of"], found["lists"], found["score_difference"]) == (0, "", 1, 0)


def test_differences_are_of_the_metric_and_score_that_differ_most(repeat):
    other = RESULT | {"weights": "d", "scores": "e", "lists": "f", "test/ndcg@10": 0.1, "machine": "y"}
    arrays = {"scores": ARRAYS["scores"] + np.float32([[0, 0], [0, 1]]), "lists": np.array([[1, 0], [0, 1]])}
    found = repeat.comparison(RESULT | {"test/auc": 0.9}, other | {"test/auc": 0.9}, ARRAYS, arrays)
    assert (found["metrics"], found["weights"], found["scores"]) == (False, False, False)
    assert (found["difference"], found["of"]) == (pytest.approx(0.2), "test/ndcg@10")
    assert found["lists"] == 0.5
    assert found["score_difference"] == pytest.approx(1 / np.sqrt(5))
    assert found["platform"] == "machine"


def test_a_published_result_is_compared_without_arrays(repeat):
    assert repeat.comparison(RESULT, RESULT, {}, {})["lists"] == 1
    differing = repeat.comparison(RESULT, RESULT | {"scores": "e", "lists": "f"}, {}, {})
    assert np.isnan(differing["lists"])
    assert np.isnan(differing["score_difference"])


def test_a_model_that_failed_or_has_other_settings_is_not_compared(repeat):
    assert repeat.comparison(RESULT, {"failure": "no package"}, ARRAYS, {}) == {"failure": "no package"}
    assert set(repeat.comparison(RESULT, RESULT | {"settings": "t"}, ARRAYS, ARRAYS)) == {"failure"}


def test_relative_differences_are_those_of_the_larger_number(repeat):
    found = repeat.relative_differences(np.array([1.0, 0.0, np.nan, -2.0]), np.array([2.0, 0.0, np.nan, -1.0]))
    np.testing.assert_allclose(found, [0.5, 0, 0, 0.5])


def test_every_config_of_a_model_is_repeated_or_left_out_for_one_that_is(repeat):
    assert set(repeat.LEFT_OUT.values()) <= set(repeat.MODELS)
    configs = {path.stem for path in (EXPERIMENT.parents[1] / "configs" / "model").glob("*.yaml")}
    assert configs == {*repeat.MODELS, *repeat.LEFT_OUT}


def test_a_digest_is_of_bits_names_and_shapes(fit_models):
    zero = {"a": np.zeros(2, np.float32)}
    assert fit_models.digest(zero) == fit_models.digest({"a": np.zeros(2, np.float32)})
    others = [{"a": -zero["a"]}, {"b": zero["a"]}, {"a": zero["a"].reshape(1, 2)}, {"a": zero["a"].astype(float)}]
    assert fit_models.digest(zero) not in map(fit_models.digest, others)


def test_epochs_are_few_also_within_an_ensemble(fit_models):
    settings = {"_target_": "Blend", "models": {"mf": {"max_epochs": 50, "patience": 1, "lr": 0.1}}}
    short = fit_models.shortened(settings)["models"]["mf"]
    assert short == {"max_epochs": fit_models.N_EPOCHS, "patience": 1, "lr": 0.1}


def test_a_model_is_trained_once_with_the_same_code_and_settings(fit_models, monkeypatch, tmp_path):
    pairs = np.random.default_rng(0).choice(30 * 40, 300, replace=False)
    data = Dataset.from_arrays(pairs // 40, pairs % 40, times=np.arange(300), n_users=30, n_items=40)
    monkeypatch.setattr(fit_models, "prepared_data", lambda cfg: SimpleNamespace(dataset=data))
    monkeypatch.setattr(fit_models, "count_ratings_for_rules", lambda cfg: None)
    monkeypatch.setattr(sys, "argv", ["fit_models.py", str(tmp_path), "1", "popularity"])
    fit_models.main()
    result = json.loads((tmp_path / "popularity" / "result.json").read_text())
    assert result["code"] == code_digest({})
    assert 0 <= result["test/ndcg@10"] <= 1
    monkeypatch.setattr(fit_models, "fitted", lambda cfg, split: pytest.fail("it is trained already"))
    fit_models.main()
