"""Base classes of the modules of deep models: LightningModules that are trained on an objective."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, cast

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from recsys.data.dataset import Dataset
from recsys.data.query import Pairs, Query
from recsys.errors import UserError
from recsys.models.neural.batches import HistoryBatch, QueryBatch, to_device
from recsys.models.neural.data import EpochLoader
from recsys.models.neural.embeddings import UserEmbedding, user_tables
from recsys.models.neural.objectives import Objective
from recsys.models.neural.optimization import Optimization
from recsys.models.recency import HalfLife, recency_weights
from recsys.models.scoring import scores_of_pairs


class NeuralModule(pl.LightningModule, ABC):
    """The weights and the forward pass of a deep model.

    A module does not depend on a recommender, a split or a data module. Any `pl.Trainer` can train it on a
    `recsys.models.neural.data.TrainingData`.

    Args:
        n_users: number of user codes.
        n_items: number of item codes.
        objective: training objective; None if the module is part of another module, or is never trained.
        optimization: settings of the optimiser.
    """

    reads_history: ClassVar[bool] = False  # True: `forward` uses the histories of queries
    # True: a training step reads, in tables with a row per user, only the rows of the users in its batch, so that the
    # training can be sharded by user.
    shards_users: ClassVar[bool] = False
    # Number of scores computed at a time; hidden layers with a row for each score then fit in a CPU's cache.
    scores_per_pass: ClassVar[int] = 1 << 18

    def __init__(
        self,
        n_users: int,
        n_items: int,
        objective: Objective | None = None,
        optimization: Optimization | None = None,
    ) -> None:
        super().__init__()
        self.n_users = n_users
        self.n_items = n_items
        self.objective = objective
        self.optimization = optimization or Optimization()

    @abstractmethod
    def forward(self, queries: QueryBatch, items: Tensor | None = None) -> Tensor:
        """Return logits for B queries or, if the objective predicts ratings, predictions minus the mean rating.

        Args:
            queries: the users and their histories.
            items: int64 (B, C) items to score for each query, or None for the whole catalogue. Modules that score from
                a history may ignore this argument and always score the whole catalogue.

        Returns:
            (B, C) for the given items, or (B, n_items) for the whole catalogue.
        """

    def bind(self, train: Dataset) -> None:
        """Store what the module needs from the training data, such as a graph, in non-persistent buffers.

        This is called before training, but not after loading. Everything that scoring needs must therefore be a weight,
        a persistent buffer or an argument of the constructor.
        """
        trained = torch.from_numpy(train.user_counts > 0).to(self.device)
        for part in self.modules():
            if isinstance(part, UserEmbedding):
                part.bind(trained)

    @torch.no_grad()
    def refresh(self) -> None:
        """Recompute values derived from the weights, such as the unknown user's row or the vectors of all items.

        This is called in evaluation mode: before validation, after the best weights are restored, and after loading.
        """
        for part in self.modules():
            if isinstance(part, UserEmbedding):
                part.refresh()

    def user_tables(self) -> set[str]:
        """Return the `state_dict` names of tables with a row per user; some have one more row for unknown users."""
        return {*user_tables(self)}

    def parameter_groups(self) -> Iterable[Any]:
        """Return the optimiser's parameter groups; by default, one group with all weights."""
        return self.parameters()

    def training_step(self, batch: Any, batch_index: int) -> Tensor:
        """Return the loss of a batch.

        Without automatic optimisation, the batch is a list of batches (see `TrainingData`): this method takes an
        optimisation step on each of them, and returns the loss of the last.
        """
        if self.automatic_optimization:
            return self._loss(batch)
        return self._several_steps(batch)

    def configure_optimizers(self) -> Any:
        """Return the optimiser and, unless the learning rate is constant, a schedule that is advanced every step."""
        optimizer = self.optimization.build(self, self.parameter_groups())
        if self.optimization.lr_schedule == "constant":
            return optimizer
        n_steps = self._n_steps()
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.optimization.schedule(optimizer, n_steps), "interval": "step"},
        }

    def on_fit_start(self) -> None:
        """In a distributed run, let DistributedDataParallel work on copies of sparse gradients.

        DistributedDataParallel divides each gradient in place by the number of processes. Sparse gradients of the same
        step can share memory, which would then be divided more than once.
        """
        if self.trainer.world_size > 1:
            for part in self.modules():
                if isinstance(part, nn.Embedding) and part.sparse:
                    part.weight.register_hook(torch.clone)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """At the end of an epoch, call `Objective.after_epoch` before callbacks measure and store the weights."""
        if self.objective is not None and self.trainer.is_last_batch:
            self.objective.after_epoch(self)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Set both of Lightning's step counts to the number of steps in a checkpoint.

        Lightning counts steps of automatic and of manual optimisation separately, and `trainer.max_steps` limits both.
        A resumed run may change from automatic to manual optimisation (as in `_several_steps`), or back.
        """
        if "loops" not in checkpoint:  # a checkpoint with only weights
            return
        loop = checkpoint["loops"]["fit_loop"]
        single = loop["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]["step"]
        grouped = loop["epoch_loop.manual_optimization.optim_step_progress"]
        single["total"] = grouped["total"] = dict.fromkeys(("ready", "completed"), checkpoint["global_step"])

    def batch(self, query: Query) -> QueryBatch:
        """Return a query as tensors on the module's device; histories are left out unless the module reads them.

        The code of unknown users changes from -1 to `n_users`.
        """
        users = to_device(np.where(query.users >= 0, query.users, self.n_users), self.device)
        if not self.reads_history:
            return QueryBatch(users)
        return QueryBatch(users, HistoryBatch.from_history(query.history, self.device))

    @torch.inference_mode()
    def score(self, query: Query) -> np.ndarray:
        """Return the output of `forward` for all items, computed in batches of users.

        Returns:
            float32 (B, n_items).
        """
        size = max(1, self.scores_per_pass // self.n_items)
        passes = [query.between(start, start + size) for start in range(0, len(query), size)]
        scores = [self(self.batch(part)).float().cpu() for part in passes]
        return torch.cat(scores).numpy() if scores else np.empty((0, self.n_items), np.float32)

    @torch.inference_mode()
    def predict(self, pairs: Pairs) -> np.ndarray:
        """Return the output of `forward` for pairs of user and item, computed in batches; histories are not read.

        Returns:
            float32 (P,).
        """
        users = self.batch(pairs.query).users[to_device(pairs.rows, self.device)]
        items = to_device(pairs.items.astype(np.int64), self.device).unsqueeze(1)  # (P, 1)
        passes = zip(users.split(self.scores_per_pass), items.split(self.scores_per_pass), strict=True)
        scores = [self(QueryBatch(own), candidates).float() for own, candidates in passes]
        return torch.cat(scores).squeeze(1).cpu().numpy() if scores else np.empty(0, np.float32)

    def _loss(self, batch: Any) -> Tensor:
        if self.objective is None:
            raise UserError(f"{type(self).__name__} must be given an objective to be trained: pass objective=...")
        loss = self.objective.loss(self, batch)
        if loss.ndim:
            raise UserError(
                f"{type(self.objective).__name__}.loss must return a scalar (got shape {tuple(loss.shape)})."
            )
        return loss

    def _several_steps(self, batches: Sequence[Any]) -> Tensor:
        """Take an optimisation step on each batch, and return the last loss.

        Lightning's overhead per step is as large as the cost of a small step. Here the overhead occurs only once for
        several steps. The trainer then does not see each step; `recsys.models.neural.recommender` takes single steps if
        a setting of the trainer needs this.
        """
        optimizer = cast(torch.optim.Optimizer, self.optimizers(use_pl_optimizer=False))
        schedule = cast("LRScheduler | None", self.lr_schedulers())
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        progress = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress  # trainer.global_step
        for batch in batches:
            loss = self._loss(batch)
            for weight in weights:
                weight.grad = None
            loss.backward()
            progress.increment_ready()
            optimizer.step()
            progress.increment_completed()
            if schedule is not None:
                schedule.step()
        return loss.detach()

    def _n_steps(self) -> float:
        """Return the number of optimisation steps that the learning-rate schedule spans."""
        n_steps = self.trainer.estimated_stepping_batches
        if not self.automatic_optimization:
            loader = cast(EpochLoader, self.trainer.train_dataloader)
            n_steps = loader.n_steps * cast(int, self.trainer.max_epochs)
        epochs = self.optimization.epochs or self.trainer.max_epochs
        return n_steps * cast(int, epochs) / cast(int, self.trainer.max_epochs)


class EmbeddingModule(NeuralModule):
    """A module with an embedding for each user and each item."""

    @abstractmethod
    def user_embeddings(self) -> Tensor:
        """Return the embeddings of users, float32 (n_users, d)."""

    @abstractmethod
    def item_embeddings(self) -> Tensor:
        """Return the embeddings of items, float32 (n_items, d)."""


class HistoryModule(NeuralModule):
    """A module that represents each user by a vector, computed from the history in the query."""

    reads_history = True
    scores_per_pass = 1 << 24
    half_life: HalfLife = None  # of interactions, in scoring only; see `recsys.models.recency.WeighsHistories`

    @abstractmethod
    def encode(self, queries: QueryBatch) -> Tensor:
        """Return a vector of any fixed width h for each user, (B, h), which must be finite even for empty histories."""

    @abstractmethod
    def item_embeddings(self) -> Tensor:
        """Return the vectors of items, (n_items, h), in the same space as the vectors that `encode` returns."""

    def batch(self, query: Query) -> QueryBatch:
        """See `NeuralModule.batch`; if the module has a `half_life`, histories include recency weights."""
        queries = super().batch(query)
        if self.half_life is None:
            return queries
        recency = to_device(recency_weights(query.history, self.half_life), self.device)
        return queries._replace(history=queries.history._replace(recency=recency))

    def predict(self, pairs: Pairs) -> np.ndarray:
        """Score pairs by scoring all items; a history is encoded only once, even if several pairs have it.

        Returns:
            float32 (P,).
        """
        return scores_of_pairs(self.score, pairs, self.n_items)
