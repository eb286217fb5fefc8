"""Directories of runs of unknown origin: reading one takes bounded memory, and commands write nowhere else.

What a run's config may name is decided by `recsys.config.stored`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from recsys.data.prepare import PREPARED
from recsys.errors import UserError
from recsys.places import default_cache


def check_links(directory: Path) -> None:
    """Check that no symbolic link leads out of a run, where commands would write to it or delete what it holds.

    Raises:
        UserError: there is such a link.
    """
    whole = directory.resolve()
    for folder, *names in os.walk(directory):
        for path in (Path(folder, name) for found in names for name in found):
            if path.is_symlink() and not path.resolve().is_relative_to(whole):
                raise UserError(
                    f"A run must hold no symbolic link that leads out of its directory (got {path}): replace it by "
                    "what it leads to, or remove it."
                )


def cache_of(config: dict[str, Any]) -> str:
    """Return the cache that a run's config names if this machine has it, else this machine's own."""
    named = str(config.get("cache_dir"))
    return named if Path(named, PREPARED).is_dir() else default_cache()


def parse_yaml(text: str) -> Any:
    """Parse YAML that this package has written.

    Raises:
        yaml.YAMLError: it is damaged, or has aliases, with which a few lines stand for gigabytes, or NUL characters,
            which no path can have.
    """
    return yaml.load(text, _Plain)  # noqa: S506 - a SafeLoader


class _Plain(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it must have no aliases")
        return super().compose_node(parent, index)

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        node = super().compose_scalar_node(anchor)
        if "\0" in node.value:
            raise yaml.YAMLError("it must have no NUL characters")
        return node
