import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.data.query import History, Pairs, Query
from recsys.models.candidate_features import CandidateFeatures

DAY = 86_400


@pytest.fixture(scope="module")
def train() -> Dataset:
    """Two users and four items; nobody has rated the last item, and the year of the third is unknown."""
    days = np.array([100, 104, 110, 101, 110])
    train = Dataset.from_arrays([0, 0, 0, 1, 1], [0, 1, 2, 0, 1], times=days * DAY, n_items=4)
    train.item_frame["year"] = [1980, 1990, np.nan, 1990]
    train.item_frame["genres"] = [["Drama"], ["Drama", "Comedy"], [], ["Comedy"]]
    return train


@pytest.fixture(scope="module")
def fitted(train: Dataset) -> CandidateFeatures:
    return CandidateFeatures().fit(train)


@pytest.fixture(scope="module")
def columns(fitted: CandidateFeatures, train: Dataset) -> dict[str, dict[str, np.ndarray]]:
    """The second user with items 2 and 3, and the first user with item 3."""
    return fitted.transform(Pairs(train.query(np.array([1, 0])), np.array([0, 0, 1]), np.array([2, 3, 3])))


def test_users_are_described_by_their_histories(columns):
    user = columns["user"]
    np.testing.assert_allclose(user["ratings"], np.log1p([2, 2, 3]), rtol=1e-6)
    np.testing.assert_allclose(user["mean popularity"][:2], np.log(3), rtol=1e-6)  # both items have two ratings
    np.testing.assert_allclose(user["mean year"][0], 1985, rtol=1e-6)
    assert user["recent year"][0] > 1985  # the later one of the two items is the newer one
    np.testing.assert_allclose(user["share of genres=Drama"][[0, 2]], [1, 2 / 3], rtol=1e-6)


def test_items_are_described_as_they_are_at_the_moment(fitted: CandidateFeatures):
    moments = History(np.array([0, 1, 2]), np.array([3, 3]), np.ones(2, np.float32), np.array([105, 110]) * DAY)
    pairs = Pairs(Query.of_histories(moments), np.array([0, 1, 1]), np.array([1, 1, 0]))
    item = fitted.transform(pairs)["item"]
    np.testing.assert_allclose(item["popularity"], np.log([3, 3, 3]), rtol=1e-6)
    np.testing.assert_allclose(item["ratings in 7 days"], np.log1p([1, 2, 0]))  # of days 104 and 110; 100 and 101
    np.testing.assert_allclose(item["ratings in 30 days"], np.log1p([1, 2, 2]))
    np.testing.assert_allclose(item["days since its first rating"], [1, 6, 10])


def test_the_moment_is_that_of_the_latest_rating(columns):
    moment = columns["moment"]
    np.testing.assert_allclose(moment["day"], 110)
    np.testing.assert_allclose(moment["days since the previous rating"], [9, 9, 6])
    np.testing.assert_allclose(moment["days since the first rating"], [9, 9, 10])
    np.testing.assert_allclose(moment["ratings on the day"], np.log1p(1))


def test_affinity_is_what_user_and_item_have_in_common(columns):
    affinity = columns["affinity"]
    np.testing.assert_allclose(affinity["genres"], [0, 1 / 2, 1 / 3], rtol=1e-6)
    np.testing.assert_allclose(affinity["distance in popularity"][1], -np.log(3), rtol=1e-6)
    assert affinity["co-occurrence"][0] > 0  # the first user has rated item 2 with both items of the second user
    np.testing.assert_array_equal(affinity["co-occurrence"][1:], 0)


def test_histories_without_times_or_without_items_have_finite_features(fitted: CandidateFeatures):
    query = Query.of_histories(History.of_items([[0, 1], [], [2]]))
    rows, items = np.divmod(np.arange(12), 4)
    for group in fitted.transform(Pairs(query, rows, items)).values():
        assert all(np.isfinite(values).all() for values in group.values())


def test_restored_features_are_the_same(fitted: CandidateFeatures, columns, train: Dataset):
    restored = CandidateFeatures().restore(fitted.arrays())
    again = restored.transform(Pairs(train.query(np.array([1, 0])), np.array([0, 0, 1]), np.array([2, 3, 3])))
    for name, group in columns.items():
        for column, values in group.items():
            np.testing.assert_array_equal(again[name][column], values)
