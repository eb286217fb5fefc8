"""The command `python -m recsys refit`: trains a served model again, on its data together with new feedback."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from recsys.commands.arguments import add_run, add_trusted, period, share
from recsys.commands.feedback import add_store, open_store
from recsys.commands.run_data import split_of_config
from recsys.commands.training import run_train
from recsys.config.stored import stored_config
from recsys.files import short
from recsys.places import CONFIGS
from recsys.studies.runs import read_run
from recsys.web import rollout
from recsys.web.promotion import ERROR_MARGIN, RANKING_MARGIN

if TYPE_CHECKING:
    from recsys.web.refit import Refitter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: the run, how and how often to refit it, when to serve a refit, and `--store`."""
    add_run(parser, "the directory of a finished run, as given to `serve`")
    parser.add_argument("--warm", action="store_true", help="continue from the weights of the run that is served")
    parser.add_argument(
        "--margin",
        type=share,
        metavar="SHARE",
        help="largest share of an earlier run's metric that a refit may lose "
        f"(default: {RANKING_MARGIN}, for errors {ERROR_MARGIN})",
    )
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--every", type=period, metavar="PERIOD", help="repeat the refit: 30s, 10m, 1h, 1d")
    when.add_argument(
        "--roll-back", action="store_true", help="serve the run again that was served before the last promotion"
    )
    add_trusted(parser)
    add_store(parser)


def run(arguments: argparse.Namespace) -> None:
    """Refit a run once or repeatedly; with `--roll-back`, go back to the run that was served before the last promotion.

    Raises:
        UserError: the run or the store cannot be read, another refit of the run is in progress, a refit without
            `--every` fails, or there is no earlier run to roll back to.
    """
    from recsys.web.refit import Refitter, refit_lock  # needs an extra; --help does not

    directory = arguments.directory
    read_run(directory)
    if arguments.roll_back:
        with refit_lock(directory):
            active = short(rollout.roll_back(directory))
        print(f"{active} is served again. `refit` would train again at once; `refit --every` waits for new ratings.")
        return
    refitter = Refitter(
        directory,
        open_store(arguments.store, directory),
        partial(split_of_config, trusted=arguments.trusted),
        partial(_train, trusted=arguments.trusted),
        warm=arguments.warm,
        margin=arguments.margin,
        trusted=arguments.trusted,
        unattended=arguments.every is not None,
    )
    if arguments.every is None:
        _refit(refitter)
    else:
        _repeat(refitter, arguments.every)


def _repeat(refitter: Refitter, seconds: float) -> None:
    """Refit repeatedly until interrupted; errors are printed, and the refits go on.

    Args:
        refitter: object that performs the refits.
        seconds: time from the start of a refit to the start of the next one.
    """
    while True:
        started = time.monotonic()
        try:
            _refit(refitter)
        except Exception as error:  # the next refit may succeed
            print(f"error: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
        time.sleep(max(0, started + seconds - time.monotonic()))


def _refit(refitter: Refitter) -> None:
    promotion = refitter.refit()
    if promotion is None:
        print("There is no new rating since the last refit or roll-back, so nothing was trained.")
    else:
        print("\n".join(promotion.sentences()))


def _train(config: Mapping[str, Any], directory: Path, trusted: bool) -> None:
    """Train a new run in a child process, with the stored config of an earlier run.

    Before the training, the config is checked and written to the directory of the new run.

    Args:
        config: the config, as nested plain values.
        directory: directory of the new run.
        trusted: whether the config may build objects that execute arbitrary code; see `stored_config`.

    Raises:
        UserError: the config can only be used if it is trusted, or the training failed.
    """
    from recsys.web.refit import CONFIG

    stored_config(config, config, trusted=trusted)
    logging = {"job_logging": OmegaConf.load(CONFIGS / "train.yaml").hydra.job_logging}  # which the stored config lacks
    place = {"run": {"dir": str(directory)}, "job": {"name": "train"}}
    OmegaConf.save({**config, "hydra": logging | place}, directory / CONFIG)
    run_train(["--config-path", str(directory.resolve()), "--config-name", Path(CONFIG).stem], directory, "refit")
