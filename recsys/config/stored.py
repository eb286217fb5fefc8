"""Checks of the configs and commands that runs store: which objects may be built from them if a run is not trusted.

A run's directory may be of unknown origin, and instantiating a config runs the code that its `_target_` names. So
configs are checked before anything is imported, unless a command has `--trusted`:

- a slot, which is a top-level key of a config such as `data`, must name a class of this package that is a subclass of
  the slot's base class;
- Lightning's Trainer and loggers take plain values, and must write into the run's own directory;
- interpolations are refused, since a resolver can read this machine's environment;
- the engine that a config names is not built, since the options of Spark can name programs; DuckDB is used instead, and
  creates the same tables. A command that is resumed may choose Spark, but only with its default options;
- no server or account on a server may be named, since the server would learn of this machine, and might receive
  passwords. For the same reason, sentence encoders must use the models that this project names: other models are
  fetched from an account on a model hub, and the files of a local folder may name such an account too.

`recsys.studies.foreign` ensures that commands write only into the run's own directory and into a cache: the one that
the config names if it exists, otherwise this machine's default cache. Configs may name the files that the run was
trained on: these files are only read, and must have the users and items that the run's manifest records. Configs may
also name the environment variable that holds a database's address; its value belongs to the user of this machine and is
never shown.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

import recsys
from recsys.config.loader import config_loader
from recsys.config.nodes import HYDRAS_OWN, LOGGERS, constructor
from recsys.config.overrides import values_of
from recsys.config.trainer import OWN_LOGS
from recsys.data.clean import Cleaning
from recsys.data.metadata import Metadata
from recsys.data.raw import Source
from recsys.data.splitters import Splitter
from recsys.data.text import Encoder, SentenceEncoder
from recsys.data.text.sentence import PACKAGED
from recsys.errors import UserError
from recsys.evaluation.protocols import Protocol, SeveralProtocols
from recsys.evaluation.reranking import Reranker
from recsys.models.base import Recommender
from recsys.renamed import current
from recsys.studies.foreign import cache_of

# Slot -> base classes of the class that it may name. Nodes inside a slot must name a subclass of one of `PARTS`. Nodes
# elsewhere are never built.
SLOTS: dict[str, tuple[type, ...]] = {
    "data": (Source,),
    "metadata": (Metadata,),
    "split": (Splitter,),
    "protocol": (Protocol, SeveralProtocols),
    "reranker": (Reranker,),
    "encoder": (Encoder,),
    "model": (Recommender,),
}
PARTS = (Source, Cleaning, Protocol, Recommender, Encoder)
LIGHTNING = {
    "trainer": ("pytorch_lightning.Trainer",),
    "logger": tuple(f"pytorch_lightning.loggers.{name}" for name in (*OWN_LOGS, *LOGGERS)),
}
DESTINATIONS = ("entity", "tracking_uri")  # settings of loggers that send results to another account or server
ENGINE = (["memory_limit"], ["n_buckets"])  # settings of engines that a stored command may have
DATA = ("data", "metadata", "split")

PACKAGE = Path(recsys.__file__).parent
DIRECTIVES = {"_target_", "_recursive_", "_convert_"}  # Hydra's keys that only describe how a node is built
PLAIN = re.compile(r"(?!\.\.$)[\w.,:@+ -]*")  # text that is neither a path nor an address
ADVICE = "if you trust its source, add --trusted (for warm_from: let the command's own config name the class)"


def stored_config(
    config: Mapping[str, Any], slots: Collection[str] = DATA, *, trusted: bool = False, known: Collection[str] = ()
) -> DictConfig:
    """Return a run's stored config, after checking that objects can safely be built from some of its top-level keys.

    Unless the run is trusted, interpolations are refused anywhere in the config, and `engine` is left out.

    Args:
        config: the config, as nested plain values.
        slots: the top-level keys from which the caller will build objects; only these are checked.
        trusted: whether building these objects may run any code; if True, nothing is checked.
        known: classes from outside this package that may be built, because the command itself names them.

    Raises:
        UserError: the config can only be built if the run is trusted.
    """
    if not trusted:
        config = {name: node for name, node in config.items() if name != "engine"}
        for place, text in _texts(config):
            if "${" in text:
                raise _refusal(place, "a value without interpolations", text)
        for slot in slots:
            if config.get(slot):  # an empty node builds nothing
                _check_slot(slot, config[slot], Path(str(config.get("run_dir"))), known)
    return OmegaConf.create(dict(config))


def targets(config: Any) -> set[str]:
    """Return the values of all `_target_` keys in a nested config, which are names of classes."""
    return {str(node["_target_"]) for _, node in _mappings(config) if "_target_" in node}


def check_encoders(config: Any, place: str) -> None:
    """Check that the sentence encoders in a stored config use models in `PACKAGED`, which this project names.

    Args:
        config: a stored config, or a model's hyperparameters, as nested plain values.
        place: dotted key at which `config` was found, for the message.

    Raises:
        UserError: an encoder names another model, which is allowed only if the run is trusted.
    """
    for encoder, node in _mappings(config, place):
        is_sentence = str(node.get("_target_")).rpartition(".")[2] == SentenceEncoder.__name__
        if is_sentence and node.get("model", SentenceEncoder.model) not in PACKAGED:
            raise _refusal(f"{encoder}.model", " or ".join(PACKAGED), node["model"])


def check_stored_overrides(overrides: Sequence[str]) -> None:
    """Check the overrides of a stored command: they must choose among configs, or set plain values.

    Raises:
        UserError: an override does anything else, which is allowed only if the run is trusted.
    """
    with config_loader() as loader:
        groups = {*loader.list_groups("")}
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        if not _is_harmless(override, groups):
            raise UserError(
                "The overrides of a stored command must choose configs or set plain values "
                f"(got {override.input_line}): {ADVICE}."
            )


def _is_harmless(override: Override, groups: Collection[str]) -> bool:
    """Return whether an override of a stored command only chooses a config of a group or sets a plain value."""
    path, value = override.key_or_group.split("."), override.value()
    texts = [text for _, text in _texts(values_of(override))]
    names = {*path, *(name for _, node in _mappings([value]) for name in node)}
    is_choice = path[0] in LIGHTNING or (len(path) == 1 and path[0] in groups)
    return not (
        _configures_hydra(path[0], override.package, names)
        or _reaches_a_server(path, value, texts, names)
        or _names_another_folder(path, value)
        or (is_choice and not all(PLAIN.fullmatch(text) for text in texts))
        or (path[0] == "engine" and not is_choice and path[1:] not in ENGINE)
    )


def _configures_hydra(root: str, package: str | None, names: Collection[str]) -> bool:
    """Return whether an override would change Hydra's settings, how a node is built, or the output directory."""
    places = root, str(package)
    return any(place.startswith(("hydra", "run_dir")) for place in places) or not {*names}.isdisjoint(HYDRAS_OWN)


def _reaches_a_server(path: Sequence[str], value: Any, texts: Sequence[str], names: Collection[str]) -> bool:
    """Return whether an override would contact a server, send it results, or read this machine's environment."""
    encoders = {text for name, text in _set_texts(path, value) if name == "model" and path != ["model"]}
    return (
        any("${" in text or "://" in text or "jdbc:" in text for text in texts)
        or not encoders <= PACKAGED.keys()
        or not {*names}.isdisjoint(DESTINATIONS)
    )


def _names_another_folder(path: Sequence[str], value: Any) -> bool:
    """Return whether an override would name a folder outside the cache directory, or another cache directory."""
    folders = [text for name, text in _set_texts(path, value) if name == "name"]
    return any(Path(text).name != text for text in folders) or (
        path == ["cache_dir"] and cache_of({"cache_dir": value}) != value
    )


def _set_texts(path: Sequence[str], value: Any) -> list[tuple[str, str]]:
    """Return (last part of its key, text) for each text that an override sets."""
    return [(place.rpartition(".")[2], text) for place, text in _texts({path[-1]: value})]


def _check_slot(slot: str, node: Any, run_dir: Path, known: Collection[str]) -> None:
    if slot in ("defaults", "hydra"):
        raise _refusal(slot, "left out, because Hydra reads it", node)
    if slot in {*SLOTS, *LIGHTNING} and not isinstance(node, Mapping):
        raise _refusal(slot, "a node that names a class in _target_", node)
    if slot in LIGHTNING:
        _check_lightning(slot, node, run_dir, known)
        return
    for place, part in _mappings(node, slot):
        if "_target_" in part or (place == slot and slot in SLOTS):
            _check_node(place, part, SLOTS.get(slot, ()) if place == slot else PARTS, known)
    check_encoders(node, slot)
    for place, text in _texts(node, slot):
        if "://" in text:
            raise _refusal(place, "a value without the address of a server", text)


def _check_node(place: str, node: Mapping[str, Any], bases: tuple[type, ...], known: Collection[str]) -> None:
    target = current(str(node.get("_target_")))
    if target not in known and not (_is_in_package(target, bases) and _is_subclass(constructor(target), bases)):
        kinds = " or ".join(f"a {base.__name__}" for base in bases) or "left out"
        raise _refusal(f"{place}._target_", f"{kinds} of recsys", target)
    if others := {*HYDRAS_OWN}.intersection(node) - DIRECTIVES:
        raise _refusal(f"{place}.{min(others)}", "left out", node[min(others)])
    name = str(node.get("name", ""))  # of a folder in the cache
    if Path(name).name != name:
        raise _refusal(f"{place}.name", "a name without folders", name)


def _is_in_package(target: str, bases: tuple[type, ...]) -> bool:
    """Return whether a dotted class name is in the same subpackage of recsys as one of the base classes.

    Nothing is imported for this.
    """
    *module, name = target.split(".")
    file = PACKAGE.joinpath(*module[1:])
    return (
        all(part.isidentifier() for part in (*module, name))
        and any(module[:2] == base.__module__.split(".")[:2] for base in bases)
        and (file.with_suffix(".py").is_file() or (file / "__init__.py").is_file())
    )


def _is_subclass(cls: object, bases: tuple[type, ...]) -> bool:
    return isinstance(cls, type) and issubclass(cls, bases)


def _check_lightning(slot: str, node: Any, run_dir: Path, known: Collection[str]) -> None:
    """Check that a trainer or a logger is one of Lightning's, and writes only into the run's directory.

    Raises:
        UserError: the class is not one of Lightning's, or a setting is neither a plain value nor a path in the run's
            directory.
    """
    target = str(node.get("_target_"))
    if target in known:
        return
    if target not in LIGHTNING[slot]:
        raise _refusal(f"{slot}._target_", " or ".join(LIGHTNING[slot]), target)
    for name, value in node.items():
        if name in DESTINATIONS and value is not None:
            raise _refusal(f"{slot}.{name}", "left out", value)
        is_nested = name == "_args_" or any(_mappings([value]))
        if is_nested or not all(_is_plain(text, run_dir) for _, text in _texts([value]) if name != "_target_"):
            raise _refusal(f"{slot}.{name}", "a plain value or a path in the run's directory", value)


def _is_plain(text: str, run_dir: Path) -> bool:
    """Return whether a text is plain (neither an address nor a path), or a path in the run's directory."""
    path = Path(text)
    return bool(PLAIN.fullmatch(text)) or (path.is_relative_to(run_dir) and ".." not in path.parts)


def _mappings(value: Any, place: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (dotted key, mapping) for each mapping in a nested value, outer mappings first."""
    if isinstance(value, Mapping):
        yield place, value
    for name, part in _parts(value):
        yield from _mappings(part, f"{place}.{name}".lstrip("."))


def _texts(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield (dotted key, text) for each text in a nested value."""
    if isinstance(value, str):
        yield place, value
    for name, part in _parts(value):
        yield from _texts(part, f"{place}.{name}".lstrip("."))


def _parts(value: Any) -> Iterable[tuple[object, Any]]:
    if isinstance(value, Mapping):
        return value.items()
    return enumerate(value) if isinstance(value, list | tuple) else ()


def _refusal(place: str, must: str, value: Any) -> UserError:
    return UserError(f"{place} of a stored config must be {must} (got {value}): {ADVICE}.")
