"""Composes configs from files and overrides, without running anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

import hydra
from omegaconf import DictConfig, OmegaConf

from recsys.config.loader import config_loader
from recsys.config.overrides import complete
from recsys.config.rules import count_ratings_for_rules


def compose(config_name: str, overrides: Sequence[str] = (), directory: Path | None = None) -> DictConfig:
    """Compose a config from a primary config file and overrides, which are checked first.

    Args:
        config_name: name of the primary config file, without its extension.
        overrides: command-line overrides; `overrides.complete` checks and completes them.
        directory: directory of the primary config file; None for the project's configs.

    Raises:
        UserError: an override is not valid.
    """
    completed = complete(config_name, overrides, directory)
    with config_loader(directory):
        return hydra.compose(config_name, completed)


@cache
def resolve(overrides: tuple[str, ...]) -> Mapping[str, Any]:
    """Return the config of a run of train.py as nested plain values, with interpolations resolved.

    The overrides are not checked, and `run_dir` is None in the result. If a setting of the model depends on the number
    of ratings (see `recsys.config.rules`) and `n_ratings` is not given, the ratings are counted; if the data are not in
    the cache, they are prepared first. The result is cached, so callers must not change it.

    Args:
        overrides: overrides as `complete` returns them.

    Raises:
        UserError: the ratings have to be counted, but the data cannot be prepared.
    """
    with config_loader():
        cfg = hydra.compose("train", [*overrides, "run_dir=null"])
    count_ratings_for_rules(cfg)
    return cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))
