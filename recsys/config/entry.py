"""The entry point of train.py and other Hydra commands.

It checks overrides, locks output directories, reports errors in one sentence, and handles interruptions.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import hydra
from hydra.conf import HydraConf
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from recsys.config import loader
from recsys.config.locking import giving_up_locks
from recsys.config.overrides import SEARCH_PATH, complete
from recsys.config.passwords import refuse_passwords, refuse_passwords_of_job
from recsys.config.resuming import resumed
from recsys.config.sentences import one_sentence
from recsys.config.sweep_advice import advise_on_sweep, is_job_of_sweep, is_plain_sweep
from recsys.errors import UserError
from recsys.files import short
from recsys.interruption import INTERRUPTED, TERMINATED, exit_on_closed_pipe, exit_on_interrupt, exit_on_sigterm
from recsys.invocation import train_command

SWEEPING = ("experiment", "hparams_search", "hydra.mode", SEARCH_PATH)  # overrides through which a config can sweep

log = logging.getLogger(__name__)


def main(task: Callable[[DictConfig], Any], config_name: str = "train") -> None:
    """Run a function as a Hydra command, with `-m` for sweeps and `resume=DIR` to continue an interrupted run.

    After an error that the user can correct, the process prints one sentence and exits with status 2. It exits with
    status 130 after Ctrl-C, and with 143 after SIGTERM.

    Args:
        task: function that executes a job; it is called with the job's config, and returns the value that a search
            maximises.
        config_name: name of the primary config in configs/.
    """
    with exit_on_interrupt(), exit_on_closed_pipe(), one_sentence(), giving_up_locks(), exit_on_sigterm():
        sys.argv[1:] = _checked(sys.argv[1:], config_name)
        os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises errors instead of printing them
        if may_sweep(sys.argv[1:]):
            try:
                hydra.main(version_base="1.3", config_path=str(loader.CONFIGS), config_name=config_name)(_job(task))()
            finally:
                advise_on_sweep()
        else:  # hydra.main would compose the config twice, first only to see whether it sweeps
            with hydra.initialize_config_dir(str(loader.CONFIGS), job_name=config_name, version_base="1.3"):
                GlobalHydra.instance().hydra.run(config_name, _job(task), sys.argv[1:])  # type: ignore[union-attr]


def may_sweep(arguments: Sequence[str]) -> bool:
    """Return whether a command may run more than one job.

    A command may do so if it has an option, such as `-m`, or an override whose key begins with an entry of `SWEEPING`.
    """
    return any(argument.lstrip("+~").startswith(("-", *SWEEPING)) for argument in arguments)


def _checked(arguments: list[str], config_name: str) -> list[str]:
    """Check the arguments of a command; return them without `--trusted`, and with overrides as `complete` returns them.

    Raises:
        UserError: an override is not valid (see `overrides.complete`), or a run cannot be resumed (see `resumed`).
    """
    refuse_passwords(arguments)
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config-path", "-cp", type=Path)
    parser.add_argument("--config-name", "-cn", default=config_name)
    parser.add_argument("--config-dir", "-cd", type=Path)
    parser.add_argument("--trusted", action="store_true")
    given, further = parser.parse_known_args(arguments)
    overrides = [argument for argument in further if "=" in argument and not argument.startswith("-")]
    others = [argument for argument in arguments if argument not in (*overrides, "--trusted")]
    if given.config_dir is not None and not given.config_dir.is_dir():
        raise UserError(f"--config-dir must be a folder of configs (got {given.config_dir}, which does not exist).")
    searched = [] if given.config_dir is None else [f"{SEARCH_PATH}=['file://{given.config_dir.resolve()}']"]
    if given.config_path is None:
        overrides = resumed(given.config_name, overrides, searched, trusted=given.trusted)
    return others + complete(given.config_name, [*searched, *overrides], given.config_path)[len(searched) :]


def _job(task: Callable[[DictConfig], Any]) -> Callable[[DictConfig], Any]:
    @wraps(task)
    def job(cfg: DictConfig) -> Any:
        with _explained_interruption(), _logged_failure() if is_job_of_sweep() else one_sentence():
            refuse_passwords_of_job(cfg)
            return task(cfg)

    return job


@contextmanager
def _logged_failure() -> Iterator[None]:
    """Log, store and reraise an error of the `with` block, which executes one job of a sweep.

    Hydra still runs the other jobs of the sweep before the command fails.
    """
    try:
        yield
    except Exception as error:
        from recsys.studies.run_writer import write_failure  # not imported by commands that start no run

        log.error("job %s failed: %s", HydraConfig.get().job.num, error)
        write_failure(Path(HydraConfig.get().runtime.output_dir), error)
        raise


@contextmanager
def _explained_interruption() -> Iterator[None]:
    """If Ctrl-C or SIGTERM ends the `with` block, which executes a job, print how to continue the job, and exit.

    During a fit, Lightning first stops the training in an orderly way, and turns Ctrl-C into a SystemExit.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as stop:
        is_terminated = isinstance(stop, SystemExit) and stop.code == TERMINATED
        if isinstance(stop, SystemExit) and not (is_terminated or isinstance(stop.__context__, KeyboardInterrupt)):
            raise
        word = "Terminated" if is_terminated else "Interrupted"
        print(f"\n{word}; to continue: {_continuing(HydraConfig.get())}", file=sys.stderr)
        raise SystemExit(TERMINATED if is_terminated else INTERRUPTED) from None


def _continuing(hydra_config: HydraConf) -> str:
    """Return the command that continues an interrupted job; in a search or study, return `repeat the command`."""
    if is_job_of_sweep() and not is_plain_sweep(hydra_config):
        return "repeat the command"
    return train_command(f"resume={short(Path(hydra_config.runtime.output_dir))}")
