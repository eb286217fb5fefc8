"""Directions of metrics."""

from recsys.metrics.accuracy import ACCURACY
from recsys.metrics.direction import ORDERED, direction


def test_larger_accuracy_and_smaller_errors_are_better_and_popularity_is_neither():
    metrics = (
        "hr@10/sampled99",
        "auc/sampled99",
        "f1/relevant",
        "ndcg@10/with_history",
        "hr@5/warm",
        "ndcg@10/shuffled_history",
        "rmse",
        "mean_popularity@10",
    )
    assert [direction(metric) for metric in metrics] == [1, 1, 1, 1, 1, 1, -1, 0]


def test_every_accuracy_metric_has_a_direction():
    assert set(ACCURACY) <= set(ORDERED)
