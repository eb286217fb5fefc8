"""What a fit of any deep model does: best weights, resuming, refits, processes, reproducibility."""

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from recsys.data.dataset import Dataset, Holdout
from recsys.data.split import Split
from recsys.errors import UserError
from recsys.metrics.accuracy import ranking_metrics
from recsys.models.base import FitContext, load
from recsys.models.dae import DAE
from recsys.models.mf import MF
from recsys.models.ncf import NeuMF
from recsys.models.neural import LogLoss, NeuralRecommender
from recsys.models.neural.data import epoch_seed
from recsys.models.neural.sampling import Draw, Interactions
from recsys.models.sasrec import SASRec
from recsys.models.two_tower import TwoTower

TITLES = {"_target_": "recsys.data.text.PPMIEncoder", "dim": 4, "min_count": 1}
SMALL = {"batch_size": 64, "max_epochs": 6, "patience": 6, "lr": 0.02}


def trainer(*callbacks: Callback, **options) -> partial:
    return partial(pl.Trainer, accelerator="cpu", enable_progress_bar=False, callbacks=list(callbacks), **options)


TWO_PROCESSES = trainer(devices=2, strategy="ddp_fork")
NO_TRAINER = partial(pytest.fail, "was trained")


def fresh(model: NeuralRecommender) -> NeuralRecommender:
    return type(model)(**model.hyperparameters())


def scores(model: NeuralRecommender, holdout: Holdout) -> np.ndarray:
    return model.score(holdout.known.query(holdout.users))


def validation(model: NeuralRecommender, holdout: Holdout) -> float:
    return ranking_metrics(scores(model, holdout), holdout, ks=(10,))["ndcg@10"].mean()


class Curve(Callback):
    """Records the monitored metric of each epoch."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, module) -> None:
        self.values.append(float(trainer.callback_metrics["valid/ndcg@10"]))


class Interrupt(Callback):
    """Interrupts at the third batch of the fourth epoch."""

    def on_train_batch_end(self, trainer: pl.Trainer, module, outputs, batch, batch_index: int) -> None:
        if trainer.current_epoch == 3 and batch_index == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    "model",
    [
        NeuMF(embedding_dim=4, hidden_dims=(8, 4), dropout=0.3, **SMALL),
        MF(embedding_dim=4, loss="softmax", lr_schedule="cosine", **{**SMALL, "batch_size": 8}),
        TwoTower(TITLES, embedding_dim=4, loss="sampled_softmax", n_negatives=5, **{**SMALL, "batch_size": 8}),
        SASRec(embedding_dim=4, loss="gbce", n_negatives=5, **{**SMALL, "batch_size": 8}),
    ],
    ids=["neumf", "mf_softmax", "two_tower_sampled", "sasrec_gbce"],
)
def test_an_interrupted_run_resumes_to_exactly_the_weights_of_an_uninterrupted_one(
    model: NeuralRecommender, split: Split, tmp_path: Path
):
    whole = fresh(model).fit(split.train, split.valid, FitContext(tmp_path / "whole", trainer()))
    with pytest.raises(SystemExit):
        fresh(model).fit(split.train, split.valid, FitContext(tmp_path / "cut", trainer(Interrupt())))
    assert (tmp_path / "cut" / "last.ckpt").is_file()
    resumed = fresh(model).fit(split.train, split.valid, FitContext(tmp_path / "cut", trainer(), resume=True))
    assert resumed.n_best_epochs == whole.n_best_epochs
    for name, array in whole.arrays().items():
        np.testing.assert_array_equal(resumed.arrays()[name], array, err_msg=name)


def test_a_finished_fit_is_not_trained_again_on_resume(split: Split, tmp_path: Path):
    model = MF(embedding_dim=4, **SMALL).fit(split.train, split.valid, FitContext(tmp_path, trainer()))
    again = MF(embedding_dim=4, **SMALL).fit(split.train, split.valid, FitContext(tmp_path, NO_TRAINER, resume=True))
    np.testing.assert_array_equal(scores(again, split.test), scores(model, split.test))
    assert again.fit_report == model.fit_report


def test_a_new_fit_in_an_old_directory_resumes_nothing_of_the_old_one(split: Split, tmp_path: Path):
    MF(embedding_dim=4, **SMALL, seed=1).fit(split.train, context=FitContext(tmp_path, trainer()))
    with pytest.raises(SystemExit):
        MF(embedding_dim=4, **SMALL).fit(split.train, context=FitContext(tmp_path, trainer(Interrupt())))
    resumed = MF(embedding_dim=4, **SMALL).fit(split.train, context=FitContext(tmp_path, trainer(), resume=True))
    whole = MF(embedding_dim=4, **SMALL).fit(split.train)
    np.testing.assert_array_equal(scores(resumed, split.test), scores(whole, split.test))


def test_a_checkpoint_of_other_ratings_is_not_resumed(split: Split, tmp_path: Path):
    with pytest.raises(SystemExit):
        MF(embedding_dim=4, **SMALL).fit(split.train, split.valid, FitContext(tmp_path, trainer(Interrupt())))
    with pytest.raises(UserError, match="must be resumed on the ratings"):
        MF(embedding_dim=4, **SMALL).fit(split.refit_train, split.valid, FitContext(tmp_path, trainer(), resume=True))


def test_a_finished_fit_to_other_ratings_is_not_taken_for_this_one(split: Split, tmp_path: Path):
    MF(embedding_dim=4, **SMALL).fit(split.train, context=FitContext(tmp_path, trainer()))
    with pytest.raises(UserError, match="must be resumed on the ratings"):
        MF(embedding_dim=4, **SMALL).fit(split.refit_train, context=FitContext(tmp_path, NO_TRAINER, resume=True))


def test_the_weights_of_the_best_epoch_are_used_and_its_number_is_stored(split: Split, tmp_path: Path):
    curve = Curve()
    settings = {**SMALL, "max_epochs": 30, "patience": 4, "lr": 0.1}
    model = MF(embedding_dim=8, **settings).fit(split.train, split.valid, FitContext(tmp_path, trainer(curve)))
    assert len(curve.values) < 30, "it never overfitted, so nothing was shown"
    assert model.n_best_epochs == 1 + int(np.argmax(curve.values))
    assert len(curve.values) == model.fit_report.epochs == model.n_best_epochs + 4
    assert validation(model, split.valid) == pytest.approx(max(curve.values), abs=1e-6)


def test_validation_measures_what_the_evaluation_of_the_recommender_does(split: Split):
    curve = Curve()
    model = MF(embedding_dim=4, **{**SMALL, "max_epochs": 1})
    model.fit(split.train, split.valid, FitContext(trainer=trainer(curve)))
    assert curve.values == [pytest.approx(validation(model, split.valid), abs=1e-6)]


def test_validation_ranks_users_without_history_by_popularity_where_the_model_scores_by_histories(split: Split):
    cold = split.valid.users[::2]
    known = split.valid.known.select(~np.isin(split.valid.known.users, cold))
    holdout = Holdout(split.valid.ratings, known)
    curve = Curve()
    model = DAE(hidden_dim=4, **{**SMALL, "max_epochs": 1})
    model.fit(split.train, holdout, FitContext(trainer=trainer(curve)))
    own = scores(model, holdout)
    np.testing.assert_array_equal(own[np.isin(holdout.users, cold)], np.tile(split.train.item_counts, (len(cold), 1)))
    expected = ranking_metrics(own, holdout, ks=(10,))["ndcg@10"].mean()
    assert curve.values == [pytest.approx(expected, abs=1e-6)]


def test_a_refit_is_trained_for_the_epochs_that_validation_chose(split: Split):
    model = MF(embedding_dim=8, **{**SMALL, "max_epochs": 30, "patience": 3, "lr": 0.1}).fit(split.train, split.valid)
    refit = model.refit(split.refit_train)
    assert refit.n_best_epochs == refit.fit_report.epochs == model.n_best_epochs < 30
    assert refit.hyperparameters() == model.hyperparameters()
    assert refit.trained_on == split.refit_train.fingerprint


def fit_in_two_processes(model: NeuralRecommender, train: Dataset, valid: Holdout, folder: Path) -> NeuralRecommender:
    return model.fit(train, valid, FitContext(folder, TWO_PROCESSES))


def test_two_processes_train_and_validate_as_one_does(split: Split, tmp_path: Path):
    """Each has as many ratings as the other; only the order of summation differs.

    They are forks of a process that imports what they need once, and cannot be those of one that has trained before.
    """
    train = split.train.select(np.arange(len(split.train)) < len(split.train) // 2 * 2)
    model = MF(embedding_dim=4, **{**SMALL, "optimizer": "sgd", "lr": 1.0})
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        two = pool.submit(fit_in_two_processes, model, train, split.valid, tmp_path / "two").result()
    one = fresh(model).fit(train, split.valid, FitContext(tmp_path / "one", trainer()))
    ends = [torch.load(tmp_path / name / "last.ckpt", weights_only=True) for name in ("one", "two")]
    assert ends[0]["global_step"] == ends[1]["global_step"]
    torch.testing.assert_close(ends[0]["state_dict"], ends[1]["state_dict"], rtol=0, atol=1e-5)
    assert one.n_best_epochs == two.n_best_epochs > 1
    best = torch.load(tmp_path / "two" / "best.ckpt", weights_only=True)
    reported = [c["best_model_score"] for c in best["callbacks"].values() if c.get("monitor") == "valid/ndcg@10"]
    assert float(reported[0]) == np.float32(validation(two, split.valid))


class Spawning(pl.Trainer):
    """Pickles what processes that are spawned for a fit get, as the strategy of trainer=ddp does."""

    def fit(self, *args, **kwargs) -> None:
        trainer, (module, *_), _ = ForkingPickler.loads(ForkingPickler.dumps((self, args, kwargs)))
        assert len(trainer.callbacks) == len(self.callbacks)
        torch.testing.assert_close(module.state_dict(), args[0].state_dict())
        super().fit(*args, **kwargs)


def test_a_fit_can_be_sent_to_another_process(split: Split):
    new = partial(Spawning, accelerator="cpu", enable_progress_bar=False)
    MF(embedding_dim=4, **{**SMALL, "max_epochs": 1}).fit(split.train, split.valid, FitContext(trainer=new))


def test_the_same_seed_trains_the_same_model_and_another_seed_another(split: Split):
    first, again, other = (MF(embedding_dim=4, **SMALL, seed=seed).fit(split.train) for seed in (0, 0, 1))
    np.testing.assert_array_equal(scores(first, split.test), scores(again, split.test))
    assert not np.array_equal(scores(first, split.test), scores(other, split.test))


def test_a_few_batches_can_be_overfitted(split: Split, tmp_path: Path):
    context = FitContext(tmp_path, trainer(overfit_batches=1))
    settings = {**SMALL, "max_epochs": 60, "patience": 60, "lr": 0.1}
    model = MF(embedding_dim=16, **settings).fit(split.train, split.valid, context)
    last = torch.load(tmp_path / "last.ckpt", weights_only=True)
    model.module.load_state_dict(last["state_dict"])
    interactions, objective = Interactions(split.train, torch.device("cpu")), LogLoss()
    objective.bind(interactions)
    batch = next(iter(objective.epoch(interactions, Draw(SMALL["batch_size"], epoch_seed(0, 0)))))
    assert objective.loss(model.module, batch) < 0.01  # 0.69 before


def test_building_a_model_does_not_change_the_global_random_state(timed: Dataset):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    with pytest.raises(InterruptedError):  # after the weights are drawn, and before training draws anything
        MF(embedding_dim=4, seed=3).fit(timed, context=FitContext(trainer=partial(interrupt)))
    assert torch.equal(torch.rand(1), expected)


def interrupt(**options) -> None:
    raise InterruptedError


def test_an_unknown_user_is_scored_as_the_mean_user(split: Split):
    model = MF(embedding_dim=4, **SMALL).fit(split.train)
    users, items = model.user_embeddings(), model.item_embeddings()
    biases = model.module.item_bias.weight.detach().numpy()[:, 0]
    user_bias = model.module.user_bias.known.detach().numpy().mean()
    unknown = model.score(split.train.query(np.array([-1])))
    np.testing.assert_allclose(unknown[0], items @ users.mean(0) + biases + user_bias, atol=1e-5)


def test_a_user_without_training_ratings_counts_as_unknown(timed: Dataset):
    train = timed.select(timed.users != 7)
    model = MF(embedding_dim=4, **SMALL).fit(train)
    seven, unknown = model.score(train.query(np.array([7, -1])))
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


def test_a_fit_reports_its_cost(split: Split):
    report = MF(embedding_dim=4, **SMALL).fit(split.train, split.valid).fit_report
    assert report.epochs == 6
    assert report.seconds > report.epoch_seconds > 0
    assert report.interactions_per_second == pytest.approx(len(split.train) / report.epoch_seconds)
    assert report.samples_per_second == pytest.approx(5 * report.interactions_per_second)  # a positive, four negatives


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "hinge"}, r"loss must be one of log, bpr, sampled_softmax, softmax, .*got 'hinge'"),
        ({"optimizer": "lion"}, "optimizer must be one of adam, sgd"),
        ({"lr_schedule": "sine"}, "lr_schedule must be one of constant, linear, cosine, warmup_linear"),
        ({"max_epochs": 0}, r"max_epochs must be above zero \(got 0\)"),
        ({"batch_size": -1}, r"batch_size must be above zero \(got -1\)"),
    ],
)
def test_hyperparameters_that_are_not_allowed_are_refused(options: dict, message: str):
    with pytest.raises(UserError, match=message):
        MF(**options)


class HidesAnArgument(MF):
    def __init__(self, secret: int = 1, **training) -> None:
        super().__init__(**training)


class FixesAnArgument(MF):
    def __init__(self, embedding_dim: int = 4, **training) -> None:
        super().__init__(embedding_dim, loss="bpr", **training)


class ChangesAnArgument(MF):
    def __init__(self, embedding_dim: int = 4, **training) -> None:
        super().__init__(2 * embedding_dim, **training)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (HidesAnArgument, "must store each of its arguments .*secret"),
        (FixesAnArgument, "must store each of its arguments .*loss"),
        (ChangesAnArgument, "must be the same after construction"),
    ],
)
def test_a_constructor_that_does_not_take_back_its_arguments_is_refused_before_training(
    model: type[MF], message: str, timed: Dataset
):
    with pytest.raises(UserError, match=message):
        model(**SMALL).fit(timed, context=FitContext(trainer=NO_TRAINER))
