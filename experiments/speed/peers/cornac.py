"""Cornac: Salah, Truong and Lauw, "Cornac: A Comparative Framework for Multimodal Recommender Systems", JMLR 2020."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
from cornac.data import Dataset
from cornac.eval_methods.base_method import ranking_eval
from cornac.metrics import MRR, NDCG, HitRatio, Precision, Recall
from cornac.models import BPR, EASE, MF, WMF, Recommender
from exchange import Job, run


def dataset(job: Job, part: str, *, values: bool = False) -> Dataset:
    """Convert one part, with unchanged codes, and with ones in place of ratings unless `values` is true."""
    users, items, ratings = job.part(part)
    ratings = ratings if values else np.ones_like(ratings)
    known = [OrderedDict((code, code) for code in range(n)) for n in (job.n_users, job.n_items)]
    return Dataset.build(list(zip(users, items, ratings, strict=True)), "UIR", *known, seed=job.seed)


def train(job: Job, model: Recommender) -> None:
    """Train a model and record the scores of all users."""
    data = dataset(job, "train")
    with job.timed():
        model.fit(data)
        job.record_scores(lambda: np.stack([np.ravel(model.score(user)) for user in range(job.n_users)]))


def bpr(job: Job) -> None:
    """Train Bayesian personalised ranking by stochastic gradients, a pair at a time."""
    train(job, BPR(**job.settings, seed=job.seed))


def ease(job: Job) -> None:
    """Fit linear regression in closed form; with negative weights too, as published."""
    train(job, EASE(**job.settings, posB=False, verbose=False))


def wmf(job: Job) -> None:
    """Train weighted matrix factorisation by Adam."""
    train(job, WMF(**job.settings, verbose=False, seed=job.seed))


def biased_mf(job: Job) -> None:
    """Train matrix factorisation with biases by stochastic gradients; record the predictions of the test ratings."""
    (users, items, _), train = job.part("test"), dataset(job, "train", values=True)
    model = MF(**job.settings, num_threads=1, seed=job.seed)
    with job.timed():
        model.fit(train)
        predictions = [model.rate(user, item) for user, item in zip(users, items, strict=True)]
        job.record_scores(lambda: np.array(predictions))


class GivenScores(Recommender):
    """A model that returns given scores."""

    def __init__(self, scores: np.ndarray) -> None:
        super().__init__("given", trainable=False)
        self.scores = scores

    def score(self, user_idx: int, item_idx: int | None = None) -> np.ndarray:
        """Return a row of the scores."""
        return self.scores[user_idx]


def evaluate(job: Job) -> None:
    """Evaluate given scores among all items."""
    parts = [dataset(job, part) for part in ("train", "test", "valid")]
    model = GivenScores(job.data["scores"]).fit(parts[0])
    metrics = [NDCG(10), HitRatio(10), Precision(10), Recall(10), MRR()]
    with job.timed():
        (ndcg, hits, *_), _ = ranking_eval(model, metrics, *parts, exclude_unknowns=False)
    job.metrics = {"ndcg@10": float(ndcg), "hr@10": float(hits)}


run({"MF-BPR": bpr, "EASE": ease, "ALS": wmf, "MF for stars": biased_mf, "evaluation": evaluate})
