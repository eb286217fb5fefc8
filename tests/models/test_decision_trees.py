import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from recsys.models.decision_trees import DecisionTrees


def boosting(frame: np.ndarray, labels: np.ndarray) -> tuple[DecisionTrees, np.ndarray]:
    estimator = HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=8, random_state=0).fit(frame, labels)
    return DecisionTrees.of_boosting(estimator), estimator.decision_function(frame)


def forest(frame: np.ndarray, labels: np.ndarray) -> tuple[DecisionTrees, np.ndarray]:
    estimator = RandomForestClassifier(20, min_samples_leaf=3, random_state=0).fit(frame, labels)
    return DecisionTrees.of_forest(estimator), estimator.predict_proba(frame)[:, 1]


def lambdamart(frame: np.ndarray, labels: np.ndarray) -> tuple[DecisionTrees, np.ndarray]:
    lightgbm = pytest.importorskip("lightgbm", exc_type=(ImportError, OSError))
    ranker = lightgbm.LGBMRanker(n_estimators=20, num_leaves=8, random_state=0, n_jobs=1, verbosity=-1)
    ranker.fit(frame, labels.astype(int), group=[20] * (len(frame) // 20))
    return DecisionTrees.of_lightgbm(ranker.booster_), ranker.predict(frame)


@pytest.fixture(scope="module")
def frame() -> np.ndarray:
    """Four features, of which the first two decide the label."""
    return np.random.default_rng(0).normal(size=(400, 4)).round(1).astype(np.float32)


@pytest.fixture(scope="module", params=[boosting, forest, lambdamart])
def fitted(request: pytest.FixtureRequest, frame: np.ndarray) -> tuple[DecisionTrees, np.ndarray]:
    """Trees, and what the library predicts with them for the rows of the frame."""
    return request.param(frame, frame[:, 0] > frame[:, 1] ** 2)


def test_predictions_are_those_of_the_library(fitted, frame: np.ndarray, monkeypatch: pytest.MonkeyPatch):
    trees, expected = fitted
    np.testing.assert_allclose(trees.predict(frame), expected, rtol=1e-9, atol=1e-12)
    monkeypatch.setattr("recsys.models.decision_trees.CELLS_PER_PASS", 128)
    np.testing.assert_allclose(trees.predict(frame), expected, rtol=1e-9, atol=1e-12)


def test_contributions_sum_to_the_prediction_and_belong_to_the_features_that_decide(fitted, frame: np.ndarray):
    trees, expected = fitted
    added = trees.contributions(frame, np.array([1, 1, 0, 0]))
    np.testing.assert_allclose(added.sum(axis=1) + trees.mean, expected, rtol=1e-9, atol=1e-12)
    assert np.abs(added[:, 1]).mean() > 5 * np.abs(added[:, 0]).mean()


def test_no_rows_have_no_predictions(fitted):
    trees, _ = fitted
    assert trees.predict(np.empty((0, 4), np.float32)).shape == (0,)


def test_trees_that_lead_back_to_an_earlier_node_are_refused(fitted):
    arrays = fitted[0].arrays()
    circle = arrays["children"].copy()
    circle[0] = 0
    with pytest.raises(ValueError, match="must come before its children"):
        DecisionTrees(**arrays | {"children": circle})
