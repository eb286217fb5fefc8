"""The command `python -m recsys test`: evaluates a trained model on its test ratings again, with other settings."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from recsys.commands.arguments import add_run, add_trusted
from recsys.config import compose
from recsys.config.general import check_general
from recsys.config.measurements import measurement_of
from recsys.config.nodes import instantiate
from recsys.config.splits import split_reader
from recsys.config.stored import DATA, stored_config
from recsys.data.split import Split
from recsys.errors import UserError
from recsys.studies import process
from recsys.studies.run_writer import RunWriter, Trained
from recsys.studies.runs import Run, is_finished, read_run
from recsys.studies.tensorboard import log_directory
from recsys.studies.testing import conclude

TARGET = "split.target"
CHANGED = ("protocol", "reranker", "ks", "order_test", TARGET)  # settings that a test may change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: the run, the settings to change, and the directory of the results."""
    add_run(parser)
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="protocol=full_and_sampled99 reranker=mmr reranker.trade_off=0.5 'ks=[5,10]' order_test=true "
        "split.target=successive",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="directory of the results (default: outputs/DATE/TIME_test_RUN)"
    )
    add_trusted(parser)


def run(arguments: argparse.Namespace) -> None:
    """Test the model of a finished run, and store the results as a separate run, which `table` and `compare` can read.

    Raises:
        UserError: an override changes a setting that a test cannot change, the run can only be tested if it is trusted,
            its data or split have changed, or the directory for the results has a trained run.
    """
    now, trained = datetime.now(UTC), read_run(arguments.directory)
    name = f"{now:%H-%M-%S-%f}_test_{arguments.directory.resolve().name}"
    directory = arguments.out or Path("outputs", f"{now:%Y-%m-%d}", name)
    if is_finished(directory) and "trained" not in read_run(directory).config:
        raise UserError(f"--out must be a new directory or an earlier test's (got the trained run {directory}).")
    cfg = _config(trained, arguments.overrides, directory, arguments.trusted)
    check_general(cfg)
    measurement = measurement_of(cfg)
    model = trained.model(arguments.trusted)
    tested = RunWriter(directory, OmegaConf.to_yaml(cfg, resolve=True))
    process.limit_threads(cfg.threads)
    process.fix_randomness(cfg.seed)
    with tested.stage("data"):
        split, origin = split_reader(cfg)()
        own = OmegaConf.create(trained.config["split"])  # may have another target
        trained.check_split(split if own == cfg.split else instantiate(own)(split.dataset))
        split = _unlearned(trained, split)
        measurement.check(model, split)
    conclude(tested, Trained(model, split, origin), measurement)


def _config(trained: Run, overrides: list[str], directory: Path, trusted: bool) -> DictConfig:
    """Return the config of a trained run, adapted for a test by the overrides.

    Args:
        trained: the trained run.
        overrides: config overrides of settings in `CHANGED`.
        directory: directory of the results.
        trusted: see `stored_config`.

    Raises:
        UserError: an override changes a setting that a test cannot change, or the config can only be used if the run is
            trusted.
    """
    keys = [override.partition("=")[0].lstrip("+~") for override in overrides]
    changed = {key if key == TARGET else key.partition(".")[0] for key in keys}
    if unknown := changed - {*CHANGED}:
        raise UserError(
            f"A test can change only {', '.join(CHANGED)} (got {', '.join(sorted(unknown))}): train a run for the rest."
        )
    if TARGET in changed:
        overrides = [f"split={trained.manifest['split']['name']}", *overrides]
    composed = compose("train", [f"seed={trained.config['seed']}", *overrides])
    own = {"run_dir": str(directory), "trained": str(trained.directory)}
    config: dict[str, Any] = trained.config | own | {"test": True, "find_segments": False, "resume": None}
    for name in changed:
        if name == TARGET:
            config["split"] = trained.config["split"] | {"target": composed.split.target}
            continue
        node = composed[name]
        config[name] = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    if config.get("logger"):
        config["logger"] = trained.config_in(directory)["logger"]  # in the directory of the test
    written = set() if log_directory(config) is None else {"logger"}  # other loggers are not used in a test
    return stored_config(config, {*DATA, "protocol", "reranker", *written} - changed, trusted=trusted)


def _unlearned(trained: Run, split: Split) -> Split:
    """Return the split without those held-out ratings on which the weights of a warm-started model were trained."""
    return split.for_warm_start(trained.has_learned(split, split.dataset)) if trained.is_warm else split
