"""Builds the `Measurement` of a run from its config, and checks the metric that a search optimises."""

from __future__ import annotations

from omegaconf import DictConfig

from recsys.config.nodes import instantiate
from recsys.evaluation.evaluate import check_metric
from recsys.studies.testing import Measurement


def check_optimized_metric(cfg: DictConfig) -> None:
    """Check, before the first trial of a search, that the metric `cfg.optimized_metric` exists.

    Raises:
        UserError: the metric does not exist.
    """
    check_metric(cfg.optimized_metric, list(cfg.ks), instantiate(cfg.get("protocol")))


def measurement_of(cfg: DictConfig) -> Measurement:
    """Build the `Measurement` that a config describes under `protocol`, `ks`, `reranker` and `order_test`.

    Only `ks` is required, since configs that earlier versions stored may lack the other keys.

    Raises:
        UserError: a setting is not valid.
    """
    return Measurement(
        protocol=instantiate(cfg.get("protocol")),
        ks=list(cfg.ks),
        reranker=instantiate(cfg.get("reranker")),
        order_test=bool(cfg.get("order_test")),
    )
