"""myFM: Ohtsuki, Bayesian factorisation machines."""

from __future__ import annotations

import numpy as np
from exchange import Job, run
from myfm import MyFMRegressor, RelationBlock
from scipy import sparse


def design(job: Job, part: str) -> sparse.csr_matrix:
    """Return one-hot encoded users and items, a row for each rating."""
    users, items, _ = job.part(part)
    columns = np.stack([users, job.n_users + items], axis=1).ravel()
    indptr = np.arange(0, len(columns) + 1, 2)
    return sparse.csr_matrix((np.ones(len(columns)), columns, indptr), (len(users), job.n_users + job.n_items))


def bayesian_mf(job: Job) -> None:
    """Train matrix factorisation by Gibbs sampling."""
    train, test, ratings = design(job, "train"), design(job, "test"), job.part("train")[2]
    settings = dict(job.settings)
    groups = np.repeat([0, 1], [job.n_users, job.n_items])
    model = MyFMRegressor(rank=settings.pop("rank"), random_seed=job.seed)
    with job.timed():
        model.fit(train, ratings, group_shapes=None, grouping=groups, **settings)
        predicted = model.predict(test)
        job.record_scores(lambda: np.clip(predicted, 1, 5))


def svd_pp(job: Job) -> None:
    """Train matrix factorisation with the items that a user rated as features of the user, by Gibbs sampling."""
    users, items, ratings = job.part("train")
    rated = sparse.csr_matrix((np.ones(len(users)), (users, items)), (job.n_users, job.n_items))
    lengths = np.sqrt(np.maximum(rated.sum(axis=1), 1))
    user_features = sparse.hstack([sparse.identity(job.n_users), rated.multiply(1 / lengths)], format="csr")
    features = {"users": user_features, "items": sparse.identity(job.n_items, format="csr")}
    blocks = {
        part: [RelationBlock(job.data[f"{part}.{column}"], matrix) for column, matrix in features.items()]
        for part in ("train", "test")
    }
    settings = dict(job.settings)
    groups = np.repeat([0, 1, 2], [job.n_users, job.n_items, job.n_items])
    model = MyFMRegressor(rank=settings.pop("rank"), random_seed=job.seed)
    with job.timed():
        model.fit(None, ratings, blocks["train"], grouping=groups, **settings)
        predicted = model.predict(None, blocks["test"])
        job.record_scores(lambda: np.clip(predicted, 1, 5))


run({"Bayesian MF": bayesian_mf, "Bayesian SVD++": svd_pp})
