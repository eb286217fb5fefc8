"""Composition of configs from files and overrides, without running anything."""

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
    """Compose a config from its primary file and checked overrides.

    Args:
        config_name: name of the file, without its extension.
        overrides: overrides of the command line, see `overrides.complete`.
        directory: directory of the file; None for the project's configs.

    Raises:
        UserError: an override is not valid.
    """
    completed = complete(config_name, overrides, directory)
    with config_loader(directory):
        return hydra.compose(config_name, completed)


@cache
def resolve(overrides: tuple[str, ...]) -> Mapping[str, Any]:
    """Return the settings of a run of train.py as nested plain values, with interpolations resolved.

    Overrides are not checked, and `run_dir` is None. If a setting of the model depends on the number of ratings (see
    `recsys.config.rules`) and `n_ratings` is not given, the data are prepared, unless they are in the cache, to count
    their ratings. The result is cached, so it must not be changed.

    Args:
        overrides: overrides as `complete` returns them.

    Raises:
        UserError: the ratings must be counted, and the data cannot be prepared.
    """
    with config_loader():
        cfg = hydra.compose("train", [*overrides, "run_dir=null"])
    count_ratings_for_rules(cfg)
    return cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))
