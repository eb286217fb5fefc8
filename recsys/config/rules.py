"""Settings that depend on the number of ratings: `lr: ${if_fewer_ratings:500000,0.003,0.005}`.

The value is the second argument if the data set has fewer ratings than the first, otherwise the third. An override of
the setting replaces the rule. The number of ratings is `n_ratings` of the config; while it is null, rules yield the
value for fewer ratings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from recsys.config.nodes import instantiate
from recsys.places import default_cache

RULE = "if_fewer_ratings"


def register_rules() -> None:
    """Register the resolvers `if_fewer_ratings` and `default_cache`, which configs use."""
    OmegaConf.register_new_resolver(RULE, _if_fewer_ratings, replace=True)
    OmegaConf.register_new_resolver("default_cache", default_cache, replace=True)


def count_ratings_for_rules(cfg: DictConfig) -> None:
    """Set `n_ratings` of a run's config to the number of ratings in its data, if it is null and the model has a rule.

    Raises:
        UserError: the data cannot be prepared.
    """
    if cfg.get("n_ratings") is None and f"${{{RULE}:" in str(cfg.model):
        from recsys.config.splits import engine_of  # imports DuckDB, which not every command needs
        from recsys.data.prepare import count_ratings

        n_ratings = count_ratings(instantiate(cfg.data), Path(cfg.cache_dir), engine_of(cfg))
        OmegaConf.update(cfg, "n_ratings", n_ratings, force_add=True)


def _if_fewer_ratings(limit: int, fewer: Any, otherwise: Any, *, _root_: DictConfig) -> Any:
    return fewer if (_root_.get("n_ratings") or 0) < limit else otherwise
