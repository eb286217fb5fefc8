"""Configs that Hydra composes once for all tests of a process: half of the time of a short run would go into them."""

import copy
import os
import pickle
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml
from hydra._internal import defaults_list
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, omegaconf, open_dict
from omegaconf._utils import OmegaConfDumper

from recsys.config import compose
from recsys.places import CONFIGS


def choose(group: str, name: str) -> DictConfig:
    """The config of a run with a choice; Hydra composes it only if the choice's file is not the node itself."""
    file = CONFIGS / group / f"{name}.yaml"
    node = OmegaConf.load(file)
    if "defaults" in node or "@package" in file.read_text():
        return compose("train", [f"{group}={name}", "++run_dir=/tmp/none"])
    config = copy.deepcopy(_of_defaults())
    with open_dict(config):  # a group may have no choice by default
        config[group] = node
    return config


@cache
def _of_defaults() -> DictConfig:
    return compose("train", ["++run_dir=/tmp/none"])


def _places(repository: Any) -> tuple:
    """The places that configs are read from, and the files in those that a test has made, which may change."""
    places = tuple((source.provider, source.scheme(), source.path) for source in repository.get_sources())
    folders = [path for _, scheme, path in places if scheme == "file" and path != str(CONFIGS)]
    return places, tuple(file for folder in folders for file in _files(folder))


def _files(folder: str) -> Iterator[tuple[str, int, int]]:
    """Path, time and size of each config in a folder."""
    if not os.path.isdir(folder):  # noqa: PTH112 - as fast as can be: each composition looks several times
        return
    for entry in os.scandir(folder):
        if entry.is_dir():
            yield from _files(entry.path)
        elif entry.name.endswith(".yaml"):
            yield entry.path, entry.stat().st_mtime_ns, entry.stat().st_size


class _Dumper(yaml.CDumper):
    """Writes what OmegaConf's own class in Python writes, in a fifth of the time."""


_Dumper.add_representer(str, OmegaConfDumper.str_representer)


@pytest.fixture(scope="session", autouse=True)
def _shared_compositions() -> Iterator[None]:
    """Read each file, find what a choice of configs consists of, and merge it, once; settings change a copy.

    Each override is parsed once, whole configs are copied by pickling them, and YAML is written and read in C.
    """
    load, parse, deepcopy = ConfigRepository.load_config, OverridesParser.parse_rule, DictConfig.__deepcopy__
    find, merge = defaults_list._create_defaults_list, ConfigLoaderImpl._compose_config_from_defaults_list
    stored: dict[tuple, Any] = {}  # configs as bytes

    def load_once(self: ConfigRepository, config_path: str) -> Any:
        key = (_places(self), config_path)
        if key not in stored:
            stored[key] = pickle.dumps(load(self, config_path))
        return pickle.loads(stored[key])

    def find_once(repo: Any, config_name: str, overrides: Any, prepend_hydra: bool, skip_missing: bool) -> tuple:
        choices = {name: value for name, value in vars(overrides).items() if name != "config_overrides"}
        key = (_places(repo), config_name, prepend_hydra, skip_missing, repr(choices))
        if key not in stored:
            found = find(repo, config_name, overrides, prepend_hydra, skip_missing)
            stored[key] = (*found, copy.deepcopy(choices))
        *found, chosen = stored[key]
        vars(overrides).update(copy.deepcopy(chosen))
        return tuple(found)

    def merge_once(self: ConfigLoaderImpl, defaults: list, repo: Any) -> DictConfig:
        key = (_places(repo), repr([vars(default) for default in defaults]))
        if key not in stored:
            stored[key] = pickle.dumps(merge(self, defaults, repo))
        return pickle.loads(stored[key])

    def parse_once(self: OverridesParser, text: str, rule: str) -> Any:
        if (text, rule) not in stored:
            stored[text, rule] = parse(self, text, rule)
        return copy.deepcopy(stored[text, rule])

    def pickled_if_whole(self: DictConfig, memo: dict) -> DictConfig:
        return deepcopy(self, memo) if self._get_parent() is not None else pickle.loads(pickle.dumps(self))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DictConfig, "__deepcopy__", pickled_if_whole)
        patch.setattr(omegaconf, "get_omega_conf_dumper", lambda: _Dumper)
        patch.setattr(yaml, "SafeLoader", yaml.CSafeLoader)
        patch.setattr(yaml, "SafeDumper", yaml.CSafeDumper)
        patch.setattr(OverridesParser, "parse_rule", parse_once)
        patch.setattr(ConfigRepository, "load_config", load_once)
        patch.setattr(defaults_list, "_create_defaults_list", find_once)
        patch.setattr(ConfigLoaderImpl, "_compose_config_from_defaults_list", merge_once)
        yield
