import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from recsys.models.decision_trees import DecisionTrees

ESTIMATORS = {
    "boosting": lambda: HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=8, random_state=0),
    "forest": lambda: RandomForestClassifier(20, min_samples_leaf=3, random_state=0),
}
OUTPUTS = {
    "boosting": lambda estimator, frame: estimator.decision_function(frame),
    "forest": lambda estimator, frame: estimator.predict_proba(frame)[:, 1],
}


@pytest.fixture(scope="module")
def frame() -> np.ndarray:
    """Four features, of which the first two decide the label."""
    return np.random.default_rng(0).normal(size=(400, 4)).round(1).astype(np.float32)


@pytest.fixture(scope="module", params=ESTIMATORS)
def fitted(request: pytest.FixtureRequest, frame: np.ndarray):
    labels = frame[:, 0] > frame[:, 1] ** 2
    estimator = ESTIMATORS[request.param]().fit(frame, labels)
    trees = DecisionTrees.of_boosting(estimator) if request.param == "boosting" else DecisionTrees.of_forest(estimator)
    return trees, OUTPUTS[request.param](estimator, frame)


def test_predictions_are_those_of_scikit_learn(fitted, frame: np.ndarray, monkeypatch: pytest.MonkeyPatch):
    trees, expected = fitted
    np.testing.assert_allclose(trees.predict(frame), expected, rtol=1e-9, atol=1e-12)
    monkeypatch.setattr("recsys.models.decision_trees.CELLS_PER_PASS", 128)
    np.testing.assert_allclose(trees.predict(frame), expected, rtol=1e-9, atol=1e-12)


def test_contributions_sum_to_the_prediction_and_belong_to_what_decides(fitted, frame: np.ndarray):
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
