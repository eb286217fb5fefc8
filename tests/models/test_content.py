import numpy as np
import pandas as pd
import pytest

from recsys.config import compose, instantiate
from recsys.data.dataset import Dataset
from recsys.data.query import History, Query
from recsys.errors import UserError
from recsys.models.base import FitContext, load
from recsys.models.content import Content, ContentKNN
from recsys.models.tfidf import TfidfProfile

TFIDF = {"_target_": "recsys.data.text.TfidfEncoder"}
SVD = {**TFIDF, "n_components": 3}


@pytest.fixture
def dataset() -> Dataset:
    """Return four users and six items, the last one without ratings."""
    plots = ["alien war", "alien planet war", "love paris", "love rome paris", "war", "alien war planet"]
    dataset = Dataset.from_arrays([0, 0, 1, 1, 2, 3], [0, 4, 2, 3, 1, 0], [5, 2, 4, 4, 3, 1], n_items=6)
    dataset.item_frame["title"] = pd.array(["x"] * 6, "string")  # one letter is no word
    dataset.item_frame["plot"] = pd.array(plots, "string")
    return dataset


def slow_profile_scores(vectors: np.ndarray, history: History) -> np.ndarray:
    scores = np.zeros((len(history), len(vectors)))
    average = vectors.mean(axis=0)
    vectors = [(vector - average) / np.linalg.norm(vector - average) if vector.any() else vector for vector in vectors]
    for row in range(len(history)):
        seen = range(history.indptr[row], history.indptr[row + 1])
        profile = sum((history.ratings[i] * vectors[history.items[i]] for i in seen), 0 * average)
        for item, vector in enumerate(vectors):
            length = np.linalg.norm(profile)
            scores[row, item] = profile @ vector / length if length else 0.0
    return scores


def test_tfidf_scores_are_cosines_with_the_mean_of_items_weighted_by_ratings(dataset):
    model = TfidfProfile().fit(dataset)
    query = dataset.query(np.arange(3))
    expected = slow_profile_scores(model.vectors.toarray(), query.history)
    np.testing.assert_allclose(model.score(query), expected, atol=1e-6)
    assert not model.profiles(History.of_items([[]])).any()


def test_ratings_weight_items(dataset):
    model = TfidfProfile(min_count=1).fit(dataset)
    indptr, items = np.array([0, 2, 4]), np.array([1, 2, 1, 2], np.int32)
    ratings = np.array([5, 1, 1, 5], np.float32)
    war, love = model.score(Query.of_histories(History(indptr, items, ratings)))
    assert war[0] > war[3]
    assert love[3] > love[0]


def test_items_without_ratings_are_scored_by_their_metadata(dataset):
    query = Query.of_histories(History.of_items([[0], [2]]))
    for model in (TfidfProfile(), Content(SVD), ContentKNN(TFIDF)):
        war, love = model.fit(dataset).score(query)
        assert war[5] > war[3]
        assert love[5] < love[3]


def test_items_without_metadata_score_zero_and_do_not_count(dataset):
    dataset.item_frame.loc[3, "plot"] = pd.NA
    model = TfidfProfile().fit(dataset)
    scores = model.score(Query.of_histories(History.of_items([[0], [3]])))
    assert (scores[:, 3] == 0).all()
    assert (scores[1] == 0).all()
    assert scores[0, 0] == pytest.approx(1)


def test_embeddings_are_centred_on_the_average_item(dataset):
    model = Content(SVD).fit(dataset)
    items, users = model.item_embeddings(), model.user_embeddings()
    np.testing.assert_allclose(np.linalg.norm(items, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(users @ items.T, model.score(dataset.query(np.arange(4))), atol=1e-6)
    assert items[0] @ items[2] < 0  # without the average, different items point in opposite directions


def test_neighbours_are_items_with_ratings_and_never_the_item_itself(dataset):
    model = ContentKNN(TFIDF, k=2).fit(dataset)
    weights = model.item_weights.toarray()  # a column for each item that is scored
    vectors = TfidfProfile().fit(dataset).vectors.toarray()
    cosines = vectors @ vectors.T
    for item in range(6):
        others = [other for other in range(5) if other != item]  # item 5 has no ratings
        nearest = sorted(others, key=lambda other: -cosines[item, other])[:2]
        expected = [cosines[item, other] if other in nearest else 0 for other in range(6)]
        np.testing.assert_allclose(weights[:, item], expected, atol=1e-6)
    scores = model.score(Query.of_histories(History.of_items([[0, 1]])))
    np.testing.assert_allclose(scores[0], weights[0] + weights[1], rtol=1e-6)


def test_items_with_a_negative_cosine_are_no_neighbours(dataset, monkeypatch):
    angles = np.arange(6.0)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    monkeypatch.setattr("recsys.models.content.encode_items", lambda *_: vectors)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, 0)
    cosines[5] = 0  # item 5 has no ratings
    weights = ContentKNN(TFIDF, k=6).fit(dataset).item_weights.toarray()
    np.testing.assert_allclose(weights, np.maximum(cosines, 0), atol=1e-6)


def test_sparse_vectors_are_not_accepted_as_embeddings(dataset):
    with pytest.raises(UserError, match=r"give encoder\.n_components=256, or tfidf"):
        Content(TFIDF).fit(dataset)


def test_fields_are_configurable(dataset):
    with pytest.raises(UserError, match="No word occurs in 2 of the 6 documents"):
        TfidfProfile(fields=["title"]).fit(dataset)


def test_loading_a_model_needs_no_encoder(dataset, tmp_path, monkeypatch):
    query = dataset.query(np.arange(4))
    model = Content(SVD).fit(dataset, context=FitContext(cache_dir=tmp_path / "cache"))
    model.save(tmp_path / "model")
    monkeypatch.setattr("recsys.models.content.make_encoder", None)
    np.testing.assert_array_equal(load(tmp_path / "model").score(query), model.score(query))
    assert len(list((tmp_path / "cache" / "vectors").iterdir())) == 1


@pytest.mark.parametrize(
    ("encoder", "setting"),
    [
        ("minilm", {"_target_": "recsys.data.text.SentenceEncoder", "model": "all-MiniLM-L6-v2", "device": "cpu"}),
        ("word2vec", {"_target_": "recsys.data.text.PPMIEncoder", "dim": 7}),
    ],
)
def test_an_encoder_on_the_command_line_reaches_the_model_as_plain_settings(encoder, setting):
    own = [f"encoder.{name}={value}" for name, value in setting.items() if name != "_target_"]
    model = instantiate(compose("train", ["model=content", f"encoder={encoder}", *own]).model)
    assert model.hyperparameters()["encoder"] == setting
