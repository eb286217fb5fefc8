"""Former names of classes that configs name in `_target_`.

Saved runs and users' own configs may still have a former name; it works for one version after a class is renamed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SPLITTERS = (
    "LeaveLastOut",
    "LeaveOneOut",
    "GlobalTime",
    "Ratio",
    "Folds",
    "ColdItems",
    "ColdUsers",
    "NewUsers",
    "Given",
)

# former `_target_` -> current `_target_`
TARGETS: dict[str, str] = {
    **{f"recsys.data.split.{name}": f"recsys.data.splitters.{name}" for name in _SPLITTERS},
    "recsys.data.text.WordVectorEncoder": "recsys.data.text.PPMIEncoder",
}


def current(target: str) -> str:
    """Return the current name of a class, given that or a former name."""
    return TARGETS.get(target, target)


def with_current_targets(config: Any) -> Any:
    """Copy a plain config, however nested, with the current name in every `_target_`."""
    if isinstance(config, Mapping):
        return {
            key: current(value) if key == "_target_" and isinstance(value, str) else with_current_targets(value)
            for key, value in config.items()
        }
    if isinstance(config, list | tuple):
        return [with_current_targets(value) for value in config]
    return config
