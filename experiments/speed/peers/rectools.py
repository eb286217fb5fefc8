"""RecTools, of MTS: models and metrics on pandas frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from exchange import Job, run
from rectools import Columns
from rectools.dataset import Dataset
from rectools.metrics import MRR, NDCG, HitRate, Precision, Recall, calc_metrics
from rectools.models import EASEModel


def frame(job: Job, *parts: str) -> pd.DataFrame:
    """Return the interactions of some parts as RecTools expects them."""
    users, items, ratings = (np.concatenate(arrays) for arrays in zip(*map(job.part, parts), strict=True))
    columns = {Columns.User: users, Columns.Item: items, Columns.Weight: ratings * 0 + 1}
    return pd.DataFrame(columns | {Columns.Datetime: pd.Timestamp(0)})


def ease(job: Job) -> None:
    """Fit linear regression in closed form."""
    data = Dataset.construct(frame(job, "train"))
    model = EASEModel(**job.settings)
    with job.timed():
        model.fit(data)
        job.record_scores(lambda: _scores(job, data, model))


def _scores(job: Job, data: Dataset, model: EASEModel) -> np.ndarray:
    """Return scores in the codes of the job; items without training ratings, which RecTools omits, have 0."""
    users, items = data.user_id_map.external_ids, data.item_id_map.external_ids
    scores = np.zeros((job.n_users, job.n_items), np.float32)
    scores[np.ix_(users, items)] = data.get_user_item_matrix() @ model.weight
    return scores


def sasrec(job: Job) -> None:
    """Train SASRec and record its scores after each epoch."""
    import torch  # only this task needs it
    from pytorch_lightning import Callback, Trainer
    from rectools.models import SASRecModel

    torch.set_num_threads(1)
    torch.manual_seed(job.seed)
    interactions = frame(job, "train")
    interactions[Columns.Datetime] = pd.to_datetime(np.arange(len(interactions)), unit="s")  # rows are in time order
    data = Dataset.construct(interactions)
    n_epochs = job.settings["epochs"]

    class Recorder(Callback):
        def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
            job.record_scores(lambda: _sequence_scores(job, model, pl_module))

    def trainer() -> Trainer:
        silent = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        return Trainer(max_epochs=n_epochs, accelerator="cpu", callbacks=[Recorder()], **silent)

    model = SASRecModel(**job.settings, get_trainer_func=trainer)
    with job.timed():
        model.fit(data)


def _sequence_scores(job: Job, model: Any, module: Any) -> np.ndarray:
    """Return scores in the codes of the job; items without training ratings have 0."""
    import torch

    users, items, _ = job.part("train")
    codes, known = model.data_preparator.item_id_map, np.unique(items)
    length, rows = model.session_max_len, []
    internal = codes.convert_to_internal(items)
    histories = np.split(internal, np.searchsorted(users, np.arange(1, job.n_users)))
    module.eval()
    with torch.inference_mode():
        vectors = module.torch_model.item_model.get_all_embeddings()
        for start in range(0, job.n_users, 256):
            batch = np.zeros((len(histories[start : start + 256]), length), np.int64)
            for row, history in zip(batch, histories[start : start + 256], strict=True):
                row[length - len(history[-length:]) :] = history[-length:]
            states = module.torch_model.encode_sessions({"x": torch.from_numpy(batch)}, vectors)[:, -1]
            rows.append((states @ vectors.T).numpy())
    module.train()
    scores = np.zeros((job.n_users, job.n_items), np.float32)
    scores[:, known] = np.concatenate(rows)[:, codes.convert_to_internal(known)]
    return scores


def evaluate(job: Job) -> None:
    """Compute metrics of given lists; RecTools does not rank scores, so ranking is not timed."""
    scores = job.data["scores"].copy()
    for part in ("train", "valid"):
        users, items, _ = job.part(part)
        scores[users, items] = -np.inf
    lists = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    columns = {Columns.User: np.repeat(np.arange(job.n_users), 10), Columns.Item: lists.ravel()}
    lists = pd.DataFrame(columns | {Columns.Rank: np.tile(np.arange(1, 11), job.n_users)})
    test = frame(job, "test")
    metrics = {"ndcg@10": NDCG(10, divide_by_achievable=True), "hr@10": HitRate(10)}
    metrics |= {"precision": Precision(10), "recall": Recall(10), "mrr": MRR(10)}
    with job.timed():
        measured = calc_metrics(metrics, lists, test)
    job.metrics = {name: float(measured[name]) for name in ("ndcg@10", "hr@10")}


run({"EASE": ease, "SASRec": sasrec, "evaluation": evaluate})
