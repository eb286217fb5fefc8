"""implicit: Frederickson, "Fast Python Collaborative Filtering for Implicit Feedback Datasets"."""

from __future__ import annotations

from exchange import Job, run
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.nearest_neighbours import CosineRecommender
from scipy import sparse


def interactions(job: Job) -> sparse.csr_matrix:
    """Return float32 (n_users, n_items), 1 for each training rating."""
    users, items, ratings = job.part("train")
    return sparse.csr_matrix((ratings * 0 + 1, (users, items)), (job.n_users, job.n_items))


RECORDED_EVERY = 10  # epochs of BPR, which are short


def bpr(job: Job) -> None:
    """Train Bayesian personalised ranking by stochastic gradients, a pair at a time."""
    matrix = interactions(job)
    model = BayesianPersonalizedRanking(**job.settings, num_threads=1, random_state=job.seed)

    def record(iteration: int, *progress: float) -> None:
        if (iteration + 1) % RECORDED_EVERY == 0:
            job.record_scores(lambda: model.user_factors @ model.item_factors.T)

    with job.timed():
        model.fit(matrix, show_progress=False, callback=record)


def als(job: Job) -> None:
    """Fit alternating least squares by conjugate gradients."""
    matrix = interactions(job)
    model = AlternatingLeastSquares(**job.settings, num_threads=1, random_state=job.seed)
    with job.timed():
        model.fit(matrix, show_progress=False)
        job.record_scores(lambda: model.user_factors @ model.item_factors.T)


def item_knn(job: Job) -> None:
    """Fit item neighbours by cosine similarity."""
    matrix, model = interactions(job), CosineRecommender(**job.settings, num_threads=1)
    with job.timed():
        model.fit(matrix, show_progress=False)
        job.record_scores(lambda: (matrix @ model.similarity).toarray())


run({"MF-BPR": bpr, "ALS": als, "item-KNN": item_knn})
