"""An approximate index of films, for catalogues in which scoring every film takes too long.

Malkov and Yashunin, "Efficient and Robust Approximate Nearest Neighbor Search Using Hierarchical Navigable Small World
Graphs", IEEE TPAMI 2020, as usearch has it. It finds the films with the largest inner products; the scores of those are
the model's own.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from usearch.index import Index

from recsys.data.dataset import Dataset
from recsys.data.query import History
from recsys.errors import UserError
from recsys.metrics.ranking import top_k
from recsys.models.base import Recommender, ScoresByProducts


@dataclass(frozen=True)
class IndexSettings:
    """When and how films are indexed.

    Attributes:
        beyond: films; catalogues of more are indexed.
        connections: of a film with its neighbours in the graph, M of the paper.
        expansion: candidates kept while the graph is searched, ef of the paper: more is slower and finds more.
        n_measured: users on whom recall is measured.
        k: length of the lists that it is measured on.
    """

    beyond: int = 200_000
    connections: int = 32
    expansion: int = 256
    n_measured: int = 200
    k: int = 10


class FilmIndex:
    """The films of a model whose scores are inner products.

    Args:
        model: trained.
        settings: of the graph.

    Raises:
        UserError: the model's scores are no inner products.
    """

    def __init__(self, model: Recommender, settings: IndexSettings) -> None:
        if not isinstance(model, ScoresByProducts):
            raise UserError(
                f"{type(model).__name__} scores films by no inner products, which an index needs: serve a run of ials, "
                "als, mf or two_tower, or raise index.beyond to score every film."
            )
        self.model = model
        self.films = model.item_vectors()  # (n_items, d)
        self.settings = settings
        # Of equally long vectors the nearest has the largest product: a further number makes films equally long
        # (Bachrach et al., "Speeding Up the Xbox Recommender System Using a Euclidean Transformation", RecSys 2014).
        squares = np.square(self.films, dtype=np.float64).sum(axis=1)
        rest = np.sqrt(squares.max() - squares)[:, None]
        self.graph = Index(
            ndim=self.films.shape[1] + 1,
            metric="cos",
            dtype="f32",
            connectivity=settings.connections,
            expansion_add=settings.expansion,
            expansion_search=settings.expansion,
        )
        keys = np.arange(len(self.films))
        self.graph.add(
            keys,
            np.hstack([self.films, rest]).astype(np.float32),
            log="Indexing films" if sys.stderr.isatty() else False,
        )

    def scores(self, users: np.ndarray, history: History, n: int) -> np.ndarray:
        """Scores of about the n best films of each user, and -inf for all others.

        Args:
            users: int64 (B,) user codes; -1 is somebody unknown.
            history: B rows.
            n: films to find.

        Returns:
            float32 (B, n_items).
        """
        asked = self.model.user_vectors(users, history)  # (B, d)
        padded = np.hstack([asked, np.zeros((len(asked), 1), np.float32)])
        scores = np.full((len(users), len(self.films)), -np.inf, np.float32)
        for row, query in enumerate(padded):
            items = self.graph.search(query, min(n, len(self.films))).keys.astype(np.int64)
            scores[row, items] = self.films[items] @ asked[row]
        return scores

    def recall(self, dataset: Dataset, seed: int = 0) -> float:
        """The share of some users' best films by exact scores that the index finds.

        Args:
            dataset: whose users are drawn.
            seed: of the draw.
        """
        k, n = self.settings.k, min(self.settings.n_measured, dataset.n_users)
        users = np.random.default_rng(seed).choice(dataset.n_users, n, replace=False)
        shares = []
        for user in users[:, None]:
            history = dataset.history(user)
            exact = top_k(self.model.score(user, history), user, k)
            found = top_k(self.scores(user, history, k), user, k)
            shares.append(np.isin(exact, found).mean())
        return float(np.mean(shares))
