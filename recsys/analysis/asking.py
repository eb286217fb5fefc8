"""Strategies that choose the first films to ask a new user about, and a simulation that compares them.

A strategy asks one question after another: "Have you seen this film, and how do you rate it?" "Not seen" is an answer
too. The simulation uses a random half of each user's ratings as the answers. From these, a model recommends a list,
which is evaluated on the other half. Rashid et al. compare such strategies in "Getting to Know You: Learning New User
Preferences in Recommender Systems", IUI 2002. Trees of questions are due to Golbandi, Koren and Lempel, "Adaptive
Bootstrapping of Recommender Systems Using Decision Trees", WSDM 2011.
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
    """Users whose known ratings simulate answers to questions about films.

    Attributes:
        users: int64 (B,) user codes.
        answers: float32 (B, n_items) answer of each user about each film: the rating, or NaN for "not seen".
        relevant: the users' held-out ratings, B rows, on which recommendations are evaluated.
        times: int64 (B,) Unix times in seconds at which the users answer, or None if the ratings have no times.
    """

    users: np.ndarray
    answers: np.ndarray
    relevant: History
    times: np.ndarray | None

    @classmethod
    def draw(cls, ratings: Dataset, seed: int = 0) -> Panel:
        """Draw a random half of each user's ratings, rounded down, as the answers, and hold out the other ratings.

        Each user answers at the time of the user's first rating.

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
        """Return a panel of only some of the users, given by their positions in this panel, int64 (m,)."""
        times = None if self.times is None else self.times[rows]
        return Panel(self.users[rows], self.answers[rows], self.relevant.select(rows), times)

    def answered(self, items: np.ndarray) -> tuple[np.ndarray, Query]:
        """Return each user's answers to t questions.

        Args:
            items: int64 (B, t) codes of the films in the t questions to each user, in the order of the questions.

        Returns:
            bool (B, t), True where the user has seen the film; and a query whose histories are the users' ratings of
            the films that they have seen, in the order of the questions.
        """
        ratings = np.take_along_axis(self.answers, items, axis=1)
        seen = ~np.isnan(ratings)
        history = History(row_pointers(seen.sum(axis=1)), items[seen].astype(np.int32), ratings[seen])
        return seen, Query(self.users, history, self.times)


@dataclass(frozen=True)
class Questions:
    """A strategy that chooses the film of the next question, given a user's answers so far.

    Attributes:
        orders: lists of films to ask about, keyed by the answers to the first questions (True is "seen"). After the
            answers of a key, the next questions are about the films in its list, in order. If a user's answers begin
            with several keys, the longest of these applies. The key () applies from the first question.
    """

    orders: Mapping[tuple[bool, ...], Sequence[int]]

    @classmethod
    def in_order(cls, items: Sequence[int]) -> Questions:
        """Return the strategy that asks about films in a fixed order, regardless of the answers."""
        return cls({(): items})

    def next(self, seen: np.ndarray) -> np.ndarray:
        """Return the film that the next question to each user is about, int64 (B,).

        Args:
            seen: bool (B, t) answers of the users so far, True for "seen".

        Raises:
            IndexError: the list of films that applies to a user has no further film.
        """
        return np.array([self._after(tuple(answers)) for answers in seen.tolist()], np.int64)

    def _after(self, answers: tuple[bool, ...]) -> int:
        n = next(n for n in range(len(answers), -1, -1) if answers[:n] in self.orders)
        return self.orders[answers[:n]][len(answers) - n]


def list_quality(model: Recommender, query: Query, relevant: History) -> np.ndarray:
    """Return the NDCG@10 of the list that a model recommends to each user of a query, float64 (B,).

    Args:
        model: fitted model.
        query: B users with their histories; films in the histories are not recommended.
        relevant: the users' held-out ratings, B rows; all held-out films count as relevant, whatever their rating.
    """
    values = [np.empty(0)]
    for start in range(0, len(query), BATCH_SIZE):
        part, held_out = query.between(start, start + BATCH_SIZE), relevant.between(start, start + BATCH_SIZE)
        top = top_k(mask_seen(model.score(part), part.history), part.users, K)
        values.append(accuracy_metrics(ranks_in_lists(top, held_out), held_out, (K,))[f"ndcg@{K}"])
    return np.concatenate(values)


def simulate(model: Recommender, panel: Panel, questions: Questions, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Simulate n questions to each user of a panel, and evaluate the lists that a model recommends after each.

    Returns:
        The NDCG@10 of each user's list after 0, 1, ..., n questions, float64 (n + 1, B); and how many of the films in
        these questions each user has seen, int64 (n + 1, B).
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
    """Choose the n films that the web page asks a new viewer about first, and return their codes in order.

    The films are chosen among the most rated films that have a title or, if no film has a title, among the most rated
    films. An answer about each should improve the recommendations for the users of the data set as much as possible on
    average (see `by_expected_gain`). If that would take too long to compute, or the model does not score new users, the
    films are chosen by popularity.
    """
    has_title = dataset.item_frame["title"].notna().to_numpy()
    candidates = [item for item in by_popularity(dataset, N_CANDIDATES) if has_title[item] or not has_title.any()]
    if model.uses_lightning or not model.scores_new_users or dataset.n_items > MAX_ITEMS:
        return candidates[:n]
    return by_expected_gain(model, panel_of_trained(dataset, N_PANEL), candidates, n)


def panel_of_trained(train: Dataset, n: int, seed: int = 0) -> Panel:
    """Return a panel of at most n random users of the training data who have at least the median number of ratings."""
    active = np.flatnonzero(train.user_counts >= np.median(train.user_counts[train.user_counts > 0]))
    drawn = np.random.default_rng(seed).permutation(active)[:n]
    return Panel.draw(train.select(np.isin(train.users, drawn)), seed)


def by_popularity(train: Dataset, n: int) -> list[int]:
    """Return the codes of the n most rated films, the most rated first; films without ratings are left out."""
    return _largest(train.item_counts, n)


def by_popularity_and_entropy(train: Dataset, n: int) -> list[int]:
    """Return the n films with the largest product of log popularity and entropy of their ratings (Rashid et al.).

    Films whose ratings are all equal are left out, since the product is 0 for them.
    """
    values, codes = np.unique(train.ratings, return_inverse=True)
    cells = train.items.astype(np.int64) * len(values) + codes
    counts = np.bincount(cells, minlength=train.n_items * len(values)).reshape(train.n_items, len(values))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=1)
    return _largest(np.log1p(train.item_counts) * entropy, n)


def by_unlikeness(train: Dataset, n: int) -> list[int]:
    """Choose n of the `N_CANDIDATES` most rated films so that they appeal to different users.

    The first film is the one with the most ratings. Each further film is the candidate whose largest similarity to the
    films chosen before is smallest (Gonzalez, "Clustering to Minimize the Maximum Intercluster Distance", Theoretical
    Computer Science 1985). The similarity of two films is the cosine of their mean-centred ratings.
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
    """Choose n films one by one, each time the film whose answers most improve the lists of a panel's users on average.

    Args:
        model: model that recommends the lists.
        panel: users whose answers determine the choice.
        candidates: codes of the films that can be chosen.
        n: number of films to choose.
        earlier: codes of the films of earlier questions.

    Returns:
        The codes of the chosen films, in the order of the choice; fewer than n if there are fewer candidates.
    """
    chosen = list(earlier)
    while len(chosen) < len(earlier) + min(n, len(candidates)):
        chosen.append(_best(model, panel, chosen, [item for item in candidates if item not in chosen]))
    return chosen[len(earlier) :]


def tree_of_questions(model: Recommender, panel: Panel, candidates: Sequence[int], n: int, depth: int = 3) -> Questions:
    """Choose films as `by_expected_gain` does, separately for users who gave different answers: a tree of questions.

    Args:
        model: model that recommends the lists.
        panel: users whose answers determine the choice.
        candidates: codes of the films that can be chosen.
        n: number of questions to each user.
        depth: depth of the tree: number of first answers on which later questions can depend. Users with the same first
            answers get a branch of their own only if there are at least `MIN_USERS` of them in the panel.
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
    """Return the candidate film about which one more question raises the mean NDCG@10 of a panel's users the most."""
    before = np.tile(np.array(earlier, np.int64), (len(panel.users), 1))
    quality = list_quality(model, panel.answered(before)[1], panel.relevant)
    rows, columns = np.nonzero(~np.isnan(panel.answers[:, candidates]))  # "not seen" changes no list
    further = np.column_stack([before[rows], np.array(candidates)[columns]])
    users = panel.select(rows)
    gains = list_quality(model, users.answered(further)[1], users.relevant) - quality[rows]
    return candidates[int(np.bincount(columns, gains, len(candidates)).argmax())]


def _largest(values: np.ndarray, n: int) -> list[int]:
    """Return the positions of the n largest values, the largest first; values that are not positive are left out."""
    order = np.argsort(-values, kind="stable")[:n]
    return order[values[order] > 0].tolist()
