"""The types of a run's general settings, such as `seed` and `ks`, which are not constructor arguments.

The types of constructor arguments are checked elsewhere (see `recsys.config.nodes`); YAML itself checks no types.
"""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf

from recsys.errors import UserError
from recsys.signatures import described, fits

TYPES: dict[str, Any] = {
    "seed": int,
    "threads": int,
    "ks": list[int],
    "refit": bool,
    "test": bool,
    "order_test": bool,
    "find_segments": bool,
    "optimized_metric": str,
    "warm_from": str | None,
    "segments_from": str | None,
    "resume": str | None,
    "run_dir": str,
    "cache_dir": str,
    "n_ratings": int | None,
    "label": Any,
}


def check_general(cfg: DictConfig) -> None:
    """Check the types of a run's general settings, which `TYPES` lists.

    A setting may be missing, as in configs that an earlier version stored.

    Raises:
        UserError: a setting has the wrong type.
    """
    for name, hint in TYPES.items():
        if name not in cfg:
            continue
        value = OmegaConf.to_container(cfg[name], resolve=True) if OmegaConf.is_config(cfg[name]) else cfg[name]
        if not fits(value, hint):
            raise UserError(f"{name} must be {described(hint)} (got {value!r}).")
