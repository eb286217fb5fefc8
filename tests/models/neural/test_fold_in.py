import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.data.query import History, Pairs, Query
from recsys.models.base import load
from recsys.models.mf import MF
from recsys.models.ncf import GMF, MLP, NeuMF
from recsys.models.neural.fold_in import FoldsIn
from recsys.models.popularity_context import next_popularity

TRAINING = {"max_epochs": 12, "lr": 0.05, "batch_size": 64}
MODELS = {
    "mf": MF(embedding_dim=4, **TRAINING),
    "gmf": GMF(embedding_dim=4, **TRAINING),
    "mlp": MLP(hidden_dims=[16, 8], **TRAINING | {"max_epochs": 20}),
    "ncf": NeuMF(embedding_dim=4, hidden_dims=[8, 4], **TRAINING),
}
SHORT = TRAINING | {"max_epochs": 2}
N_USERS, N_ITEMS = 40, 16


@pytest.fixture(scope="module")
def train() -> Dataset:
    """Even users rated even items and odd users odd items; the last two users have no ratings."""
    rng = np.random.default_rng(0)
    pairs = [(user, item) for user in range(N_USERS) for item in range(user % 2, N_ITEMS, 2) if rng.random() < 0.7]
    users, items = np.array(pairs).T
    times = np.arange(len(users))
    return Dataset.from_arrays(users, items, times=times, n_users=N_USERS + 2, n_items=N_ITEMS, fingerprint="parity")


@pytest.fixture(scope="module", params=MODELS.values(), ids=MODELS.keys())
def model(request: pytest.FixtureRequest, train: Dataset) -> FoldsIn:
    return request.param.fit(train)


def of(users: list[int], *rows: list[int]) -> Query:
    return Query(np.array(users), History.of_items(rows))


def test_new_users_get_the_items_of_users_like_them(model: FoldsIn):
    scores = model.score(of([-1, -1, N_USERS], [0, 2, 4], [1, 3, 5], [7, 9]))
    even, odd = scores[:, ::2].mean(axis=1), scores[:, 1::2].mean(axis=1)
    assert (even > odd).tolist() == [True, False, False]


def test_users_with_training_interactions_have_their_own_scores_whatever_their_history(model: FoldsIn):
    np.testing.assert_array_equal(model.score(of([3, 3], [0, 2], [1])), model.score(of([3, 3], [], [5, 7])))


def test_users_in_one_query_do_not_change_each_other(model: FoldsIn):
    together = model.score(of([-1, 3, -1, -1], [0, 2], [1], [], [1, 5]))
    apart = np.concatenate(
        [model.score(of([user], row)) for user, row in ((-1, [0, 2]), (3, [1]), (-1, []), (-1, [1, 5]))]
    )
    np.testing.assert_allclose(together, apart, rtol=1e-4, atol=1e-5)


def test_pairs_of_new_users_are_predicted_as_their_rows_are_scored(model: FoldsIn):
    query = of([-1, 3], [0, 2], [1])
    predicted = model.predict(Pairs(query, np.array([0, 1, 0]), np.array([4, 5, 6])))
    np.testing.assert_allclose(predicted, model.score(query)[[0, 1, 0], [4, 5, 6]], rtol=1e-4, atol=1e-5)


def test_a_loaded_model_folds_in_as_the_saved_one(model: FoldsIn, tmp_path):
    model.save(tmp_path)
    np.testing.assert_array_equal(load(tmp_path).score(of([-1], [0, 2])), model.score(of([-1], [0, 2])))


def test_the_prior_of_short_histories_applies_only_to_new_users(train: Dataset):
    model = MF(embedding_dim=4, prior_strength=1e6, **SHORT).fit(train)
    new, known = model.score(of([-1, 3], [0], [0]))
    assert new.argmax() == next_popularity(train, 2)[1].argmax()
    np.testing.assert_allclose(known, MF(embedding_dim=4, **SHORT).fit(train).score(of([3], [0]))[0], rtol=1e-5)


def test_a_model_of_ratings_folds_in_no_users(train: Dataset):
    model = MF(embedding_dim=4, loss="squared", **SHORT).fit(train)
    assert not model.scores_new_users
    np.testing.assert_array_equal(model.score(of([-1], [0, 2])), model.score(of([-1], [])))
