"""Train, choose on validation, test once: `python train.py model=ncf data=ml-100k`.

configs/train.yaml lists what can be set; README.md tells of sweeps, searches and interrupted runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from recsys.analysis.segments.stored import with_segments
from recsys.config import Splits, compose, instantiate, main
from recsys.data.dataset import Holdout
from recsys.data.prepare import prepare
from recsys.data.split import Split
from recsys.errors import UserError
from recsys.evaluation.evaluate import Evaluation, check, evaluate
from recsys.models.base import FitContext, Recommender
from recsys.models.bias import Bias
from recsys.models.popularity import Popularity
from recsys.studies import report, tensorboard
from recsys.studies.examples import examples, spread
from recsys.studies.runs import Run, RunWriter, read_run
from recsys.studies.segmenting import find_segments

N_EXAMPLES = 5  # users whose recommendations are logged; the first one's are printed


def train(cfg: DictConfig) -> dict[str, float]:
    """Run one config and keep the run in `cfg.run_dir`.

    Returns:
        `valid/...` metrics of the model that validation chose, and `test/...` ones of the final model; `peeked/...`
        instead where test ratings chose it.
    """
    source, metadata, splitter, protocol, reranker, model = (
        instantiate(cfg.get(name)) for name in ("data", "metadata", "split", "protocol", "reranker", "model")
    )
    trainer, logger = instantiate(cfg.trainer), instantiate(cfg.get("logger"))
    _check(trainer)
    run = RunWriter(Path(cfg.run_dir), OmegaConf.to_yaml(cfg, resolve=True), resumed=cfg.resume is not None)
    torch.set_num_threads(cfg.threads)
    pl.seed_everything(cfg.seed, verbose=False)

    with run.stage("data"):
        prepared = prepare(source, Path(cfg.cache_dir), metadata)
        split = splitter(prepared.dataset)
        if cfg.segments_from is not None:
            split = with_segments(split, Path(cfg.segments_from))
        if cfg.warm_from is not None:
            split = _continued(read_run(Path(cfg.warm_from)), run, model, split)
        for holdout in (split.valid, split.test):
            check(model, cfg.ks, holdout, protocol, reranker)

    context = FitContext(
        run.checkpoints / "selection", trainer, logger, resume=cfg.resume is not None, cache_dir=Path(cfg.cache_dir)
    )
    measure = partial(evaluate, protocol=protocol, ks=cfg.ks, reranker=reranker)
    model, metrics, speed = _learned(cfg, run, model, split, measure, context)
    if rank_zero_only.rank:  # type: ignore[attr-defined]  # one process of a distributed run tests, writes and prints
        return metrics

    holdout = split.valid
    if cfg.test:
        holdout = split.test
        with run.stage("test"):
            tested = measure(model, split.test)
        metrics |= _named("peeked" if cfg.peek else "test", tested.summary)
        run.write_test(tested)
    shown = examples(model, holdout.known, spread(holdout.users, N_EXAMPLES))
    if isinstance(logger, TensorBoardLogger):
        tensorboard.log_run(logger, run.config, model, split.dataset, metrics, shown)
    also = [partial(find_segments, split=split, study=instantiate(compose("segments")))] if cfg.find_segments else []
    run.finish(model, split, prepared.report.origin, metrics, speed, also)

    if cfg.test:
        baseline = (Bias() if protocol is None else Popularity()).fit(split.refit_train if cfg.refit else split.train)
        expected = evaluate(baseline, split.test, protocol, cfg.ks).summary
        title = f"Test metrics on {split.dataset.name}, {split.name}"
        columns = {type(model).__name__: tested.summary}
        columns.setdefault(type(baseline).__name__, expected)
        report.print_metrics(title, columns)
        report.print_example(shown[0])
    report.print_location(run.directory)
    return metrics


def _continued(earlier: Run, run: RunWriter, model: Recommender, split: Split) -> Split:
    """Let a model start from the weights of an earlier run; the split without what these have learned from."""
    before = Splits().of(earlier.config)
    earlier.check_split(before)
    model.continue_from(earlier.model(), split.dataset.users_in(before.dataset))
    learned = earlier.has_learned(before, split.dataset)
    run.write_learned_before(split.dataset.select(learned))
    measured = split.for_warm_start(learned)
    for holdout, purpose in ((measured.valid, "validate on"), (measured.test, "test on")):
        if not len(holdout.ratings):
            raise UserError(
                f"{split.dataset.name} has no rating to {purpose} that the earlier run did not learn from: "
                "wait for further ratings, or leave out --warm (of train.py, warm_from)."
            )
    return measured


def _learned(
    cfg: DictConfig,
    run: RunWriter,
    model: Recommender,
    split: Split,
    measure: Callable[[Recommender, Holdout], Evaluation],
    context: FitContext,
) -> tuple[Recommender, dict[str, float], dict[str, float]]:
    """The final model, its metrics on validation, and how fast it was trained."""
    if cfg.trained is not None:
        trained = read_run(Path(cfg.trained))
        trained.check_split(split)
        return trained.model(), {}, {}
    train, valid = (split.refit_train, split.test) if cfg.peek else (split.train, split.valid)
    with run.stage("fit"):
        model.fit(train, valid, context)
    speed = getattr(model, "speed", {"train/interactions_per_second": len(train) / run.seconds["fit"]})
    if cfg.peek:
        return model, {}, speed
    with run.stage("validation"):
        metrics = _named("valid", measure(model, valid).summary)
    if cfg.refit:
        with run.stage("refit"):  # no logger: its curves would lie over those that validation watched
            model = model.refit(split.refit_train, replace(context, directory=run.checkpoints / "refit", logger=None))
    return model, metrics, speed


def objective(cfg: DictConfig) -> float | None:
    """Run one config; what a search maximises is its `cfg.optimized_metric` on validation, errors below zero.

    None where there is no such metric.
    """
    value = train(cfg).get(f"valid/{cfg.optimized_metric}")
    return -value if value is not None and cfg.optimized_metric in ("rmse", "mae") else value


def _check(trainer: Callable[..., pl.Trainer]) -> None:
    """Find out before any work whether Lightning can train so: on a device that is not there, say."""
    try:
        trainer(logger=False, callbacks=[])  # it would add its own to the list in the config
    except (MisconfigurationException, TypeError, ValueError) as error:
        raise UserError(f"Lightning cannot train with these settings of trainer: {error}") from error


def _named(stage: str, summary: dict[str, float]) -> dict[str, float]:
    return {f"{stage}/{name}": float(value) for name, value in summary.items()}


if __name__ == "__main__":
    main(objective)
