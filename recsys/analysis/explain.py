"""Reasons for recommendations: the films of the history that support a recommendation, and traits that they share.

The supporting films are found by the model itself, see `recsys.models.support`: they are those whose removal from the
history reduces the score most, or whose embeddings are nearest. For models without histories and embeddings, the
supporting film is the liked one with the largest share of people, keywords and genres in common with the recommended
one (their Jaccard index).

A reason adds a detail about the recommended film: people, keywords or genres that it shares with the supporting films
and that no earlier reason in the list names, or else how many of the users who liked the supporting films liked it. For
a reason by order, it is how many of the users who rated the supporting film rated it within the next `SOON` films.
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
        kind: one of `KINDS`; `metadata` is a reason by people, keywords and genres, and the others are the kinds of
            `recsys.models.support`.
        items: codes of one or two films of the history, the strongest first.
        strength: loss of score, cosine, or Jaccard index, of the first film, depending on the kind; always positive.
        shared: people, keywords and genres that the recommended film shares with the films in `items`.
        n_agreeing: number of other users who liked the films in `items` and the recommended one or, in a reason by
            order, who rated it soon after the film in `items`; 0 if this is not part of the reason.
        n_users: number of other users who liked or, in a reason by order, rated the films in `items`.
    """

    shared: tuple[str, ...] = ()
    n_agreeing: int = 0
    n_users: int = 0

    def sentence(self, names: np.ndarray) -> str:
        """Return the reason as a phrase; see `Support.sentence`."""
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
        dataset: metadata of the films, and ratings of other users.
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
            user: the model's code of the user; -1 for an unknown user.
            history: the user's history, one row, from which the films were recommended.
            items: int64 (m,) recommended films, in the order of the list.
            own: code of the user in this object's data set, -1 if the user is not in it; None if it is `user`. A model
                that was trained on other data, such as a refit, has other codes.

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
        """Find the liked film that has most in common with each recommended one; None where none has anything."""
        liked = history.items[most_liked(history, min_rating=self.dataset.middle_of_scale)]
        if not len(liked):
            return [None] * len(items)
        found = [strongest(METADATA, liked, column) for column in self._overlaps(liked, items).T]
        return [support and replace(support, items=support.items[:1]) for support in found]

    def _overlaps(self, liked: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return the Jaccard index of the traits of each pair of films, float64 (len(liked), len(items))."""
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
        """Add to a reason the traits that its film shares with the supporting ones, or how many users liked them all.

        Args:
            reason: the reason.
            user: code of the user in the data set; -1 for a user who is not in it.
            item: code of the recommended film.
            named: traits that earlier reasons name.
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
        """Return the numbers of other users of a reason: those who agree, and all; see `Reason`."""
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
        """Return the traits that a film has in common with all of the others."""
        return tuple(trait for trait in self._traits[item] if all(trait in self._traits[other] for other in others))

    def _liked_by(self, item: int) -> np.ndarray:
        """Return which users liked a film, bool (n_users,)."""
        places = self.dataset.positions_of_item(item)
        liked = np.zeros(self.dataset.n_users, bool)
        liked[self.dataset.users[places[self.dataset.ratings[places] >= self.dataset.middle_of_scale]]] = True
        return liked


def _traits(item_frame: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return the people, keywords and genres of each film, the most informative first."""
    columns = [item_frame[name] for name in TRAITS if name in item_frame]
    if not columns:
        return [()] * len(item_frame)
    lists = zip(*columns, strict=True)
    return [tuple(dict.fromkeys(trait for values in row for trait in values[:MAX_OF_A_TRAIT])) for row in lists]
