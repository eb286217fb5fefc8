"""Modules without a recommender: trained by any Lightning trainer, and what scoring does."""

from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint

from recsys.data.dataset import Dataset
from recsys.data.query import Pairs
from recsys.data.split import Split
from recsys.errors import UserError
from recsys.metrics.accuracy import ranking_metrics
from recsys.models.dae import DAE, DAEModule
from recsys.models.mf import MF, MFModule
from recsys.models.ncf import NeuMF, NeuMFModule
from recsys.models.neural import (
    EmbeddingModule,
    HistoryModule,
    LogLoss,
    NeuralModule,
    NeuralRecommender,
    Softmax,
    TrainingData,
    Validation,
)
from recsys.models.neural.propagation import PropagatingModule
from recsys.models.neural.sequences import SequenceModule

QUIET = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False}


class Curve(Callback):
    def __init__(self) -> None:
        self.values: list[float] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, module) -> None:
        self.values.append(float(trainer.callback_metrics["valid/ndcg@10"]))


def test_any_trainer_trains_a_module_and_stores_its_best_weights(split: Split, tmp_path: Path):
    train, valid = split.train, split.valid
    best, curve = ModelCheckpoint(tmp_path, monitor="valid/ndcg@10", mode="max"), Curve()

    module = NeuMFModule(train.n_users, train.n_items, 8, [16, 8], objective=LogLoss(n_negatives=4))
    module.bind(train)
    trainer = pl.Trainer(max_epochs=8, callbacks=[Validation(valid), curve, best], default_root_dir=tmp_path, **QUIET)
    trainer.fit(module, TrainingData(train, module.objective, batch_size=64))
    module.load_state_dict(torch.load(best.best_model_path, weights_only=True)["state_dict"])
    module.eval().refresh()
    scores = module.score(valid.known.query(valid.users))
    measured = ranking_metrics(scores, valid, ks=(10,))["ndcg@10"].mean()
    assert len(curve.values) == 8
    assert measured == pytest.approx(max(curve.values), abs=1e-6)


@pytest.mark.parametrize(
    "model",
    [
        NeuMF(embedding_dim=4, hidden_dims=(8, 4), batch_size=64, max_epochs=2),
        MF(embedding_dim=4, loss="softmax", batch_size=16, max_epochs=2, lr_schedule="cosine"),
        DAE(hidden_dim=4, dropout=0.0, batch_size=16, max_epochs=2),
    ],
    ids=["neumf", "mf", "dae"],
)
def test_any_trainer_gives_the_weights_of_the_recommender_for_the_same_seed(
    model: NeuralRecommender, timed: Dataset, tmp_path: Path
):
    model.fit(timed)
    torch.manual_seed(model.seed)
    module = model.build(timed.n_users, timed.n_items, objective=model.objective(), optimization=model.optimization())
    module.bind(timed)
    trainer = pl.Trainer(max_epochs=2, enable_checkpointing=False, default_root_dir=tmp_path, **QUIET)
    trainer.fit(module, TrainingData(timed, module.objective, model.batch_size, model.seed))
    module.refresh()
    for name, weights in model.module.state_dict().items():
        assert torch.equal(module.state_dict()[name], weights), name


def test_a_module_without_an_objective_cannot_be_trained_and_says_so(timed: Dataset, tmp_path: Path):
    module = MFModule(timed.n_users, timed.n_items, 4)
    trainer = pl.Trainer(max_epochs=1, enable_checkpointing=False, default_root_dir=tmp_path, **QUIET)
    with pytest.raises(UserError, match="MFModule must be given an objective"):
        trainer.fit(module, TrainingData(timed, LogLoss()))


def test_scores_do_not_depend_on_how_many_users_are_scored_in_a_pass(timed: Dataset):
    torch.manual_seed(0)
    for module in (MFModule(60, 40, 4), DAEModule(60, 40, 4, objective=Softmax()).eval()):
        query = timed.query(np.arange(60))
        whole = module.score(query)
        module.scores_per_pass = 40 * 7
        np.testing.assert_allclose(module.score(query), whole, rtol=1e-5, atol=1e-7)
        assert module.score(query.between(0, 0)).shape == (0, 40)


def test_pairs_are_predicted_as_scored_in_any_number_of_passes(timed: Dataset):
    torch.manual_seed(0)
    module = MFModule(60, 40, 4)
    query, rows, items = timed.query(np.arange(10)), np.array([0, 3, 9, 3]), np.array([39, 0, 7, 1], np.int32)
    for passes in (1 << 18, 3):
        module.scores_per_pass = passes
        np.testing.assert_allclose(
            module.predict(Pairs(query, rows, items)), module.score(query)[rows, items], rtol=1e-5
        )
    assert module.predict(Pairs(query, rows[:0], items[:0])).shape == (0,)


def test_the_module_of_histories_predicts_pairs_from_them(timed: Dataset):
    torch.manual_seed(0)
    module = DAEModule(60, 40, 4).eval()
    query, rows, items = timed.query(np.arange(10)), np.array([0, 3, 9, 3]), np.array([39, 0, 7, 1], np.int32)
    np.testing.assert_array_equal(module.predict(Pairs(query, rows, items)), module.score(query)[rows, items])


@pytest.mark.parametrize("cls", [NeuralModule, EmbeddingModule, HistoryModule, SequenceModule, PropagatingModule])
def test_a_module_that_lacks_a_method_cannot_be_built(cls: type[NeuralModule]):
    with pytest.raises(TypeError, match="abstract"):
        cls(2, 3, 4)


def test_scores_of_a_ranking_model_are_the_output_of_its_module_and_are_not_copied(timed: Dataset, monkeypatch):
    model, query = MF(embedding_dim=4, max_epochs=1).fit(timed), timed.query(np.arange(3))
    scores = model.module.score(query)
    monkeypatch.setattr(model.module, "score", lambda query: scores)
    assert model.score(query) is scores


def test_what_is_derived_from_weights_is_computed_without_dropout(split: Split, monkeypatch):
    modes = []
    monkeypatch.setattr(MFModule, "refresh", lambda self: modes.append(self.training) or NeuralModule.refresh(self))
    MF(embedding_dim=4, max_epochs=2).fit(split.train, split.valid)
    assert modes == [False] * 3  # after both epochs, and of the best weights
