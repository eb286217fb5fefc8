"""SASRec on metadata: items that training has not seen, and what is saved."""

import copy

import numpy as np
import pandas as pd
import pytest

from recsys.data.dataset import Dataset
from recsys.data.query import History, Query
from recsys.errors import UserError
from recsys.models.base import load
from recsys.models.content_sasrec import ContentSASRec

SVD = {"_target_": "recsys.data.text.TfidfEncoder", "n_components": 4, "min_count": 1}
SMALL = {
    "encoder": SVD,
    "min_count": 1,
    "embedding_dim": 8,
    "dropout": 0.0,
    "batch_size": 8,
    "lr": 0.04,
    "max_epochs": 8,
}


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """30 users and 12 items; even users rate wars, odd ones romances; the last item of either kind has no rating."""
    rng = np.random.default_rng(0)
    rows = [user % 2 + 2 * rng.permutation(5)[:4] for user in range(30)]
    dataset = Dataset.from_arrays(
        np.repeat(np.arange(30), 4), np.concatenate(rows), times=np.arange(120), n_items=12, fingerprint="kinds"
    )
    plots = [["war alien planet", "love paris rome"][item % 2] + f" place{item}" for item in range(12)]
    dataset.item_frame["plot"] = pd.array(plots, "string")
    dataset.item_frame["genres"] = [["War"], ["Romance", "Drama"]] * 6
    return dataset


@pytest.fixture(scope="module", params=["softmax", "gbce", "sampled_softmax"])
def model(request: pytest.FixtureRequest, dataset: Dataset) -> ContentSASRec:
    return ContentSASRec(**SMALL, loss=request.param, n_negatives=4).fit(dataset)


@pytest.fixture(scope="module")
def text_alone(dataset: Dataset) -> ContentSASRec:
    return ContentSASRec(**SMALL, id_dropout=1.0).fit(dataset)


def test_items_without_ratings_are_scored_by_their_metadata(model: ContentSASRec):
    war, love = model.score(Query.of_histories(History.of_items([[0, 2, 4], [1, 3]])))
    assert war[10] > war[[1, 3, 5, 7, 9]].max()
    assert love[11] > love[[0, 2, 4, 6, 8]].max()


def test_training_leaves_the_ids_of_items_without_ratings_at_zero(model: ContentSASRec):
    ids = model.module.items.weight
    assert (ids[10:] == 0).all()
    assert (ids[:10] != 0).any(dim=1).all()


def test_a_share_of_one_learns_no_ids(text_alone: ContentSASRec):
    assert (text_alone.module.items.weight == 0).all()


def test_a_new_item_takes_its_place_in_sequences_and_is_saved(text_alone: ContentSASRec, tmp_path):
    text_alone = copy.deepcopy(text_alone)
    before = text_alone.score(Query.of_histories(History.of_items([[0, 2]])))
    text_alone.add_items(pd.DataFrame({"plot": ["alien planet war"], "genres": [["War"]]}))
    query = Query.of_histories(History.of_items([[0, 2], [12, 0], [0, 12], []]))
    scores = text_alone.score(query)
    np.testing.assert_allclose(scores[:1, :12], before, rtol=1e-4, atol=1e-5)
    assert scores[0, 12] > scores[0, [1, 3, 5, 7, 9, 11]].max()
    assert scores[1, [0, 2, 4, 6, 8, 10]].min() > scores[1, [1, 3, 5, 7, 9, 11]].max()
    assert not np.allclose(scores[1], scores[2])
    text_alone.save(tmp_path)
    np.testing.assert_array_equal(load(tmp_path).score(query), scores)


def test_settings_that_are_not_allowed_are_refused():
    with pytest.raises(UserError, match=r"id_dropout must be between 0 and 1 \(got 1\.5\)"):
        ContentSASRec(**SMALL, id_dropout=1.5)
