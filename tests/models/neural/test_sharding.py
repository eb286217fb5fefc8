"""Training sharded by user: processes have the ratings and embeddings of their own users, and learn as one does."""

import json
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from recsys.data.dataset import Dataset, Holdout
from recsys.data.split import Split
from recsys.data.splitters import LeaveLastOut
from recsys.errors import UserError
from recsys.metrics.accuracy import ranking_metrics
from recsys.models.base import FitContext, load
from recsys.models.dae import DAE
from recsys.models.gru4rec import GRU4Rec
from recsys.models.lightgcn import LightGCN
from recsys.models.mf import MF, MFModule
from recsys.models.ncf import NeuMF
from recsys.models.neural import EmbeddingRecommender, NeuralRecommender, embeddings, sharding
from recsys.models.neural.embeddings import UserEmbedding, UserTable, only_rows_of, rows_of_users
from recsys.models.neural.processes import lost_processes_explained
from recsys.models.neural.sampling import Draw, Interactions, NegativeSampler, SampledEpoch
from recsys.models.neural.sharding import OwnUsers, shards
from recsys.models.sasrec import SASRec
from recsys.models.two_tower import TwoTower

TITLES = {"_target_": "recsys.data.text.PPMIEncoder", "dim": 4, "min_count": 1}
SMALL = {"batch_size": 64, "max_epochs": 2, "lr": 0.02}
CPU = torch.device("cpu")


@pytest.fixture
def even() -> Split:
    """24 users with 8 ratings of 20 items each, 6 of them for training: shards that have equally many."""
    rng = np.random.default_rng(0)
    users, items = np.repeat(np.arange(24), 8), np.concatenate([rng.permutation(20)[:8] for _ in range(24)])
    ratings, times = rng.integers(1, 6, len(users)), np.arange(len(users))
    return LeaveLastOut()(Dataset.from_arrays(users, items, ratings, times, n_users=24, n_items=20, fingerprint="even"))


def context(
    folder: Path, n_processes: int | None, *callbacks: Callback, resume: bool = False, strategy: str = "sharded_fork"
) -> FitContext:
    """A context whose training is distributed among some processes, sharded by default, or not distributed at all."""
    options = {"devices": 1} if n_processes is None else {"devices": n_processes, "strategy": strategy}
    new = partial(pl.Trainer, accelerator="cpu", enable_progress_bar=False, callbacks=list(callbacks), **options)
    return FitContext(folder, new, resume=resume)


def checkpoint(folder: Path) -> dict:
    return torch.load(folder / "last.ckpt", weights_only=True)


class OwnAlone(Callback):
    """Checks that a process has the rows, their optimiser's state and the ratings of its own users alone."""

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        own = trainer.strategy.share.own
        assert 0 < len(own) < module.n_users
        tables = [part for part in module.modules() if isinstance(part, UserTable)]
        assert tables
        state = trainer.optimizers[0].state
        for table in tables:
            assert len(table.weight) == len(own) + 1
            assert {len(value) for value in state[table.weight].values() if value.dim()} == {len(own) + 1}
        holdout = next(callback.holdout for callback in trainer.callbacks if hasattr(callback, "holdout"))
        for ratings in (trainer.datamodule.train, holdout.ratings, holdout.known):
            assert set(ratings.users.tolist()) <= set(own)


class Curve(Callback):
    """Writes the monitored metric of each epoch to a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            value = trainer.callback_metrics[f"valid/{module.objective.monitor.metric}"]
            self.file.write_text(repr(float(value)))


class Killed(Callback):
    """Kills the last process in the third epoch."""

    def on_train_batch_start(self, trainer: pl.Trainer, module, batch, batch_index: int) -> None:
        if trainer.current_epoch == 2 and trainer.global_rank == trainer.world_size - 1:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("n_processes", [1, 2, 3, 7])
def test_processes_have_consecutive_users_with_about_equally_many_ratings(timed: Dataset, n_processes: int):
    own = shards(timed.user_counts, n_processes)
    assert [user for part in own for user in part] == list(range(timed.n_users))
    counts = [int(timed.user_counts[part.start : part.stop].sum()) for part in own]
    assert max(abs(count - len(timed) / n_processes) for count in counts) <= timed.user_counts.max()


@pytest.mark.parametrize("values_per_draw", [16, 48, 1 << 20])
@pytest.mark.parametrize(("n_users", "d"), [(5, 1), (14, 1), (15, 1), (16, 1), (100, 7), (33, 64)])
def test_a_table_of_some_users_has_the_rows_of_a_whole_table_and_draws_as_many_random_numbers(
    n_users: int, d: int, values_per_draw: int, monkeypatch
):
    monkeypatch.setattr(embeddings, "VALUES_PER_DRAW", values_per_draw)
    torch.manual_seed(0)
    whole, after = UserEmbedding(n_users, d, std=0.1).weight, torch.rand(3)
    for own in (range(n_users // 2), range(n_users // 2, n_users), range(1, 2)):
        torch.manual_seed(0)
        with only_rows_of(own):
            table = UserEmbedding(n_users, d, std=0.1)
        torch.testing.assert_close(table.weight, rows_of_users(whole, own), rtol=0, atol=0)
        torch.testing.assert_close(torch.rand(3), after, rtol=0, atol=0)
        table.load_state_dict({"weight": 2 * whole})
        torch.testing.assert_close(table.weight, 2 * rows_of_users(whole, own), rtol=0, atol=0)


def test_more_processes_than_users_are_refused(timed: Dataset):
    with pytest.raises(UserError, match=r"lower trainer\.devices"):
        shards(timed.user_counts, 61)


def test_every_process_takes_as_many_steps_and_has_each_of_its_positives_once(timed: Dataset, monkeypatch):
    parts = shards(timed.user_counts, 3)
    own = [timed.of_users(part) for part in parts]
    assert len({len(train) for train in own}) > 1
    monkeypatch.setattr(sharding, "of_each", lambda values: torch.tensor([[len(train)] for train in own]))
    n_steps = set()
    for rank, train in enumerate(own):
        draw = Draw(60, rank, OwnUsers(rank, 3, users=tuple(parts), device=CPU))
        interactions = Interactions(train, CPU)
        epoch = SampledEpoch(interactions, NegativeSampler(interactions), 4, draw)
        batches = list(epoch)
        drawn = [p for b in batches for p in zip(b.queries.users.tolist(), b.items[:, 0].tolist(), strict=True)]
        assert sorted(drawn) == sorted(zip(train.users.tolist(), train.items.tolist(), strict=True))
        assert len(epoch) == len(batches)
        n_steps.add(len(batches))
    assert n_steps == {-(-len(timed) // 12)}  # 12 positives with 4 negatives each


def fit(model: NeuralRecommender, split: Split, context: FitContext) -> Path:
    """Fit a model and save it, in the directory of its checkpoints."""
    model.fit(split.train, split.valid, context).save_without_data(context.directory / "model")
    return context.directory / "model"


@pytest.mark.parametrize(
    "options", [{}, {"rowwise": True}, {"optimizer": "sgd", "lr": 1.0}], ids=["adam", "rowwise", "sgd"]
)
def test_any_number_of_processes_learns_the_same_from_the_same_batches(
    even: Split, pool: ProcessPoolExecutor, tmp_path: Path, options: dict
):
    """Each step is on all ratings, of which the processes have equally many."""
    new = partial(MF, embedding_dim=4, loss="squared", **{**SMALL, "batch_size": 144, "max_epochs": 4} | options)
    model = new().fit(even.train, even.valid, context(tmp_path / "alone", None))
    expected = checkpoint(tmp_path / "alone")
    assert expected["global_step"] == 4
    for n_processes in (1, 2, 3):
        folder = tmp_path / f"{n_processes}"
        callbacks = [OwnAlone()] if n_processes > 1 and "optimizer" not in options else []
        other = load(pool.submit(fit, new(), even, context(folder, n_processes, *callbacks)).result())
        own = checkpoint(folder)
        assert json.loads((folder / "finished.json").read_text())["epochs"] == 4
        for part in ("state_dict", "optimizer_states"):
            torch.testing.assert_close(own[part], expected[part], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(
            other.score(even.test.query(np.arange(24))), model.score(even.test.query(np.arange(24))), atol=1e-4
        )


def test_the_first_process_may_have_more_users_than_others(pool: ProcessPoolExecutor, tmp_path: Path):
    """Which users are trained is a buffer of a process's own, which is not sent to the others."""
    rng = np.random.default_rng(0)
    counts = np.repeat([4, 16], [18, 6])
    items = np.concatenate([rng.permutation(20)[:count] for count in counts])
    users, ratings, times = np.repeat(np.arange(24), counts), rng.integers(1, 6, len(items)), np.arange(len(items))
    dataset = Dataset.from_arrays(users, items, ratings, times, n_users=24, n_items=20, fingerprint="uneven")
    split = LeaveLastOut()(dataset)
    first, second = shards(split.train.user_counts, 2)
    assert len(first) > len(second)
    pool.submit(fit, MF(embedding_dim=4, **SMALL), split, context(tmp_path, 2)).result()
    assert len(checkpoint(tmp_path)["state_dict"]["users.weight"]) == 25


def test_rows_with_sparse_gradients_are_learned_by_two_processes_as_by_one(
    even: Split, pool: ProcessPoolExecutor, tmp_path: Path
):
    settings = {**SMALL, "batch_size": 144, "max_epochs": 4, "rowwise": True}
    new = partial(MF, embedding_dim=4, loss="squared", **settings)
    new().fit(even.train, even.valid, context(tmp_path / "alone", None))
    pool.submit(fit, new(), even, context(tmp_path / "two", 2, strategy="ddp_fork")).result()
    own, expected = (checkpoint(tmp_path / name)["state_dict"] for name in ("two", "alone"))
    torch.testing.assert_close(own, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "model",
    [
        MF(embedding_dim=4, **SMALL),
        NeuMF(embedding_dim=4, hidden_dims=(8, 4), dropout=0.3, **SMALL),
        DAE(hidden_dim=4, **SMALL | {"batch_size": 8}),
        TwoTower(TITLES, embedding_dim=4, user_id_dropout=0.2, **SMALL | {"batch_size": 8}),
        TwoTower(TITLES, embedding_dim=4, loss="sampled_softmax", n_negatives=5, **SMALL | {"batch_size": 8}),
        SASRec(embedding_dim=4, **SMALL | {"batch_size": 8}),
        GRU4Rec(embedding_dim=4, loss="gbce", n_negatives=5, **SMALL | {"batch_size": 8}),
    ],
    ids=["mf", "ncf", "dae", "two_tower", "two_tower_sampled", "sasrec", "gru4rec"],
)
def test_validation_by_processes_that_measure_their_own_users_equals_that_of_one_process(
    model: NeuralRecommender, split: Split, pool: ProcessPoolExecutor, tmp_path: Path
):
    """Measured are the weights of the last epoch, which any process can restore from the checkpoint."""
    fitted = load(pool.submit(fit, model, split, context(tmp_path, 2, Curve(tmp_path / "curve"))).result())
    fitted.module.load_state_dict(checkpoint(tmp_path)["state_dict"])
    fitted._use()
    scores = fitted.score(split.valid.known.query(split.valid.users))
    expected = ranking_metrics(scores, split.valid, ks=(10,))["ndcg@10"].mean()
    assert float((tmp_path / "curve").read_text()) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("n_processes", [None, 1, 3])
def test_a_training_that_loses_a_process_ends_with_a_sentence_and_resumes_with_fewer_or_more(
    even: Split, pool: ProcessPoolExecutor, tmp_path: Path, n_processes: int | None
):
    new = partial(MF, embedding_dim=4, loss="squared", **{**SMALL, "batch_size": 144, "max_epochs": 5})
    with pytest.raises(UserError, match=r"A process of the training ended before the others .* resume the run"):
        pool.submit(fit, new(), even, context(tmp_path / "cut", 2, Killed())).result()
    assert checkpoint(tmp_path / "cut")["epoch"] == 1
    again = context(tmp_path / "cut", n_processes, resume=True)
    resumed = load(pool.submit(fit, new(), even, again).result() if n_processes else fit(new(), even, again))
    whole = new().fit(even.train, even.valid, context(tmp_path / "whole", None))
    assert resumed.n_best_epochs == whole.n_best_epochs
    for part in ("global_step", "state_dict", "optimizer_states"):
        own, expected = checkpoint(tmp_path / "cut")[part], checkpoint(tmp_path / "whole")[part]
        torch.testing.assert_close(own, expected, rtol=1e-4, atol=1e-5)


def test_a_holdout_of_some_users_has_only_their_queries(split: Split):
    whole: Holdout = split.valid
    part = whole.of_users(range(20, 40))
    rows = np.flatnonzero((whole.users >= 20) & (whole.users < 40))
    np.testing.assert_array_equal(part.users, whole.users[rows])
    own, expected = part.query(np.arange(len(rows))), whole.query(rows)
    for name in ("indptr", "items", "ratings", "times"):
        np.testing.assert_array_equal(getattr(own.history, name), getattr(expected.history, name))
    assert len(part.known) == whole.known.user_counts[20:40].sum()


def refused(**options) -> FitContext:
    return FitContext(trainer=partial(pytest.fail, "was trained", strategy="sharded_spawn", **options))


def test_a_model_whose_steps_need_other_users_is_refused_before_training(timed: Dataset):
    with pytest.raises(UserError, match="LightGCN cannot be trained sharded by user"):
        LightGCN(embedding_dim=4).fit(timed, context=refused())


class Undeclared(EmbeddingRecommender):
    """A model that does not declare the class of its module, of which a step needs only the users of its batch."""

    def build(self, n_users: int, n_items: int, **training) -> MFModule:
        return MFModule(n_users, n_items, 4, **training)


def test_a_model_is_judged_before_data_are_read_only_by_a_module_that_it_declares(timed: Dataset):
    Undeclared().check_sharding({})
    MF().check_sharding({})
    with pytest.raises(UserError, match="LightGCN cannot be trained sharded by user"):
        LightGCN().check_sharding({})


@pytest.mark.parametrize("options", [{"gradient_clip_val": 1.0}, {"precision": "16-mixed"}])
def test_settings_by_which_processes_would_update_items_differently_are_refused(timed: Dataset, options: dict):
    with pytest.raises(UserError, match=r"neither trainer\.gradient_clip_val nor a precision of 16 bits"):
        MF(embedding_dim=4).fit(timed, context=refused(**options))


def test_an_error_of_the_training_itself_is_not_taken_for_a_lost_process():
    with pytest.raises(UserError, match="its connection was closed"), lost_processes_explained():
        raise RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:1220")
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), lost_processes_explained():
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
