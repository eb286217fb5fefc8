"""Train a model, choose on validation, test once: `python train.py model=ncf data=ml-100k`.

configs/train.yaml lists the settings; docs/training.md describes sweeps, searches and interrupted runs.
"""

from __future__ import annotations

if __name__ == "__main__":
    from recsys.interruption import exit_on_interrupt_of_imports

    exit_on_interrupt_of_imports()

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from omegaconf import DictConfig, OmegaConf

from recsys.config import compose, instantiate, main
from recsys.config.general import check_general
from recsys.config.measurements import measurement_of
from recsys.config.rules import count_ratings_for_rules
from recsys.config.splits import Splits, split_reader
from recsys.config.sweep_advice import is_job_of_sweep
from recsys.config.trainer import check_trainer, lightning, needs_lightning
from recsys.data.split import Split
from recsys.evaluation.evaluate import check_metric_name
from recsys.extras import require
from recsys.metrics.direction import sign
from recsys.models.base import FitContext, Recommender
from recsys.studies import process
from recsys.studies.report import plan
from recsys.studies.run_writer import RunWriter, Trained
from recsys.studies.runs import Run, is_completed, read_run
from recsys.studies.testing import conclude, named
from recsys.studies.warm_start import continue_from

if TYPE_CHECKING:
    from recsys.config.sharded_run import ShardedRun

log = logging.getLogger(__name__)


def train(cfg: DictConfig) -> dict[str, float]:
    """Train, measure and store one run in the directory `cfg.run_dir`.

    Returns:
        Metrics by name: `valid/...` of the model that was fitted to the training ratings and, unless `cfg.test` is
        false, `test/...` of the final model, which `cfg.refit` fits to the validation ratings too. A process that does
        not report (any but the first of trainer=ddp) returns only the former.

    Raises:
        UserError: a setting is not valid, or the data cannot be prepared, split or learned from.
    """
    check_general(cfg)
    check_metric_name(cfg.optimized_metric)
    count_ratings_for_rules(cfg)
    directory, settings = Path(cfg.run_dir), OmegaConf.to_yaml(cfg, resolve=True)
    if process.is_requeued() and is_completed(directory, yaml.safe_load(settings)):
        log.info("%s is finished: its results are used", directory)
        return read_run(directory).metrics
    model, read_split = instantiate(cfg.model), split_reader(cfg)
    measurement = measurement_of(cfg)
    check_trainer(cfg.trainer)
    if cfg.find_segments:
        require("plots")  # their report has figures
    trainer, logger = lightning(cfg) if needs_lightning(cfg, model) else (None, None)
    sharding = _sharding(cfg, model, trainer)
    if sharding is not None and not sharding.is_started:
        return sharding.start(cfg)
    run = RunWriter(directory, settings, OmegaConf.to_yaml(cfg), resumed=cfg.resume is not None)
    process.limit_threads(cfg.threads)
    process.fix_randomness(cfg.seed)

    with run.stage("data"):
        split, origin = read_split(None if sharding is None else sharding.connect(cfg))
        if cfg.warm_from is not None:
            split = _warm_start(cfg, run, model, split)
        measurement.check(model, split)
    log.info("%s", plan(model, split))

    context = FitContext(run.checkpoints / "selection", resume=run.is_resumed, cache_dir=Path(cfg.cache_dir))
    if trainer is not None:
        context = replace(context, trainer=trainer, logger=logger)
    with run.stage("fit"):
        model.fit(split.train, split.valid, context)
    speed = model.fit_report.metrics()
    with run.stage("validation"):
        metrics = named("valid", measurement(model, split.valid))
    if cfg.refit:
        with run.stage("refit"):  # without the logger, whose curves would overlay those of the first fit
            model = model.refit(split.refit_train, replace(context, directory=run.checkpoints / "refit", logger=None))
    if not process.reports() and sharding is None:
        return metrics
    trained = Trained(model, split, origin, metrics, speed)
    is_alone = not is_job_of_sweep()
    return conclude(run, trained, measurement, logger, _further_work(cfg, split), is_alone=is_alone)


def _sharding(cfg: DictConfig, model: Recommender, trainer: partial[Any] | None) -> ShardedRun | None:
    """Return how several processes share the run, or None if they do not; see `sharded_run`."""
    if trainer is None:
        return None
    from recsys.config.sharded_run import sharded_run  # imports torch, which closed-form models never need

    return sharded_run(cfg, model, trainer)


def objective(cfg: DictConfig) -> float | None:
    """Train one run, and return the value that a search maximises.

    Returns:
        `cfg.optimized_metric` on validation, negated if smaller values are better (errors); None if validation does not
        measure this metric.
    """
    value = train(cfg).get(f"valid/{cfg.optimized_metric}")
    return None if value is None else sign(cfg.optimized_metric) * value


def _warm_start(cfg: DictConfig, run: RunWriter, model: Recommender, split: Split) -> Split:
    """Let the model continue from the run `warm_from`, and return the split; see `recsys.studies.warm_start`."""
    from recsys.config.stored import stored_config, targets  # imports the classes that a config can name

    earlier = read_run(Path(cfg.warm_from))
    before = Splits().of(stored_config(earlier.config, known=targets(OmegaConf.to_container(cfg))))
    return continue_from(earlier, before, run, model, split)


def _further_work(cfg: DictConfig, split: Split) -> list[Callable[[Run], object]]:
    """Return functions to call with the finished run: one that finds segments of its users, if the config says so."""
    if not cfg.find_segments:
        return []
    from recsys.studies.segmenting import find_segments  # imports scikit-learn, which takes seconds

    return [partial(find_segments, split=split, study=instantiate(compose("segments")))]


if __name__ == "__main__":
    main(objective)
