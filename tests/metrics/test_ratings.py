import numpy as np
import pytest
from sklearn.metrics import f1_score, mean_absolute_error, precision_score, recall_score

from recsys.metrics.ratings import rating_metrics


def test_rating_metrics_equal_scikit_learn():
    rng = np.random.default_rng(0)
    actual, predicted = rng.integers(1, 6, 300).astype(np.float32), rng.uniform(1, 5, 300).astype(np.float32)
    groups = np.repeat([0, 1, 2], [50, 100, 150])
    measured = rating_metrics(predicted, actual, groups, 3)
    for group in range(3):
        own, predictions = actual[groups == group], predicted[groups == group]
        relevant, positive = own >= 4, predictions >= 4
        expected = {
            "rmse": np.sqrt(((own - predictions) ** 2).mean()),
            "mae": mean_absolute_error(own, predictions),
            "precision/relevant": precision_score(relevant, positive),
            "recall/relevant": recall_score(relevant, positive),
            "f1/relevant": f1_score(relevant, positive),
        }
        assert {name: values[group] for name, values in measured.items()} == pytest.approx(expected, rel=1e-5)


def test_rating_metrics_that_are_undefined_are_zero():
    measured = rating_metrics(np.array([3.0]), np.array([2.0]), np.array([0]), 1)
    assert [measured[name].item() for name in ("precision/relevant", "recall/relevant", "f1/relevant")] == [0, 0, 0]
