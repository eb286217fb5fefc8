"""Matrix factorisation: steps that update the rows of their batch alone."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from recsys.data.dataset import Dataset
from recsys.errors import UserError
from recsys.models.base import FitContext, load
from recsys.models.biased_mf import BiasedMF
from recsys.models.mf import MF

SMALL = {"embedding_dim": 4, "batch_size": 64, "max_epochs": 2, "lr": 0.02}


@pytest.fixture
def train() -> Dataset:
    """40 users rated 15 of 20 items each; 200 more items have no rating, and a user has none."""
    rng = np.random.default_rng(0)
    items = np.concatenate([rng.permutation(20)[:15] for _ in range(40)])
    return Dataset.from_arrays(np.repeat(np.arange(40), 15), items, n_users=41, n_items=220)


@pytest.mark.parametrize("model", [MF(rowwise=True, loss="bpr", **SMALL), BiasedMF(rowwise=True, **SMALL)])
def test_a_rowwise_step_updates_only_the_rows_of_its_batch(model: MF, train: Dataset):
    first = model.build(train.n_users, train.n_items)
    assert all(table.sparse for table in (first.users, first.items, first.user_bias, first.item_bias))
    moved = MF(**SMALL, rowwise=True, loss="squared", weight_decay=0.5).fit(train)
    with torch.random.fork_rng():
        torch.manual_seed(moved.seed)
        initial = moved.build(train.n_users, train.n_items).item_embeddings().detach().numpy()
    changed = (moved.item_embeddings() != initial).any(axis=1)
    np.testing.assert_array_equal(changed, train.item_counts > 0)


def test_rowwise_steps_learn_as_all_rows_do_where_every_step_looks_them_up(train: Dataset):
    one_batch = {**SMALL, "batch_size": len(train), "loss": "squared"}
    rated = train.item_counts > 0
    rowwise, whole = (MF(rowwise=rowwise, **one_batch).fit(train) for rowwise in (True, False))
    np.testing.assert_allclose(rowwise.item_embeddings()[rated], whole.item_embeddings()[rated], atol=1e-5)
    np.testing.assert_allclose(rowwise.user_embeddings()[:40], whole.user_embeddings()[:40], atol=1e-5)


def test_a_rowwise_model_is_loaded_as_it_was_saved(train: Dataset, tmp_path):
    model = MF(rowwise=True, loss="bpr", **SMALL).fit(train)
    model.save(tmp_path)
    query = train.query(np.arange(5))
    np.testing.assert_array_equal(load(tmp_path).score(query), model.score(query))


def test_vectors_of_users_and_items_give_predicted_ratings_as_products(train: Dataset):
    rated = replace(train, ratings=np.arange(len(train), dtype=np.float32) % 5 + 1, scale=(1.0, 5.0))
    model, query = BiasedMF(**SMALL).fit(rated), rated.query(np.array([3, -1, 40]))
    products = model.user_vectors(query) @ model.item_vectors().T
    np.testing.assert_allclose(products, model.score(query), atol=1e-5)
    assert products.mean() == pytest.approx(3, abs=0.5)


@pytest.mark.parametrize("other", [{"loss": "softmax"}, {"loss": "bpr", "optimizer": "sgd"}])
def test_rowwise_steps_need_adam_and_an_objective_that_scores_some_items(other: dict[str, str]):
    with pytest.raises(UserError, match=r"rowwise=true must be used with .*got loss="):
        MF(rowwise=True, **other)


def test_sparse_gradients_are_not_clipped(train: Dataset):
    context = FitContext(trainer=partial(pl.Trainer, gradient_clip_val=1.0))
    with pytest.raises(UserError, match=r"gradient_clip_val must be left out .* model\.rowwise=true"):
        MF(rowwise=True, loss="bpr", **SMALL).fit(train, context=context)
