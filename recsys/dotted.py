"""Settings as text: nested settings under dotted names, such as `model.lr`, and quoted values of overrides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of a nested mapping by their dotted names; lists and empty mappings count as values.

    Args:
        config: the nested mapping.
        prefix: text before every name, such as `model.`.
    """
    settings: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            settings |= flatten(value, f"{prefix}{name}.")
        else:
            settings[prefix + name] = value
    return settings


def quoted_value(text: str) -> str:
    """Quote text as the value of an override in Hydra's grammar, in which backslashes count only before a quote."""
    return "'" + re.sub(r"(\\*)('|\Z)", lambda found: found[1] * 2 + found[2].replace("'", r"\'"), text) + "'"
