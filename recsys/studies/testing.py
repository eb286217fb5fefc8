"""The last stage of a run: the model is tested, and the results are logged, stored and printed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.data.dataset import Dataset, Holdout
from recsys.data.split import Split
from recsys.dotted import flatten
from recsys.errors import UserError
from recsys.evaluation.cold_queries import sentence
from recsys.evaluation.evaluate import Evaluation, check, evaluate
from recsys.evaluation.order_test import check_order_test, order_test
from recsys.evaluation.protocols import AnyProtocol
from recsys.evaluation.reranking import Reranker, ranker
from recsys.models.base import Recommender
from recsys.models.bias import Bias
from recsys.models.markov import Markov
from recsys.models.popularity import Popularity
from recsys.studies import process, report, tensorboard
from recsys.studies.examples import Example, examples, spread
from recsys.studies.run_writer import RunWriter, Trained
from recsys.studies.runs import Run

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

log = logging.getLogger(__name__)

N_EXAMPLES = 5  # queries whose recommendations are logged; those of the first are printed


@dataclass(frozen=True)
class Measurement:
    """How a run measures its models: with which protocol, list lengths and reranker.

    Attributes:
        protocol: determines which items are ranked; None measures only predicted ratings.
        ks: list lengths.
        reranker: reorders lists before they are measured; None for no reranking.
        order_test: whether a test also measures the model on shuffled histories, even if the model does not declare
            that it reads their order (`reads_order`).
    """

    protocol: AnyProtocol
    ks: Sequence[int]
    reranker: Reranker | None
    order_test: bool = False

    def __call__(self, model: Recommender, holdout: Holdout) -> Evaluation:
        """Measure a fitted model on held-out ratings."""
        return evaluate(model, holdout, self.protocol, self.ks, reranker=self.reranker)

    def test(self, model: Recommender, holdout: Holdout) -> Evaluation:
        """Measure a fitted model, with the order test if it is needed.

        The order test measures the model on shuffled histories. It is needed if the model declares that it reads their
        order, or if `order_test` is set.
        """
        tested = self(model, holdout)
        if not (self.order_test or model.reads_order):
            return tested
        return replace(tested, summary=tested.summary | order_test(model, holdout, self.protocol, self.ks))

    def own(self, model: Recommender, holdout: Holdout) -> dict[str, Evaluation]:
        """Measure a fitted model without the reranker, for comparison.

        Returns:
            Name of the model's class -> evaluation; empty if there is no reranker.
        """
        if self.reranker is None:
            return {}
        return {type(model).__name__: replace(self, reranker=None)(model, holdout)}

    def name(self, model: Recommender) -> str:
        """Return the class names of the model and, if there is one, of the reranker, separated by a comma."""
        names = [model] if self.reranker is None else [model, self.reranker]
        return ", ".join(type(part).__name__ for part in names)

    def check(self, model: Recommender, split: Split) -> None:
        """Check, before training, that a model can be measured; see `recsys.evaluation.evaluate.check`.

        Raises:
            UserError: the model cannot be measured, shuffled histories would not change its metrics although
                `order_test` is set, or the data have only one user.
        """
        if split.dataset.n_users < 2:
            raise UserError(
                f"A model must have ratings of several users to learn from, but {split.dataset.name} has one: combine "
                "it with other ratings (data=gathered)."
            )
        for holdout in (split.valid, split.test):
            check(model, self.ks, holdout, self.protocol, self.reranker)
        if self.order_test:
            check_order_test(model, self.protocol)

    def baselines(self, split: Split, refit: bool, own: Recommender) -> dict[str, Evaluation]:
        """Fit baselines, and measure them on the test without a reranker.

        If only predicted ratings are measured, the baseline is a model of user and item biases. Otherwise the baselines
        are popularity and, if the data have times, Markov neighbours, which read the order of interactions. A baseline
        of the same class as the model is left out. A baseline that cannot be fitted, for example because the data are
        too large for it, is left out with a warning.

        Args:
            split: the split.
            refit: whether the model was trained on training and validation ratings together; the baselines are then
                trained on both as well.
            own: the model with which the baselines are compared.

        Returns:
            Name of the baseline's class -> evaluation.
        """
        train = split.refit_train if refit else split.train
        models: list[Recommender] = [Bias()] if self.protocol is None else [Popularity()]
        if self.protocol is not None and train.times is not None:
            models.append(Markov())
        measured = {}
        for model in models:
            if type(model) is type(own):
                continue
            try:
                measured[type(model).__name__] = evaluate(model.fit(train), split.test, self.protocol, self.ks)
            except UserError as error:
                log.warning("%s is left out of the comparison: %s", type(model).__name__, error)
        return measured


def named(stage: str, measured: Evaluation) -> dict[str, float]:
    """Return the metrics of an evaluation with the stage in their names, such as `test/ndcg@10`."""
    return {f"{stage}/{name}": float(value) for name, value in measured.summary.items()}


def conclude(
    run: RunWriter,
    trained: Trained,
    measurement: Measurement,
    logger: Logger | None = None,
    also: Sequence[Callable[[Run], object]] = (),
    *,
    is_alone: bool = True,
) -> dict[str, float]:
    """Test the final model of a run, unless its config has `test=false`; log, store and print the results.

    In a run that is sharded by user, each process tests its own users, and the first process does the rest.

    Args:
        run: writer of the run, which stores the results.
        trained: the final model, with its validation metrics.
        measurement: how the model is tested.
        logger: logger of the curves, or None. Loggers other than TensorBoard's also get settings and final metrics.
        also: functions to call with the run before its manifest marks the run as finished.
        is_alone: False for a job of a sweep, which prints some metrics in one line. If True, the run prints commands
            to try next and, if the model was tested, an example and the test metrics of the model and of baselines.

    Returns:
        The validation metrics and, if the model was tested, the test metrics.
    """
    model, split = trained.model, trained.split
    metrics = dict(trained.metrics)
    tested = None
    if run.config["test"]:
        with run.stage("test"):
            tested = measurement.test(model, split.test)
        metrics |= named("test", tested)
    counts = _completed(model, split.dataset)
    if not process.reports():
        return metrics
    if tested is not None:
        run.write_test(tested)
    shown = _examples(model, split.dataset, split.valid if tested is None else split.test, measurement)
    _log_results(run.config, model, split.dataset, counts, metrics, shown, logger)
    run.finish(replace(trained, metrics=metrics), also)
    if not is_alone:
        report.print_in_one_line(run.directory, metrics)
        return metrics
    if tested is not None:
        _print_test(model, split, measurement, tested, refit=run.config["refit"])
        report.print_example(shown[0])
    report.print_next_steps(run.directory, model, shown[0])
    return metrics


def _completed(model: Recommender, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Complete a model that is sharded by user, and return the numbers of ratings of items and users.

    The first process collects what each process has learned about its own users, so all processes of a sharded run must
    call this function. If the run is not sharded, the model is complete already.

    Returns:
        Number of ratings of each item, int64 (n_items,), and of each user, int64 (n_users,).
    """
    if dataset.shard is not None:
        model.complete(dataset.shard)
    return dataset.item_counts, dataset.total(dataset.user_counts)


def _examples(model: Recommender, dataset: Dataset, holdout: Holdout, measurement: Measurement) -> list[Example]:
    """Return example recommendations for a few of the queries of a holdout."""
    query = holdout.query(spread(holdout.n_queries, N_EXAMPLES))
    return examples(model, query, dataset, rank=ranker(measurement.reranker, model, holdout.known))


def _log_results(
    config: Mapping[str, Any],
    model: Recommender,
    dataset: Dataset,
    counts: tuple[np.ndarray, np.ndarray],
    metrics: Mapping[str, float],
    shown: Sequence[Example],
    logger: Logger | None,
) -> None:
    """Log the results for TensorBoard; if the run has another logger, log its settings and metrics there instead."""
    directory = tensorboard.log_directory(config)
    if directory is not None:
        tensorboard.log_run(directory, config, model, dataset, counts, metrics, shown)
    elif logger is not None:
        logger.log_hyperparams(flatten(config))
        logger.log_metrics({f"final/{name}": value for name, value in metrics.items()})
        logger.finalize("success")


def _print_test(model: Recommender, split: Split, measurement: Measurement, tested: Evaluation, *, refit: bool) -> None:
    """Print the test metrics of a model and of baselines, and an explanation of how to read them."""
    others = {}
    if split.dataset.shard is None:  # a sharded run has no process with the ratings of all users
        others = measurement.own(model, split.test) | measurement.baselines(split, refit, model)
    columns = {measurement.name(model): tested.summary} | {name: each.summary for name, each in others.items()}
    report.print_metrics(f"Test metrics on {split.dataset.name}, {split.name}", columns)
    report.print_guide(tested.holdout, measurement.protocol, has_baselines=bool(others))
    if split.test.separates_cold:
        print(sentence(tested.holdout))
