"""Checks the overrides of a command against configs and constructors, before anything runs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, cast

import hydra
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import OmegaConf

from recsys.config.loader import config_loader
from recsys.config.names import class_name, suggestion
from recsys.config.nodes import constructor
from recsys.config.passwords import refuse_passwords, refuse_passwords_in
from recsys.dotted import quoted_value
from recsys.errors import UserError
from recsys.extras import require
from recsys.invocation import recsys_command
from recsys.renamed import CONTRASTIVE
from recsys.signatures import settings

SEARCH_PATH = "hydra.searchpath"  # further directories of configs, as --config-dir adds them
# Keys whose values name files, columns, addresses or directories, in which any character is possible.
NAMING = re.compile(
    r"\+{0,2}((data|metadata)\..*|engine\.(master|remote)|warm_from|segments_from|run_dir|label"
    r"|hydra\.(run|sweep)\.\w*dir)"
)
Sources = tuple[tuple[str, str], ...]  # provider and path of each place that Hydra finds configs in

# Names of settings in other tools -> suggestion.
SYNONYMS = {
    "epochs": "model.max_epochs",
    "n_epochs": "model.max_epochs",
    "learning_rate": "model.lr",
    "callbacks": "trainer.callbacks",
    "devices": "trainer.devices",
    "accelerator": "trainer.accelerator",
    "ckpt_path": "resume=DIR, which continues an interrupted run,",
    "checkpoint": "resume=DIR, which continues an interrupted run,",
}
OPTIONAL = ("debug", "experiment", "hparams_search", "reranker")  # groups of which no config may be chosen, by null
LAUNCHERS = {"joblib": "parallel", "slurm": "slurm", "submitit_local": "slurm", "submitit_slurm": "slurm"}  # -> extra
REMOVED = {
    "trained": f"trained= is now a command: {recsys_command('test', 'RUN', 'protocol=...', 'reranker=...')}",
    "peek": "peek= is now a script: python experiments/ncf_revisited/peek.py",
}
# Models that had a config for each size of data; one config now has a rule, see `recsys.config.rules`.
MERGED = {
    "dae_1m": "dae",
    "ease_100k": "ease",
    "linear_ar_100k": "linear_ar",
    "markov_100k": "markov",
    "ncf_1m": "ncf",
    "two_tower_1m": "two_tower",
}

# Settings that moved to another model, by the class that had them: the model's config.
MOVED = {("LightGCN", name): "xsimgcl" for name in CONTRASTIVE}


def complete(config_name: str, overrides: Sequence[str], directory: Path | None = None) -> list[str]:
    """Check overrides, and add Hydra's prefix `++` if they set a constructor argument that the config does not list.

    Overrides that have a prefix already (`+`, `++`, `~`), and overrides of Hydra's own settings, are not prefixed. A
    sweep over several models accepts only settings that all of these models have.

    Args:
        config_name: name of the primary config.
        overrides: overrides of the command line. `hydra.searchpath` is honoured, so that a user's own configs are
            checked too.
        directory: directory of the primary config; None for the project's configs.

    Raises:
        UserError: an override names a config, key or setting that does not exist; an override or a config contains a
            password, which a run would store; or a launcher or a search needs an extra that is not installed.
    """
    refuse_passwords(overrides)
    overrides = [_quoted(override) for override in overrides]
    with config_loader(directory) as loader:
        parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(overrides))
        _require_extras(parsed)
        unlisted = _unlisted(parsed, config_name, loader)
    return [f"++{override}" if override in unlisted else override for override in overrides]


def _require_extras(overrides: Sequence[Override]) -> None:
    """Check, before slower imports and checks, that the packages that a launcher or a search needs are installed.

    Raises:
        UserError: a package is missing.
    """
    for override in overrides:
        if override.key_or_group == "hydra/launcher" and str(override.value()) in LAUNCHERS:
            require(LAUNCHERS[str(override.value())])
        if override.key_or_group == "hparams_search" and override.value() is not None:
            require("search")


def _unlisted(overrides: Sequence[Override], config_name: str, loader: ConfigLoader) -> set[str | None]:
    """Check the names in overrides; return the overrides of constructor arguments that the config does not list.

    Raises:
        UserError: a config, key or setting does not exist, or a config contains a password.
    """
    sources = tuple((source.provider, source.path) for source in loader.get_search_path().get_path())
    searched = tuple(str(o.input_line) for o in overrides if o.key_or_group == SEARCH_PATH)
    own = [o for o in overrides if not o.key_or_group.startswith("hydra")]
    options = {
        o.key_or_group: _options(sources, config_name, searched, o.key_or_group)
        for o in own
        if "." not in o.key_or_group  # dotted keys are not groups; a look-up takes as long as a composition
    }
    dotted = [o for o in own if o.type is OverrideType.CHANGE and not options.get(o.key_or_group)]
    others = [_alternatives(o, options.get(o.key_or_group, [])) for o in own if o not in dotted]
    configs = [
        _composed(sources, config_name, (*searched, *chosen))
        for chosen in product(*others)
        if dotted  # only these are looked up; composing a config takes longer than all other checks
    ]
    for config in configs:
        refuse_passwords_in(config)
    return {o.input_line for config in configs for o in dotted if not _lists(config, o.key_or_group, loader)}


@cache
def _options(sources: Sources, config_name: str, searched: tuple[str, ...], group: str) -> Collection[str]:
    """Return the names of the configs of a config group.

    The result is cached, because a sweep needs the same names for each of its runs; `sources` serves only as a key of
    the cache.
    """
    with config_loader() as loader:
        return loader.get_group_options(group, config_name=config_name, overrides=list(searched))


@cache
def _composed(sources: Sources, config_name: str, choices: tuple[str, ...]) -> Mapping[str, Any]:
    """Compose a config with some overrides, and return it without resolving interpolations.

    The result is cached, as the runs of a sweep often share it; `sources` serves only as a key of the cache.
    """
    with config_loader():
        return cast(dict[str, Any], OmegaConf.to_container(hydra.compose(config_name, list(choices))))


def _quoted(override: str) -> str:
    """Quote the value of an override if it is text that Hydra's grammar would misread.

    Such a value consists only of spaces (`data.delimiter=' '` in a shell), or it names a file or column with characters
    that the grammar does not allow (`data.columns.rating='Mark (1-5)'`).
    """
    key, _, value = override.partition("=")
    if not (value.isspace() or (NAMING.fullmatch(key) and not _is_in_grammar(override))):
        return override
    return f"{key}={quoted_value(value)}"


def _is_in_grammar(override: str) -> bool:
    try:
        OverridesParser.create().parse_override(override).value()
    except HydraException:
        return False
    return True


def values_of(override: Override) -> list[str]:
    """Return the values of an override as text: all values of a sweep or of a list, otherwise the single value."""
    value = override.value()
    if override.is_sweep_override():
        return list(override.sweep_string_iterator())
    return [str(each) for each in (value if isinstance(value, list) else [value])]


def _alternatives(override: Override, options: Collection[str]) -> list[str]:
    """Return a list with an override for each choice of a sweep or, if there is no sweep, with the given override.

    Args:
        override: override that chooses a config of a group, or that has a prefix (`+`, `++`, `~`).
        options: names of the group's configs.

    Raises:
        UserError: a chosen config does not exist.
    """
    choices = values_of(override)
    if override.type is OverrideType.CHANGE:
        for choice in choices:
            if choice in MERGED and override.key_or_group == "model":
                raise UserError(
                    f"There is no model '{choice}' any more: model={MERGED[choice]} chooses its settings by the number "
                    "of ratings."
                )
            if choice not in options and not (choice in ("None", "null") and override.key_or_group in OPTIONAL):
                raise UserError(f"There is no {override.key_or_group} '{choice}'{suggestion(choice, options)}")
    swept = override.is_sweep_override()
    return [f"{override.get_key_element()}={choice}" for choice in choices] if swept else [str(override.input_line)]


def _lists(config: Mapping[str, Any], key: str, loader: ConfigLoader) -> bool:
    """Return True if a config contains a dotted key, and False if the key is only a constructor argument of a node.

    Raises:
        UserError: the key is neither; the message suggests similar keys.
    """
    node: Any = config
    owner = None
    for name in key.split("."):
        if isinstance(node, dict) and name in node:
            owner = node.get("_target_", owner)
            node = node[name]
        elif isinstance(node, dict) and "_target_" in node:
            known = settings(constructor(node["_target_"]))
            if name not in known:
                raise UserError(_not_taken(class_name(node["_target_"]), name, known))
            return False
        elif owner is not None:  # inside a setting that is itself a mapping
            return isinstance(node, list)
        elif node is config:
            raise UserError(_unknown(key, config, loader.list_groups("")))
        else:
            names = {*node} if isinstance(node, dict) else set()
            raise UserError(f"There is no setting '{key}'{suggestion(name, names)}")
    return True


def _not_taken(cls: str, name: str, known: Collection[str]) -> str:
    """Return the error message about a setting that the constructor of a class does not take."""
    if (cls, name) in MOVED:
        return f"{cls} takes no '{name}' any more: it is a setting of model={MOVED[cls, name]}."
    return f"{cls} takes no '{name}'{suggestion(name, known)}"


def _unknown(key: str, config: Mapping[str, Any], groups: Collection[str]) -> str:
    """Return the error message about a dotted key whose first part is not in the config."""
    name = key.partition(".")[0]
    if name in REMOVED:
        return f"{REMOVED[name]}."
    if name in SYNONYMS:
        return f"There is no setting '{key}': did you mean {SYNONYMS[name]}?".replace(",?", "?")
    options = {*config, *groups}
    target = (config.get("model") or {}).get("_target_")
    # The import of a network's class takes seconds, so an obvious typing error is not looked up among its arguments.
    is_typing_error = difflib.get_close_matches(name, options, cutoff=0.8)
    if target is not None and not is_typing_error and key in settings(constructor(target)):
        return f"There is no setting '{key}': did you mean model.{key}?"
    return f"There is no setting '{key}'{suggestion(name, options)}"
