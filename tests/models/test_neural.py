"""What all Lightning models share, shown on small ones."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from recsys.models.losses import log_loss
from recsys.models.sampling import Positives

from recsys.data.dataset import Dataset, Holdout
from recsys.data.split import Split
from recsys.data.splitters import LeaveLastOut
from recsys.errors import UserError
from recsys.metrics.accuracy import ranking_metrics
from recsys.models.base import FitContext, load
from recsys.models.mf import MF
from recsys.models.ncf import NeuMF
from recsys.models.neural import NeuralRecommender, _epoch_seed
from recsys.models.neural.sampling import NegativeSampler, SampledEpoch
from recsys.models.two_tower import TwoTower

TITLES = {"_target_": "recsys.data.text.PPMIEncoder", "dim": 4, "min_count": 1}
SMALL = {"batch_size": 64, "max_epochs": 6, "patience": 6, "lr": 0.02}


@pytest.fixture
def split(timed: Dataset) -> Split:
    return LeaveLastOut()(timed)


def trainer(*callbacks: Callback, **options) -> partial:
    return partial(pl.Trainer, accelerator="cpu", enable_progress_bar=False, callbacks=list(callbacks), **options)


TWO_PROCESSES = trainer(devices=2, strategy="ddp_spawn")


def scores(model: NeuralRecommender, holdout: Holdout) -> np.ndarray:
    return model.score(holdout.users, holdout.known.history(holdout.users))


def validation(model: NeuralRecommender, holdout: Holdout) -> float:
    return ranking_metrics(scores(model, holdout), holdout.users, holdout, ks=(10,))["ndcg@10"].mean()


class CtrlC(Callback):
    """Interrupts in the middle of an epoch."""

    def on_train_batch_end(self, trainer: pl.Trainer, module, outputs, batch, batch_index: int) -> None:
        if trainer.current_epoch == 3 and batch_index == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    "model",
    [
        NeuMF(embedding_dim=4, hidden_dims=(8, 4), dropout=0.3, **SMALL),
        MF(embedding_dim=4, loss="softmax", lr_schedule="cosine", **{**SMALL, "batch_size": 8}),
        TwoTower(TITLES, embedding_dim=4, loss="sampled_softmax", n_negatives=5, **{**SMALL, "batch_size": 8}),
    ],
    ids=["neumf", "mf_softmax", "two_tower_sampled"],
)
def test_an_interrupted_run_resumes_to_the_very_weights_of_an_uninterrupted_one(
    model: NeuralRecommender, split: Split, tmp_path: Path
):
    def fresh() -> NeuralRecommender:
        return type(model)(**model.hyperparameters())

    whole = fresh().fit(split.train, split.valid, FitContext(tmp_path / "whole", trainer()))
    with pytest.raises(SystemExit):
        fresh().fit(split.train, split.valid, FitContext(tmp_path / "cut", trainer(CtrlC())))
    assert (tmp_path / "cut" / "last.ckpt").is_file()
    resumed = fresh().fit(split.train, split.valid, FitContext(tmp_path / "cut", trainer(), resume=True))
    assert resumed.n_best_epochs == whole.n_best_epochs
    for name, array in whole.arrays().items():
        np.testing.assert_array_equal(resumed.arrays()[name], array, err_msg=name)


def test_a_finished_fit_is_not_trained_again_on_resume(split: Split, tmp_path: Path):
    model = MF(embedding_dim=4, **SMALL).fit(split.train, split.valid, FitContext(tmp_path, trainer()))

    no_trainer = partial(pytest.fail, "trained again")
    again = MF(embedding_dim=4, **SMALL).fit(split.train, split.valid, FitContext(tmp_path, no_trainer, resume=True))
    np.testing.assert_array_equal(scores(again, split.test), scores(model, split.test))


def test_a_fit_begun_anew_in_an_old_directory_leaves_nothing_of_the_old_one_to_resume(split: Split, tmp_path: Path):
    MF(embedding_dim=4, **SMALL, seed=1).fit(split.train, context=FitContext(tmp_path, trainer()))
    with pytest.raises(SystemExit):
        MF(embedding_dim=4, **SMALL).fit(split.train, context=FitContext(tmp_path, trainer(CtrlC())))
    resumed = MF(embedding_dim=4, **SMALL).fit(split.train, context=FitContext(tmp_path, trainer(), resume=True))
    whole = MF(embedding_dim=4, **SMALL).fit(split.train)
    np.testing.assert_array_equal(scores(resumed, split.test), scores(whole, split.test))


def test_a_checkpoint_of_other_ratings_is_not_resumed(split: Split, tmp_path: Path):
    with pytest.raises(SystemExit):
        MF(embedding_dim=4, **SMALL).fit(split.train, split.valid, FitContext(tmp_path, trainer(CtrlC())))
    with pytest.raises(UserError, match="trained on other ratings"):
        MF(embedding_dim=4, **SMALL).fit(split.refit_train, split.valid, FitContext(tmp_path, trainer(), resume=True))


def test_the_best_weights_are_kept_and_their_epoch_is_told(split: Split, tmp_path: Path):
    curve = []

    class Record(Callback):
        def on_validation_end(self, trainer: pl.Trainer, module) -> None:
            curve.append(float(trainer.callback_metrics["valid/ndcg@10"]))

    settings = {**SMALL, "max_epochs": 30, "patience": 4, "lr": 0.1}
    model = MF(embedding_dim=8, **settings).fit(split.train, split.valid, FitContext(tmp_path, trainer(Record())))
    assert len(curve) < 30, "it never overfitted, so nothing was shown"
    assert model.n_best_epochs == 1 + int(np.argmax(curve))
    assert len(curve) == model.n_best_epochs + 4
    assert validation(model, split.valid) == pytest.approx(max(curve), abs=1e-6)


def test_refit_trains_for_the_epochs_that_validation_chose(split: Split):
    model = MF(embedding_dim=8, **{**SMALL, "max_epochs": 30, "patience": 3, "lr": 0.1}).fit(split.train, split.valid)
    refit = model.refit(split.refit_train)
    assert refit.n_best_epochs == model.n_best_epochs < 30
    assert refit.hyperparameters() == model.hyperparameters()
    assert refit.trained_on == split.refit_train.fingerprint


def test_two_processes_validate_to_the_digit_like_one(split: Split, tmp_path: Path):
    model = MF(embedding_dim=4, **SMALL).fit(split.train, split.valid, FitContext(tmp_path, TWO_PROCESSES))
    best = torch.load(tmp_path / "best.ckpt", weights_only=True)
    reported = [c["best_model_score"] for c in best["callbacks"].values() if c.get("monitor") == "valid/ndcg@10"]
    assert float(reported[0]) == np.float32(validation(model, split.valid))


def test_two_processes_learn_what_one_learns(timed: Dataset):
    """As many ratings for each process; only the order of summation differs."""
    train = timed.select(np.arange(len(timed)) < len(timed) // 2 * 2)
    settings = {**SMALL, "optimizer": "sgd", "lr": 1.0}
    one = MF(embedding_dim=4, **settings).fit(train)
    two = MF(embedding_dim=4, **settings).fit(train, context=FitContext(trainer=TWO_PROCESSES))
    users = np.arange(timed.n_users)
    learned, initial = (model.score(users, train.history(users)) for model in (one, MF(embedding_dim=4).fit(train)))
    np.testing.assert_allclose(two.score(users, train.history(users)), learned, atol=1e-5)
    assert np.abs(learned - initial).max() > 0.1


def test_the_same_seed_trains_the_same_model_and_another_seed_another(split: Split):
    first, again, other = (MF(embedding_dim=4, **SMALL, seed=seed).fit(split.train) for seed in (0, 0, 1))
    np.testing.assert_array_equal(scores(first, split.test), scores(again, split.test))
    assert not np.array_equal(scores(first, split.test), scores(other, split.test))


def test_a_few_batches_can_be_overfitted(split: Split, tmp_path: Path):
    context = FitContext(tmp_path, trainer(overfit_batches=1))
    settings = {**SMALL, "max_epochs": 200, "patience": 200}
    model = MF(embedding_dim=16, **settings).fit(split.train, split.valid, context)
    last = torch.load(tmp_path / "last.ckpt", weights_only=True)
    model.module.load_state_dict(last["state_dict"])
    positives = Positives(split.train, torch.device("cpu"))
    epoch = SampledEpoch(positives, NegativeSampler(positives), 4, SMALL["batch_size"], _epoch_seed(0, 0))
    batch = next(iter(epoch))
    assert log_loss(model.module(batch.users, batch.items), batch) < 0.01  # 0.69 before


def test_training_leaves_the_global_random_state_of_building_alone(timed: Dataset):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    MF(embedding_dim=4, seed=3)._prepare(10, np.ones(4, bool), "")
    assert torch.equal(torch.rand(1), expected)


def test_somebody_unknown_is_scored_as_the_mean_user(split: Split):
    model = MF(embedding_dim=4, **SMALL).fit(split.train)
    vectors, films = model.user_embeddings(), model.item_embeddings()
    biases = model.module.item_bias.weight.detach().numpy()[:, 0]
    user_bias = model.module.user_bias.known.detach().numpy().mean()
    unknown = model.score(np.array([-1]), split.train.history(np.array([-1])))
    np.testing.assert_allclose(unknown[0], films @ vectors.mean(0) + biases + user_bias, atol=1e-5)


def test_a_user_without_training_ratings_counts_as_unknown(timed: Dataset):
    train = timed.select(timed.users != 7)
    model = MF(embedding_dim=4, **SMALL).fit(train)
    seven, unknown = model.score(np.array([7, -1]), train.history(np.array([7, -1])))
    np.testing.assert_array_equal(seven, unknown)


def test_checkpoints_and_models_are_read_without_unpickling(split: Split, tmp_path: Path):
    model = MF(embedding_dim=4, **SMALL).fit(split.train, split.valid, FitContext(tmp_path / "checkpoints", trainer()))
    for name in ("best.ckpt", "last.ckpt"):
        torch.load(tmp_path / "checkpoints" / name, weights_only=True)
    model.save(tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert isinstance(loaded, MF)
    assert loaded.trained_on == split.train.fingerprint
    np.testing.assert_array_equal(scores(loaded, split.test), scores(model, split.test))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "hinge"}, "loss=hinge is not known: choose one of log, bpr, sampled_softmax, softmax"),
        ({"optimizer": "lion"}, "choose one of adam, sgd"),
        ({"lr_schedule": "sine"}, "choose one of constant, linear, cosine"),
        ({"max_epochs": 0}, "max_epochs=0 trains nothing"),
        ({"batch_size": -1}, "batch_size=-1"),
    ],
)
def test_hyperparameters_that_make_no_sense_are_refused(options: dict, message: str):
    with pytest.raises(UserError, match=message):
        MF(**options)
