"""What models compute from their learned arrays is kept until they are fitted again or restored, and is not saved."""

import pickle

import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.models.base import Recommender
from recsys.models.ials import IALS
from recsys.models.knn import SearchedRows, UserKNN
from recsys.models.rating_knn import ComparedRows, RatingUserKNN

MODELS = {"UserKNN": UserKNN, "RatingUserKNN": RatingUserKNN, "IALS": IALS}
OTHER = Dataset.from_arrays(np.arange(40) % 20, np.arange(40) * 7 % 40, np.arange(40) % 5 + 1.0, n_items=40)


@pytest.fixture(params=MODELS)
def model(request, timed: Dataset) -> Recommender:
    """A model that has been fitted and has scored, so that it holds cached values."""
    model = MODELS[request.param]().fit(timed)
    model.score(timed.query(np.arange(3)))
    return model


def test_a_model_that_is_fitted_again_scores_as_a_new_one(model: Recommender):
    expected = type(model)().fit(OTHER).score(OTHER.query(np.arange(20)))
    np.testing.assert_array_equal(model.fit(OTHER).score(OTHER.query(np.arange(20))), expected)


def test_a_model_whose_arrays_are_replaced_scores_by_the_new_ones(model: Recommender):
    other = type(model)().fit(OTHER)
    model.restore(other.arrays())
    query = OTHER.query(np.arange(20))
    np.testing.assert_array_equal(model.score(query), other.score(query))


def test_a_pickled_model_has_no_cached_values_and_scores_equally(model: Recommender, timed: Dataset):
    copied = pickle.loads(pickle.dumps(model))
    assert vars(model).keys() - vars(copied).keys() <= {"_others", "_item_counts", "_item_columns"}
    assert len(vars(copied)) < len(vars(model))
    query = timed.query(np.arange(3))
    np.testing.assert_array_equal(copied.score(query), model.score(query))


@pytest.mark.parametrize(("cls", "prepared"), [(UserKNN, SearchedRows), (RatingUserKNN, ComparedRows)])
def test_training_users_are_prepared_once_for_all_queries(cls, prepared, timed: Dataset, monkeypatch):
    calls, of = [], prepared.of
    monkeypatch.setattr(prepared, "of", lambda rows: calls.append(rows) or of(rows))
    model = cls().fit(timed)
    for user in range(3):
        model.score(timed.query(np.array([user])))
    assert len(calls) == 1
