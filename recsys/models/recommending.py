"""Recommendations with the source's ids and titles, for users of the data that a model was fitted to and for new users.

A new user is described by a list of liked items.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from recsys.data.dataset import Dataset
from recsys.data.ids import id_hint
from recsys.data.query import UNKNOWN, History, Query
from recsys.errors import UserError, check_positive
from recsys.metrics.ranking import mask_seen, top_k
from recsys.models.scoring import Scorer
from recsys.models.support import supports

BATCH_SIZE = 1024  # number of users that are scored at a time


class RecommendsByIds(Scorer):
    """A model that recommends in terms of the ids and titles in its data, rather than codes.

    Attributes:
        data: the data set that the model was fitted to, which holds the users' histories and all ids and titles. None
            before a fit, and after loading a model that was saved without its data.
    """

    data: Dataset | None = None
    _similar_items: Any = None  # `SimilarItems` of the data, once `similar` has been called

    def recommend(
        self, users: Sequence[Any] | None = None, k: int = 10, *, liked: Sequence[Any] | None = None
    ) -> pd.DataFrame:
        """Recommend unseen items to users of the data, or to a new user who liked some items.

        Either `users` or `liked` must be given.

        Args:
            users: ids of users in the data that the model was fitted to; their ratings in these data are the histories.
            k: largest number of items per user; items in the user's history are never recommended.
            liked: items that a new user liked, the latest last: titles, titles with years such as "Heat (1995)", or
                ids.

        Returns:
            A row for each recommended item. The rows of a user follow each other, the best item first, and users are in
            the given order. The columns are `user`, the user's id, missing for a new user; `item`, the item's id;
            `title`, with the year; `score`; and `reason`, a phrase that names the items of the history that support the
            recommendation, missing if the model finds no such items.

        Raises:
            UserError: both or neither of `users` and `liked` are given, a user or an item is unknown, a title is
                ambiguous, `k` is not above zero, the model has no data, or `liked` is given and the model does not
                score new users.
        """
        data = self.known_data()
        if (users is None) == (liked is None):
            raise UserError("recommend must have either users or liked (got both or neither).")
        check_positive(k=k)
        if liked is not None:
            return self._recommended(data, np.array([UNKNOWN]), self._history_of_liked(data, liked), k)
        codes = user_codes(data, _as_list("users", users))
        starts = range(0, max(1, len(codes)), BATCH_SIZE)
        batches = [codes[start : start + BATCH_SIZE] for start in starts]
        tables = [self._recommended(data, batch, data.history(batch), k) for batch in batches]
        return pd.concat(tables, ignore_index=True)

    def similar(self, item: Any, k: int = 10) -> pd.DataFrame:
        """Find the items that are most similar to an item: the same users rated them, and their metadata are similar.

        The similarity is computed from the data and does not depend on the model; see `recsys.models.similar`.

        Args:
            item: title of the item, title with year such as "Heat (1995)", or id.
            k: largest number of similar items.

        Returns:
            A row for each similar item, the most similar first. The columns are `item`, its id; `title`, with the year;
            and `similarity`, above 0 and at most 1.

        Raises:
            UserError: the item is unknown, its title is ambiguous, `k` is not above zero, or the model has no data.
        """
        from recsys.models.similar import SimilarItems  # imported late, since training does not need it

        check_positive(k=k)
        data = self.known_data()
        if self._similar_items is None or self._similar_items.dataset is not data:
            self._similar_items = SimilarItems(data)
        [code] = _item_codes(data, [item])
        near = self._similar_items.nearest(code, np.arange(data.n_items), k)
        codes = np.array([code for code, _ in near], np.int64)
        return _described(data, codes).assign(similarity=[similarity for _, similarity in near])

    def known_data(self) -> Dataset:
        """Return the model's data set, after checking that the model has one.

        Raises:
            UserError: the model has no data.
        """
        if self.data is None:
            raise UserError(
                f"{type(self).__name__} must know the data with its ids and titles (got none): fit it, or set its "
                "attribute data to the data set that it was fitted to."
            )
        return self.data

    def _history_of_liked(self, data: Dataset, liked: Sequence[Any]) -> History:
        if not self.scores_new_users:
            raise UserError(
                f"{type(self).__name__} ignores the history of a new user: name one of its users, or use a model that "
                "scores by histories, such as EASE."
            )
        items = _as_list("liked", liked)
        if not items:
            raise UserError("liked must name at least one item (got none).")
        return data.history_of_liked(_item_codes(data, items))

    def _recommended(self, data: Dataset, users: np.ndarray, histories: History, k: int) -> pd.DataFrame:
        """Recommend items to the users with these codes, int64 (B,), given the history of each; see `recommend`."""
        scores = self.score(Query(users, histories))
        ranked = top_k(mask_seen(scores, histories, np.arange(data.n_items)), users, k)  # (B, k)
        rows, places = np.nonzero(ranked >= 0)
        items = ranked[rows, places]
        ids = data.user_frame["user_id"].iloc[users].astype(object).where(users != UNKNOWN, None)  # (B,)
        reasons = [
            support and support.sentence(data.item_names)
            for row, user in enumerate(users)
            for support in supports(
                self, int(user), histories.select(np.array([row])), items[rows == row], data.middle_of_scale
            )
        ]
        table = _described(data, items)
        table.insert(0, "user", ids.iloc[rows].reset_index(drop=True).infer_objects())
        return table.assign(score=scores[rows, items], reason=pd.Series(reasons, dtype=object))


def _described(data: Dataset, codes: np.ndarray) -> pd.DataFrame:
    """Return a row for each item code, with the item's id and its title with the year."""
    ids = data.item_frame["movie_id"].iloc[codes].reset_index(drop=True)
    return pd.DataFrame({"item": ids, "title": data.item_names[codes]})


def user_codes(data: Dataset, users: Sequence[Any]) -> np.ndarray:
    """Return the codes of the users with the given ids, int64 (B,); ids are compared as text.

    Raises:
        UserError: an id is unknown.
    """
    ids = pd.Index(data.user_frame["user_id"].astype(str))
    codes = ids.get_indexer(pd.Index([str(user) for user in users], dtype=object)).astype(np.int64)
    if len(unknown := np.flatnonzero(codes < 0)):
        wanted = str(users[unknown[0]])
        raise UserError(f"There is no user {wanted} in {data.name}: {id_hint(wanted, ids, ids[:3])}")
    return codes


def _item_codes(data: Dataset, items: Sequence[Any]) -> list[int]:
    """Return the codes of the items with the given ids or titles, in the given order.

    A value that is both an id and a title is taken as an id.

    Raises:
        UserError: a value is not an id, and as a title it is unknown or ambiguous.
    """
    codes = pd.Index(data.item_frame["movie_id"].astype(object)).get_indexer(pd.Index(items, dtype=object)).tolist()
    titles = {place: str(items[place]) for place, code in enumerate(codes) if code < 0}
    if titles:
        from recsys.data.titles import find_items  # imported late, since training does not need it

        for place, code in zip(titles, find_items(data, titles.values()), strict=True):
            codes[place] = code
    return codes


def _as_list(argument: str, values: Any) -> list[Any]:
    """Return the values of an argument as a list, after checking that they are iterable and not a string.

    A string would become a list of characters.

    Args:
        argument: name of the argument, for the error message.
        values: value of the argument.

    Raises:
        UserError: `values` is a string, or not iterable.
    """
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise UserError(f"{argument} must be a list (got {values!r}): write [{values!r}].")
    return list(values)
