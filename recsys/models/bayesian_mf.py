"""Bayesian matrix factorisation: not one set of vectors but many, drawn from their posterior and averaged.

Salakhutdinov and Mnih, "Bayesian Probabilistic Matrix Factorization using Markov Chain Monte Carlo", ICML 2008, whose
symbols are used. What is known of users and films moves the means of their priors, as in Porteous, Asuncion and
Welling, "Bayesian Matrix Factorization with Side Information and Dirichlet Process Mixtures", AAAI 2010, and Simm et
al., "Macau: Scalable Bayesian Factorization with High-Dimensional Side Information Using MCMC", MLSP 2017. One kind of
side information are the films that a user rated, whatever the stars, and the users who rated a film: Rendle, Zhang and
Koren, "On the Difficulty of Evaluating Baselines: A Study on Recommender Systems", 2019, section 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from sklearn.preprocessing import normalize
from tqdm import trange

from recsys.data.dataset import Dataset, History, Holdout
from recsys.data.features import features, vocabulary
from recsys.errors import UserError
from recsys.models.base import FitContext, Recommender
from recsys.models.memory import check_memory

USER_FACTS = ("age_group", "gender", "occupation")
FILM_FACTS = ("genres", "year", "directors", "actors")
SIDE = ("rated", "facts")


class Side(NamedTuple):
    """Ratings from one side: those of users, say, whose columns are films."""

    indptr: np.ndarray  # int64 (n + 1,)
    columns: np.ndarray  # int32 (n_ratings,)
    order: np.ndarray  # int64 (n_ratings,) which rating each is

    @classmethod
    def of(cls, rows: np.ndarray, columns: np.ndarray, n: int) -> Side:
        """Sort ratings by row."""
        order = np.argsort(rows, kind="stable")
        return cls(np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))]), columns[order], order)


class Prior:
    """A normal prior of vectors, with mean mu + beta' f where something (f) is known of them; drawn by Gibbs steps.

    What is known is turned to orthogonal columns first, without those that are always zero: the prior of beta is the
    same in all directions, so this changes no vector, and no more than n columns are left.

    Args:
        known: float64 (n, f) what is known, or no columns.
        d: length of the vectors.
        rng: draws.
    """

    def __init__(self, known: sparse.csr_matrix, d: int, rng: np.random.Generator) -> None:
        self.rng = rng
        self.columns, self.squares = _orthogonal(known)  # (n, r) and their squared lengths (r,)
        self.beta = np.zeros((len(self.squares), d))
        self.link_precision = 1.0  # lambda of beta
        self.shift = np.zeros((known.shape[0], d))  # of the means

    def draw(self, vectors: np.ndarray) -> None:
        """Draw mu and Lambda, then beta, then its precision, given vectors (n, d)."""
        self.mean, self.precision = self._draw_normal_wishart(vectors - self.shift)
        if len(self.beta):
            self._draw_link(vectors - self.mean)

    @property
    def means(self) -> np.ndarray:
        """Of each vector, (n, d)."""
        return self.mean + self.shift

    def _draw_normal_wishart(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean (d,) and precision (d, d) of what is left of the vectors, (n, d): Salakhutdinov and Mnih's equation 14.

        Their prior has mu_0 = 0, beta_0 = 2, W_0 = I. The rows of beta, normal with precision lambda Lambda, tell of
        Lambda too: Simm et al., equation 6.
        """
        n, d = x.shape
        average, weight = x.mean(axis=0), 2 + n
        scatter = (x - average).T @ (x - average) + 2 * n / weight * np.outer(average, average)
        scatter += self.link_precision * self.beta.T @ self.beta
        precision = _draw_wishart(np.linalg.inv(np.eye(d) + scatter), d + n + len(self.beta), self.rng)
        noise = np.linalg.solve(np.linalg.cholesky(weight * precision).T, self.rng.standard_normal(d))
        return n / weight * average + noise, precision

    def _draw_link(self, deviations: np.ndarray) -> None:
        """Beta is matrix normal, with covariance (F'F + lambda I)^-1 of rows and Lambda^-1 of columns."""
        variance = 1 / (self.squares + self.link_precision)  # (r,)
        noise = np.linalg.solve(np.linalg.cholesky(self.precision).T, self.rng.standard_normal(self.beta.T.shape)).T
        self.beta = variance[:, None] * (self.columns.T @ deviations) + np.sqrt(variance)[:, None] * noise
        size = np.einsum("ri,ij,rj->", self.beta, self.precision, self.beta)
        self.link_precision = self.rng.gamma((1 + self.beta.size) / 2, 2 / (1 + size))
        self.shift = self.columns @ self.beta


class BayesianMF(Recommender):
    """Average mean + b_u + b_i + U_u . V_i over draws of all of them.

    A bias is one more element of a vector, whose partner on the other side is 1. Somebody unknown has the mean of the
    users' prior.

    Args:
        embedding_dim: length of the vectors, the paper's D.
        side: what moves the means of priors: `rated`, who rated what, and `facts` about users and films.
        min_count: users or films that a fact must be true of.
        n_sweeps: draws of everything.
        burn_in: first draws, which are left out while the chain finds its place.
        n_samples: draws that are kept, evenly spaced among the others.
        seed: of the draws.

    Raises:
        UserError: another kind of side information, or fewer draws than are to be kept.
    """

    predicts_ratings = True
    learned = ("mean", "scale", "user_samples", "item_samples", "user_bias", "item_bias")

    def __init__(
        self,
        embedding_dim: int = 16,
        side: Sequence[str] = SIDE,
        min_count: int = 3,
        n_sweeps: int = 300,
        burn_in: int = 60,
        n_samples: int = 120,
        seed: int = 0,
    ) -> None:
        if unknown := set(side) - set(SIDE):
            raise UserError(f"side={', '.join(sorted(unknown))} is not known: choose among {', '.join(SIDE)}.")
        if not 0 < n_samples <= n_sweeps - burn_in:
            raise UserError(
                f"{n_sweeps} sweeps after {burn_in} of burn-in hold no {n_samples} samples: raise model.n_sweeps."
            )
        self.embedding_dim = embedding_dim
        self.side = list(side)
        self.min_count = min_count
        self.n_sweeps = n_sweeps
        self.burn_in = burn_in
        self.n_samples = n_samples
        self.seed = seed

    def fit(self, train: Dataset, valid: Holdout | None = None, context: FitContext | None = None) -> Self:
        """Run the chain.

        Raises:
            UserError: the samples do not fit in memory.
        """
        n_users, n_items, d = train.n_users, train.n_items, self.embedding_dim
        check_memory(
            8 * (n_users + n_items) * d * (self.n_samples + 2 * d),
            f"{self.n_samples} samples of {d} numbers for each of {n_users:,} users and {n_items:,} films",
            "lower model.n_samples or model.embedding_dim",
        )
        self.mean, self.scale = train.ratings.mean(dtype=np.float64), np.array(train.scale, np.float32)
        stars = train.ratings - self.mean
        rng = np.random.default_rng(self.seed)
        of_users, of_items = self._known(train)
        widest = max(min(known.shape) for known in (of_users, of_items))
        check_memory(
            8 * widest * (3 * widest + n_users + n_items),  # products, their eigenvectors, room to find them; columns
            f"Side information in {widest:,} columns",
            "leave out who rated what, model.side=[facts]",
        )
        user_prior, item_prior = Prior(of_users, d + 1, rng), Prior(of_items, d + 1, rng)
        by_user = Side.of(train.users, train.items, n_users)
        by_item = Side.of(train.items, train.users, n_items)
        U, V = (0.1 * rng.standard_normal((n, d + 1)) for n in (n_users, n_items))  # noqa: N806  the last is the bias
        alpha = 1.0  # precision of a rating
        kept = set(np.linspace(self.burn_in, self.n_sweeps - 1, self.n_samples).astype(int).tolist())
        samples = []
        for sweep in trange(self.n_sweeps, desc="sampling", unit=" sweeps", disable=None):
            user_prior.draw(U)
            U = _draw_vectors(by_user, stars - V[train.items, d], V, alpha, user_prior)  # noqa: N806
            item_prior.draw(V)
            V = _draw_vectors(by_item, stars - U[train.users, d], U, alpha, item_prior)  # noqa: N806
            error = stars - _products(U, V, train.users, train.items)
            alpha = rng.gamma((1 + len(error)) / 2, 2 / (1 + error @ error))
            if sweep in kept:
                samples.append((np.vstack([U, user_prior.mean]), V))
        users, items = (np.stack(side, axis=1) for side in zip(*samples, strict=True))  # (n, n_samples, d + 1)
        self.user_bias, self.item_bias = users[:, :, d].mean(axis=1), items[:, :, d].mean(axis=1)
        self.user_samples = users[:, :, :d].astype(np.float32)  # (n_users + 1, n_samples, d), the last for anybody
        self.item_samples = items[:, :, :d].astype(np.float32)  # (n_items, n_samples, d)
        return self

    def score(self, users: np.ndarray, history: History) -> np.ndarray:
        """Predicted stars, not clipped; see `Recommender.score`."""
        products = self._flat(self.user_samples[users]) @ self._flat(self.item_samples).T / self.n_samples
        return (products + self.mean + self.user_bias[users, None] + self.item_bias).astype(np.float32)

    def user_embeddings(self) -> np.ndarray:
        """The last sample, float32 (n_users, d)."""
        return self.user_samples[:-1, -1]

    def item_embeddings(self) -> np.ndarray:
        """The last sample, float32 (n_items, d)."""
        return self.item_samples[:, -1]

    def _known(self, train: Dataset) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        """What is known of users (n_users, f) and of films (n_items, g)."""
        users, films = [sparse.csr_matrix((train.n_users, 0))], [sparse.csr_matrix((train.n_items, 0))]
        if "rated" in self.side:
            rated = train.matrix().astype(np.float64)
            users.append(normalize(rated))  # an element is |N(u)|^-1/2, as in SVD++
            films.append(normalize(rated.T.tocsr()))
        if "facts" in self.side:
            users.append(self._facts(train.user_frame, USER_FACTS))
            films.append(self._facts(train.item_frame, FILM_FACTS))
        return sparse.hstack(users, format="csr"), sparse.hstack(films, format="csr")

    def _facts(self, frame: pd.DataFrame, facts: Sequence[str]) -> sparse.csr_matrix:
        return features(frame, vocabulary(frame, facts, self.min_count)).astype(np.float64)

    @staticmethod
    def _flat(samples: np.ndarray) -> np.ndarray:
        return samples.reshape(len(samples), -1)


def _products(U: np.ndarray, V: np.ndarray, users: np.ndarray, items: np.ndarray) -> np.ndarray:  # noqa: N803
    """b_u + b_i + U_u . V_i of pairs, the biases being last in the vectors."""
    rows, columns = U[users], V[items]
    return np.einsum("nd,nd->n", rows[:, :-1], columns[:, :-1]) + rows[:, -1] + columns[:, -1]


def _draw_vectors(side: Side, stars: np.ndarray, others: np.ndarray, alpha: float, prior: Prior) -> np.ndarray:
    """Draw the vectors of one side given the other's (m, d + 1), whose biases are taken off the stars already.

    Row u is normal with precision Lambda + alpha X'X and mean (that)^-1 (Lambda mu_u + alpha X' r), X being the other
    side's vectors of its ratings with a 1 for its own bias (equations 11 to 13).
    """
    partners = np.concatenate([others[:, :-1], np.ones((len(others), 1))], axis=1)
    stars = stars[side.order]
    weighted = prior.means @ prior.precision  # (n, d + 1)
    precisions = np.repeat(prior.precision[None], len(weighted), axis=0)
    for row in np.flatnonzero(np.diff(side.indptr)):
        own = slice(side.indptr[row], side.indptr[row + 1])
        X = partners[side.columns[own]]  # noqa: N806
        precisions[row] += alpha * (X.T @ X)
        weighted[row] += alpha * (stars[own] @ X)
    cholesky = torch.linalg.cholesky(torch.from_numpy(precisions))
    means = torch.cholesky_solve(torch.from_numpy(weighted)[:, :, None], cholesky)
    noise = torch.from_numpy(prior.rng.standard_normal((*weighted.shape, 1)))
    return (means + torch.linalg.solve_triangular(cholesky.mT, noise, upper=True)).squeeze(2).numpy()


def _orthogonal(known: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Columns (n, f) turned to orthogonal ones (n, r), none of them zero, and their squared lengths (r,)."""
    wide = known.shape[1] > known.shape[0]
    squares, turn = np.linalg.eigh((known @ known.T if wide else known.T @ known).toarray())
    kept = squares > 1e-9 * squares.max(initial=0)
    columns = turn[:, kept] * np.sqrt(squares[kept]) if wide else known @ turn[:, kept]
    return columns, squares[kept]


def _draw_wishart(scale: np.ndarray, degrees: int, rng: np.random.Generator) -> np.ndarray:
    """By Bartlett's decomposition."""
    d = len(scale)
    root = np.tril(rng.standard_normal((d, d)), -1) + np.diag(np.sqrt(rng.chisquare(degrees - np.arange(d))))
    root = np.linalg.cholesky(scale) @ root
    return root @ root.T
