"""The items of a history that support a recommendation most, according to the model that makes it.

There are three kinds of support, of which the first that applies is used:

- order: for models that read the order of a history, the loss of score when an item is removed from the history, if at
  least half of this loss also occurs when the item is moved to the oldest position instead.
- history: the loss of score when a liked item is removed from the history; Li, Monroe and Jurafsky, "Understanding
  Neural Networks through Representation Erasure", arXiv 2016.
- embeddings: for models that ignore histories, the cosine of the embeddings of a liked item and the recommended one.

The same few items of a history are often the strongest support of most of a list, so a second item is named if it is
at least half as strong as the first.
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
SHARE_OF_ORDER = 0.5  # least share of the loss of score that must be due to the item's position
SHARE_OF_SECOND = 0.5  # least strength of the second item, as a share of the strength of the first
MAX_LIKED = 50  # largest number of liked items that are considered, since some users have rated thousands


@dataclass(frozen=True)
class Support:
    """The items of a history that support a recommendation.

    Attributes:
        kind: kind of support, `order`, `history` or `embeddings`; see the module.
        items: codes of one or two items of the history, the strongest first; one for `order`.
        strength: loss of the recommendation's score without the first item, in units of the model's scores, or cosine
            of the first item and the recommended one; always positive.
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
    """Return the kind of support of a model's recommendations to a user: `history`, `embeddings`, or None for no kind.

    A model that reads the order of histories can also support some recommendations by `order`.

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
        history: history of one row, from which the items were recommended.
        items: int64 (m,) recommended items.
        min_rating: lowest rating of a liked item, in rating units; see `most_liked`.

    Returns:
        m supports, in the order of `items`; None where no item of the history supports the recommendation.
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
    """Return the support by the strongest items, one or two; None if no item has a strength above zero.

    Args:
        kind: kind of support.
        items: int (m,) items of the history, at least one.
        strengths: float (m,) strength of each item.
    """
    first, *second = np.argsort(-strengths, kind="stable")[:2]
    if strengths[first] <= 0:
        return None
    chosen = [first, *(other for other in second if strengths[other] >= SHARE_OF_SECOND * strengths[first])]
    return Support(kind, tuple(int(items[place]) for place in chosen), float(strengths[first]))


def _by_order(model: Scorer, user: int, history: History, items: np.ndarray) -> list[Support | None]:
    """Find the items that support recommendations by their position in the history, whatever their rating.

    Only the latest `MAX_LIKED` items are considered. The arguments and the result are those of `supports`.
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
    """Return the positions in a history of the items that one user liked, int64 (m,) with m at most k.

    Liked items are rated at least as high as the user's mean and at least `min_rating`. They are ordered by rating,
    highest first, and then by time, latest first.

    Args:
        history: histories of one or more users.
        row: row of the user.
        k: largest number of items.
        min_rating: lowest rating of a liked item, in rating units.
    """
    positions = np.arange(history.indptr[row], history.indptr[row + 1])[::-1]
    ratings = history.ratings[positions]
    best_first = np.argsort(-ratings, kind="stable")
    n_liked = int((ratings >= max(min_rating, ratings.mean())).sum()) if len(ratings) else 0
    return positions[best_first][: min(k, n_liked)]


def removal_losses(model: Scorer, user: int, history: History, positions: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Compute by how much the scores of some items fall when one item is removed from the history.

    Models that are `ExplainsByRemoval` and do not read order compute these losses themselves. For other models, the
    histories without each item are scored in one batch; the items before a removed one are then one place nearer to the
    end of the history, at unchanged times.

    Args:
        model: fitted model that uses histories.
        user: code of the user; -1 for an unknown user.
        history: history of one row.
        positions: int64 (m,) positions in the history of the items to remove, one at a time.
        items: int64 (n,) items whose scores are compared.

    Returns:
        float32 (m, n).
    """
    if isinstance(model, ExplainsByRemoval) and not model.reads_order:
        return model.removal_losses(history, positions, items)
    everything = np.arange(len(history.items))
    return _losses(model, user, history, [np.delete(everything, position) for position in positions])[:, items]


def losses_of_place(model: Scorer, user: int, history: History, positions: np.ndarray) -> np.ndarray:
    """Compute by how much the score of every item falls when one item becomes the oldest of the history.

    Args:
        model: fitted model that uses histories.
        user: code of the user; -1 for an unknown user.
        history: history of one row.
        positions: int64 (m,) positions in the history of the items to move, one at a time.

    Returns:
        float32 (m, n_items).
    """
    everything = np.arange(len(history.items))
    return _losses(
        model, user, history, [np.append(position, np.delete(everything, position)) for position in positions]
    )


def _losses(model: Scorer, user: int, history: History, altered: Sequence[np.ndarray]) -> np.ndarray:
    """Compute by how much the score of every item falls when a history of one row is altered, float32 (m, n_items).

    Args:
        model: fitted model that uses histories.
        user: code of the user; -1 for an unknown user.
        history: history of one row.
        altered: m altered histories, each given by the positions of its items in `history`, in their new order. The
            times of these items are sorted, so that each altered history is in time order.
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
    """Compute the cosines between the embeddings of some items, int64 (B,), and of all items.

    Returns:
        float (B, n_items), 0 where an embedding is zero.
    """
    embeddings = model.item_embeddings()  # (n_items, d)
    norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
    directions = embeddings / np.where(norms > 0, norms, 1)
    return directions[items] @ directions.T
