"""LensKit: Ekstrand, "LensKit for Python: Next-Generation Software for Recommender Systems Experiments", CIKM 2020."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from exchange import Job, run
from lenskit.als import ImplicitMFScorer
from lenskit.basic import TopNRanker
from lenskit.data import Dataset, ItemList, ItemListCollection, RecQuery, from_interactions_df
from lenskit.knn import EASEScorer, ItemKNNScorer
from lenskit.metrics import NDCG, Hit, Precision, Recall, RecipRank, RunAnalysis
from lenskit.operations import predict
from lenskit.parallel import initialize
from lenskit.pipeline import Component, predict_pipeline
from lenskit.training import TrainingOptions


def dataset(job: Job) -> Dataset:
    """Return the training interactions without rating values."""
    users, items, _ = job.part("train")
    return from_interactions_df(pd.DataFrame({"user_id": users, "item_id": items}))


def train(job: Job, model: Component) -> None:
    """Train a model and record the scores of all users."""
    data = dataset(job)
    with job.timed():
        model.train(data, TrainingOptions(rng=job.seed))
        job.record_scores(lambda: _scores(job, data, model))


def _scores(job: Job, data: Dataset, model: Component) -> np.ndarray:
    """Return the scores of all items for all users, (n_users, n_items); items without a score are ranked last."""
    items = ItemList(item_ids=np.arange(job.n_items))
    rows = []
    for user in range(job.n_users):
        query = RecQuery(user_id=user, user_items=data.user_row(user))
        rows.append(model(query, items).scores())
    scores = np.stack(rows)
    return np.nan_to_num(scores, nan=np.nanmin(scores) - 1)


def ease(job: Job) -> None:
    """Fit linear regression in closed form."""
    train(job, EASEScorer(**job.settings))


def als(job: Job) -> None:
    """Fit alternating least squares by Cholesky decomposition."""
    train(job, ImplicitMFScorer(**job.settings, user_embeddings="prefer"))


def item_knn(job: Job) -> None:
    """Fit item neighbours by cosine similarity."""
    train(job, ItemKNNScorer(**job.settings, feedback="implicit"))


def rating_item_knn(job: Job) -> None:
    """Fit item neighbours by similarity of ratings; biases predict where an item has no neighbours."""
    columns = ("user_id", "item_id", "rating")
    data = from_interactions_df(pd.DataFrame(dict(zip(columns, job.part("train"), strict=True))))
    pipeline = predict_pipeline(ItemKNNScorer(**job.settings, feedback="explicit"))
    users, items, _ = job.part("test")
    with job.timed():
        pipeline.train(data, TrainingOptions(rng=job.seed))
        predicted = np.empty(len(users), np.float32)
        for user in np.unique(users):
            rows = np.flatnonzero(users == user)
            predicted[rows] = predict(pipeline, user, ItemList(item_ids=items[rows])).scores()
        job.record_scores(lambda: np.clip(predicted, 1, 5))


def evaluate(job: Job) -> None:
    """Rank given scores to lists of ten and compute their metrics."""
    scores = job.data["scores"].copy()
    for part in ("train", "valid"):
        users, items, _ = job.part(part)
        scores[users, items] = np.nan  # a LensKit pipeline excludes them as well
    all_items, ranker = np.arange(job.n_items), TopNRanker(n=10)
    users, items, _ = job.part("test")
    test = ItemListCollection.from_df(pd.DataFrame({"user_id": users, "item_id": items}), ["user_id"])
    analysis = RunAnalysis()
    for metric in (NDCG, Hit, Precision, Recall, RecipRank):
        analysis.add_metric(metric(10))
    with job.timed():
        lists = ItemListCollection(["user_id"])
        for user in range(job.n_users):
            lists.add(ranker(items=ItemList(item_ids=all_items, scores=scores[user])), user_id=user)
        means = analysis.measure(lists, test).list_summary()["mean"]
    job.metrics = {"ndcg@10": float(means["NDCG@10"]), "hr@10": float(means["Hit@10"])}


warnings.filterwarnings("ignore")
initialize(processes=1, threads=1, backend_threads=1)
run(
    {
        "EASE": ease,
        "ALS": als,
        "item-KNN": item_knn,
        "item-KNN for stars": rating_item_knn,
        "evaluation": evaluate,
    }
)
