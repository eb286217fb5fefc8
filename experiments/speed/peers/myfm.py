"""myFM: Ohtsuki, Bayesian factorisation machines."""

from __future__ import annotations

import numpy as np
from exchange import Job, run
from myfm import MyFMRegressor
from scipy import sparse


def design(job: Job, part: str) -> sparse.csr_matrix:
    """Return one-hot encoded users and items, a row for each rating."""
    users, items, _ = job.part(part)
    columns = np.stack([users, job.n_users + items], axis=1).ravel()
    indptr = np.arange(0, len(columns) + 1, 2)
    return sparse.csr_matrix((np.ones(len(columns)), columns, indptr), (len(users), job.n_users + job.n_items))


def bayesian_mf(job: Job) -> None:
    """Matrix factorisation by Gibbs sampling."""
    train, test, ratings = design(job, "train"), design(job, "test"), job.part("train")[2]
    settings = dict(job.settings)
    groups = np.repeat([0, 1], [job.n_users, job.n_items])
    model = MyFMRegressor(rank=settings.pop("rank"), random_seed=job.seed)
    with job.timed():
        model.fit(train, ratings, group_shapes=None, grouping=groups, **settings)
        predicted = model.predict(test)
        job.record_scores(lambda: np.clip(predicted, 1, 5))


run({"Bayesian MF": bayesian_mf})
