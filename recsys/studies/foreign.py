"""Checks of run directories of unknown origin.

They ensure that reading a directory takes bounded memory, and that commands write only into it and into a cache.
`recsys.config.stored` checks which classes, files and addresses a run's config names.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from recsys.data.prepare import PREPARED
from recsys.errors import UserError
from recsys.places import default_cache

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where PyYAML has it
_DEEPEST = 100  # maximum number of nested levels of a config


def check_links(directory: Path) -> None:
    """Check that no symbolic link leads out of a run directory: commands could write to or delete the link's target.

    Raises:
        UserError: a link leads out of the directory.
    """
    whole = directory.resolve()
    for folder, *names in os.walk(directory):
        for path in (Path(folder, name) for found in names for name in found):
            if path.is_symlink() and not path.resolve().is_relative_to(whole):
                raise UserError(
                    f"A run must hold no symbolic link that leads out of its directory (got {path}): replace it by "
                    "its target, or remove it."
                )


def cache_of(config: dict[str, Any]) -> str:
    """Return the `cache_dir` of a run's config or, if it holds no prepared data on this machine, the default cache."""
    named = str(config.get("cache_dir"))
    return named if Path(named, PREPARED).is_dir() else default_cache()


def parse_yaml(text: str) -> Any:
    """Parse YAML from a run of unknown origin.

    Raises:
        yaml.YAMLError: the text is malformed, is nested too deeply, or contains aliases (which could expand to
            gigabytes) or NUL characters (which no path can contain).
    """
    depth = 0
    for event in yaml.parse(text, _LOADER):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError("it must have no aliases")
        if isinstance(event, yaml.ScalarEvent) and "\0" in event.value:
            raise yaml.YAMLError("it must have no NUL characters")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise yaml.YAMLError(f"it must have at most {_DEEPEST} levels")
    return yaml.load(text, _LOADER)  # noqa: S506 - a SafeLoader
