"""This project's own side of each task."""

from __future__ import annotations

import logging
import warnings
from functools import partial

import numpy as np
import pytorch_lightning as pl
import torch
from evaluation import GivenScores
from exchange import Job, run
from pytorch_lightning.callbacks import Callback

from recsys.data.dataset import Dataset, Holdout
from recsys.evaluation.evaluate import evaluate as measure
from recsys.metrics.accuracy import ranking_metrics
from recsys.models.base import FitContext, Recommender, make
from recsys.models.neural import NeuralRecommender


class Keep(Callback):
    """Keeps scores after each epoch."""

    def __init__(self, job: Job, model: NeuralRecommender, train: Dataset) -> None:
        self.job, self.model, self.train = job, model, train

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Score everybody, dropout left out."""
        pl_module.eval()
        self.job.keep(lambda: scores(self.model, self.train))
        pl_module.train()


def part(job: Job, *names: str) -> Dataset:
    """The ratings of some parts."""
    users, items, ratings = (np.concatenate(arrays) for arrays in zip(*map(job.part, names), strict=True))
    return Dataset.from_arrays(users, items, ratings, n_users=job.n_users, n_items=job.n_items)


def scores(model: Recommender, train: Dataset) -> np.ndarray:
    """Everybody's scores of all films, (n_users, n_items)."""
    users = np.arange(train.n_users)
    return model.score(users, train.history(users))


def rank(job: Job) -> None:
    """Train; a model that has epochs keeps its scores after each."""
    train, model, callbacks = part(job, "train"), build(job), []
    if isinstance(model, NeuralRecommender):
        callbacks.append(Keep(job, model, train))
    trainer = partial(pl.Trainer, accelerator="cpu", callbacks=callbacks, enable_progress_bar=False)
    with job.on_the_clock():
        model.fit(train, context=FitContext(trainer=trainer))
        if not callbacks:
            job.keep(lambda: scores(model, train))


def predict(job: Job) -> None:
    """Train and predict the stars of the test ratings."""
    train, model = part(job, "train"), build(job)
    users, items, _ = job.part("test")
    everybody = np.arange(job.n_users)
    with job.on_the_clock():
        model.fit(train)
        stars = model.predict(everybody, train.history(everybody), users, items)
        job.keep(lambda: stars)


def metrics(job: Job) -> None:
    """All metrics of lists of ten, from given scores."""
    holdout = _holdout(job)
    with job.on_the_clock():
        values = ranking_metrics(job.data["scores"], holdout.users, holdout, ks=(10,))
        measured = {name: float(value.mean()) for name, value in values.items()}
    job.told = {name: measured[name] for name in ("ndcg@10", "hr@10")}


def evaluate(job: Job) -> None:
    """As a run is tested: AUC, novelty, coverage and slices, too."""
    holdout, model = _holdout(job), GivenScores(job.data["scores"])
    with job.on_the_clock():
        measured = measure(model, holdout, ks=(10,)).summary
    job.told = {name: measured[name] for name in ("ndcg@10", "hr@10")}


def _holdout(job: Job) -> Holdout:
    return Holdout(part(job, "test"), part(job, "train", "valid"))


def build(job: Job) -> Recommender:
    """The model of the settings, seeded where there is chance in it."""
    model = make(job.settings)
    if hasattr(model, "seed"):
        model.seed = job.seed
    return model


torch.set_num_threads(1)
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
warnings.filterwarnings("ignore")
run({"rank": rank, "predict": predict, "metrics": metrics, "evaluate": evaluate})
