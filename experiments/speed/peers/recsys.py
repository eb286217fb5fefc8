"""This project's models and evaluation, for each task."""

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
from recsys.data.query import Pairs
from recsys.evaluation.evaluate import evaluate as measure
from recsys.metrics.accuracy import ranking_metrics
from recsys.models.base import FitContext, Recommender, make
from recsys.models.neural import NeuralRecommender


class ScoreRecorder(Callback):
    """Records scores after each epoch."""

    def __init__(self, job: Job, model: NeuralRecommender, train: Dataset) -> None:
        self.job, self.model, self.train = job, model, train

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Score all users, without dropout."""
        pl_module.eval()
        self.job.record_scores(lambda: scores(self.model, self.train))
        pl_module.train()


def part(job: Job, *names: str) -> Dataset:
    """Return the ratings of some parts, whose rows are in time order."""
    users, items, ratings = (np.concatenate(arrays) for arrays in zip(*map(job.part, names), strict=True))
    times = np.arange(len(users))
    return Dataset.from_arrays(users, items, ratings, times, n_users=job.n_users, n_items=job.n_items)


def scores(model: Recommender, train: Dataset) -> np.ndarray:
    """Return the scores of all users and items, (n_users, n_items)."""
    return model.score(train.query(np.arange(train.n_users)))


def rank(job: Job) -> None:
    """Train a model and record its scores: after each epoch if it has epochs, else at the end."""
    train, model, callbacks = part(job, "train"), build(job), []
    if isinstance(model, NeuralRecommender):
        callbacks.append(ScoreRecorder(job, model, train))
    trainer = partial(pl.Trainer, accelerator="cpu", callbacks=callbacks, enable_progress_bar=False)
    with job.timed():
        model.fit(train, context=FitContext(trainer=trainer))
        if not callbacks:
            job.record_scores(lambda: scores(model, train))


def predict(job: Job) -> None:
    """Train a model and record its predictions of the test ratings."""
    train, model = part(job, "train"), build(job)
    users, items, _ = job.part("test")
    all_users = np.arange(job.n_users)
    with job.timed():
        model.fit(train)
        predictions = model.predict(Pairs(train.query(all_users), users, items))
        job.record_scores(lambda: predictions)


def metrics(job: Job) -> None:
    """Compute the ranking metrics of lists of ten from given scores."""
    holdout = _holdout(job)
    with job.timed():
        values = ranking_metrics(job.data["scores"], holdout, ks=(10,))
        measured = {name: float(value.mean()) for name, value in values.items()}
    job.metrics = {name: measured[name] for name in ("ndcg@10", "hr@10")}


def evaluate(job: Job) -> None:
    """Evaluate as a run does, with AUC, novelty, coverage and slices."""
    holdout, model = _holdout(job), GivenScores(job.data["scores"])
    with job.timed():
        measured = measure(model, holdout, ks=(10,)).summary
    job.metrics = {name: measured[name] for name in ("ndcg@10", "hr@10")}


def _holdout(job: Job) -> Holdout:
    return Holdout(part(job, "test"), part(job, "train", "valid"))


def build(job: Job) -> Recommender:
    """Construct the model of the settings, with the seed of the job if it takes one."""
    model = make(job.settings)
    if hasattr(model, "seed"):
        model.seed = job.seed
    return model


torch.set_num_threads(1)
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
warnings.filterwarnings("ignore")
run({"rank": rank, "predict": predict, "metrics": metrics, "evaluate": evaluate})
