"""Reasons for recommendations: films of the user's history that support a recommendation, and details that link them.

The supporting films are determined from the model itself (see `recsys.models.support`): they are the films of the
history without which the score would fall most, or whose embeddings are most similar. If a model uses neither histories
nor embeddings, the supporting film is the liked film that has the most people, keywords and genres in common with the
recommended film, measured by the Jaccard index.

A reason can also have a detail about the recommended film. If possible, the detail is people, keywords or genres that
the film shares with the supporting films and that no earlier reason in the list has named. Otherwise, if the model uses
histories, the detail is how many of the users who liked the supporting films also liked the recommended film. If the
supporting film matters because of its place in the history (the kind of support `order`), the detail is instead how
many of the users who rated the supporting film rated the recommended film among their next `SOON` films.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from recsys.data.dataset import Dataset
from recsys.data.query import History
from recsys.models.scoring import Scorer
from recsys.models.support import EMBEDDINGS, HISTORY, ORDER, Support, kind_of_support, most_liked, strongest, supports

METADATA = "metadata"
KINDS = (ORDER, HISTORY, EMBEDDINGS, METADATA)
TRAITS = ("directors", "actors", "writers", "keywords", "tags", "genres")  # the most informative first
MAX_OF_A_TRAIT = 10  # largest number of values of a column that are used, since a cast can be long
MAX_SHARED = 2  # largest number of traits that a reason names
COMMON = 0.25  # largest share of films with a trait that a reason names
MIN_AGREEING = 3  # least number of agreeing users that a reason names
SOON = 10  # number of films after another one that a reason by order counts


@dataclass(frozen=True)
class Reason(Support):
    """The reason why a film was recommended.

    Attributes:
        kind: one of `KINDS`: `metadata` if the supporting film is found by people, keywords and genres, else a kind of
            support that `recsys.models.support` defines.
        items: codes of the supporting films: one or two films of the history, the strongest first.
        strength: strength of the first supporting film, always positive. If the kind is `metadata`, it is the film's
            Jaccard index with the recommended film; for the other kinds, see `Support`.
        shared: people, keywords and genres that the recommended film shares with all supporting films.
        n_agreeing: number of other users who liked all supporting films and also the recommended film. If the kind is
            `order`, the number of other users who rated the recommended film soon after the supporting film. 0 if the
            reason does not state this number.
        n_users: number of other users who liked all supporting films or, if the kind is `order`, who rated the
            supporting film; 0 if `n_agreeing` is 0.
    """

    shared: tuple[str, ...] = ()
    n_agreeing: int = 0
    n_users: int = 0

    def sentence(self, names: np.ndarray) -> str:
        """Return the reason as a phrase, including the detail, if it has one; see `Support.sentence`."""
        films, shared = " and ".join(names[[*self.items]]), ", ".join(self.shared)
        if self.kind == METADATA:
            return f"{shared}, like {films}, which you liked"
        if self.n_agreeing and self.kind == ORDER:
            agreeing = f"{self.n_agreeing} of the {self.n_users} people who rated {films}"
            return f"rated within the next {SOON} films by {agreeing}"
        if self.n_agreeing:
            return f"liked by {self.n_agreeing} of the {self.n_users} people who, like you, liked {films}"
        support = super().sentence(names)
        return f"{support}; in common: {shared}" if shared else support


class Explainer:
    """Finds the reasons for recommended films.

    Args:
        dataset: data set with the metadata of the films and the ratings of other users.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self._traits = _traits(dataset.item_frame)
        self._n_films = Counter(trait for of_film in self._traits for trait in of_film)

    def explain(
        self, model: Scorer, user: int, history: History, items: np.ndarray, own: int | None = None
    ) -> list[Reason | None]:
        """Find the reason for each film of a list.

        Args:
            model: fitted model.
            user: code of the user in the data that the model was trained on; -1 for an unknown user.
            history: the history for which the films were recommended, one row.
            items: int64 (m,) codes of the recommended films, in the order of the list.
            own: code of the user in the data set of this object, or -1 if the user is not in it. The code can differ
                from `user` if the model was trained on other data than this data set. None means that it is `user`.

        Returns:
            m reasons in the order of `items`; None where no film of the history supports the recommendation.
        """
        if kind_of_support(model, user) is None:
            found = self._by_metadata(history, items)
        else:
            found = supports(model, user, history, items, self.dataset.middle_of_scale)
        reasons = [None if support is None else Reason(**vars(support)) for support in found]
        return self._with_particulars(reasons, user if own is None else own, items)

    def _by_metadata(self, history: History, items: np.ndarray) -> list[Support | None]:
        """Find, for each recommended film, the liked film that has the most people, keywords and genres in common.

        The result is None for films that have nothing in common with any liked film.
        """
        liked = history.items[most_liked(history, min_rating=self.dataset.middle_of_scale)]
        if not len(liked):
            return [None] * len(items)
        found = [strongest(METADATA, liked, column) for column in self._overlaps(liked, items).T]
        return [support and replace(support, items=support.items[:1]) for support in found]

    def _overlaps(self, liked: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return the Jaccard index between the traits of each liked film and those of each recommended film.

        Returns:
            float64 (len(liked), len(items)).
        """
        rows, columns = ([{*self._traits[item]} for item in codes] for codes in (liked, items))
        return np.array([[len(row & column) / max(1, len(row | column)) for column in columns] for row in rows])

    def _with_particulars(self, reasons: Sequence[Reason | None], user: int, items: np.ndarray) -> list[Reason | None]:
        """Add a detail about the recommended film to each reason; see `_particular`."""
        named: set[str] = set()
        described: list[Reason | None] = []
        for reason, item in zip(reasons, items.tolist(), strict=True):
            described.append(None if reason is None else self._particular(reason, user, item, named))
            named.update(described[-1].shared if described[-1] else ())
        return described

    def _particular(self, reason: Reason, user: int, item: int, named: set[str]) -> Reason:
        """Add a detail about the recommended film to a reason: shared traits, or else how many users agree.

        Args:
            reason: the reason.
            user: code of the user in the data set; -1 for a user who is not in it.
            item: code of the recommended film.
            named: traits that earlier reasons have named.
        """
        if reason.kind == METADATA:
            return replace(reason, shared=self._shared(item, reason.items))
        limit = COMMON * self.dataset.n_items
        for films in (reason.items, reason.items[:1]):
            shared = self._shared(item, films)
            telling = [trait for trait in shared if trait not in named and self._n_films[trait] <= limit]
            if telling:
                return replace(reason, items=films, shared=tuple(telling[:MAX_SHARED]))
        if reason.kind == EMBEDDINGS:
            return reason
        n_agreeing, n_users = self._agreement(reason, user, item)
        return reason if n_agreeing < MIN_AGREEING else replace(reason, n_agreeing=n_agreeing, n_users=n_users)

    def _agreement(self, reason: Reason, user: int, item: int) -> tuple[int, int]:
        """Return `n_agreeing` and `n_users` of a reason for recommending a film to a user; see `Reason`."""
        if reason.kind == ORDER:
            (earlier,) = reason.items
            places = self.dataset.positions_of_item(earlier)
            places = places[self.dataset.users[places] != user]
            next_places = places[:, None] + np.arange(1, SOON + 1)
            ends = self.dataset.indptr[self.dataset.users[places] + 1]
            next_items = self.dataset.items[np.minimum(next_places, len(self.dataset) - 1)]
            return int(((next_items == item) & (next_places < ends[:, None])).any(axis=1).sum()), len(places)
        users = np.logical_and.reduce([self._liked_by(other) for other in reason.items])
        if user >= 0:
            users[user] = False
        return int((users & self._liked_by(item)).sum()), int(users.sum())

    def _shared(self, item: int, others: Sequence[int]) -> tuple[str, ...]:
        """Return the traits of a film that all films in `others` have too."""
        return tuple(trait for trait in self._traits[item] if all(trait in self._traits[other] for other in others))

    def _liked_by(self, item: int) -> np.ndarray:
        """Return a mask of the users who liked a film, bool (n_users,)."""
        places = self.dataset.positions_of_item(item)
        liked = np.zeros(self.dataset.n_users, bool)
        liked[self.dataset.users[places[self.dataset.ratings[places] >= self.dataset.middle_of_scale]]] = True
        return liked


def _traits(item_frame: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return the traits of each film (its people, keywords, tags and genres), the most informative ones first."""
    columns = [item_frame[name] for name in TRAITS if name in item_frame]
    if not columns:
        return [()] * len(item_frame)
    lists = zip(*columns, strict=True)
    return [tuple(dict.fromkeys(trait for values in row for trait in values[:MAX_OF_A_TRAIT])) for row in lists]
