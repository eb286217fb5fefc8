import numpy as np
import pandas as pd
import pytest

from recsys.config import compose, instantiate
from recsys.data.dataset import Dataset, History
from recsys.errors import UserError
from recsys.models.base import FitContext, load
from recsys.models.content import Content, ContentKNN
from recsys.models.tfidf import TfidfProfile

TFIDF = {"_target_": "recsys.data.text.TfidfEncoder"}
SVD = {**TFIDF, "n_components": 3}


@pytest.fixture
def dataset() -> Dataset:
    """Four users, six films; nobody rated the last one."""
    told = ["alien war", "alien planet war", "love paris", "love rome paris", "war", "alien war planet"]
    dataset = Dataset.from_arrays([0, 0, 1, 1, 2, 3], [0, 4, 2, 3, 1, 0], [5, 2, 4, 4, 3, 1], n_items=6)
    dataset.item_frame["title"] = pd.array(["x"] * 6, "string")  # one letter is no word
    dataset.item_frame["plot"] = pd.array(told, "string")
    return dataset


def slow_profile_scores(vectors: np.ndarray, history: History) -> np.ndarray:
    scores = np.zeros((len(history), len(vectors)))
    average = vectors.mean(axis=0)
    vectors = [(vector - average) / np.linalg.norm(vector - average) if vector.any() else vector for vector in vectors]
    for row in range(len(history)):
        seen = range(history.indptr[row], history.indptr[row + 1])
        profile = sum((history.ratings[i] * vectors[history.items[i]] for i in seen), 0 * average)
        for film, vector in enumerate(vectors):
            length = np.linalg.norm(profile)
            scores[row, film] = profile @ vector / length if length else 0.0
    return scores


def test_tfidf_scores_are_cosines_with_the_mean_of_films_weighted_by_stars(dataset):
    model = TfidfProfile().fit(dataset)
    users = np.array([0, 1, -1])
    history = dataset.history(users)
    expected = slow_profile_scores(model.vectors.toarray(), history)
    np.testing.assert_allclose(model.score(users, history), expected, atol=1e-6)
    assert (model.score(users, history)[2] == 0).all()


def test_stars_weigh_films(dataset):
    model = TfidfProfile(min_count=1).fit(dataset)
    indptr, items = np.array([0, 2, 4]), np.array([1, 2, 1, 2], np.int32)
    war, love = model.score(np.array([-1, -1]), History(indptr, items, np.array([5, 1, 1, 5], np.float32)))
    assert war[0] > war[3]
    assert love[3] > love[0]


def test_films_that_nobody_rated_are_placed_by_what_is_told_of_them(dataset):
    history = History.of_items([[0], [2]])
    for model in (TfidfProfile(), Content(SVD), ContentKNN(TFIDF)):
        war, love = model.fit(dataset).score(np.array([-1, -1]), history)
        assert war[5] > war[3]
        assert love[5] < love[3]


def test_films_of_which_nothing_is_known_score_nothing(dataset):
    dataset.item_frame.loc[3, "plot"] = pd.NA
    model = TfidfProfile().fit(dataset)
    scores = model.score(np.array([-1, -1]), History.of_items([[0], [3]]))
    assert (scores[:, 3] == 0).all()
    assert (scores[1] == 0).all()
    assert scores[0, 0] == pytest.approx(1)


def test_embeddings_lie_about_the_average_film(dataset):
    model = Content(SVD).fit(dataset)
    items, users = model.item_embeddings(), model.user_embeddings()
    np.testing.assert_allclose(np.linalg.norm(items, axis=1), 1, rtol=1e-5)
    everybody = np.arange(4)
    history = dataset.history(everybody)
    np.testing.assert_allclose(users @ items.T, model.score(everybody, history), atol=1e-6)
    assert items[0] @ items[2] < 0  # without what all films share, unlike ones lie apart


def test_neighbours_are_films_with_ratings_and_never_the_film_itself(dataset):
    model = ContentKNN(TFIDF, k=2).fit(dataset)
    weights = model.item_weights.toarray()  # a column for each film scored
    vectors = TfidfProfile().fit(dataset).vectors.toarray()
    cosines = vectors @ vectors.T
    for film in range(6):
        others = [other for other in range(5) if other != film]  # nobody rated film 5
        nearest = sorted(others, key=lambda other: -cosines[film, other])[:2]
        expected = [cosines[film, other] if other in nearest else 0 for other in range(6)]
        np.testing.assert_allclose(weights[:, film], expected, atol=1e-6)
    history = History.of_items([[0, 1]])
    np.testing.assert_allclose(model.score(np.array([-1]), history)[0], weights[0] + weights[1], rtol=1e-6)


def test_sparse_vectors_are_no_embeddings(dataset):
    with pytest.raises(UserError, match=r"give encoder\.n_components=256, or model=tfidf"):
        Content(TFIDF).fit(dataset)


def test_fields_are_chosen(dataset):
    with pytest.raises(UserError, match="No word occurs in 2 of the 6 documents"):
        TfidfProfile(fields=["title"]).fit(dataset)


def test_saved_models_need_no_encoder(dataset, tmp_path, monkeypatch):
    users = np.arange(4)
    history = dataset.history(users)
    model = Content(SVD).fit(dataset, context=FitContext(cache_dir=tmp_path / "cache"))
    model.save(tmp_path / "model")
    monkeypatch.setattr("recsys.models.content.make_encoder", None)
    np.testing.assert_array_equal(load(tmp_path / "model").score(users, history), model.score(users, history))
    assert len(list((tmp_path / "cache" / "vectors").iterdir())) == 1


@pytest.mark.parametrize(
    ("encoder", "setting"),
    [
        ("minilm", {"_target_": "recsys.data.text.SentenceEncoder", "model": "all-MiniLM-L6-v2", "device": "cpu"}),
        ("word2vec", {"_target_": "recsys.data.text.PPMIEncoder", "dim": 7}),
    ],
)
def test_the_encoder_chosen_on_the_command_line_reaches_the_model_as_plain_settings(encoder, setting):
    own = [f"encoder.{name}={value}" for name, value in setting.items() if name != "_target_"]
    model = instantiate(compose("train", ["model=content", f"encoder={encoder}", *own]).model)
    assert model.hyperparameters()["encoder"] == setting
