"""Optional capabilities of models beyond scoring: base classes that a model can have beside `Recommender`."""

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
        """Return the embeddings of the training users, float32 (n_users, d), in the order of their codes."""

    @abstractmethod
    def item_embeddings(self) -> np.ndarray:
        """Return the embeddings of all items, float32 (n_items, d), in the order of their codes."""


class EmbedsHistories(HasEmbeddings):
    """A model that also embeds users unseen in training, given their histories."""

    @abstractmethod
    def embed(self, history: History) -> np.ndarray:
        """Return the embeddings of B users, float32 (B, d), computed from their histories (B rows)."""


class ScoresByProducts(ABC):
    """A model that scores by inner products of user and item vectors, so the best items can be looked up in an index.

    Up to rounding, the products are the scores that `score_without_fallback` returns. The scores that `score` returns
    differ from the products only for users for whom `falls_back` is true.
    """

    @abstractmethod
    def user_vectors(self, query: Query) -> np.ndarray:
        """Return a vector for each user of a query, float32 (B, d)."""

    @abstractmethod
    def item_vectors(self) -> np.ndarray:
        """Return a vector per item, float32 (n_items, d); a score is the inner product of a user and an item vector."""


class HasGraph(ABC):
    """A model whose scores can be computed by a graph of tensor operations, which can run without this package.

    Attributes:
        n_read: scores depend only on this number of latest interactions of a history; None if they depend on all of
            them.
    """

    n_read: int | None = None

    @abstractmethod
    def graph(self, data: dataset.Dataset, length: int) -> ScoreGraph:
        """Return a graph that computes the scores of `score_without_fallback`.

        Args:
            data: data set with the histories of users. The user codes in the graph's queries are the codes in this
                data set. A graph that cannot compute the vector of a user from a history stores the vectors of these
                users.
            length: number of columns of the padded histories that the graph reads.

        Raises:
            UserError: the weights of the graph do not fit in memory.
        """


class HasOpenCatalogue(ABC):
    """A model that can score items that have no ratings, including items that are added after training."""

    @abstractmethod
    def add_items(self, items: pd.DataFrame) -> None:
        """Extend the catalogue of the fitted model in place, without training.

        Args:
            items: a row for each new item, with some or all columns of the training data's `Dataset.item_frame`. New
                items get the codes that follow those of the present items, in the order of the rows.
        """


class ExplainsByRemoval(ABC):
    """A model that can compute how each interaction of a history affects its scores, faster than by scoring again."""

    @abstractmethod
    def removal_losses(self, history: History, positions: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return by how much scores fall if one interaction is removed from a history.

        The result is valid only if the scores do not depend on the order of interactions (`reads_order` is False).

        Args:
            history: history of one row.
            positions: int64 (m,) positions, within the history, of m interactions, each of which is removed alone.
            items: int64 (n,) items whose scores are compared.

        Returns:
            float32 (m, n) scores with the whole history minus scores without the interaction, both as
            `score_without_fallback` returns them; negative where a score rises.
        """


class ExplainsByFeatures(ABC):
    """A model whose scores can be split into contributions of groups of features."""

    @abstractmethod
    def feature_contributions(self, query: Query, items: np.ndarray) -> pd.DataFrame:
        """Return the contribution of each group of features to the scores of items.

        Args:
            query: a query of one user.
            items: int64 (m,) items.

        Returns:
            Contributions in units of the model's scores: a row for each item, indexed by item code, and a column for
            each group. The row of an item that is not scored by features is NaN.
        """
