"""Configs that Hydra composes once for all tests of a process: half of the time of a short run would go into them."""

import copy
import os
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hydra._internal import defaults_list
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from omegaconf import DictConfig, OmegaConf, open_dict

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


@pytest.fixture(scope="session", autouse=True)
def _shared_compositions() -> Iterator[None]:
    """Read each file, find what a choice of configs consists of, and merge it, once; settings change a copy."""
    load = ConfigRepository.load_config
    find, merge = defaults_list._create_defaults_list, ConfigLoaderImpl._compose_config_from_defaults_list
    stored: dict[tuple, Any] = {}

    def load_once(self: ConfigRepository, config_path: str) -> Any:
        key = (_places(self), config_path)
        if key not in stored:
            stored[key] = load(self, config_path)
        return copy.deepcopy(stored[key])

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
            stored[key] = merge(self, defaults, repo)
        return copy.deepcopy(stored[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConfigRepository, "load_config", load_once)
        patch.setattr(defaults_list, "_create_defaults_list", find_once)
        patch.setattr(ConfigLoaderImpl, "_compose_config_from_defaults_list", merge_once)
        yield
