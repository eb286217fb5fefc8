"""An approximate nearest-neighbour index of films, for catalogues that are too large to score every film.

Malkov and Yashunin, "Efficient and Robust Approximate Nearest Neighbor Search Using Hierarchical Navigable Small World
Graphs", IEEE TPAMI 2020, implemented by usearch. The index may miss some of the films with the largest inner products;
the scores of the films that it finds are exact.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass

import numpy as np
from usearch.index import Index

from recsys.data.dataset import Dataset
from recsys.data.query import Query
from recsys.errors import UserError, check_not_negative, check_positive
from recsys.metrics.ranking import top_k
from recsys.models.base import ScoresByProducts
from recsys.models.scoring import Scorer


@dataclass(frozen=True)
class IndexSettings:
    """Settings of the film index.

    Attributes:
        beyond: largest number of films for which every film is scored; the index is used for larger catalogues.
        connections: number of neighbours of each film in the graph, the paper's M.
        expansion: size of the candidate list during construction and search, the paper's ef. Larger values are slower
            and have a higher recall.
        n_measured: number of users on whom recall is measured.
        k: length of the lists on which recall is measured.
    """

    beyond: int = 200_000
    connections: int = 32
    expansion: int = 256
    n_measured: int = 200
    k: int = 10

    def __post_init__(self) -> None:
        """Check the ranges of the settings.

        Raises:
            UserError: a setting is out of range.
        """
        settings = {f"index.{name}": value for name, value in asdict(self).items()}
        check_not_negative(**{"index.beyond": settings.pop("index.beyond")})
        check_positive(**settings)


class FilmIndex:
    """Index of all films for a model whose scores are inner products.

    Args:
        model: the trained model.
        settings: settings of the index.

    Raises:
        UserError: the model's scores are not inner products.
    """

    def __init__(self, model: Scorer, settings: IndexSettings) -> None:
        if not isinstance(model, ScoresByProducts):
            raise UserError(
                f"The scores of {type(model).__name__} are not inner products, which an index needs: serve a run of "
                "a model such as ials, mf or two_tower, or raise index.beyond to score every film."
            )
        self.model = model
        self.item_vectors = model.item_vectors()  # (n_items, d)
        self.settings = settings
        # Among vectors of equal length the nearest has the largest product; one more dimension makes all lengths equal
        # (Bachrach et al., "Speeding Up the Xbox Recommender System Using a Euclidean Transformation", RecSys 2014).
        squares = np.square(self.item_vectors, dtype=np.float64).sum(axis=1)
        padding = np.sqrt(squares.max() - squares)[:, None]
        self.graph = Index(
            ndim=self.item_vectors.shape[1] + 1,
            metric="cos",
            dtype="f32",
            connectivity=settings.connections,
            expansion_add=settings.expansion,
            expansion_search=settings.expansion,
        )
        keys = np.arange(len(self.item_vectors))
        self.graph.add(
            keys,
            np.hstack([self.item_vectors, padding]).astype(np.float32),
            log="Indexing films" if sys.stderr.isatty() else False,
        )

    def scores(self, query: Query, n: int) -> np.ndarray:
        """Find approximately the n best films of each user, and score them.

        Args:
            query: B users with their histories.
            n: number of films to find for each user.

        Returns:
            Scores, float32 (B, n_items); -inf for films that were not found.
        """
        vectors = self.model.user_vectors(query)  # (B, d)
        padded = np.hstack([vectors, np.zeros((len(vectors), 1), np.float32)])
        scores = np.full((len(query), len(self.item_vectors)), -np.inf, np.float32)
        for row, vector in enumerate(padded):
            items = self.graph.search(vector, min(n, len(self.item_vectors))).keys.astype(np.int64)
            scores[row, items] = self.item_vectors[items] @ vectors[row]
        return scores

    def recall(self, dataset: Dataset, seed: int = 0) -> float:
        """Return the share of the exact top-k films that the index finds, averaged over random users.

        Args:
            dataset: the data set from which users are drawn.
            seed: seed of the draw.
        """
        k, n = self.settings.k, min(self.settings.n_measured, dataset.n_users)
        users = np.random.default_rng(seed).choice(dataset.n_users, n, replace=False)
        shares = []
        for user in users[:, None]:
            query = dataset.query(user)
            exact = top_k(self.model.score_without_fallback(query), user, k)
            found = top_k(self.scores(query, k), user, k)
            shares.append(np.isin(exact, found).mean())
        return float(np.mean(shares))
