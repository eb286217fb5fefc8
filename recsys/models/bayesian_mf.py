"""Bayesian matrix factorisation: predictions averaged over factorisations drawn from the posterior.

Salakhutdinov and Mnih, "Bayesian Probabilistic Matrix Factorization using Markov Chain Monte Carlo", ICML 2008; symbols
and numbers of equations are those of this paper. Side information about users and items moves the means of their
priors, as in Porteous, Asuncion and Welling, "Bayesian Matrix Factorization with Side Information and Dirichlet Process
Mixtures", AAAI 2010, and Simm et al., "Macau: Scalable Bayesian Factorization with High-Dimensional Side Information
Using MCMC", MLSP 2017. The side information can include which items a user rated, whatever the ratings, and which
users rated an item: Rendle, Zhang and Koren, "On the Difficulty of Evaluating Baselines: A Study on Recommender
Systems", 2019, section 3.1. Unlike in the first paper, vectors include biases, and the precision alpha of a rating is
not fixed but drawn too, with a gamma prior. In comments and docstrings, "one side" means either all users or all items,
and "the other side" the items or users that they are paired with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from sklearn.preprocessing import normalize

from recsys.data.dataset import Dataset, Holdout
from recsys.data.features import features, vocabulary
from recsys.data.query import Query, row_pointers
from recsys.errors import UserError, check_not_negative, check_positive, check_seed, one_of
from recsys.models.base import FitContext, HasEmbeddings, Recommender
from recsys.models.memory import check_memory
from recsys.progress_bar import ProgressBar

USER_FIELDS = ("age_group", "gender", "occupation")
ITEM_FIELDS = ("genres", "year", "directors", "actors")
SIDE = ("rated", "facts")


class RatingRows(NamedTuple):
    """Ratings as a sparse matrix in CSR layout, whose rows are users and columns are items, or the reverse."""

    indptr: np.ndarray  # int64 (n + 1,)
    columns: np.ndarray  # int32 (n_ratings,)
    order: np.ndarray  # int64 (n_ratings,) position of each rating before sorting

    @classmethod
    def from_pairs(cls, rows: np.ndarray, columns: np.ndarray, n_rows: int) -> Self:
        """Sort ratings by row, given the row and the column of each rating, (n_ratings,) each."""
        order = np.argsort(rows, kind="stable")
        return cls(row_pointers(np.bincount(rows, minlength=n_rows)), columns[order], order)


class Samples:
    """Stores the vectors and biases that several sweeps drew for one side (all users or all items).

    The arrays are uninitialised until `store` fills them.

    Args:
        n: number of users or items.
        n_samples: number of sweeps whose draws are stored.
        d: length of the vectors without their biases.

    Attributes:
        vectors: float32 (n, n_samples, d).
        biases: float64 (n, n_samples).
    """

    def __init__(self, n: int, n_samples: int, d: int) -> None:
        self.vectors = np.empty((n, n_samples, d), np.float32)
        self.biases = np.empty((n, n_samples))

    def store(self, number: int, drawn: np.ndarray) -> None:
        """Store the vectors that were drawn in one sweep.

        Args:
            number: number of the sample, from 0.
            drawn: (n, d + 1) vectors, with the biases in the last column.
        """
        self.vectors[:, number], self.biases[:, number] = drawn[:, :-1], drawn[:, -1]


class Prior:
    """The normal prior N(mu + beta' f_u, Lambda^-1) of the vectors of one side; Gibbs steps draw its parameters.

    Here f_u is the side information about user or item u, a row of the matrix F, and lambda is the precision of the
    normal prior of beta. F is first rotated to orthogonal columns, and columns of zeros are dropped, so that at most n
    columns remain. This does not change the distribution of the vectors, since the prior of beta is the same in all
    directions.

    Args:
        side_information: float64 (n, n_features), F; n_features may be 0.
        d: length of the vectors, including the bias.
        rng: random generator for all draws.

    Attributes:
        mean: float64 (d,) mu, set by `draw`.
        precision: float64 (d, d) Lambda, set by `draw`.
        beta: float64 (r, d), where r is the number of columns of F that remain.
        link_precision: lambda.
        shift: float64 (n, d) beta' f_u of each user or item u.
    """

    def __init__(self, side_information: sparse.csr_matrix, d: int, rng: np.random.Generator) -> None:
        self.rng = rng
        self.columns, self.squares = orthogonal_columns(side_information)  # (n, r) and their squared lengths (r,)
        self.beta = np.zeros((len(self.squares), d))
        self.link_precision = 1.0
        self.shift = np.zeros((side_information.shape[0], d))

    def draw(self, vectors: np.ndarray) -> None:
        """Draw mu and Lambda, then beta, then lambda, given vectors (n, d), and set the attributes."""
        self.mean, self.precision = self._draw_normal_wishart(vectors - self.shift)
        if len(self.beta):
            self._draw_link(vectors - self.mean)

    @property
    def means(self) -> np.ndarray:
        """Return the prior mean of each vector, (n, d)."""
        return self.mean + self.shift

    def _draw_normal_wishart(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw mu (d,) and Lambda (d, d) from their posterior distribution: equation 14.

        The hyperparameters are the paper's, mu_0 = 0, beta_0 = 2, W_0 = I and nu_0 = d. The rows of beta are normal
        with precision lambda Lambda, so they also enter the posterior of Lambda: Simm et al., equation 6.

        Args:
            x: float64 (n, d) vectors minus their shifts by side information.
        """
        n, d = x.shape
        average, weight = x.mean(axis=0), 2 + n
        scatter = (x - average).T @ (x - average) + 2 * n / weight * np.outer(average, average)
        scatter += self.link_precision * self.beta.T @ self.beta
        precision = draw_wishart(np.linalg.inv(np.eye(d) + scatter), d + n + len(self.beta), self.rng)
        noise = np.linalg.solve(np.linalg.cholesky(weight * precision).T, self.rng.standard_normal(d))
        return n / weight * average + noise, precision

    def _draw_link(self, deviations: np.ndarray) -> None:
        """Draw beta given the vectors' deviations from mu, then lambda given beta, and update the shifts.

        beta is matrix normal with mean (F'F + lambda I)^-1 F' deviations, row covariance (F'F + lambda I)^-1 and column
        covariance Lambda^-1. The prior of lambda is a gamma distribution with shape 1/2 and rate 1/2.

        Args:
            deviations: float64 (n, d) vectors minus mu.
        """
        variance = 1 / (self.squares + self.link_precision)  # (r,)
        noise = np.linalg.solve(np.linalg.cholesky(self.precision).T, self.rng.standard_normal(self.beta.T.shape)).T
        self.beta = variance[:, None] * (self.columns.T @ deviations) + np.sqrt(variance)[:, None] * noise
        size = np.einsum("ri,ij,rj->", self.beta, self.precision, self.beta)
        self.link_precision = self.rng.gamma((1 + self.beta.size) / 2, 2 / (1 + size))
        self.shift = self.columns @ self.beta


class BayesianMF(Recommender, HasEmbeddings):
    """Predicts a rating as the average of mean + b_u + b_i + U_u . V_i over posterior samples.

    The bias of a user or item is drawn as one more element of its vector. The vector of an unknown user is mu, the mean
    of the users' prior without side information. Histories in the query are ignored.

    Args:
        embedding_dim: length of the vectors, the paper's D.
        side: names of the side information that moves the means of the priors: `rated` (which users rated which items)
            and `facts` (the metadata of users and items).
        min_count: a metadata value is used only if at least this many users or items have it.
        n_sweeps: number of Gibbs sweeps, each of which draws all variables.
        burn_in: number of initial sweeps that are discarded, since the chain has not converged yet.
        n_samples: number of samples to store, evenly spaced among the remaining sweeps.
        seed: seed of the random draws.

    Raises:
        UserError: a value is not allowed, or `n_samples` is larger than the number of sweeps after the burn-in.

    Attributes:
        mean: mean training rating.
        user_samples: float32 (n_users + 1, n_samples, d) samples of U; the last row is that of unknown users.
        item_samples: float32 (n_items, n_samples, d) samples of V.
        user_bias: float64 (n_users + 1,) mean of b_u over the samples.
        item_bias: float64 (n_items,) mean of b_i over the samples.
    """

    predicts_ratings = True
    learned = ("mean", "user_samples", "item_samples", "user_bias", "item_bias")

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
        check_positive(embedding_dim=embedding_dim, min_count=min_count, n_sweeps=n_sweeps, n_samples=n_samples)
        check_not_negative(burn_in=burn_in)
        check_seed(seed=seed)
        if not 0 < n_samples <= n_sweeps - burn_in:
            raise UserError(
                f"n_samples must be between 1 and n_sweeps - burn_in, {n_sweeps - burn_in} (got {n_samples}): raise "
                "model.n_sweeps."
            )
        self.embedding_dim = embedding_dim
        self.side = [one_of("side", name, SIDE) for name in side]
        self.min_count = min_count
        self.n_sweeps = n_sweeps
        self.burn_in = burn_in
        self.n_samples = n_samples
        self.seed = seed

    def _fit(self, train: Dataset, valid: Holdout | None, context: FitContext) -> None:
        """Run the Markov chain.

        Raises:
            UserError: the samples or the side information do not fit in memory.
        """
        n_users, n_items, d = train.n_users, train.n_items, self.embedding_dim
        self._check_samples(n_users, n_items)
        self.mean = train.ratings.mean(dtype=np.float64)
        ratings = train.ratings - self.mean
        rng = np.random.default_rng(self.seed)
        of_users, of_items = self._side_information(train)
        _check_side_information(of_users, of_items)
        user_prior, item_prior = Prior(of_users, d + 1, rng), Prior(of_items, d + 1, rng)
        by_user = RatingRows.from_pairs(train.users, train.items, n_users)
        by_item = RatingRows.from_pairs(train.items, train.users, n_items)
        U, V = (0.1 * rng.standard_normal((n, d + 1)) for n in (n_users, n_items))  # noqa: N806  the last is the bias
        alpha = 1.0  # precision of a rating
        sampled = np.linspace(self.burn_in, self.n_sweeps - 1, self.n_samples).astype(int).tolist()
        users, items = (Samples(n, self.n_samples, d) for n in (n_users + 1, n_items))  # the last user is unknown
        for sweep in ProgressBar(range(self.n_sweeps), desc="sampling", unit="sweeps"):
            user_prior.draw(U)
            U = draw_vectors(by_user, ratings - V[train.items, d], V, alpha, user_prior)  # noqa: N806
            item_prior.draw(V)
            V = draw_vectors(by_item, ratings - U[train.users, d], U, alpha, item_prior)  # noqa: N806
            error = ratings - _products(U, V, train.users, train.items)
            alpha = rng.gamma((1 + len(error)) / 2, 2 / (1 + error @ error))
            if sweep in sampled:
                users.store(sampled.index(sweep), np.vstack([U, user_prior.mean]))
                items.store(sampled.index(sweep), V)
        self.user_bias, self.item_bias = users.biases.mean(axis=1), items.biases.mean(axis=1)
        self.user_samples, self.item_samples = users.vectors, items.vectors

    def _score(self, query: Query) -> np.ndarray:
        users = query.users
        products = self._flat(self.user_samples[users]) @ self._flat(self.item_samples).T / self.n_samples
        return (products + self.mean + self.user_bias[users, None] + self.item_bias).astype(np.float32)

    def user_embeddings(self) -> np.ndarray:
        """Return the vectors of the known users in the last sample, float32 (n_users, d)."""
        return self.user_samples[:-1, -1]

    def item_embeddings(self) -> np.ndarray:
        """Return the items' vectors in the last sample, float32 (n_items, d)."""
        return self.item_samples[:, -1]

    def _check_samples(self, n_users: int, n_items: int) -> None:
        d = self.embedding_dim
        samples = 4 * (n_users + n_items) * self.n_samples * (d + 2)  # a bias takes 8 bytes
        precisions = 8 * max(n_users, n_items) * (d + 1) ** 2
        check_memory(
            samples + 3 * precisions,  # with their decompositions
            f"{self.n_samples} samples of {d} numbers for each of {n_users:,} users and {n_items:,} items",
            "lower model.n_samples or model.embedding_dim",
        )

    def _side_information(self, train: Dataset) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        """Return the side information about users, (n_users, f), and about items, (n_items, g), as CSR float64."""
        users, items = [sparse.csr_matrix((train.n_users, 0))], [sparse.csr_matrix((train.n_items, 0))]
        if "rated" in self.side:
            rated = train.matrix().astype(np.float64)
            users.append(normalize(rated))  # an element is |N(u)|^-1/2, as in SVD++
            items.append(normalize(rated.T.tocsr()))
        if "facts" in self.side:
            users.append(self._metadata(train.user_frame, USER_FIELDS))
            items.append(self._metadata(train.item_frame, ITEM_FIELDS))
        return sparse.hstack(users, format="csr"), sparse.hstack(items, format="csr")

    def _metadata(self, frame: pd.DataFrame, fields: Sequence[str]) -> sparse.csr_matrix:
        return features(frame, vocabulary(frame, fields, self.min_count)).astype(np.float64)

    @staticmethod
    def _flat(samples: np.ndarray) -> np.ndarray:
        return samples.reshape(len(samples), -1)


def draw_vectors(rows: RatingRows, ratings: np.ndarray, others: np.ndarray, alpha: float, prior: Prior) -> np.ndarray:
    """Draw the vectors of one side (all users or all items), given those of the other side.

    Vector u is normal with precision P = Lambda + alpha X'X and mean P^-1 (Lambda mu_u + alpha X' r), where r are the
    ratings of user or item u, and mu_u is the prior mean of its vector. Each row of X belongs to one of these ratings:
    it is the vector of the other side's item or user, with the bias replaced by 1, the factor of u's own bias
    (equations 11 to 13).

    Args:
        rows: the ratings, with a row for each vector that is drawn.
        ratings: float64 (n_ratings,) ratings minus the mean and the other side's biases, in the order that they had
            before `RatingRows.from_pairs` sorted them.
        others: float64 (m, d + 1) vectors of the other side, with the biases in the last column.
        alpha: precision of a rating.
        prior: prior of the vectors that are drawn.

    Returns:
        float64 (n, d + 1).
    """
    partners = np.concatenate([others[:, :-1], np.ones((len(others), 1))], axis=1)
    ratings = ratings[rows.order]
    weighted = prior.means @ prior.precision  # (n, d + 1)
    precisions = np.repeat(prior.precision[None], len(weighted), axis=0)
    for row in np.flatnonzero(np.diff(rows.indptr)):
        own = slice(rows.indptr[row], rows.indptr[row + 1])
        X = partners[rows.columns[own]]  # noqa: N806
        precisions[row] += alpha * (X.T @ X)
        weighted[row] += alpha * (ratings[own] @ X)
    cholesky = torch.linalg.cholesky(torch.from_numpy(precisions))
    means = torch.cholesky_solve(torch.from_numpy(weighted)[:, :, None], cholesky)
    noise = torch.from_numpy(prior.rng.standard_normal((*weighted.shape, 1)))
    return (means + torch.linalg.solve_triangular(cholesky.mT, noise, upper=True)).squeeze(2).numpy()


def draw_wishart(scale: np.ndarray, degrees: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a Wishart matrix (d, d), given its scale (d, d) and degrees of freedom, by Bartlett's decomposition."""
    d = len(scale)
    root = np.tril(rng.standard_normal((d, d)), -1) + np.diag(np.sqrt(rng.chisquare(degrees - np.arange(d))))
    root = np.linalg.cholesky(scale) @ root
    return root @ root.T


def orthogonal_columns(matrix: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Rotate a matrix (n, f) so that its columns are orthogonal, and drop the columns that become zero.

    Returns:
        The columns, float64 (n, r), and their squared lengths, float64 (r,).
    """
    wide = matrix.shape[1] > matrix.shape[0]
    squares, rotation = np.linalg.eigh((matrix @ matrix.T if wide else matrix.T @ matrix).toarray())
    nonzero = squares > 1e-9 * squares.max(initial=0)
    columns = rotation[:, nonzero] * np.sqrt(squares[nonzero]) if wide else matrix @ rotation[:, nonzero]
    return columns, squares[nonzero]


def _check_side_information(of_users: sparse.csr_matrix, of_items: sparse.csr_matrix) -> None:
    widest = max(min(matrix.shape) for matrix in (of_users, of_items))
    n_rows = of_users.shape[0] + of_items.shape[0]
    check_memory(
        8 * widest * (3 * widest + n_rows),  # products, their eigenvectors and workspace; columns
        f"Side information in {widest:,} columns",
        "leave out the ratings as side information, model.side=[facts]",
    )


def _products(U: np.ndarray, V: np.ndarray, users: np.ndarray, items: np.ndarray) -> np.ndarray:  # noqa: N803
    """Return b_u + b_i + U_u . V_i for P pairs of user and item, float64 (P,).

    The last columns of `U` and `V` hold the biases.
    """
    rows, columns = U[users], V[items]
    return np.einsum("nd,nd->n", rows[:, :-1], columns[:, :-1]) + rows[:, -1] + columns[:, -1]
