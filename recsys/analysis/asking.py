"""Strategies that choose the first films to ask a new user about, and a simulation that compares them.

A strategy asks one question after another, "have you seen this film, and how do you rate it?", and "not seen" is an
answer too. In the simulation, a random half of each user's ratings answers the questions, and the lists that a model
recommends given the answers are evaluated on the other half. Such strategies are compared by Rashid et al., "Getting to
Know You: Learning New User Preferences in Recommender Systems", IUI 2002; trees of questions are those of Golbandi,
Koren and Lempel, "Adaptive Bootstrapping of Recommender Systems Using Decision Trees", WSDM 2011.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recsys.data.dataset import Dataset
from recsys.data.query import History, Query, row_pointers
from recsys.metrics.accuracy import accuracy_metrics, ranks_in_lists
from recsys.metrics.ranking import mask_seen, top_k
from recsys.models.base import Recommender

K = 10  # length of the lists that are measured
N_CANDIDATES = 100  # number of most rated films, among which strategies choose
N_PANEL = 100  # size of the panel for the first questions of a page, which are chosen in seconds
MAX_ITEMS = 10_000  # largest catalogue for which a panel chooses these questions; a larger one would take minutes
MIN_USERS = 30  # least number of users in a branch of a tree
BATCH_SIZE = 1024  # number of users whose lists are measured at a time


@dataclass(frozen=True, eq=False)
class Panel:
    """Users who answer questions.

    Attributes:
        users: int64 (B,) user codes.
        answers: float32 (B, n_items) ratings, NaN where a user has not seen the film.
        relevant: the held-out ratings, B rows.
        times: int64 (B,) Unix times in seconds at which the users answer, or None.
    """

    users: np.ndarray
    answers: np.ndarray
    relevant: History
    times: np.ndarray | None

    @classmethod
    def draw(cls, ratings: Dataset, seed: int = 0) -> Panel:
        """Draw a random half of each user's ratings, rounded down, as answers, and hold out the others.

        The users answer at the times of their first ratings.

        Args:
            ratings: all ratings of the users; users with one rating are left out.
            seed: seed of the draw.
        """
        shuffled = np.lexsort([np.random.default_rng(seed).random(len(ratings)), ratings.users])
        places = np.empty(len(ratings), np.int64)
        places[shuffled] = np.arange(len(ratings)) - np.repeat(ratings.indptr[:-1], ratings.user_counts)
        answers = places < np.repeat(ratings.user_counts // 2, ratings.user_counts)
        users = np.flatnonzero(ratings.user_counts >= 2)
        given = ratings.select(answers).history(users)
        matrix = np.full((len(users), ratings.n_items), np.nan, np.float32)
        matrix[given.rows, given.items] = given.ratings
        times = None if ratings.times is None else ratings.times[ratings.indptr[users]]
        return cls(users, matrix, ratings.select(~answers).history(users), times)

    def select(self, rows: np.ndarray) -> Panel:
        """Return a panel of some of the users, given by their positions."""
        times = None if self.times is None else self.times[rows]
        return Panel(self.users[rows], self.answers[rows], self.relevant.select(rows), times)

    def answered(self, items: np.ndarray) -> tuple[np.ndarray, Query]:
        """Return the answers to t questions about items, int64 (B, t), a row for each user.

        Returns:
            bool (B, t), True where the user has seen the item; and a query whose histories are the ratings of these
            items, in the order of the questions.
        """
        ratings = np.take_along_axis(self.answers, items, axis=1)
        seen = ~np.isnan(ratings)
        history = History(row_pointers(seen.sum(axis=1)), items[seen].astype(np.int32), ratings[seen])
        return seen, Query(self.users, history, self.times)


@dataclass(frozen=True)
class Questions:
    """A strategy, which chooses the film of the next question given the answers so far.

    Attributes:
        orders: first answers of a user (True is "seen") -> the films of the questions after these answers, in order.
            For a user, the longest key with which the user's answers begin applies; the key () applies from the start.
    """

    orders: Mapping[tuple[bool, ...], Sequence[int]]

    @classmethod
    def in_order(cls, items: Sequence[int]) -> Questions:
        """Return the strategy that asks about films in a fixed order, regardless of the answers."""
        return cls({(): items})

    def next(self, seen: np.ndarray) -> np.ndarray:
        """Return the film of the next question to each user, int64 (B,), given the answers so far, bool (B, t).

        Raises:
            IndexError: the order that applies to a user has no further film.
        """
        return np.array([self._after(tuple(answers)) for answers in seen.tolist()], np.int64)

    def _after(self, answers: tuple[bool, ...]) -> int:
        n = next(n for n in range(len(answers), -1, -1) if answers[:n] in self.orders)
        return self.orders[answers[:n]][len(answers) - n]


def list_quality(model: Recommender, query: Query, relevant: History) -> np.ndarray:
    """Return the NDCG@10 of the list for each user of a query, float64 (B,).

    Args:
        model: fitted model.
        query: B users; films in their histories are not recommended.
        relevant: the held-out ratings, B rows; every film in them is relevant.
    """
    values = [np.empty(0)]
    for start in range(0, len(query), BATCH_SIZE):
        part, held_out = query.between(start, start + BATCH_SIZE), relevant.between(start, start + BATCH_SIZE)
        top = top_k(mask_seen(model.score(part), part.history), part.users, K)
        values.append(accuracy_metrics(ranks_in_lists(top, held_out), held_out, (K,))[f"ndcg@{K}"])
    return np.concatenate(values)


def simulate(model: Recommender, panel: Panel, questions: Questions, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Ask the users of a panel n questions.

    Returns:
        The NDCG@10 of each user's list after 0 to n questions, float64 (n + 1, B), and the number of films in these
        questions that each user has seen, int64 (n + 1, B).
    """
    items = np.empty((len(panel.users), 0), np.int64)
    quality, n_seen = [], []
    for step in range(n + 1):
        seen, query = panel.answered(items)
        quality.append(list_quality(model, query, panel.relevant))
        n_seen.append(seen.sum(axis=1))
        if step < n:
            items = np.column_stack([items, questions.next(seen)])
    return np.stack(quality), np.stack(n_seen)


def first_questions(model: Recommender, dataset: Dataset, n: int) -> list[int]:
    """Choose the films of the first n questions to new viewers of a page, and return their codes in order.

    They are chosen among the most rated films with a title, or among all films if none has a title: by expected gain
    for users of the data, or by popularity if that would take too long or the model does not score new users.
    """
    has_title = dataset.item_frame["title"].notna().to_numpy()
    candidates = [item for item in by_popularity(dataset, N_CANDIDATES) if has_title[item] or not has_title.any()]
    if model.uses_lightning or not model.scores_new_users or dataset.n_items > MAX_ITEMS:
        return candidates[:n]
    return by_expected_gain(model, panel_of_trained(dataset, N_PANEL), candidates, n)


def panel_of_trained(train: Dataset, n: int, seed: int = 0) -> Panel:
    """Return a panel of at most n users of the training data, drawn from those with at least the median of ratings."""
    active = np.flatnonzero(train.user_counts >= np.median(train.user_counts[train.user_counts > 0]))
    drawn = np.random.default_rng(seed).permutation(active)[:n]
    return Panel.draw(train.select(np.isin(train.users, drawn)), seed)


def by_popularity(train: Dataset, n: int) -> list[int]:
    """Return the n films with the most ratings; fewer if fewer have ratings."""
    return _largest(train.item_counts, n)


def by_popularity_and_entropy(train: Dataset, n: int) -> list[int]:
    """Return the n films with the largest product of log popularity and entropy of their ratings (Rashid et al.).

    Films for which it is 0, since their ratings are all equal, are left out.
    """
    values, codes = np.unique(train.ratings, return_inverse=True)
    cells = train.items.astype(np.int64) * len(values) + codes
    counts = np.bincount(cells, minlength=train.n_items * len(values)).reshape(train.n_items, len(values))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=1)
    return _largest(np.log1p(train.item_counts) * entropy, n)


def by_unlikeness(train: Dataset, n: int) -> list[int]:
    """Choose n of the `N_CANDIDATES` most rated films so that they appeal to different users.

    The first film is the one with the most ratings. Each further one is the candidate whose mean-centred ratings have
    the smallest maximum similarity to those of the films chosen before (Gonzalez, "Clustering to Minimize the Maximum
    Intercluster Distance", Theoretical Computer Science 1985).
    """
    candidates = by_popularity(train, N_CANDIDATES)
    deviations = train.histories().matrix(train.n_items, train.ratings).tocsc()[:, candidates].astype(np.float64)
    if np.ptp(deviations.data):
        n_ratings = np.diff(deviations.indptr)
        means = np.asarray(deviations.sum(axis=0)).ravel() / n_ratings
        deviations.data -= np.repeat(means, n_ratings)
    products = (deviations.T @ deviations).toarray()
    lengths = np.sqrt(np.diag(products))
    cosines = products / np.maximum(np.outer(lengths, lengths), 1e-12)
    chosen = [0]
    while len(chosen) < min(n, len(candidates)):
        nearest = cosines[:, chosen].max(axis=1)
        nearest[chosen] = np.inf
        chosen.append(int(nearest.argmin()))
    return [candidates[place] for place in chosen]


def by_expected_gain(
    model: Recommender, panel: Panel, candidates: Sequence[int], n: int, earlier: Sequence[int] = ()
) -> list[int]:
    """Choose n films one by one, each of which improves the lists of a panel's users the most, on average.

    Args:
        model: model that makes the lists.
        panel: users whose answers determine the choice.
        candidates: films that can be in a question.
        n: number of films.
        earlier: films of earlier questions.

    Returns:
        The codes of the films, in the order of the choice; fewer if there are fewer candidates.
    """
    chosen = list(earlier)
    while len(chosen) < len(earlier) + min(n, len(candidates)):
        chosen.append(_best(model, panel, chosen, [item for item in candidates if item not in chosen]))
    return chosen[len(earlier) :]


def tree_of_questions(model: Recommender, panel: Panel, candidates: Sequence[int], n: int, depth: int = 3) -> Questions:
    """Choose films as `by_expected_gain` does, separately for users who gave different answers: a tree of questions.

    Args:
        model: model that makes the lists.
        panel: users whose answers determine the choice.
        candidates: films that can be in a question.
        n: number of questions to each user.
        depth: number of first answers on which the order depends; fewer in branches with fewer than `MIN_USERS` users.
    """
    orders: dict[tuple[bool, ...], Sequence[int]] = {}

    def grow(panel: Panel, answers: tuple[bool, ...], earlier: list[int]) -> None:
        order = orders[answers] = by_expected_gain(model, panel, candidates, n - len(earlier), earlier)
        if len(answers) == depth or not order:
            return
        seen = ~np.isnan(panel.answers[:, order[0]])
        for answer in (True, False):
            branch = np.flatnonzero(seen == answer)
            if len(branch) >= MIN_USERS:
                grow(panel.select(branch), (*answers, answer), [*earlier, order[0]])

    grow(panel, (), [])
    return Questions(orders)


def _best(model: Recommender, panel: Panel, earlier: Sequence[int], candidates: Sequence[int]) -> int:
    """Return the film whose answers, after those to earlier questions, add the most to the NDCG@10 of a panel."""
    before = np.tile(np.array(earlier, np.int64), (len(panel.users), 1))
    quality = list_quality(model, panel.answered(before)[1], panel.relevant)
    rows, columns = np.nonzero(~np.isnan(panel.answers[:, candidates]))  # "not seen" changes no list
    further = np.column_stack([before[rows], np.array(candidates)[columns]])
    users = panel.select(rows)
    gains = list_quality(model, users.answered(further)[1], users.relevant) - quality[rows]
    return candidates[int(np.bincount(columns, gains, len(candidates)).argmax())]


def _largest(values: np.ndarray, n: int) -> list[int]:
    """Return the positions of the n largest values above zero, the largest first."""
    order = np.argsort(-values, kind="stable")[:n]
    return order[values[order] > 0].tolist()
