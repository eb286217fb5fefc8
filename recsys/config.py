"""The one door to Hydra: checks what a user overrides, composes configs, makes the objects that they name.

Configs hold chosen values only; defaults live in constructors. So `model.weight_decay=0.1` is a valid override where
the model's constructor takes a `weight_decay`, whether its config lists one or not, and a name that neither knows is
an error that tells the nearest ones, before anything runs.
"""

from __future__ import annotations

import difflib
import errno
import logging
import os
import re
import shutil
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, wraps
from itertools import product
from pathlib import Path
from typing import Any, cast

import hydra
import yaml
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException, InstantiationException
from hydra.types import RunMode
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from recsys.data.prepare import prepare
from recsys.data.split import Split
from recsys.errors import UserError
from recsys.signatures import described, fits, settings
from recsys.studies.runs import flat, is_finished, short, write_failure
from recsys.studies.study import Study

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
INTERRUPTED = 130  # the exit status after Ctrl-C
PASSWORD = re.compile(r"://[^/\s]*:\S*@|(^|[?&='\"\s])\w*pass\w*=", re.IGNORECASE)  # in an address
STUDY = re.compile(r"experiment$|study\.")  # keys that say which study, and what of it
LISTED = 40  # longer lists of names are not printed where near ones are
UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST}

# Said by Lightning of its own code under new versions of torch, of every run that is resumed, and of metrics that are
# the same in every process already.
warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated")
warnings.filterwarnings("ignore", r"Checkpoint directory .* exists and is not empty")
warnings.filterwarnings("ignore", r"It is recommended to use `self.log\('valid/")

log = logging.getLogger(__name__)


def main(task: Callable[[DictConfig], Any], config_name: str = "train") -> None:
    """Run a task as a Hydra command: sweeps with -m, and `resume=DIR` to go on with an interrupted run.

    The process exits with status 2 and one sentence where the user can help it, with 130 after Ctrl-C.
    """
    with one_sentence():
        arguments = sys.argv[1:]
        _without_passwords(arguments)
        if not any(argument.startswith(("--config", "-cp", "-cn", "-cd")) for argument in arguments):  # our own configs
            overrides = [argument for argument in arguments if "=" in argument and not argument.startswith("-")]
            others = [argument for argument in arguments if argument not in overrides]
            sys.argv[1:] = others + complete(config_name, _resumed(config_name, overrides))
        os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands errors on instead of printing them
        hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=config_name)(_job(task))()


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turn errors that the user can mend into one sentence on stderr and exit status 2."""
    try:
        yield
    except (UserError, HydraException, OmegaConfBaseException) as error:
        message = " ".join(str(error).split())
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        place = error.filename or "A file"
        message = f"{place} cannot be used ({error.strerror}): hydra.run.dir=DIR chooses another place for outputs."
    else:
        return
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)


def compose(config_name: str, overrides: Sequence[str] = ()) -> DictConfig:
    """The config that overrides make of a file in configs/, without running anything.

    Raises:
        UserError: an override names what is not there.
    """
    completed = complete(config_name, overrides)
    with _configs():
        return hydra.compose(config_name, completed)


def studies() -> list[str]:
    """Names of the experiments in configs/."""
    return sorted(file.stem for file in (CONFIGS / "experiment").glob("*.yaml"))


@cache
def resolved(overrides: tuple[str, ...]) -> Mapping[str, Any]:
    """Every setting that overrides of train.py make, as a run keeps them; unchecked, and without a place."""
    with _configs():
        cfg = hydra.compose("train", [*overrides, "run_dir=null"])
    return cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))


def read_study(overrides: Sequence[str]) -> tuple[Study, list[str]]:
    """The study that a command names with `experiment=`, and what the command says of all its runs.

    What it says of something that the study varies, a seed or a model among it, chooses among the runs.

    Raises:
        UserError: an override names what is not there, the experiment is no study, or nothing is left of it.
    """
    overrides = complete("train", overrides)
    with _configs() as loader:
        parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(overrides))
    described = compose("train", [str(o.input_line) for o in parsed if STUDY.match(o.key_or_group)]).study
    if described is None:
        raise UserError("This experiment is a plain sweep, and no study: its config has no node named study.")
    study = Study.from_config(cast(dict, OmegaConf.to_container(described, resolve=True)))
    varied = {"seed", "model", *(key for setting in study.settings.values() for key in setting.overrides)}
    command = {o.key_or_group: _values(o) for o in parsed if o.key_or_group in varied}
    given = [
        str(o.input_line) for o in parsed if o.key_or_group not in varied and not o.key_or_group.startswith("study.")
    ]
    return study.restricted_to(command), [*given, "study=null"]


class Splits:
    """The splits that configs make of their data, each made once."""

    def __init__(self) -> None:
        self.made: dict[str, Split] = {}

    def of(self, config: Mapping[str, Any]) -> Split:
        """The split of a config, see `resolved`.

        Raises:
            UserError: the data are out of reach, or cannot be split so.
        """
        told = OmegaConf.create({name: config[name] for name in ("data", "metadata", "split", "cache_dir")})
        key = OmegaConf.to_yaml(told)
        if key not in self.made:
            prepared = prepare(instantiate(told.data), Path(told.cache_dir), instantiate(told.metadata))
            self.made[key] = instantiate(told.split)(prepared.dataset)
        return self.made[key]


def instantiate(node: DictConfig | None) -> Any:
    """The object that a config node names in `_target_`, or None for no node or an empty one.

    Raises:
        UserError: the constructor does not take the node's keys or values.
    """
    if not node:
        return None
    check(node)
    try:
        return hydra.utils.instantiate(node, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from None
        raise UserError(f"{_short(node._target_)} cannot be made: {error.__cause__ or error}") from error


def complete(config_name: str, overrides: Sequence[str]) -> list[str]:
    """Check overrides, and let those through (with Hydra's `++`) that only a constructor knows.

    What has a prefix already (`+`, `++`, `~`) and what is Hydra's own is left alone. A sweep over several models takes
    only settings that all of them have.

    Raises:
        UserError: a choice, key or setting that does not exist, or a password, which a run would keep.
    """
    _without_passwords(overrides)
    with _configs() as loader:
        parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(overrides))
        parsed = [o for o in parsed if not o.key_or_group.startswith("hydra")]
        options = {o.key_or_group: loader.get_group_options(o.key_or_group) for o in parsed}
        dotted = [o for o in parsed if o.type is OverrideType.CHANGE and not options[o.key_or_group]]
        others = [_alternatives(o, options[o.key_or_group]) for o in parsed if o not in dotted]
        configs = [OmegaConf.to_container(hydra.compose(config_name, list(chosen))) for chosen in product(*others)]
        for config in configs:
            _without_passwords([str(value) for value in flat(cast(dict, config)).values()])
        roots = loader.list_groups("")
        unlisted = {o.input_line for config in configs for o in dotted if not _lists(config, o.key_or_group, roots)}
    return [f"++{override}" if override in unlisted else override for override in overrides]


def check(node: DictConfig) -> None:
    """Hold a node, and those inside it, against the constructors that they name.

    Raises:
        UserError: a key that the constructor does not take, or a value of another type.
    """
    _check(OmegaConf.to_container(node, resolve=True, throw_on_missing=True))


def _job(task: Callable[[DictConfig], Any]) -> Callable[[DictConfig], Any]:
    @wraps(task)
    def job(cfg: DictConfig) -> Any:
        swept = HydraConfig.get().mode is RunMode.MULTIRUN
        with _told_how_to_resume(), _logged() if swept else one_sentence():
            _forget_passwords(cfg)
            return task(cfg)

    return job


@contextmanager
def _logged() -> Iterator[None]:
    """Tell which job of a sweep failed, and keep why; the others go on, and the sweep ends with the first error."""
    try:
        yield
    except Exception as error:
        log.error("job %s failed: %s", HydraConfig.get().job.num, error)
        write_failure(Path(HydraConfig.get().runtime.output_dir), error)
        raise


@contextmanager
def _told_how_to_resume() -> Iterator[None]:
    """After Ctrl-C, say how to go on; Lightning shuts down in good order and then exits."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as stop:
        if isinstance(stop, SystemExit) and not isinstance(stop.__context__, KeyboardInterrupt):
            raise
        directory = short(Path(HydraConfig.get().runtime.output_dir))
        print(f"\nInterrupted; to go on: python {sys.argv[0]} resume={directory}", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None


def _resumed(config_name: str, overrides: list[str]) -> list[str]:
    """Overrides, with those that the run began with where `resume=DIR` names one."""
    named = [override for override in overrides if override.startswith("resume=")]
    further = [override for override in overrides if override not in named]
    if not named:
        return overrides
    directory = Path(str(OverridesParser.create().parse_override(named[-1]).value()))
    begun = directory / ".hydra"
    if not (begun / "config.yaml").is_file():
        raise UserError(f"{directory} is no run directory (it has no .hydra/config.yaml): name one under outputs/.")
    if is_finished(directory):
        raise UserError(f"{directory} holds a finished run: there is nothing to resume.")
    saved = yaml.safe_load((begun / "overrides.yaml").read_text())
    first = [override for override in saved if not override.startswith("resume=")]
    then = flat(yaml.safe_load((begun / "config.yaml").read_text()))
    now = flat(cast(dict, OmegaConf.to_container(compose(config_name, first + further))))
    changed = sorted(k for k in then.keys() | now.keys() if k != "resume" and then.get(k) != now.get(k))
    if changed:
        raise UserError(
            f"{directory} was begun with another config ({', '.join(changed)}): leave out what differs, or start anew."
        )
    quoted = "'" + str(directory).replace("'", r"\'") + "'"
    return [*first, *further, f"resume={quoted}", f"hydra.run.dir={quoted}"]


@contextmanager
def _configs() -> Iterator[ConfigLoader]:
    if GlobalHydra.instance().is_initialized():  # while Hydra sweeps
        yield GlobalHydra.instance().config_loader()
        return
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()


def _forget_passwords(cfg: DictConfig) -> None:
    """Refuse a password in a config of the user's own, which only Hydra has read and written down already."""
    try:
        _without_passwords([str(value) for value in flat(cast(dict, OmegaConf.to_container(cfg))).values()])
    except UserError:
        shutil.rmtree(Path(HydraConfig.get().runtime.output_dir) / ".hydra", ignore_errors=True)
        raise


def _without_passwords(arguments: Sequence[str]) -> None:
    """Refuse to go on where Hydra would write a password into a run directory, before anything can see it."""
    if any(PASSWORD.search(argument) for argument in arguments):
        raise UserError(
            "A password stands in the command or a config, which runs keep: put the address into an environment "
            "variable and give its name, with data.address_env=NAME (or '${oc.env:NAME}' where no data are read)."
        )


def _alternatives(override: Override, options: Collection[str]) -> list[str]:
    """What an override is in the jobs of a sweep: itself, or each choice that it sweeps over."""
    choices = _values(override)
    if override.type is OverrideType.CHANGE:
        for choice in choices:
            if choice not in options:
                raise UserError(f"There is no {override.key_or_group} '{choice}'{_near(choice, options)}")
    swept = override.is_sweep_override()
    return [f"{override.get_key_element()}={choice}" for choice in choices] if swept else [str(override.input_line)]


def _values(override: Override) -> list[str]:
    """What an override says, or each value that it sweeps over or lists."""
    value = override.value()
    if override.is_sweep_override():
        return list(override.sweep_string_iterator())
    return [str(each) for each in (value if isinstance(value, list) else [value])]


def _lists(config: Any, key: str, roots: Collection[str]) -> bool:
    """Whether a config lists a dotted key; False where only the constructor does that the key is for."""
    node, owner = config, None
    for name in key.split("."):
        if isinstance(node, dict) and name in node:
            owner = node.get("_target_", owner)
            node = node[name]
        elif isinstance(node, dict) and "_target_" in node:
            known = settings(get_object(node["_target_"]))
            if name not in known:
                raise UserError(f"{_short(node['_target_'])} takes no '{name}'{_near(name, known)}")
            return False
        elif owner is not None:  # inside a setting that is itself a mapping
            return isinstance(node, list)
        else:
            names = {*node, *roots} if isinstance(node, dict) else set()
            raise UserError(f"There is no setting '{key}'{_near(name, names)}")
    return True


def _check(node: Any) -> None:
    target = node["_target_"]
    known = settings(get_object(target))
    for name, value in node.items():
        if name in ("_target_", "_partial_", "_convert_", "_recursive_", "_args_"):
            continue
        if name not in known:
            raise UserError(f"{_short(target)} takes no '{name}'{_near(name, known)}")
        if isinstance(value, dict) and "_target_" in value:
            _check(value)
        elif not fits(value, known[name]):
            raise UserError(f"{_short(target)} takes {described(known[name])} as its '{name}', not {value!r}.")


def _near(name: str, options: Collection[str]) -> str:
    """The end of a sentence about a name that is not among the options."""
    close = difflib.get_close_matches(name, options, cutoff=0.5)
    asked = f": did you mean {' or '.join(close)}?" if close else "."
    told = f" There are {', '.join(sorted(options))}." if options and not (close and len(options) > LISTED) else ""
    return asked + told


def _short(target: str) -> str:
    return target.rpartition(".")[2]
