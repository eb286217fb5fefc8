"""Access to Hydra's config loader, which reads the config files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hydra
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra

from recsys.places import CONFIGS


@contextmanager
def config_loader(directory: Path | None = None) -> Iterator[ConfigLoader]:
    """Yield the config loader of the running Hydra sweep or job; if none is running, yield a loader for a directory.

    Args:
        directory: directory of the configs, if no sweep or job is running; None for the project's configs.
    """
    if GlobalHydra.instance().is_initialized():  # a sweep or a job is running
        yield GlobalHydra.instance().config_loader()
        return
    with hydra.initialize_config_dir(str(directory or CONFIGS), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()
