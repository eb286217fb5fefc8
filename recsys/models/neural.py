"""What every Lightning model shares: batches, validation, early stopping, checkpoints, saving.

A deep model is a `NeuralModule` (weights and forward) and a short `NeuralRecommender` that names its hyperparameters.

A training can continue from the weights of an earlier model (a warm start). Validation chooses its epochs as it chooses
those of any other, one at the least: the weights as they come know nothing of users who are new since.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from recsys.data.dataset import Dataset, History, Holdout
from recsys.errors import UserError
from recsys.files import write_whole
from recsys.models.base import FitContext, Recommender
from recsys.models.callbacks import TrainingBar, TrainingCurves
from recsys.models.losses import bpr_loss, log_loss, sampled_softmax_loss, softmax_loss, squared_loss
from recsys.models.optimizers import RowwiseAdamW
from recsys.models.sampling import (
    NegativeSampler,
    Positives,
    RatedBatch,
    RatedEpoch,
    SampledBatch,
    SampledEpoch,
    Share,
    UserBatch,
    UserEpoch,
)
from recsys.models.watched import Watched, WatchedRanks, WatchedStars

LOSSES: dict[str, Callable[..., Tensor]] = {
    "log": log_loss,
    "bpr": bpr_loss,
    "sampled_softmax": sampled_softmax_loss,
    "softmax": softmax_loss,
    "squared": squared_loss,
}
SCHEDULES: dict[str, Callable[[float], float]] = {  # factor of the learning rate after a share of all steps
    "constant": lambda done: 1.0,
    "linear": lambda done: 1.0 - done,
    "cosine": lambda done: 0.5 * (1.0 + math.cos(math.pi * done)),
}
# Pairs of user and film that are scored at a time: hidden layers of that many rows stay in the cache.
PAIRS_PER_PASS = 1 << 18
MAY_DIFFER = ("max_epochs", "patience", "seed")  # of a model and an earlier one that it continues from
SCORES_PER_VALIDATION_BATCH = 1 << 24


class UserEmbedding(nn.Embedding):
    """A row a user, and a last one for anybody unknown, (n_users + 1, d)."""

    def __init__(self, n_users: int, embedding_dim: int, std: float = 0.01) -> None:
        super().__init__(n_users + 1, embedding_dim)
        nn.init.normal_(self.weight, std=std)

    @property
    def known(self) -> Tensor:
        """The users' rows, (n_users, d)."""
        return self.weight[:-1]

    @torch.no_grad()
    def place_unknown(self, trained: Tensor) -> None:
        """Put somebody unknown amid the users that were trained on, a boolean (n_users,)."""
        self.weight[-1] = self.known[trained].mean(dim=0)


def item_embedding(n_items: int, embedding_dim: int, std: float = 0.01) -> nn.Embedding:
    """A row a film, (n_items, d)."""
    table = nn.Embedding(n_items, embedding_dim)
    nn.init.normal_(table.weight, std=std)
    return table


def rows_of(table: nn.Embedding, items: Tensor | None) -> Tensor:
    """The rows of some films, (B, C, d) for items (B, C), or the table (n_items, d) for None."""
    return table.weight if items is None else table(items)


def dot(users: Tensor, items: Tensor) -> Tensor:
    """Dot products of users (B, d) with their films (B, C, d), or with all films (n_items, d)."""
    if items.dim() == 2:
        return users @ items.T
    return torch.linalg.vecdot(items, users.unsqueeze(1))  # of a few films each, where bmm takes 3 times as long


class NeuralModule(pl.LightningModule):
    """Weights, forward and loss; subclasses give the first two and their embeddings."""

    settings: NeuralRecommender  # the hyperparameters that training follows

    @abstractmethod
    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Logits of users (B,) for their films: (B, C) for items (B, C), or (B, n_items) for None.

        A module that reads histories takes them in place of users, and says so in its own `training_step`.
        """

    @abstractmethod
    def user_embeddings(self) -> Tensor:
        """(n_users, d)."""

    @abstractmethod
    def item_embeddings(self) -> Tensor:
        """(n_items, d)."""

    def training_step(self, batch: SampledBatch | RatedBatch | UserBatch, batch_index: int) -> Tensor:
        """The loss of one batch."""
        logits = self(batch.users, batch.candidates)
        return LOSSES[self.settings.loss](logits, batch)

    def configure_optimizers(self) -> Any:
        """Adam (with decoupled weight decay) or plain SGD, and the learning-rate schedule by step."""
        settings, decay = self.settings, self.settings.weight_decay
        optimizer: torch.optim.Optimizer
        if settings.optimizer == "sgd":
            optimizer = torch.optim.SGD(self.parameter_groups(), settings.lr, weight_decay=decay)
        else:
            looked_up = any(getattr(part, "sparse", False) for part in self.modules())
            adam = RowwiseAdamW if looked_up else partial(torch.optim.AdamW, fused=True)
            optimizer = adam(self.parameter_groups(), settings.lr, weight_decay=decay)
        if settings.lr_schedule == "constant":
            return optimizer
        factor = SCHEDULES[settings.lr_schedule]
        n_steps = self.trainer.estimated_stepping_batches * settings.max_epochs / settings.n_epochs
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factor(step / n_steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def user_tables(self) -> set[str]:
        """Names, as in `state_dict`, of what has a row a user; a last one for anybody unknown may follow."""
        return {f"{name}.weight" for name, part in self.named_modules() if isinstance(part, UserEmbedding)}

    @torch.no_grad()
    def take_over(self, earlier: NeuralModule, users: np.ndarray) -> None:
        """Start from the weights of an earlier module; users who are new to it from those of somebody unknown.

        Args:
            earlier: of the same hyperparameters and films.
            users: see `Recommender.continue_from`.

        Raises:
            UserError: weights that are not of users have other shapes.
        """
        rows, own = torch.from_numpy(np.append(users, -1)), self.state_dict()  # the last row is somebody unknown's
        for name, weights in earlier.state_dict().items():
            taken = weights[rows[: len(own[name])]] if name in self.user_tables() else weights
            if taken.shape != own[name].shape:
                raise UserError(
                    f"The earlier run's {name} has the shape {tuple(taken.shape)}, and {tuple(own[name].shape)} is "
                    "needed, as where films are described otherwise than they were: leave out --warm."
                )
            own[name].copy_(taken)

    def parameter_groups(self) -> Iterable[Any]:
        """What the optimiser is given: all weights alike, unless a model has reasons."""
        return self.parameters()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the weights were trained on."""
        checkpoint["trained_on"] = self.settings.trained_on

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the same ratings only.

        Raises:
            UserError: the data or the split changed since.
        """
        if checkpoint["trained_on"] != self.settings.trained_on:
            raise UserError("The run to resume was trained on other ratings: its data or split changed; start anew.")

    def on_train_epoch_start(self) -> None:
        """Seed dropout by epoch, so that a resumed run goes on as an uninterrupted one."""
        torch.manual_seed(_epoch_seed(self.settings.seed, self.current_epoch, self.global_rank))

    def on_validation_epoch_start(self) -> None:
        """Start collecting what is measured."""
        self.settings.place_unknown()
        self._measured: list[tuple[np.ndarray, np.ndarray]] = []

    def validation_step(self, batch: Tensor, batch_index: int) -> None:
        """Measure the model on some users."""
        holdout = self.trainer.datamodule.valid  # type: ignore[attr-defined]
        self._measured.append(self.settings.watched.measure(self.settings, batch.cpu().numpy(), holdout))

    def on_validation_epoch_end(self) -> None:
        """Means over all that was measured, in one order, so that they are the same on any number of processes."""
        watched, measured = self.settings.watched, self._measured
        if self.trainer.world_size > 1:
            everybody: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(everybody, measured)
            measured = [part for process in everybody for part in process]
        keys, values = (np.concatenate(parts, axis=-1) for parts in zip(*measured, strict=True))
        summary = watched.summary(values[:, np.argsort(keys)].mean(axis=1)).tolist()
        named = {f"valid/{name}": value for name, value in zip(watched.names, summary, strict=True)}
        self.log_dict(named, logger=False)


class Epochs(pl.LightningDataModule):
    """The training epochs and the validation users, laid on the device of the run.

    Args:
        train: what is trained on.
        valid: what is watched, or None.
        settings: loss, batch size, negatives, seed.
    """

    def __init__(self, train: Dataset, valid: Holdout | None, settings: NeuralRecommender) -> None:
        super().__init__()
        self.train = train
        self.valid = valid
        self.settings = settings

    def setup(self, stage: str) -> None:
        """Move the training ratings to the device, once."""
        trainer = cast(pl.Trainer, self.trainer)
        self.positives = Positives(self.train, trainer.strategy.root_device, self.settings.rating_mean)
        if self.settings.draws_negatives:
            self.sampler = NegativeSampler(self.positives, self.settings.negative_power)
        self.share = Share(trainer.global_rank, trainer.world_size)

    def train_dataloader(self) -> SampledEpoch | RatedEpoch | UserEpoch:
        """The current epoch; its draws depend on the seed and its number alone."""
        self.epoch_started = time.perf_counter()  # drawing is part of the epoch's cost
        settings, trainer = self.settings, cast(pl.Trainer, self.trainer)
        # to overfit a few batches, they have to stay the same
        seed = _epoch_seed(settings.seed, 0 if trainer.overfit_batches else trainer.current_epoch)  # type: ignore[attr-defined]
        if settings.by_user:
            return UserEpoch(self.positives, settings.batch_size, seed, self.share)
        if not settings.draws_negatives:
            return RatedEpoch(self.positives, settings.batch_size, seed, self.share)
        return SampledEpoch(self.positives, self.sampler, settings.n_negatives, settings.batch_size, seed, self.share)

    def val_dataloader(self) -> DataLoader:
        """User codes, int64 (B,), in batches of bounded memory; this process's share of them."""
        users = cast(Holdout, self.valid).users[self.share.rank :: self.share.n_processes]
        n_batches = 1 + len(users) * self.train.n_items // SCORES_PER_VALIDATION_BATCH
        return DataLoader(cast(TorchDataset, np.array_split(users, n_batches)), batch_size=None)


class NeuralRecommender(Recommender):
    """Trains a `NeuralModule` through Lightning, stops early on validation, keeps the best weights.

    Args:
        loss: `log`, `bpr`, `sampled_softmax`, `softmax` over the whole catalogue, or `squared` to predict stars instead
            of who watches what; see `losses`.
        n_negatives: negatives drawn afresh each epoch for a positive; `softmax` and `squared` need none.
        negative_power: negatives are drawn in proportion to popularity to this power; 0 is uniform.
        batch_size: samples a step, a positive and its negatives counting 1 + n_negatives; users a step for `softmax`,
            ratings for `squared`.
        optimizer: `adam` or `sgd`.
        lr: learning rate.
        weight_decay: decoupled for Adam (AdamW).
        lr_schedule: `constant`, `linear` or `cosine`, to zero at `max_epochs`.
        max_epochs: passes over the training ratings at most.
        patience: stop when validation ndcg@10 has not risen, or rmse has not fallen, for so many epochs.
        seed: of initialisation, order and negatives.

    Raises:
        UserError: a value that is none of the above.
    """

    uses_lightning = True
    module: NeuralModule
    pairs_per_pass = PAIRS_PER_PASS

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
        self.loss = one_of("loss", loss, LOSSES)
        self.n_negatives = n_negatives
        self.negative_power = negative_power
        self.batch_size = batch_size
        self.optimizer = one_of("optimizer", optimizer, ("adam", "sgd"))
        self.lr = lr
        self.weight_decay = weight_decay
        self.lr_schedule = one_of("lr_schedule", lr_schedule, SCHEDULES)
        self.max_epochs = max_epochs
        self.patience = patience
        self.seed = seed
        for name in ("n_negatives", "batch_size", "lr", "max_epochs", "patience"):
            if not getattr(self, name) > 0:
                raise UserError(f"{name}={getattr(self, name)} trains nothing: give a number above zero.")
        self.n_epochs = max_epochs  # fewer in a refit, which stops where validation chose to
        self.predicts_ratings = loss == "squared"
        self.watched: Watched = WatchedStars() if self.predicts_ratings else WatchedRanks()
        self.rating_mean = 0.0  # what logits are added to
        self.earlier: tuple[Any, np.ndarray] | None = None  # what training continues from, with its codes of users

    @abstractmethod
    def build(self, n_users: int, n_items: int) -> NeuralModule:
        """The untrained module of these hyperparameters."""

    def initialise(self, train: Dataset) -> None:
        """Change the initial weights that were drawn, where a model starts from others."""

    @property
    def by_user(self) -> bool:
        """Whether a training sample is a user with all positives, and not a positive with its negatives."""
        return self.loss == "softmax"

    @property
    def draws_negatives(self) -> bool:
        """Whether a training sample is a positive with negatives."""
        return not (self.by_user or self.predicts_ratings)

    @property
    def samples_per_interaction(self) -> int:
        """Scores that a training rating is worth in a step: itself and its negatives."""
        return 1 + self.n_negatives if self.draws_negatives else 1

    def continue_from(self, earlier: Recommender, users: np.ndarray) -> None:
        """See `Recommender.continue_from`: with the same hyperparameters but for `MAY_DIFFER`.

        Whoever the earlier model was not trained on is new.
        """
        if not isinstance(earlier, NeuralRecommender) or type(earlier) is not type(self):
            raise UserError(
                f"{type(self).__name__} cannot continue from a {type(earlier).__name__}: name a run of the same model."
            )
        own, others = self.hyperparameters(), earlier.hyperparameters()
        differing = [name for name in own if own[name] != others[name] and name not in MAY_DIFFER]
        if differing:
            raise UserError(
                f"{', '.join(differing)} of the model differ from those of the earlier run: continue with the same "
                f"settings, of which only {', '.join(MAY_DIFFER)} may differ."
            )
        self.earlier = (earlier, np.where((users >= 0) & earlier.trained_users[users], users, -1))

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        """See `Recommender.fit`; without `valid`, trains all its epochs and keeps the last weights."""
        context = context or FitContext()
        self._prepare(train.n_items, train.user_counts > 0, train.fingerprint)
        if self.predicts_ratings:
            self.rating_mean, self.scale = (
                train.ratings.mean(dtype=np.float64).item(),
                np.array(train.scale, np.float32),
            )
        self.initialise(train)
        if self.earlier is not None:
            earlier, users = self.earlier
            self.module.take_over(earlier.module, users)
        with _directory(context) as directory:
            finished = directory / "finished.json"
            if not context.resume:  # what an earlier fit left here is not to be taken for this one's
                for name in ("finished.json", "last.ckpt", "best.ckpt"):
                    (directory / name).unlink(missing_ok=True)
            if not finished.is_file():
                self._train(train, valid, context, directory)
            state = torch.load(directory / f"{'last' if valid is None else 'best'}.ckpt", weights_only=True)
            self.module.load_state_dict(state["state_dict"])
            self.n_best_epochs = int(state["epoch"]) + 1
            self.speed: dict[str, float] = json.loads(finished.read_text())
        self.place_unknown()
        self.module.eval()
        return self

    def _train(self, train: Dataset, valid: Holdout | None, context: FitContext, directory: Path) -> None:
        """Run Lightning's loop, leaving `best.ckpt`, `last.ckpt` and `finished.json` in the directory."""
        last = ModelCheckpoint(directory, "last", save_on_train_epoch_end=True, enable_version_counter=False)
        options = context.trainer.keywords
        callbacks: list[Callback] = [*options.get("callbacks", []), TrainingCurves()]
        if options.get("enable_progress_bar", True):
            callbacks.append(TrainingBar())
        if valid is not None:
            monitor, mode = f"valid/{self.watched.monitor}", self.watched.mode
            callbacks += [
                EarlyStopping(monitor, patience=self.patience, mode=mode),
                ModelCheckpoint(directory, "best", monitor=monitor, mode=mode, enable_version_counter=False),
            ]
        trainer = context.trainer(
            max_epochs=self.n_epochs,
            callbacks=[*callbacks, last],
            logger=context.logger or False,
            log_every_n_steps=0,  # by Lightning: TrainingCurves logs
            enable_progress_bar=False,  # Lightning's: TrainingBar shows the progress
            default_root_dir=directory,
            num_sanity_val_steps=0,
            reload_dataloaders_every_n_epochs=1,
            use_distributed_sampler=False,
            enable_model_summary=False,
            limit_val_batches=0 if valid is None else options.get("limit_val_batches"),
        )
        checkpoint = directory / "last.ckpt"
        resumed = str(checkpoint) if context.resume and checkpoint.is_file() else None
        started = time.perf_counter()
        trainer.fit(self.module, datamodule=Epochs(train, valid, self), ckpt_path=resumed, weights_only=True)
        speed = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("train/")}
        speed |= {"train/seconds": time.perf_counter() - started, "train/epochs": trainer.current_epoch}
        write_whole(directory / "finished.json", lambda file: file.write(json.dumps(speed, indent=2).encode()))

    def refit(self, train: Dataset, context: FitContext | None = None) -> Self:
        """See `Recommender.refit`: the epochs that validation chose, on the schedule of all of them."""
        model = type(self)(**self.hyperparameters())
        model.n_epochs, model.earlier = self.n_best_epochs, self.earlier
        return model.fit(train, context=context)

    @torch.inference_mode()
    def score(self, users: np.ndarray, history: History) -> np.ndarray:
        """Logits or stars, from the learned embeddings alone; see `Recommender.score`."""
        passes = self._codes(users).split(max(1, self.pairs_per_pass // self.n_items))
        logits = torch.cat([self.module(part).float() for part in passes])
        return logits.cpu().numpy() + np.float32(self.rating_mean)

    @torch.inference_mode()
    def predict(
        self, users: np.ndarray, history: History, rows: np.ndarray, items: np.ndarray, times: np.ndarray | None = None
    ) -> np.ndarray:
        """Logits or stars of the pairs alone; see `Recommender.predict`."""
        of_users = self._codes(users)[self._on_device(rows)]  # (P,)
        of_items = self._on_device(items).unsqueeze(1)  # (P, 1)
        passes = zip(of_users.split(PAIRS_PER_PASS), of_items.split(PAIRS_PER_PASS), strict=True)
        logits = torch.cat([self.module(*part).float() for part in passes]).squeeze(1)
        predicted = logits.cpu().numpy() + np.float32(self.rating_mean)
        return np.clip(predicted, *self.scale) if self.predicts_ratings else predicted

    def _codes(self, users: np.ndarray) -> Tensor:
        """Rows of user embeddings; whoever was not trained on is somebody unknown."""
        known = (users >= 0) & self.trained_users[users]
        return self._on_device(np.where(known, users, self.n_users))

    def _on_device(self, codes: np.ndarray) -> Tensor:
        return torch.from_numpy(codes.astype(np.int64)).to(self.module.device)

    def place_unknown(self) -> None:
        """Give somebody unknown the mean of the trained users' embeddings."""
        trained = torch.from_numpy(self.trained_users).to(self.module.device)
        for part in self.module.modules():
            if isinstance(part, UserEmbedding):
                part.place_unknown(trained)

    def user_embeddings(self) -> np.ndarray:
        """Float32 (n_users, d)."""
        return self.module.user_embeddings().detach().cpu().numpy()

    def item_embeddings(self) -> np.ndarray:
        """Float32 (n_items, d)."""
        return self.module.item_embeddings().detach().cpu().numpy()

    def arrays(self) -> dict[str, np.ndarray]:
        """Weights by name, and whom they were trained on."""
        weights = {f"module.{name}": tensor.cpu().numpy() for name, tensor in self.module.state_dict().items()}
        if self.predicts_ratings:
            weights |= {"rating_mean": np.array(self.rating_mean), "scale": self.scale}
        return weights | {
            "n_items": np.array(self.n_items),
            "n_best_epochs": np.array(self.n_best_epochs),
            "trained_users": self.trained_users,
            "trained_on": np.array(self.trained_on),
        }

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """See `Recommender.restore`."""
        self._prepare(int(arrays["n_items"]), arrays["trained_users"], str(arrays["trained_on"]))
        self.n_best_epochs = int(arrays.get("n_best_epochs", np.array(self.max_epochs)))  # earlier versions kept none
        if self.predicts_ratings:
            self.rating_mean, self.scale = float(arrays["rating_mean"]), arrays["scale"]
        weights = {name.removeprefix("module."): array for name, array in arrays.items() if "module." in name}
        self.module.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
        self.module.eval()

    def _prepare(self, n_items: int, trained_users: np.ndarray, trained_on: str) -> None:
        """Build the untrained module; drawing its weights leaves the global random state alone."""
        self.n_users = len(trained_users)
        self.n_items = n_items
        self.trained_users = trained_users  # bool (n_users,)
        self.trained_on = trained_on  # fingerprint of the ratings
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            self.module = self.build(self.n_users, self.n_items)
        self.module.settings = self


def _epoch_seed(*numbers: int) -> int:
    """A seed that differs between epochs of one run and between runs of neighbouring seeds."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def one_of(name: str, value: str, choices: Iterable[str]) -> str:
    """A setting that has to be one of some words.

    Raises:
        UserError: it is not.
    """
    if value not in choices:
        raise UserError(f"{name}={value} is not known: choose one of {', '.join(choices)}.")
    return value


@contextmanager
def _directory(context: FitContext) -> Iterator[Path]:
    """Where checkpoints go: kept if the context says where, else only while training."""
    if context.directory is None:
        with tempfile.TemporaryDirectory() as directory:
            yield Path(directory)
    else:
        context.directory.mkdir(parents=True, exist_ok=True)
        yield context.directory
