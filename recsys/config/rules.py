"""Settings that depend on the number of ratings: `lr: ${if_fewer_ratings:500000,0.003,0.005}`.

In this example, `lr` is 0.003 if the data set has fewer than 500,000 ratings, otherwise 0.005. An override of the
setting replaces the rule. The number of ratings is `n_ratings` in the config; while it is null, a rule yields its value
for fewer ratings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from recsys.config.nodes import instantiate
from recsys.places import default_cache

RULE = "if_fewer_ratings"


def register_rules() -> None:
    """Register the OmegaConf resolvers `if_fewer_ratings` and `default_cache`, which configs use."""
    OmegaConf.register_new_resolver(RULE, _if_fewer_ratings, replace=True)
    OmegaConf.register_new_resolver("default_cache", default_cache, replace=True)


def count_ratings_for_rules(cfg: DictConfig) -> None:
    """Count the ratings for a run's config, and store their number as `n_ratings` in it.

    Nothing is done if `n_ratings` has a value already, or if no setting of the model depends on it.

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
