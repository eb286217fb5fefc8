"""Surprise: Hug, "Surprise: A Python Library for Recommender Systems", JOSS 2020."""

from __future__ import annotations

import numpy as np
from exchange import Job, run
from surprise import SVD, AlgoBase, Dataset, KNNBaseline, Reader, SVDpp, Trainset


def trainset(job: Job) -> Trainset:
    """Return the training ratings, to which Surprise assigns codes of its own."""
    rows = [(user, item, float(rating), None) for user, item, rating in zip(*job.part("train"), strict=True)]
    return Dataset(Reader(rating_scale=(1, 5))).construct_trainset(rows)


def predict(job: Job, model: AlgoBase) -> None:
    """Train a model and record its predictions of the test ratings."""
    train, (users, items, _) = trainset(job), job.part("test")
    with job.timed():
        model.fit(train)
        predictions = [model.predict(user, item).est for user, item in zip(users, items, strict=True)]
        job.record_scores(lambda: np.array(predictions))


def svd(job: Job) -> None:
    """Train matrix factorisation with biases by stochastic gradients, a rating at a time."""
    predict(job, SVD(**job.settings, random_state=job.seed))


def svd_pp(job: Job) -> None:
    """Train SVD++ by stochastic gradients, a rating at a time."""
    predict(job, SVDpp(**job.settings, random_state=job.seed))


def item_knn(job: Job) -> None:
    """Fit item neighbours by correlation of deviations from baselines."""
    _knn(job, user_based=False)


def user_knn(job: Job) -> None:
    """Fit user neighbours by correlation of deviations from baselines."""
    _knn(job, user_based=True)


def _knn(job: Job, user_based: bool) -> None:
    similarity = {"name": "pearson_baseline", "user_based": user_based}
    predict(job, KNNBaseline(**job.settings, sim_options=similarity, verbose=False))


run({"SVD": svd, "SVD++": svd_pp, "item-KNN for stars": item_knn, "user-KNN for stars": user_knn})
