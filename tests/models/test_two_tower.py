"""Two towers against their equations, and items and users that training has not seen."""

import copy
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch

from recsys.data.dataset import Dataset
from recsys.data.query import History, Query
from recsys.errors import UserError
from recsys.models.base import FitContext, load
from recsys.models.neural.content import FEATURES_WEIGHT
from recsys.models.neural.objectives import softmax_loss
from recsys.models.two_tower import TwoTower

SVD = {"_target_": "recsys.data.text.TfidfEncoder", "n_components": 4, "min_count": 1}
SMALL = {"encoder": SVD, "min_count": 1, "embedding_dim": 8, "batch_size": 8, "lr": 0.05, "max_epochs": 12}


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """30 users and 12 items; even users rate wars, odd ones romances; the last item of either kind has no rating."""
    rng = np.random.default_rng(0)
    likes = np.arange(30)[:, None] % 2 == np.arange(12) % 2
    likes[:, 10:] = False
    users, items = (likes & (rng.random(likes.shape) < 0.8)).nonzero()
    dataset = Dataset.from_arrays(users, items, n_users=30, n_items=12, fingerprint="kinds")
    plots = [["war alien planet", "love paris rome"][item % 2] + f" place{item}" for item in range(12)]
    dataset.item_frame["plot"] = pd.array(plots, "string")
    dataset.item_frame["genres"] = [["War"], ["Romance", "Drama"]] * 6
    dataset.item_frame["year"] = pd.array([1990 + item for item in range(12)], "Int16")
    dataset.user_frame["gender"] = ["M", "F"] * 15
    dataset.user_frame["occupation"] = [None, "lawyer", "writer"] * 10
    return dataset


@pytest.fixture(scope="module")
def trained(dataset: Dataset) -> TwoTower:
    return TwoTower(**SMALL, user_id_dropout=0.5).fit(dataset)


@pytest.fixture
def model(trained: TwoTower) -> TwoTower:
    """A model of its own for each test, which may add items."""
    return copy.deepcopy(trained)


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(np.linalg.norm(vector), 1e-12)


def test_scores_are_those_of_the_equations_written_out(model: TwoTower, dataset: Dataset):
    weights = {name: tensor.numpy() for name, tensor in model.module.state_dict().items()}
    facts, user_facts = model.content.facts.toarray(), model.user_facts.toarray()
    items = []
    for item in range(12):
        true = facts[item] / np.sqrt(facts[item].sum())
        content = model.content.text[item] @ weights["text_map"] + FEATURES_WEIGHT * true @ weights["facts.table"]
        items.append(content + weights["ids.weight"][item])
    items = np.array(items)
    v, h, b = items[:, :8], items[:, 8:16], items[:, 16]
    users = np.array([3, 0])
    history = dataset.history(users)
    for row, user in enumerate(users):
        seen = history.items[history.indptr[row] : history.indptr[row + 1]]
        true = user_facts[user] / np.sqrt(user_facts[user].sum())
        u = unit(h[seen].mean(axis=0) + true @ weights["user_facts.table"]) + weights["user_ids.weight"][user]
        expected = np.exp(weights["log_scale"]) * v @ u + b
        np.testing.assert_allclose(model.score(Query(users, history))[row], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax"])
def test_items_without_ratings_are_embedded_by_their_metadata(dataset: Dataset, loss: str):
    model = TwoTower(**SMALL, loss=loss, n_negatives=3).fit(dataset)
    war, love = model.score(Query.of_histories(History.of_items([[0, 2, 4], [1, 3]])))
    assert war[10] > war[[1, 3, 5, 7, 9, 11]].max()
    assert love[11] > love[[0, 2, 4, 6, 8, 10]].max()


def test_features_of_a_user_count_in_addition_to_the_history(model: TwoTower):
    man, woman = model.score(Query(np.array([0, 1]), History.of_items([[0, 1]] * 2)))
    assert man[10] - man[11] > woman[10] - woman[11]


def test_a_new_item_has_no_interactions_in_the_popularity_of_users_without_a_history(model: TwoTower, dataset: Dataset):
    model.add_items(pd.DataFrame({"plot": ["alien planet war"]}))
    [scores] = model.score(Query.of_histories(History.of_items([[]])))
    np.testing.assert_array_equal(scores, [*dataset.item_counts, 0])


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax"])
def test_training_leaves_the_ids_of_items_without_ratings_at_zero(dataset: Dataset, loss: str):
    ids = TwoTower(**SMALL, loss=loss).fit(dataset).module.ids.weight
    assert (ids[10:] == 0).all()
    assert (ids[:10] != 0).any(dim=1).all()


def test_a_share_of_one_learns_no_ids(dataset: Dataset):
    module = TwoTower(**SMALL, id_dropout=1.0).fit(dataset).module
    assert (module.ids.weight == 0).all()
    assert (module.user_ids.weight == 0).all()


def test_a_new_item_is_scored_like_one_without_ratings_and_with_the_same_metadata(model: TwoTower, dataset: Dataset):
    query = Query(np.array([0, 1, -1]), History.of_items([[0, 2], [1], [4, 5]]))
    before = model.score(query)
    model.add_items(dataset.item_frame.iloc[[10, 11]].reset_index(drop=True))
    after = model.score(query)
    np.testing.assert_allclose(after[:, :12], before, rtol=1e-5)
    np.testing.assert_allclose(after[:, 12:], before[:, 10:], rtol=1e-5)
    assert model.item_embeddings().shape == (14, 8)


def test_a_new_item_can_be_in_a_history_and_may_have_only_a_text(model: TwoTower):
    model.add_items(pd.DataFrame({"plot": ["alien planet war"]}))
    [scores] = model.score(Query.of_histories(History.of_items([[12]])))
    assert scores[[0, 2, 4, 6, 8, 10]].min() > scores[[1, 3, 5, 7, 9, 11]].max()


def test_a_new_item_has_a_place_in_the_popularity_of_a_moment_and_of_a_group(dataset: Dataset, tmp_path):
    timed = replace(dataset, times=np.arange(len(dataset)))
    settings = {"prior_strength": 0.5, "popularity_half_life": 30.0, "popularity_by": ["gender"]}
    model = TwoTower(**SMALL | {"max_epochs": 1}, **settings).fit(timed)
    model.add_items(pd.DataFrame({"plot": ["alien planet war", "love in rome"]}))
    query = Query(np.array([0, 1, -1, -1]), History.of_items([[0, 2], [], [4, 13], []]))
    scores = model.score(query)
    assert scores.shape == (4, 14)
    assert (scores[[1, 3], 12:] == scores[[1, 3], :12].min(axis=1, keepdims=True)).all()  # that of unrated items
    model.save(tmp_path)
    np.testing.assert_array_equal(load(tmp_path).score(query), scores)


def test_a_loaded_model_embeds_new_items_and_users_identically(model: TwoTower, dataset: Dataset, tmp_path):
    model.save(tmp_path)
    loaded = load(tmp_path)
    np.testing.assert_array_equal(loaded.user_embeddings(), model.user_embeddings())
    for own in (model, loaded):
        own.add_items(pd.DataFrame({"plot": ["love in rome"], "genres": [["Romance"]]}))
    model.save(tmp_path / "extended")
    query = dataset.query(np.array([0, 7, -1]))
    expected = model.score(query)
    np.testing.assert_array_equal(loaded.score(query), expected)
    np.testing.assert_array_equal(load(tmp_path / "extended").score(query), expected)


def test_embeddings_of_users_and_items_and_biases_give_the_scores(model: TwoTower, dataset: Dataset):
    expected = model.module.log_scale.exp().item() * model.user_embeddings() @ model.item_embeddings().T
    differences = model.score(dataset.query(np.arange(30))) - expected
    np.testing.assert_allclose(differences, np.broadcast_to(differences[0], differences.shape), atol=1e-4)


@pytest.mark.parametrize("normalized", ["users", "both", "neither"])
def test_vectors_have_the_lengths_of_the_setting(dataset: Dataset, normalized: str):
    model = TwoTower(**{**SMALL, "max_epochs": 2}, normalized=normalized).fit(dataset)
    users, items = (np.linalg.norm(table, axis=1) for table in (model.user_embeddings(), model.item_embeddings()))
    assert np.allclose(users, 1, atol=1e-5) == (normalized != "neither")
    assert np.allclose(items, 1, atol=1e-5) == (normalized == "both")


@pytest.mark.parametrize("normalized", ["users", "both"])
def test_gradients_at_zero_vectors_have_the_size_of_others(dataset: Dataset, normalized: str):
    # The histories of all users are masked, and their features start at zero, as do the ids of items, which here are
    # the only information about the last item.
    settings = SMALL | {"max_epochs": 1, "normalized": normalized, "history_dropout": 1.0, "id_dropout": 0.0}
    module = TwoTower(**settings).fit(dataset).module.train()
    torch.nn.init.zeros_(module.user_facts.table)
    torch.nn.init.zeros_(module.ids.weight)
    module.text[9] = 0.0
    torch.nn.init.zeros_(module.facts.table)
    logits, history = module.logits_among(module.batch(dataset.query(np.arange(30))), torch.arange(12))
    softmax_loss(logits, history).backward()
    for table in (module.user_facts.table, module.ids.weight):
        assert 0 < table.grad.abs().max() < 100


@pytest.mark.parametrize("learn", [True, False])
def test_the_temperature_is_learned_or_stays(dataset: Dataset, learn: bool):
    model = TwoTower(**{**SMALL, "max_epochs": 2}, temperature=0.5, learn_temperature=learn).fit(dataset)
    assert (model.module.log_scale.exp().item() == pytest.approx(2.0)) == (not learn)


def test_a_sampled_step_updates_only_the_items_of_its_batch(dataset: Dataset):
    model = TwoTower(**{**SMALL, "max_epochs": 1}, loss="sampled_softmax", n_negatives=1).fit(dataset)
    batch = model.module.batch(dataset.query(np.array([0, 2])))
    model.module.train()
    model.module.objective.loss(model.module, batch).backward()
    gradient = model.module.ids.weight.grad
    assert gradient.is_sparse
    updated, own = set(gradient.coalesce().indices()[0].tolist()), set(batch.history.items.tolist())
    assert own <= updated
    assert len(updated - own) <= 1


def test_all_items_are_embedded_once_for_all_scores_until_the_next_refresh(model: TwoTower, dataset: Dataset):
    query = dataset.query(np.arange(3))
    before, catalogue = model.score(query), model.module.catalogue
    with torch.no_grad():
        model.module.ids.weight.add_(torch.rand_like(model.module.ids.weight))
    np.testing.assert_array_equal(model.score(query), before)
    assert model.module.catalogue is catalogue
    model.module.refresh()
    assert not np.allclose(model.score(query), before)


def test_settings_that_are_not_allowed_are_refused(dataset: Dataset):
    with pytest.raises(UserError, match="loss must be one of softmax, sampled_softmax"):
        TwoTower(**SMALL, loss="bpr")
    with pytest.raises(UserError, match="normalized must be one of users, both, neither"):
        TwoTower(**SMALL, normalized="items")
    with pytest.raises(UserError, match=r"id_dropout must be between 0 and 1 \(got 1\.5\)"):
        TwoTower(**SMALL, id_dropout=1.5)
    with pytest.raises(UserError, match=r"temperature must be above zero \(got 0\)"):
        TwoTower(**SMALL, temperature=0)
    clipping = FitContext(trainer=partial(pl.Trainer, accelerator="cpu", gradient_clip_val=1.0))
    with pytest.raises(UserError, match="gradient_clip_val must be left out"):
        TwoTower(**SMALL, loss="sampled_softmax").fit(dataset, context=clipping)
    with pytest.raises(UserError, match=r"encoder\.n_components"):
        TwoTower(**{**SMALL, "encoder": {**SVD, "n_components": None}}).fit(dataset)


def test_a_catalogue_that_does_not_fit_in_memory_is_refused(dataset: Dataset, monkeypatch):
    monkeypatch.setattr("recsys.models.memory.available_bytes", lambda: 1000)
    with pytest.raises(UserError, match="Training 17 numbers for each of 12 items, 8 for each of 30 users"):
        TwoTower(**SMALL).fit(dataset)


def test_features_that_no_item_has_are_left_out(dataset: Dataset):
    items, users = (frame.iloc[:, :1] for frame in (dataset.item_frame[["plot"]], dataset.user_frame))
    model = TwoTower(**SMALL).fit(replace(dataset, item_frame=items, user_frame=users))
    assert torch.isfinite(torch.from_numpy(model.score(Query.of_histories(History.of_items([[0]]))))).all()
