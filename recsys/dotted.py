"""Settings in the notation of Hydra: dotted names such as `model.lr`, and quoted values of overrides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten a nested mapping to a dict with dotted names as keys; lists and empty mappings are not flattened.

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
    """Quote text for use as the value of an override in Hydra's grammar.

    In this grammar, a backslash is an escape character only if it precedes a quote.
    """
    return "'" + re.sub(r"(\\*)('|\Z)", lambda found: found[1] * 2 + found[2].replace("'", r"\'"), text) + "'"
