"""Optional capabilities of models beyond scoring: each is a further base class of a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from recsys.data.query import History, Query

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from recsys.data import dataset
    from recsys.models.graphs import ScoreGraph


class HasEmbeddings(ABC):
    """A model that embeds users and items in one space."""

    @abstractmethod
    def user_embeddings(self) -> np.ndarray:
        """Return the embeddings of the training data's users, float32 (n_users, d), in the order of their codes."""

    @abstractmethod
    def item_embeddings(self) -> np.ndarray:
        """Return the embeddings of items, float32 (n_items, d), in the order of their codes."""


class EmbedsHistories(HasEmbeddings):
    """A model that also embeds users unseen in training, given their histories."""

    @abstractmethod
    def embed(self, history: History) -> np.ndarray:
        """Return the embeddings of the users with these histories (B rows), float32 (B, d)."""


class ScoresByProducts(ABC):
    """A model whose scores are inner products, so that the best items can be looked up in an index.

    Up to rounding, the products equal `score_without_fallback`; `falls_back` returns the users whose final scores can
    differ from them.
    """

    @abstractmethod
    def user_vectors(self, query: Query) -> np.ndarray:
        """Return a vector for each user of a query, float32 (B, d)."""

    @abstractmethod
    def item_vectors(self) -> np.ndarray:
        """Return a vector for each item, float32 (n_items, d); a score is its inner product with a user's vector."""


class HasGraph(ABC):
    """A model whose scores are a graph of tensor operations, which can be exported to run without this package.

    Attributes:
        n_read: number of latest interactions of a history that scores depend on; None for all.
    """

    n_read: int | None = None

    @abstractmethod
    def graph(self, data: dataset.Dataset, length: int) -> ScoreGraph:
        """Return the graph of `score_without_fallback`.

        Args:
            data: the data set that the user codes of queries refer to, with the users' histories. A graph that cannot
                compute a user's vector from a history stores the vectors of these users.
            length: number of columns of the padded histories that the graph reads.

        Raises:
            UserError: the weights of the graph do not fit in memory.
        """


class HasOpenCatalogue(ABC):
    """A model that scores items without ratings, including items that are added after training."""

    @abstractmethod
    def add_items(self, items: pd.DataFrame) -> None:
        """Extend the catalogue of the fitted model in place, without training.

        Args:
            items: a row for each new item, with some or all columns of the training data's `Dataset.item_frame`. The
                first row gets the code `n_items`.
        """


class ExplainsByRemoval(ABC):
    """A model that computes how each interaction of a history affects its scores, without scoring once for each."""

    @abstractmethod
    def removal_losses(self, history: History, positions: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return by how much scores fall if one interaction is removed from a history.

        The result is valid only if the scores do not depend on the order of interactions (`reads_order` is False).

        Args:
            history: history of one row.
            positions: int64 (m,) positions in the history of the interactions to remove, one at a time.
            items: int64 (n,) items whose scores are compared.

        Returns:
            float32 (m, n) scores with the whole history minus scores without the interaction, both as
            `score_without_fallback` returns them; negative where a score rises.
        """


class ExplainsByFeatures(ABC):
    """A model whose scores are sums of contributions of groups of features."""

    @abstractmethod
    def feature_contributions(self, query: Query, items: np.ndarray) -> pd.DataFrame:
        """Return the contribution of each group of features to the scores of items.

        Args:
            query: a query of one user.
            items: int64 (m,) items.

        Returns:
            A row for each item, indexed by item code, and a column for each group, in units of the model's scores; NaN
            for an item that is not scored by features.
        """
