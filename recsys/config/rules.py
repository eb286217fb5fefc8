"""Settings that depend on the number of ratings: `lr: ${if_fewer_ratings:500000,0.003,0.005}`.

The value is the second one if the data set has fewer ratings than the first number, and otherwise the third one. An
override of the setting replaces the rule. `n_ratings` of a config is the number that rules compare; while it is null,
they take the value for fewer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from recsys.config.nodes import instantiate
from recsys.places import default_cache

RULE = "if_fewer_ratings"


def register_rules() -> None:
    """Let configs state rules, and name the default cache."""
    OmegaConf.register_new_resolver(RULE, _if_fewer_ratings, replace=True)
    OmegaConf.register_new_resolver("default_cache", default_cache, replace=True)


def count_ratings_for_rules(cfg: DictConfig) -> None:
    """Set `n_ratings` of a run's config to the number of its ratings, if its model has a rule and none is given.

    Raises:
        UserError: the data cannot be prepared.
    """
    if cfg.get("n_ratings") is None and f"${{{RULE}:" in OmegaConf.to_yaml(cfg.model):
        from recsys.config.splits import engine_of  # imports DuckDB, which not every command needs
        from recsys.data.prepare import count_ratings

        n_ratings = count_ratings(instantiate(cfg.data), Path(cfg.cache_dir), engine_of(cfg))
        OmegaConf.update(cfg, "n_ratings", n_ratings, force_add=True)


def _if_fewer_ratings(limit: int, fewer: Any, otherwise: Any, *, _root_: DictConfig) -> Any:
    return fewer if (_root_.get("n_ratings") or 0) < limit else otherwise
