"""Loads the data and builds the splits that configs describe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from recsys.config.nodes import instantiate
from recsys.data.dataset import Shard
from recsys.data.engines import DuckDB, Engine
from recsys.data.prepare import prepare
from recsys.data.prepared import Prepared, user_counts
from recsys.data.split import Split


def prepared_data(cfg: DictConfig) -> Prepared:
    """Load the data that a config describes from the cache; if they are not there, prepare them first.

    Raises:
        UserError: the data cannot be prepared.
    """
    return prepare(instantiate(cfg.data), Path(cfg.cache_dir), instantiate(cfg.get("metadata")), engine_of(cfg))


def engine_of(cfg: DictConfig) -> Engine:
    """Build the SQL engine that a config names; a config of an earlier version may name none, and gets DuckDB.

    Raises:
        UserError: a setting of the engine is not valid.
    """
    return instantiate(cfg.get("engine")) or DuckDB()


class Splits:
    """Builds the splits that configs describe.

    Splits stay in memory, so that configs with equal settings of data and split get the same `Split`.
    """

    def __init__(self) -> None:
        self.built: dict[str, Split] = {}

    def of(self, config: Mapping[Any, Any]) -> Split:
        """Return the split that a config describes.

        Args:
            config: a resolved config, or a stored config that `stored_config` has checked.

        Raises:
            UserError: the data cannot be reached or cannot be split in this way.
        """
        cfg = OmegaConf.create(
            {name: config.get(name) for name in ("engine", "data", "metadata", "split", "cache_dir")}
        )
        key = OmegaConf.to_yaml(cfg)
        if key not in self.built:
            self.built[key] = instantiate(cfg.split)(prepared_data(cfg).dataset)
        return self.built[key]


Divide = Callable[[np.ndarray], Shard]  # number of ratings of each user, int64 (n_users,) -> the users of this process


def split_reader(cfg: DictConfig) -> Callable[..., tuple[Split, str]]:
    """Check the data settings of a config, and return a function that reads and splits the data.

    Returns:
        A function that returns the split, and a text on where the data came from. If `segments_from` names a run, the
        users of the split have the segments that were found in that run. In a run that is sharded by user, the function
        takes one argument: the function that divides the users among processes, see `ShardedRun.connect`. It then reads
        only the ratings of this process's users, unless the split needs all ratings. It raises `UserError` if
        the data cannot be reached or cannot be split in this way, or if the segments belong to another split.

    Raises:
        UserError: a setting is not valid, such as an address with a password.
    """
    source, metadata, splitter = instantiate(cfg.data), instantiate(cfg.get("metadata")), instantiate(cfg.split)
    engine = engine_of(cfg)

    def read(divide: Divide | None = None) -> tuple[Split, str]:
        shard: Shard | None = None

        def users(folder: Path) -> range | None:
            nonlocal shard
            shard = None if divide is None else divide(user_counts(folder))
            return shard.own if shard is not None and splitter.is_by_user else None

        prepared = prepare(source, Path(cfg.cache_dir), metadata, engine, users)
        if shard is None:
            split = splitter(prepared.dataset)
        elif splitter.is_by_user:
            split = splitter(replace(prepared.dataset, shard=shard))
        else:
            split = splitter(prepared.dataset).of_shard(shard)
        if cfg.get("segments_from") is not None:
            from recsys.analysis.segments.stored import with_segments

            split = with_segments(split, Path(cfg.segments_from))
        return split, prepared.report.origin

    return read
