"""Conversion of former names in saved runs, saved models and configs to current names.

A former name is supported for one version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

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

# Former `_target_` -> current `_target_`.
TARGETS: dict[str, str] = {
    **{f"recsys.data.split.{name}": f"recsys.data.splitters.{name}" for name in _SPLITTERS},
    "recsys.data.text.WordVectorEncoder": "recsys.data.text.PPMIEncoder",
    "recsys.evaluation.evaluate.FullRanking": "recsys.evaluation.protocols.FullRanking",
    "recsys.evaluation.evaluate.SampledNegatives": "recsys.evaluation.protocols.SampledNegatives",
    "recsys.evaluation.evaluate.Several": "recsys.evaluation.protocols.SeveralProtocols",
    "recsys.models.callbacks.Pruning": "recsys.models.neural.callbacks.Pruning",
    "recsys.web.app.Settings": "recsys.web.http_server.ServerSettings",
    "recsys.web.served.Exploration": "recsys.web.exploration.Exploration",
}

# LightGCN was also XSimGCL, if the weight of the contrastive loss was above 0; otherwise these settings had no effect.
LIGHTGCN, XSIMGCL = "recsys.models.lightgcn.LightGCN", "recsys.models.xsimgcl.XSimGCL"
CONTRASTIVE = ("contrast_weight", "temperature", "noise", "contrasted_layer")

# Arrays of saved models, by class: former name -> current name.
ARRAYS: dict[str, dict[str, str]] = {
    "recsys.models.content.Content": {"user_vectors": "user_profiles"},
    "recsys.models.popularity.Popularity": {"item_counts": "popularity"},
    "recsys.models.dae.DAE": {
        "module.films_in.weight": "module.encoder.weight",
        "module.films_out.weight": "module.decoder.weight",
        "module.films_out.bias": "module.decoder.bias",
    },
}
# The same for all deep models.
MODULE_ARRAYS = {"module.codes": "user_codes"}

# User tables of deep models, in which untrained users have the row of the unknown user; in earlier versions their rows
# were random.
USER_TABLES = ("users.weight", "user_bias.weight")


def current(target: str) -> str:
    """Return the current name of a class, given its current name or a former one."""
    return TARGETS.get(target, target)


def current_settings(target: str, settings: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the current name and settings of a class, given its name and settings in this or an earlier version.

    Args:
        target: name of the class in this or an earlier version.
        settings: arguments of the constructor in the same version; not changed.
    """
    name = current(target)
    if name != LIGHTGCN or {*CONTRASTIVE}.isdisjoint(settings):
        return name, dict(settings)
    if settings.get("contrast_weight", 0) != 0:
        return XSIMGCL, dict(settings)
    return name, {key: value for key, value in settings.items() if key not in CONTRASTIVE}


def current_arrays(target: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Convert the arrays of a saved model to the names and shapes that the current version of its class uses.

    Args:
        target: current name of the class.
        arrays: arrays by name, as stored by this or an earlier version; not changed.
    """
    import numpy as np  # not needed for configs

    names = MODULE_ARRAYS | ARRAYS.get(target, {})
    renamed = {names.get(name, name): array for name, array in arrays.items()}
    trained = renamed.pop("trained_users", None)
    if trained is not None:
        renamed["n_users"] = np.array(len(trained))
        for name, table in renamed.items():
            if name.startswith("module.") and name.endswith(USER_TABLES):
                renamed[name] = np.vstack([np.where(trained[:, None], table[:-1], table[-1]), table[-1:]])
    return renamed


def with_current_targets(config: Any) -> Any:
    """Return a copy of a config (nested dicts and lists) in which each `_target_` has its current name and settings."""
    if isinstance(config, Mapping):
        node = {key: with_current_targets(value) for key, value in config.items()}
        if isinstance(node.get("_target_"), str):
            target, settings = current_settings(node.pop("_target_"), node)
            return {"_target_": target, **settings}
        return node
    if isinstance(config, list | tuple):
        return [with_current_targets(value) for value in config]
    return config
