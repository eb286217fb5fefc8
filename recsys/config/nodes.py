"""Checks and instantiates config nodes, which name their class in `_target_`."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import hydra
from hydra.errors import InstantiationException
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from recsys.config.names import class_name, suggestion
from recsys.errors import UserError
from recsys.extras import missing
from recsys.renamed import with_current_targets
from recsys.signatures import described, fits, settings

HYDRAS_OWN = ("_target_", "_partial_", "_convert_", "_recursive_", "_args_")
LOGGERS = {"WandbLogger": "wandb", "MLFlowLogger": "mlflow"}  # logger -> extra, since Lightning's errors name none


def instantiate(node: DictConfig | None) -> Any:
    """Instantiate the class that a config node names in `_target_`, and likewise the nodes inside it.

    Settings are checked first. Classes and settings may have the names that they had in earlier versions.

    Returns:
        The object; None if the node is None or empty; a `functools.partial` of the class if the node has `_partial_`.

    Raises:
        UserError: a class cannot be imported, its constructor does not accept a key or a value, or the constructor
            fails.
    """
    if not node:
        return None
    current = with_current_targets(OmegaConf.to_container(node, resolve=True, throw_on_missing=True))
    _check(current)
    try:
        return hydra.utils.instantiate(current, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, UserError):
            raise cause from None
        name = class_name(node._target_)
        if isinstance(cause, ModuleNotFoundError) and name in LOGGERS:
            raise missing(f"the package of {name}", LOGGERS[name]) from error
        raise UserError(f"{name} cannot be built: {cause or error}") from error


def check_node(node: DictConfig) -> None:
    """Check the settings of a config node, and of the nodes inside it, against the constructors of their classes.

    Raises:
        UserError: a class cannot be imported, its constructor does not take a key, or a value has the wrong type.
    """
    _check(with_current_targets(OmegaConf.to_container(node, resolve=True, throw_on_missing=True)))


def constructor(target: str) -> Callable[..., Any]:
    """Import the class or function that a `_target_` names.

    Raises:
        UserError: the class or function cannot be imported.
    """
    try:
        return get_object(target)
    except (ImportError, ValueError) as error:
        raise UserError(
            f"_target_ must name a class that can be imported (got {target}): {_reason(error, target)}"
        ) from error


def _reason(error: BaseException, target: str) -> str:
    """Return why a class cannot be imported, and what to do if its package or its name is not found."""
    package = target.partition(".")[0]
    if package and importlib.util.find_spec(package) is None:
        return (
            f"there is no package {package} in the environment: install it, add its folder to PYTHONPATH or, in its "
            "folder, run `python -m recsys`."
        )
    module, _, name = target.rpartition(".")
    with suppress(ImportError, ValueError):
        members = vars(importlib.import_module(module))
        classes = [each for each, member in members.items() if isinstance(member, type)]
        return f"{module} has no {name}{suggestion(name, classes)}"
    return " ".join(str(error.__cause__ or error).split()) + "."


def _check(node: Any) -> None:
    target = node["_target_"]
    known = settings(constructor(target))
    for name, value in node.items():
        if name in HYDRAS_OWN:
            continue
        if name not in known:
            raise UserError(f"{class_name(target)} takes no '{name}'{suggestion(name, known)}")
        if isinstance(value, dict) and "_target_" in value:
            _check(value)
        elif not fits(value, known[name]):
            raise UserError(f"'{name}' of {class_name(target)} must be {described(known[name])} (got {value!r}).")
