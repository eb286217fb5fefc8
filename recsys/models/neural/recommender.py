"""Recommenders that train a `NeuralModule`: hyperparameters, fit with early stopping, refit, and saving."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import get_annotations, isabstract
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint, StochasticWeightAveraging
from pytorch_lightning.utilities.model_helpers import is_overridden

from recsys.data.dataset import Dataset, Holdout, Shard
from recsys.data.query import History, Pairs, Query
from recsys.errors import UserError, check_finite, check_positive, check_seed, one_of
from recsys.files import reading, write_text
from recsys.models.base import EmbedsHistories, FitContext, FitReport, HasEmbeddings, HasGraph, Recommender
from recsys.models.graphs import ScoreGraph
from recsys.models.histories import ReadsHistories
from recsys.models.learned_arrays import without_prefix
from recsys.models.memory import check_weights
from recsys.models.neural import warm_start
from recsys.models.neural.callbacks import EpochSeeds, TrainingBar, TrainingCurves, TrainingFingerprint
from recsys.models.neural.data import TrainingData
from recsys.models.neural.embeddings import only_rows_of, user_tables
from recsys.models.neural.graphs import HistoryGraph, UserGraph
from recsys.models.neural.module import EmbeddingModule, HistoryModule, NeuralModule
from recsys.models.neural.objectives import OBJECTIVES, Objective
from recsys.models.neural.optimization import Optimization, has_sparse_gradients
from recsys.models.neural.processes import lost_processes_explained
from recsys.models.neural.sharding import OwnUsers, check_sharding, is_sharded
from recsys.models.neural.validation import Validation
from recsys.models.recency import WeighsHistories
from recsys.models.trainer_settings import check_trainer_settings
from recsys.signatures import settings

STEPS_PER_CALL = 32  # optimisation steps per call of training_step, if the trainer allows several
BATCH_HOOKS = (  # hooks of callbacks that observe every step, or change how steps are taken
    "on_train_epoch_start",
    "on_train_batch_start",
    "on_train_batch_end",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
)
USERS_PER_PASS = 4096  # number of users that are embedded at a time after a fit


class NeuralRecommender(Recommender):
    """Trains a module with Lightning, stops early on validation, and uses the weights of the best epoch.

    A subclass defines its hyperparameters, lists the objectives that it accepts, and builds its module.

    Args:
        loss: name of an objective, a key of the model's `objectives`.
        n_negatives: number of negatives per positive, for objectives that sample negatives.
        negative_power: exponent p: negatives are drawn in proportion to popularity ** p, so 0 draws uniformly.
        batch_size: number of samples in a step. It counts users for objectives whose samples are users, ratings for
            `squared`, and otherwise positives plus negatives.
        optimizer: `adam` (AdamW) or `sgd`.
        lr: learning rate.
        weight_decay: weight decay; see `Optimization`.
        lr_schedule: `constant`, `linear`, `cosine` or `warmup_linear`, over `max_epochs`; see `Optimization`.
        max_epochs: maximum number of passes over the training interactions.
        patience: training stops after this number of epochs without an improvement of the monitored metric (ndcg@10 or
            rmse on the validation data).
        seed: seed of the initialisation, the order of samples, the negatives and dropout.

    Raises:
        UserError: a value is not allowed.

    Attributes:
        module: the module, which `fit` builds and trains.
        n_epochs: maximum number of epochs of the next fit: `max_epochs`, or fewer in a refit.
        rating_mean: mean training rating, which is added to the output of the module if it predicts ratings; else 0.
        trained_on: fingerprint of the interactions that the last fit was trained on.
    """

    uses_lightning = True
    objectives: ClassVar[Mapping[str, type[Objective]]] = OBJECTIVES
    module: NeuralModule
    n_best_epochs: int

    def __init__(
        self,
        loss: str = "log",
        n_negatives: int = 4,
        negative_power: float = 0.0,
        batch_size: int = 256,
        optimizer: str = "adam",
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        lr_schedule: str = "constant",
        max_epochs: int = 20,
        patience: int = 5,
        seed: int = 0,
    ) -> None:
        self.loss = one_of("loss", loss, self.objectives)
        self.n_negatives = n_negatives
        self.negative_power = negative_power
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.lr_schedule = lr_schedule
        self.max_epochs = max_epochs
        self.patience = patience
        self.seed = seed
        check_positive(n_negatives=n_negatives, batch_size=batch_size, max_epochs=max_epochs, patience=patience)
        check_finite(negative_power=negative_power)
        check_seed(seed=seed)
        self.optimization()  # checks its values
        self.n_epochs = max_epochs  # fewer in a refit, which trains for as many epochs as validation chose
        self.predicts_ratings = self.objectives[loss].predicts_ratings
        self.rating_mean = 0.0  # added to the output of the module
        self.earlier: tuple[NeuralRecommender, np.ndarray] | None = None  # see `continue_from`

    @abstractmethod
    def build(self, n_users: int, n_items: int, **training: Any) -> NeuralModule:
        """Return an untrained module with the hyperparameters of this model.

        This is also called with PyTorch's meta device, to count the weights before they are allocated.

        Args:
            n_users: number of user codes.
            n_items: number of item codes.
            **training: `objective` and `optimization`, to be passed to the constructor of `NeuralModule`.
        """

    def initialise(self, train: Dataset, valid: Holdout | None) -> None:
        """Change the initial weights of `module`, as models with pretrained weights do; by default, do nothing."""

    def objective(self) -> Objective:
        """Build the objective that `loss` names; its arguments are the hyperparameters with the same names."""
        cls = self.objectives[self.loss]
        return cls(**{name: getattr(self, name) for name in settings(cls)})

    def optimization(self) -> Optimization:
        """Return the optimiser's settings."""
        return Optimization(self.optimizer, self.lr, self.weight_decay, self.lr_schedule, self.max_epochs)

    def continue_from(self, earlier: Recommender, users: np.ndarray) -> None:
        """See `Recommender.continue_from`.

        Raises:
            UserError: the earlier model is of another class, or has other hyperparameters; only those in
                `warm_start.MAY_DIFFER` may differ.
        """
        if not isinstance(earlier, NeuralRecommender) or type(earlier) is not type(self):
            raise UserError(
                f"{type(self).__name__} must continue from a run of the same model (got a {type(earlier).__name__})."
            )
        warm_start.check_hyperparameters(self.hyperparameters(), earlier.hyperparameters())
        self.earlier = (earlier, users)

    def refit(self, train: Dataset, context: FitContext | None = None) -> Self:
        """See `Recommender.refit`; the learning-rate schedule still spans `max_epochs`."""
        return self.for_refit().fit(train, context=context)

    def for_refit(self) -> Self:
        """Return an unfitted copy of the model, which will train for the number of epochs that validation chose.

        The copy has the same hyperparameters and, if there is one, starts from the same earlier model (see
        `continue_from`). Subclasses also copy anything else that validation chose.
        """
        model = type(self)(**self.hyperparameters())
        model.n_epochs, model.earlier = self.n_best_epochs, self.earlier
        return model

    def complete(self, shard: Shard) -> None:
        """See `Recommender.complete`."""
        cast(OwnUsers, shard).complete(self.module)

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Recommender.arrays`; also returns the weights, as `module.NAME`, and what else `restore` needs."""
        weights = {f"module.{name}": tensor.cpu().numpy() for name, tensor in self.module.state_dict().items()}
        if self.predicts_ratings:
            weights["rating_mean"] = np.array(self.rating_mean)
        return (
            super().arrays()
            | weights
            | {
                "n_users": np.array(self.n_users),
                "n_items": np.array(self.n_items),
                "n_best_epochs": np.array(self.n_best_epochs),
                "trained_on": np.array(self.trained_on),
            }
        )

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """See `Recommender.restore`."""
        super().restore(arrays)
        self._build(int(arrays["n_users"]), int(arrays["n_items"]))
        self.trained_on = str(arrays["trained_on"])
        self.n_best_epochs = int(arrays.get("n_best_epochs", self.max_epochs))  # earlier versions stored none
        if self.predicts_ratings:
            self.rating_mean = float(arrays["rating_mean"])
        weights = without_prefix("module", arrays).items()
        self.module.load_state_dict({name: torch.from_numpy(array) for name, array in weights})
        self._use()

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> FitReport:
        """Train the module; if `valid` is None, train for `n_epochs` epochs and use the last weights."""
        check_trainer_settings(context.trainer.keywords)
        self._check_memory(train)
        self._check_weights(train, context)
        self.trained_on = train.fingerprint
        if self.predicts_ratings:
            self.rating_mean = train.mean_rating
        self._start(train, valid, context)
        with _directory(context) as directory:
            finished = directory / "finished.json"
            if not context.resume:  # an earlier fit in this directory must not be taken for this one
                for name in ("finished.json", "last.ckpt", "best.ckpt"):
                    (directory / name).unlink(missing_ok=True)
            if not finished.is_file():
                self._train(train, valid, context, directory)
            self._take_weights(train, directory / f"{'last' if valid is None else 'best'}.ckpt")
            with reading(finished):
                report = FitReport(**json.loads(finished.read_text()))
        self._use()
        return report

    def _start(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        """Build the module with the weights from which training starts.

        Raises:
            UserError: gradients are sparse, and the trainer would have to clip them.
        """
        with only_rows_of(None if train.shard is None else train.shard.own):
            self._build(train.n_users, train.n_items)
        if has_sparse_gradients(self.module) and context.trainer.keywords.get("gradient_clip_val"):
            raise UserError(
                "trainer.gradient_clip_val must be left out if embeddings have sparse gradients, which are not "
                "clipped: with model.rowwise=true, and with model.loss=sampled_softmax of a two-tower model."
            )
        self.module.bind(train)
        self.initialise(train, valid)
        if self.earlier is not None:
            earlier, users = self.earlier
            warm_start.take_over(self.module, earlier.module, users)

    def _take_weights(self, train: Dataset, checkpoint: Path) -> None:
        """Load the weights of a checkpoint of this fit, and the number of epochs after which it was written.

        Raises:
            UserError: the checkpoint was trained on other interactions, or is damaged.
        """
        if train.shard is None and any(table.own is not None for table in user_tables(self.module).values()):
            self._build(train.n_users, train.n_items)  # this process has trained the rows of its own users only
            self.module.bind(train)
        with reading(checkpoint):
            state = torch.load(checkpoint, weights_only=True, mmap=True)  # a sharded table reads its own rows only
            if TrainingFingerprint.KEY in state:  # earlier versions stored none
                self._check_trained_on(state[TrainingFingerprint.KEY])
            self.module.load_state_dict(state["state_dict"])
            self.n_best_epochs = int(state["epoch"]) + 1

    def _train(self, train: Dataset, valid: Holdout | None, context: FitContext, directory: Path) -> None:
        """Run Lightning's loop, and write `last.ckpt`, `finished.json` and, if there is `valid`, `best.ckpt`.

        Raises:
            UserError: training ended before the first step, a process was lost, or a checkpoint to resume is damaged or
                was trained on other interactions.
        """
        trainer = self._trainer(train, valid, context, directory)
        grouped = _takes_several_steps(trainer, context.trainer.keywords.get("callbacks") or [])
        self.module.automatic_optimization = not grouped
        objective = cast(Objective, self.module.objective)
        data = TrainingData(train, objective, self.batch_size, self.seed, STEPS_PER_CALL if grouped else 1)
        checkpoint = directory / "last.ckpt"
        resumed = checkpoint if context.resume and checkpoint.is_file() else None
        if resumed is not None:
            with reading(resumed):
                self._check_trained_on(torch.load(resumed, weights_only=True)[TrainingFingerprint.KEY])
        started = time.perf_counter()
        with lost_processes_explained():
            trainer.fit(self.module, datamodule=data, ckpt_path=resumed, weights_only=True)
        if not checkpoint.is_file():
            raise UserError(
                "Training ended before the first step: raise trainer.limit_train_batches, max_steps or max_time."
            )
        seconds = time.perf_counter() - started
        # Where other processes have trained, the trainer of this one only knows the metrics that they return.
        n_epochs = max(trainer.current_epoch, int(trainer.callback_metrics.get("train/epochs", 0)))
        report = {"seconds": seconds, "epochs": n_epochs, "interactions_per_second": train.n_ratings / seconds}
        for name in ("interactions_per_second", "epoch_seconds", "samples_per_second"):
            if f"train/{name}" in trainer.callback_metrics:  # an epoch was completed
                report[name] = float(trainer.callback_metrics[f"train/{name}"])
        write_text(directory / "finished.json", json.dumps(report, indent=2))
        self.module.to(trainer.strategy.root_device)  # Lightning moves the module to the CPU at the end

    def _trainer(self, train: Dataset, valid: Holdout | None, context: FitContext, directory: Path) -> pl.Trainer:
        """Build the trainer of a fit.

        Raises:
            UserError: the callbacks include `StochasticWeightAveraging`.
        """
        objective, options = cast(Objective, self.module.objective), context.trainer.keywords
        metric, mode = f"valid/{objective.monitor.metric}", objective.monitor.mode
        callbacks: list[Callback] = [EpochSeeds(self.seed), TrainingFingerprint(train.fingerprint)]
        if valid is not None:
            callbacks.append(Validation(valid, self, objective.monitor))
        for callback in options.get("callbacks") or []:
            if isinstance(callback, StochasticWeightAveraging):
                raise UserError("StochasticWeightAveraging has no effect, as the best epoch is restored: leave it out.")
            callbacks.append(callback)
        callbacks.append(TrainingCurves(train.n_ratings, objective.samples_per_interaction))
        if options.get("enable_progress_bar", True):
            callbacks.append(TrainingBar(metric))
        if valid is not None:
            callbacks += [
                EarlyStopping(metric, patience=self.patience, mode=mode),
                _checkpoint(directory, "best", monitor=metric, mode=mode),
            ]
        own = {
            "max_epochs": self.n_epochs,
            "log_every_n_steps": 0,  # turns off Lightning's logging, since TrainingCurves logs
            "default_root_dir": directory,
            "use_distributed_sampler": False,
            "enable_model_summary": False,
        }
        return context.trainer(
            **own,
            callbacks=[*callbacks, _checkpoint(directory, "last")],
            logger=context.logger or False,
            enable_progress_bar=False,  # Lightning's: TrainingBar shows the progress
        )

    def _check_trained_on(self, trained_on: str) -> None:
        """Check that a checkpoint was trained on the training interactions of this fit.

        Args:
            trained_on: fingerprint in the checkpoint.

        Raises:
            UserError: the checkpoint was trained on other interactions.
        """
        if trained_on != self.trained_on:
            raise UserError(
                "A run must be resumed on the ratings that it started with, but its data and split settings now give "
                "other ratings: restore these settings, or start a new run."
            )

    def _score(self, query: Query) -> np.ndarray:
        """See `Recommender._score`."""
        return self._with_mean(self.module.score(query))

    def _predict(self, pairs: Pairs) -> np.ndarray:
        """See `Recommender._predict`; only the pairs are scored."""
        return self._with_mean(self.module.predict(pairs))

    def _with_mean(self, output: np.ndarray) -> np.ndarray:
        """Return the output of the module, plus the mean training rating if the model predicts ratings."""
        return output + np.float32(self.rating_mean) if self.predicts_ratings else output

    def _build(self, n_users: int, n_items: int) -> None:
        """Build the untrained module with the seed of the model, without changing the global random state."""
        self.n_users, self.n_items = n_users, n_items
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            self.module = self.build(n_users, n_items, objective=self.objective(), optimization=self.optimization())

    def unallocated(self, n_users: int, n_items: int) -> NeuralModule:
        """Return an untrained module on PyTorch's meta device, where weights have shapes but take no memory."""
        with torch.device("meta"):
            return self.build(n_users, n_items, objective=self.objective(), optimization=self.optimization())

    def check_sharding(self, trainer: Mapping[str, Any]) -> None:
        """Check, before data are read, that a training can be sharded by user.

        The class of the module is read from the annotation of `module`. If this names no concrete class, nothing is
        checked yet; a fit always checks the module that it has built. See
        `recsys.models.neural.sharding.check_sharding`.

        Args:
            trainer: settings of the trainer.

        Raises:
            UserError: the training cannot be sharded.
        """
        module = _declared_module(type(self))
        if module is not None:
            check_sharding(module, type(self).__name__, trainer.get("gradient_clip_val"), trainer.get("precision"))

    def _check_memory(self, train: Dataset) -> None:
        """Check that what a training step needs besides the weights fits in memory; by default, check nothing.

        Raises:
            UserError: a training step needs more memory than there is.
        """

    def _check_weights(self, train: Dataset, context: FitContext) -> None:
        """Check that the weights fit in memory and that the trainer can distribute them, before any are allocated.

        Raises:
            UserError: the weights do not fit, or cannot be sharded by user.
        """
        module, options = self.unallocated(train.n_users, train.n_items), context.trainer.keywords
        if is_sharded(options.get("strategy")):
            check_sharding(
                type(module), type(self).__name__, options.get("gradient_clip_val"), options.get("precision")
            )
        check_weights(sum(weights.numel() for weights in module.parameters()), self)

    def _use(self) -> None:
        """Make the module ready for scoring: set it to evaluation mode, and refresh it."""
        self.module.eval().refresh()


def _declared_module(model: type[NeuralRecommender]) -> type[NeuralModule] | None:
    """Return the class with which a model annotates `module`; None if the class is abstract or not annotated."""
    for cls in model.__mro__:
        name = get_annotations(cls).get("module")
        declared = vars(sys.modules[cls.__module__]).get(name) if isinstance(name, str) else name
        if isinstance(declared, type) and issubclass(declared, NeuralModule):
            return None if isabstract(declared) else declared
    return None


def _takes_several_steps(trainer: pl.Trainer, callbacks: Sequence[Callback]) -> bool:
    """Return whether one call of `training_step` may take several optimisation steps.

    Each call must take a single step if a setting of the trainer or a hook of a callback needs to see every step.
    """
    return (
        trainer.world_size == 1
        and trainer.accumulate_grad_batches == 1
        and trainer.gradient_clip_val is None
        and trainer.max_steps == -1
        and trainer.limit_train_batches == 1.0
        and trainer.overfit_batches == 0  # type: ignore[attr-defined]
        and not trainer.precision.startswith("16")
        and not any(is_overridden(hook, callback, Callback) for callback in callbacks for hook in BATCH_HOOKS)
    )


def _checkpoint(directory: Path, name: str, **options: Any) -> ModelCheckpoint:
    return ModelCheckpoint(directory, name, save_on_train_epoch_end=True, enable_version_counter=False, **options)


@contextmanager
def _directory(context: FitContext) -> Iterator[Path]:
    """Yield the directory for checkpoints: `context.directory` or, if it is None, a temporary directory."""
    if context.directory is None:
        with tempfile.TemporaryDirectory() as directory:
            yield Path(directory)
    else:
        context.directory.mkdir(parents=True, exist_ok=True)
        yield context.directory


class EmbeddingRecommender(NeuralRecommender, HasEmbeddings, HasGraph):
    """A deep model whose module has an embedding for each user and each item."""

    module: EmbeddingModule

    def user_embeddings(self) -> np.ndarray:
        """See `HasEmbeddings`."""
        return self.module.user_embeddings().detach().cpu().numpy()

    def item_embeddings(self) -> np.ndarray:
        """See `HasEmbeddings`."""
        return self.module.item_embeddings().detach().cpu().numpy()

    def graph(self, data: Dataset, length: int) -> ScoreGraph:
        """See `HasGraph`."""
        return UserGraph(self.module, self.rating_mean)


class HistoryRecommender(NeuralRecommender, WeighsHistories, EmbedsHistories, HasGraph):
    """A deep model that encodes histories; a training user's embedding is the encoded training history.

    Args:
        prior_strength: see `ReadsHistories`.
        popularity_half_life: see `ReadsHistories`.
        popularity_by: see `ReadsHistories`.
        **training: see `NeuralRecommender`.

    Raises:
        UserError: a value is not allowed.
    """

    module: HistoryModule

    learned = ("user_codes",)  # embeddings of the training users, float32 (n_users, d)

    def __init__(
        self,
        prior_strength: float = 0.0,
        popularity_half_life: float | None = None,
        popularity_by: Sequence[str] = (),
        **training: Any,
    ) -> None:
        NeuralRecommender.__init__(self, **training)
        ReadsHistories.__init__(self, prior_strength, popularity_half_life, popularity_by)

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> FitReport:
        """Train the module, and embed the users' training histories."""
        report = super()._fit(train, valid, context)
        users = range(train.n_users) if train.shard is None else train.shard.own
        passes = np.array_split(np.array(users), 1 + len(users) // USERS_PER_PASS)
        self.user_codes = np.concatenate([self._encode(train.query(part)) for part in passes])
        return report

    def complete(self, shard: Shard) -> None:
        """See `Recommender.complete`."""
        super().complete(shard)
        self.user_codes = shard.joined(self.user_codes)

    def embed(self, history: History) -> np.ndarray:
        """See `EmbedsHistories`."""
        return self._encode(Query.of_histories(history))

    def user_embeddings(self) -> np.ndarray:
        """See `HasEmbeddings`."""
        return self.user_codes

    def item_embeddings(self) -> np.ndarray:
        """See `HasEmbeddings`."""
        return self.module.item_embeddings().detach().cpu().numpy()

    def graph(self, data: Dataset, length: int) -> ScoreGraph:
        """See `HasGraph`."""
        return HistoryGraph(self.module, self.weights_graph(length), self.rating_mean)

    def _predict(self, pairs: Pairs) -> np.ndarray:
        """See `Recommender._predict`; all items are scored for each user, so each history is encoded only once."""
        return Recommender._predict(self, pairs)

    def _build(self, n_users: int, n_items: int) -> None:
        super()._build(n_users, n_items)
        self.module.half_life = self.half_life

    @torch.inference_mode()
    def _encode(self, query: Query) -> np.ndarray:
        return self.module.encode(self.module.batch(query)).float().cpu().numpy()
