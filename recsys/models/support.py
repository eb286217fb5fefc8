"""The items of a history that support a recommendation most, according to the model that makes it.

There are three kinds of support. The first kind that applies to a recommendation is used:

- order, for models that read the order of a history: by how much the score of the recommended item falls when an item
  is removed from the history, if at least half of this loss also occurs when the item is moved to the oldest position
  instead.
- history: by how much the score of the recommended item falls when a liked item is removed from the history (Li, Monroe
  and Jurafsky, "Understanding Neural Networks through Representation Erasure", arXiv 2016).
- embeddings, for models that ignore histories: the cosine between the embeddings of a liked item and of the recommended
  item.

The same few items of a history are often the strongest support of most items in a list of recommendations. A second
item is therefore named if it is at least half as strong as the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recsys.data.query import History, Query, row_pointers
from recsys.models.capabilities import ExplainsByRemoval, HasEmbeddings
from recsys.models.scoring import Scorer

ORDER, HISTORY, EMBEDDINGS = "order", "history", "embeddings"
SENTENCES = {ORDER: "right after {}", HISTORY: "because you liked {}", EMBEDDINGS: "similar to {}, which you liked"}
SHARE_OF_ORDER = 0.5  # least share of the loss that must also occur when the item is moved to the oldest position
SHARE_OF_SECOND = 0.5  # least strength of the second item, as a share of the strength of the first
MAX_LIKED = 50  # largest number of liked items that are considered, since some users have rated thousands


@dataclass(frozen=True)
class Support:
    """The items of a history that support a recommendation.

    Attributes:
        kind: kind of support: `order`, `history` or `embeddings`, as `recsys.models.support` defines them.
        items: codes of one or two items of the history, the strongest first; always one if the kind is `order`.
        strength: by how much the score of the recommended item falls without the first of `items`, in units of the
            model's scores. If the kind is `embeddings`, the cosine between the embeddings of the recommended item and
            of the first of `items`. Always positive.
    """

    kind: str
    items: tuple[int, ...]
    strength: float

    def sentence(self, names: np.ndarray) -> str:
        """Return the support as a phrase, such as "because you liked Heat (1995)".

        Args:
            names: object (n_items,) names of all items, as `recsys.data.item_names.item_names` returns them.
        """
        return SENTENCES[self.kind].format(" and ".join(names[[*self.items]]))


def kind_of_support(model: Scorer, user: int) -> str | None:
    """Return the kind of support of a model's recommendations to a user, or None if there is no support.

    The kind is `history` or `embeddings`. A model that reads the order of histories can also support some
    recommendations by `order`.

    Args:
        model: fitted model.
        user: code of the user; -1 for an unknown user.
    """
    if model.uses_history or (user < 0 and model.scores_new_users):
        return HISTORY
    return EMBEDDINGS if isinstance(model, HasEmbeddings) else None


def supports(
    model: Scorer, user: int, history: History, items: np.ndarray, min_rating: float = 0.0
) -> list[Support | None]:
    """Find the items of a history that support each recommendation.

    Args:
        model: fitted model.
        user: code of the user; -1 for an unknown user.
        history: the user's history, a single row, from which the items were recommended.
        items: int64 (m,) codes of the recommended items.
        min_rating: lowest rating with which an item counts as liked; see `most_liked`.

    Returns:
        The support of each of the m items, in the order of `items`; None for an item that no item of the history
        supports.
    """
    found = _by_order(model, user, history, items)
    others = np.array([column for column, support in enumerate(found) if support is None], np.int64)
    positions = most_liked(history, min_rating=min_rating)
    kind = kind_of_support(model, user)
    if kind is None or not (len(positions) and len(others)):
        return found
    liked, rest = history.items[positions], items[others]
    if isinstance(model, HasEmbeddings) and kind == EMBEDDINGS:
        strengths = cosines(model, liked)[:, rest]
    else:
        strengths = removal_losses(model, user, history, positions, rest)
    for column, of_liked in zip(others, strengths.T, strict=True):
        found[column] = strongest(kind, liked, of_liked)
    return found


def strongest(kind: str, items: np.ndarray, strengths: np.ndarray) -> Support | None:
    """Return a recommendation's support, its one or two strongest items, or None if no strength is above zero.

    Args:
        kind: kind of support.
        items: int (m,) items of the history, at least one.
        strengths: float (m,) strength of each of these items.
    """
    first, *second = np.argsort(-strengths, kind="stable")[:2]
    if strengths[first] <= 0:
        return None
    chosen = [first, *(other for other in second if strengths[other] >= SHARE_OF_SECOND * strengths[first])]
    return Support(kind, tuple(int(items[place]) for place in chosen), float(strengths[first]))


def _by_order(model: Scorer, user: int, history: History, items: np.ndarray) -> list[Support | None]:
    """Find the items of a history that support recommendations by `order`, whatever the ratings of these items.

    Only the latest `MAX_LIKED` items are considered. For the arguments and the result, see `supports`.
    """
    if not model.reads_order or not len(history.items):
        return [None] * len(items)
    latest = np.arange(len(history.items))[::-1][:MAX_LIKED]
    strengths = removal_losses(model, user, history, latest, items)
    best, columns = strengths.argmax(axis=0), np.arange(len(items))
    strengths = strengths[best, columns]
    distinct, rows = np.unique(best, return_inverse=True)
    lost = losses_of_place(model, user, history, latest[distinct])[rows, items]
    ordered = (strengths > 0) & (lost >= SHARE_OF_ORDER * strengths)
    return [
        Support(ORDER, (int(history.items[latest[row]]),), float(strength)) if by_order else None
        for row, strength, by_order in zip(best, strengths, ordered, strict=True)
    ]


def most_liked(history: History, row: int = 0, k: int = MAX_LIKED, min_rating: float = 0.0) -> np.ndarray:
    """Return the positions of the items that one user liked most.

    A user likes an item whose rating is at least the user's mean rating and at least `min_rating`.

    Args:
        history: histories of one or more users.
        row: row of the user in `history`.
        k: largest number of items.
        min_rating: lowest rating with which an item counts as liked.

    Returns:
        int64 (m,) positions in the arrays of `history`, with m at most k. They are ordered by rating, the highest
        first; equal ratings are ordered by time, the latest first.
    """
    positions = np.arange(history.indptr[row], history.indptr[row + 1])[::-1]
    ratings = history.ratings[positions]
    best_first = np.argsort(-ratings, kind="stable")
    n_liked = int((ratings >= max(min_rating, ratings.mean())).sum()) if len(ratings) else 0
    return positions[best_first][: min(k, n_liked)]


def removal_losses(model: Scorer, user: int, history: History, positions: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Compute by how much the scores of some items fall when an item is removed from a user's history.

    Models with the capability `ExplainsByRemoval` that do not read order compute these losses themselves. For other
    models, m altered histories, each without one of the items, are scored in one batch. In an altered history, the
    items before the removed item are one place nearer to the end, with unchanged times.

    Args:
        model: fitted model that uses histories.
        user: code of the user; -1 for an unknown user.
        history: the user's history, a single row.
        positions: int64 (m,) positions in the history of the items to remove, one at a time.
        items: int64 (n,) codes of the items whose scores are compared.

    Returns:
        float32 (m, n) losses, a row for each removed item.
    """
    if isinstance(model, ExplainsByRemoval) and not model.reads_order:
        return model.removal_losses(history, positions, items)
    everything = np.arange(len(history.items))
    return _losses(model, user, history, [np.delete(everything, position) for position in positions])[:, items]


def losses_of_place(model: Scorer, user: int, history: History, positions: np.ndarray) -> np.ndarray:
    """Compute by how much the score of every item falls when an item of a history is moved to the oldest position.

    Args:
        model: fitted model that uses histories.
        user: code of the user; -1 for an unknown user.
        history: the user's history, a single row.
        positions: int64 (m,) positions in the history of the items to move, one at a time.

    Returns:
        float32 (m, n_items) losses, a row for each moved item.
    """
    everything = np.arange(len(history.items))
    return _losses(
        model, user, history, [np.append(position, np.delete(everything, position)) for position in positions]
    )


def _losses(model: Scorer, user: int, history: History, altered: Sequence[np.ndarray]) -> np.ndarray:
    """Compute by how much the score of every item falls when a user's history is altered.

    Args:
        model: fitted model that uses histories.
        user: code of the user; -1 for an unknown user.
        history: the user's history, a single row.
        altered: m altered histories. Each is given by its items in their new order, as positions in `history`. The
            times of these items are sorted, so that each altered history is in time order.

    Returns:
        float32 (m, n_items) losses, a row for each altered history.
    """
    rows = [np.arange(len(history.items)), *altered]
    chosen = np.concatenate(rows)
    times = None if history.times is None else history.times[np.concatenate([np.sort(row) for row in rows])]
    plays = None if history.plays is None else history.plays[chosen]
    indptr = row_pointers([len(row) for row in rows])
    histories = History(indptr, history.items[chosen], history.ratings[chosen], times, plays)
    scores = model.score_without_fallback(Query(np.full(len(rows), user), histories))
    return scores[0] - scores[1:]


def cosines(model: HasEmbeddings, items: np.ndarray) -> np.ndarray:
    """Compute the cosines between the embeddings of some items, int64 (B,), and those of all items.

    Returns:
        float (B, n_items); the cosine with an embedding of zeros is 0.
    """
    embeddings = model.item_embeddings()  # (n_items, d)
    norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
    directions = embeddings / np.where(norms > 0, norms, 1)
    return directions[items] @ directions.T
