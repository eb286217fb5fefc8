"""Data and splits that configs describe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from recsys.config.nodes import instantiate
from recsys.data.prepare import prepare
from recsys.data.prepared import Prepared
from recsys.data.split import Split


def prepared_data(cfg: DictConfig) -> Prepared:
    """Read the data of a config, from the cache or prepared again."""
    return prepare(instantiate(cfg.data), Path(cfg.cache_dir), instantiate(cfg.get("metadata")))


class Splits:
    """The splits that configs describe, each built once."""

    def __init__(self) -> None:
        self.built: dict[str, Split] = {}

    def of(self, config: Mapping[str, Any]) -> Split:
        """Return the split of a resolved config.

        Raises:
            UserError: the data cannot be reached or cannot be split so.
        """
        cfg = OmegaConf.create({name: config.get(name) for name in ("data", "metadata", "split", "cache_dir")})
        key = OmegaConf.to_yaml(cfg)
        if key not in self.built:
            self.built[key] = instantiate(cfg.split)(prepared_data(cfg).dataset)
        return self.built[key]


def read_split(cfg: DictConfig) -> tuple[Split, str]:
    """Read the data of a config and split them.

    Returns:
        The split, whose users have segments where `segments_from` names a run, and where the data came from.

    Raises:
        UserError: the data cannot be reached or cannot be split so, or the segments are of another split.
    """
    prepared = prepared_data(cfg)
    split = instantiate(cfg.split)(prepared.dataset)
    if cfg.get("segments_from") is not None:
        from recsys.analysis.segments.stored import with_segments

        split = with_segments(split, Path(cfg.segments_from))
    return split, prepared.report.origin
