from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch

from recsys.data.dataset import Dataset
from recsys.data.query import History
from recsys.errors import UserError
from recsys.models.base import FitContext, load
from recsys.models.two_tower import FACTS_WEIGHT, TwoTower

SVD = {"_target_": "recsys.data.text.TfidfEncoder", "n_components": 4, "min_count": 1}
SMALL = {"encoder": SVD, "min_count": 1, "embedding_dim": 8, "batch_size": 8, "lr": 0.03, "max_epochs": 20}
UNKNOWN = np.array([-1])


@pytest.fixture
def dataset() -> Dataset:
    """30 users, 12 films of two kinds; even users rate wars, odd ones loves; nobody rated the last film of a kind."""
    rng = np.random.default_rng(0)
    likes = np.arange(30)[:, None] % 2 == np.arange(12) % 2
    likes[:, 10:] = False
    users, items = (likes & (rng.random(likes.shape) < 0.8)).nonzero()
    dataset = Dataset.from_arrays(users, items, n_users=30, n_items=12, fingerprint="kinds")
    told = [["war alien planet", "love paris rome"][film % 2] + f" place{film}" for film in range(12)]
    dataset.item_frame["plot"] = pd.array(told, "string")
    dataset.item_frame["genres"] = [["War"], ["Romance", "Drama"]] * 6
    dataset.item_frame["year"] = pd.array([1990 + film for film in range(12)], "Int16")
    dataset.user_frame["gender"] = ["M", "F"] * 15
    dataset.user_frame["occupation"] = [None, "lawyer", "writer"] * 10
    return dataset


@pytest.fixture
def model(dataset: Dataset) -> TwoTower:
    return TwoTower(**SMALL, user_id_dropout=0.5).fit(dataset)


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(np.linalg.norm(vector), 1e-12)


def test_scores_are_those_of_the_equations_written_out(model: TwoTower, dataset: Dataset):
    weights = {name: tensor.numpy() for name, tensor in model.module.state_dict().items()}
    facts, user_facts = model.facts.toarray(), model.user_facts.toarray()
    films = []
    for film in range(12):
        true = facts[film] / np.sqrt(facts[film].sum())
        told = model.text[film] @ weights["text_map"] + FACTS_WEIGHT * true @ weights["facts.table"]
        films.append(told + weights["ids.weight"][film])
    films = np.array(films)
    v, h, b = films[:, :8], films[:, 8:16], films[:, 16]
    users = np.array([3, 0])
    history = dataset.history(users)
    for row, user in enumerate(users):
        watched = history.items[history.indptr[row] : history.indptr[row + 1]]
        true = user_facts[user] / np.sqrt(user_facts[user].sum())
        u = unit(h[watched].mean(axis=0) + true @ weights["user_facts.table"]) + weights["user_ids.weight"][user]
        expected = np.exp(weights["log_scale"]) * v @ u + b
        np.testing.assert_allclose(model.score(users, history)[row], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax"])
def test_films_that_nobody_rated_are_placed_by_what_is_told_of_them(dataset: Dataset, loss: str):
    model = TwoTower(**SMALL, loss=loss, n_negatives=3).fit(dataset)
    war, love = model.score(np.array([-1, -1]), History.of_items([[0, 2, 4], [1, 3]]))
    assert war[10] > war[[1, 3, 5, 7, 9, 11]].max()
    assert love[11] > love[[0, 2, 4, 6, 8, 10]].max()


def test_somebody_without_a_history_is_scored_by_what_is_known_of_them(model: TwoTower):
    nothing = History.of_items([[]])
    men, women = (model.score(np.array([user]), nothing)[0] for user in (0, 1))
    assert men[10] - men[11] > women[10] - women[11]
    assert np.isfinite(model.score(UNKNOWN, nothing)).all()


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax"])
def test_training_leaves_the_ids_of_films_without_ratings_alone(dataset: Dataset, loss: str):
    ids = TwoTower(**SMALL, loss=loss).fit(dataset).module.ids.weight
    assert (ids[10:] == 0).all()
    assert (ids[:10] != 0).any(dim=1).all()


def test_a_share_of_one_learns_no_ids(dataset: Dataset):
    module = TwoTower(**SMALL, id_dropout=1.0).fit(dataset).module
    assert (module.ids.weight == 0).all()
    assert (module.user_ids.weight == 0).all()


def test_a_new_film_is_scored_like_a_film_without_ratings_of_which_the_same_is_told(model: TwoTower, dataset: Dataset):
    users = np.array([0, 1, -1])
    before = model.score(users, dataset.history(users))
    model.add_items(dataset.item_frame.iloc[[10, 11]].reset_index(drop=True))
    after = model.score(users, dataset.history(users))
    np.testing.assert_allclose(after[:, :12], before, rtol=1e-5)
    np.testing.assert_allclose(after[:, 12:], before[:, 10:], rtol=1e-5)
    assert model.item_embeddings().shape == (14, 8)


def test_a_new_film_can_stand_in_a_history_and_may_have_a_text_only(model: TwoTower):
    model.add_items(pd.DataFrame({"plot": ["alien planet war"]}))
    scores = model.score(UNKNOWN, History.of_items([[12]]))[0]
    assert scores[[0, 2, 4, 6, 8, 10]].min() > scores[[1, 3, 5, 7, 9, 11]].max()


def test_a_loaded_model_places_new_films_and_users_identically(model: TwoTower, dataset: Dataset, tmp_path):
    model.save(tmp_path)
    loaded = load(tmp_path)
    np.testing.assert_array_equal(loaded.user_embeddings(), model.user_embeddings())
    for own in (model, loaded):
        own.add_items(pd.DataFrame({"plot": ["love in rome"], "genres": [["Romance"]]}))
    model.save(tmp_path / "extended")
    users = np.array([0, 7, -1])
    expected = model.score(users, dataset.history(users))
    np.testing.assert_array_equal(loaded.score(users, dataset.history(users)), expected)
    np.testing.assert_array_equal(load(tmp_path / "extended").score(users, dataset.history(users)), expected)


def test_user_and_film_embeddings_and_popularity_give_the_scores(model: TwoTower, dataset: Dataset):
    users = np.arange(30)
    expected = model.module.log_scale.exp().item() * model.user_embeddings() @ model.item_embeddings().T
    differences = model.score(users, dataset.history(users)) - expected
    np.testing.assert_allclose(differences, np.broadcast_to(differences[0], differences.shape), atol=1e-4)


@pytest.mark.parametrize("normalized", ["users", "both", "neither"])
def test_vectors_have_the_lengths_that_were_asked_for(dataset: Dataset, normalized: str):
    model = TwoTower(**{**SMALL, "max_epochs": 2}, normalized=normalized).fit(dataset)
    users, films = (np.linalg.norm(points, axis=1) for points in (model.user_embeddings(), model.item_embeddings()))
    assert np.allclose(users, 1, atol=1e-5) == (normalized != "neither")
    assert np.allclose(films, 1, atol=1e-5) == (normalized == "both")


@pytest.mark.parametrize("learn", [True, False])
def test_the_temperature_is_learned_or_stays(dataset: Dataset, learn: bool):
    model = TwoTower(**{**SMALL, "max_epochs": 2}, temperature=0.5, learn_temperature=learn).fit(dataset)
    assert (model.module.log_scale.exp().item() == pytest.approx(2.0)) == (not learn)


def test_a_sampled_step_touches_only_the_films_of_its_batch(dataset: Dataset):
    model = TwoTower(**{**SMALL, "max_epochs": 1}, loss="sampled_softmax", n_negatives=1).fit(dataset)
    batch = model._batch(np.array([0, 2]), dataset.history(np.array([0, 2])))
    model.module.train()
    model.module.training_step(batch, 0).backward()
    gradient = model.module.ids.weight.grad
    assert gradient.is_sparse
    touched = set(gradient.coalesce().indices()[0].tolist())
    assert set(batch.items.tolist()) <= touched
    assert len(touched - set(batch.items.tolist())) <= 1


def test_all_films_are_placed_once_for_all_scores_until_weights_change(model: TwoTower):
    placed = model.module.catalogue()
    assert model.module.catalogue() is placed
    model.module.train()
    model.module.eval()
    assert model.module.catalogue() is not placed


def test_what_would_train_nothing_is_refused(dataset: Dataset):
    with pytest.raises(UserError, match="loss=bpr"):
        TwoTower(**SMALL, loss="bpr")
    with pytest.raises(UserError, match="normalized=films"):
        TwoTower(**SMALL, normalized="films")
    with pytest.raises(UserError, match=r"id_dropout=1\.5 is no share"):
        TwoTower(**SMALL, id_dropout=1.5)
    with pytest.raises(UserError, match="temperature=0 divides nothing"):
        TwoTower(**SMALL, temperature=0)
    clipping = FitContext(trainer=partial(pl.Trainer, accelerator="cpu", gradient_clip_val=1.0))
    with pytest.raises(UserError, match="Sparse gradients are not clipped"):
        TwoTower(**SMALL, loss="sampled_softmax").fit(dataset, context=clipping)
    with pytest.raises(UserError, match=r"encoder\.n_components"):
        TwoTower(**{**SMALL, "encoder": {**SVD, "n_components": None}}).fit(dataset)


def test_a_catalogue_that_does_not_fit_in_memory_is_refused(dataset: Dataset, monkeypatch):
    monkeypatch.setattr("recsys.models.memory.available_bytes", lambda: 1000)
    with pytest.raises(UserError, match="Training 17 numbers for each of 12 films, 8 for each of 30 users takes"):
        TwoTower(**SMALL).fit(dataset)


def test_facts_that_no_film_has_are_no_hindrance(dataset: Dataset):
    films, users = (frame.iloc[:, :1] for frame in (dataset.item_frame[["plot"]], dataset.user_frame))
    model = TwoTower(**SMALL).fit(replace(dataset, item_frame=films, user_frame=users))
    assert torch.isfinite(torch.from_numpy(model.score(UNKNOWN, History.of_items([[0]])))).all()
