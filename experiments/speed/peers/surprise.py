"""Surprise: Hug, "Surprise: A Python Library for Recommender Systems", JOSS 2020."""

from __future__ import annotations

import numpy as np
from exchange import Job, run
from surprise import AlgoBase, Dataset, KNNBaseline, Reader, SVDpp, Trainset


def trainset(job: Job) -> Trainset:
    """The training ratings, under codes of their own."""
    rows = [(user, item, float(stars), None) for user, item, stars in zip(*job.part("train"), strict=True)]
    return Dataset(Reader(rating_scale=(1, 5))).construct_trainset(rows)


def predict(job: Job, model: AlgoBase) -> None:
    """Train, and predict the stars of the test ratings."""
    train, (users, items, _) = trainset(job), job.part("test")
    with job.on_the_clock():
        model.fit(train)
        stars = [model.predict(user, item).est for user, item in zip(users, items, strict=True)]
        job.keep(lambda: np.array(stars))


def svd_pp(job: Job) -> None:
    """SVD++ by stochastic gradients, a rating at a time."""
    predict(job, SVDpp(**job.settings, random_state=job.seed))


def item_knn(job: Job) -> None:
    """Neighbours of films by correlation about baselines."""
    similarity = {"name": "pearson_baseline", "user_based": False}
    predict(job, KNNBaseline(**job.settings, sim_options=similarity, verbose=False))


run({"SVD++": svd_pp, "item-KNN for stars": item_knn})
