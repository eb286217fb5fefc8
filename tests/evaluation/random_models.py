"""Models with random scores, which tests of evaluation share."""

import numpy as np

from recsys.models.base import HasEmbeddings, Recommender


class RandomScores(Recommender):
    """Scores each pair of user and item with a fixed random number."""

    def __init__(self, n_users: int = 60, n_items: int = 40) -> None:
        self.scores = np.random.default_rng(3).standard_normal((n_users, n_items), dtype=np.float32)

    def _fit(self, train, valid, context):
        """Learn nothing."""

    def _score(self, query):
        return self.scores[query.users]


class RandomRatings(RandomScores):
    predicts_ratings = True
    scale = np.array([1, 5], np.float32)

    def scores_of(self, users):
        return np.clip(3.5 + self.scores[users], 1, 5)

    def _score(self, query):
        return self.scores_of(query.users)


class RandomEmbeddings(RandomScores, HasEmbeddings):
    def user_embeddings(self):
        return np.ones((60, 4), np.float32)

    def item_embeddings(self):
        return np.random.default_rng(4).standard_normal((40, 4), dtype=np.float32)


class UnscorableModel(RandomScores):
    """Fails when it is scored."""

    def _score(self, query):
        raise AssertionError
