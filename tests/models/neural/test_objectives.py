"""Losses against formulas written out, and what every objective must do: no wait for the device, parts in turn."""

import inspect
import math
import re
from collections.abc import Iterator

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F  # noqa: N812
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn

from recsys.data.dataset import Dataset
from recsys.models import biased_mf, dae, ncf, svd_pp, two_tower
from recsys.models.neural import (
    BPR,
    HistoryBatch,
    LogLoss,
    NeuralModule,
    Objective,
    QueryBatch,
    RatingBatch,
    SampledBatch,
    SampledSoftmax,
    Softmax,
    SquaredError,
    TrainingData,
)
from recsys.models.neural.objectives import shared_softmax_loss, softmax_loss
from recsys.models.neural.sampling import Draw, Interactions, UserEpoch

UNIFORM = torch.full((4,), math.log(0.25))


def sampled(items: list[list[int]], log_q: Tensor = UNIFORM) -> SampledBatch:
    return SampledBatch(QueryBatch(torch.zeros(len(items), dtype=torch.long)), torch.tensor(items), log_q)


def positives(rows: list[int], items: list[int], n_users: int) -> HistoryBatch:
    lengths = torch.bincount(torch.tensor(rows), minlength=n_users)
    return HistoryBatch(lengths, torch.tensor(rows), torch.tensor(items), torch.ones(len(items)), lengths.numpy())


def test_log_loss_is_binary_cross_entropy_of_positives_and_negatives():
    logits = torch.tensor([[2.0, -1.0, 0.5], [-0.3, 0.0, 4.0]])
    labels = torch.tensor([[1.0, 0, 0], [1, 0, 0]])
    expected = F.binary_cross_entropy_with_logits(logits, labels)
    assert torch.isclose(LogLoss().cost(logits, sampled([[0, 1, 2], [1, 2, 3]])), expected)


def test_bpr_is_minus_the_log_of_the_probability_to_rank_a_pair_right():
    logits = torch.tensor([[2.0, -1.0], [0.0, 3.0]])
    expected = -(math.log(1 / (1 + math.exp(-3))) + math.log(1 / (1 + math.exp(3)))) / 2
    assert BPR().cost(logits, sampled([[0, 1], [1, 2]])).item() == pytest.approx(expected, abs=1e-6)


def test_uniform_sampled_softmax_is_cross_entropy_among_the_drawn_items():
    logits = torch.tensor([[2.0, -1.0, 0.5], [-0.3, 0.0, 4.0]])
    expected = F.cross_entropy(logits, torch.zeros(2, dtype=torch.long))
    assert torch.isclose(SampledSoftmax().cost(logits, sampled([[0, 1, 2], [1, 2, 3]])), expected)


def test_the_correction_makes_a_sample_by_popularity_unbiased():
    """Averaged over draws, the corrected gradient tends to that of the full softmax; the uncorrected does not."""
    torch.manual_seed(0)
    scores = torch.tensor([1.0, 0.0, -1.0, 0.5], requires_grad=True)
    q = torch.tensor([0.55, 0.3, 0.1, 0.05])
    first = torch.zeros(400, 1, dtype=torch.long)
    items = torch.cat([first, torch.multinomial(q, 400 * 2000, replacement=True).view(400, 2000)], dim=1)
    full = F.cross_entropy(scores.unsqueeze(0), torch.tensor([0]))
    gradient = torch.autograd.grad(full, scores)[0]

    def sampled_gradient(log_q: Tensor) -> Tensor:
        batch = SampledBatch(QueryBatch(torch.zeros(400, dtype=torch.long)), items, log_q)
        return torch.autograd.grad(SampledSoftmax().cost(scores[items], batch), scores)[0]

    assert torch.allclose(sampled_gradient(q.log()), gradient, atol=0.01)
    assert (sampled_gradient(UNIFORM) - gradient).abs().max() > 0.1


def test_softmax_loss_is_cross_entropy_over_all_items():
    logits = torch.randn(3, 5, generator=torch.Generator().manual_seed(1))
    expected = F.cross_entropy(logits[[0, 0, 2]], torch.tensor([4, 1, 0]))
    assert torch.isclose(softmax_loss(logits, positives([0, 0, 2], [4, 1, 0], 3)), expected)


def test_shared_softmax_weights_an_item_by_its_probability_and_own_positives_by_one():
    logits = torch.tensor([[1.0, 0.5, -2.0], [0.3, 0.1, 2.0]])
    included = torch.tensor([0.5, 0.25, 0.1])
    weights = torch.tensor([[1.0, 4.0, 10.0], [2.0, 1.0, 1.0]])
    normalisers = (weights * logits.exp()).sum(dim=1).log()
    expected = (normalisers[0] - 1.0 + normalisers[1] - 0.1 + normalisers[1] - 2.0) / 3
    loss = shared_softmax_loss(logits, positives([0, 1, 1], [0, 1, 2], 2), included.log())
    assert torch.isclose(loss, expected)


def test_squared_error_is_of_ratings_above_their_mean(timed: Dataset):
    objective = SquaredError()
    objective.bind(Interactions(timed, torch.device("cpu")))
    batch = RatingBatch(QueryBatch(torch.tensor([0, 1])), torch.tensor([[3], [4]]), torch.tensor([5.0, 2.0]))
    above = torch.tensor([[0.5], [-1.0]])
    mean = timed.ratings.mean(dtype="float64")
    expected = ((0.5 - (5 - mean)) ** 2 + (-1 - (2 - mean)) ** 2) / 2
    assert objective.loss(lambda queries, items: above, batch).item() == pytest.approx(expected, rel=1e-5)


# On the meta device there are no values, so a loss that reads one on the host fails.

N_USERS, N_ITEMS, B, P = 6, 10, 4, 9


def meta(*shape: int, dtype: torch.dtype = torch.long) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def samples() -> SampledBatch:
    return SampledBatch(QueryBatch(meta(B)), meta(B, 5), meta(N_ITEMS, dtype=torch.float))


def ratings() -> RatingBatch:
    return RatingBatch(QueryBatch(meta(B)), meta(B, 1), meta(B, dtype=torch.float))


def users() -> QueryBatch:
    return QueryBatch(meta(B), HistoryBatch(meta(B), meta(P), meta(P), meta(P, dtype=torch.float), np.zeros(B)))


def with_mean(objective: Objective) -> Objective:
    objective.mean_rating = 3.5
    return objective


def with_factors(objective: biased_mf.PenalisedSquaredError) -> Objective:
    objective.user_factors, objective.item_factors = meta(N_USERS, dtype=torch.float), meta(N_ITEMS, dtype=torch.float)
    return objective


@pytest.mark.parametrize(
    ("build", "objective", "batch"),
    [
        (lambda: ncf.NeuMFModule(N_USERS, N_ITEMS, 4, [8, 4], dropout=0.5), LogLoss(), samples),
        (lambda: biased_mf.MFModule(N_USERS, N_ITEMS, 4), BPR(), samples),
        (lambda: biased_mf.MFModule(N_USERS, N_ITEMS, 4, rowwise=True), SampledSoftmax(), samples),
        (lambda: biased_mf.MFModule(N_USERS, N_ITEMS, 4), Softmax(), users),
        (lambda: biased_mf.MFModule(N_USERS, N_ITEMS, 4), with_mean(SquaredError()), ratings),
        (
            lambda: biased_mf.MFModule(N_USERS, N_ITEMS, 4),
            with_factors(with_mean(biased_mf.PenalisedSquaredError(0.1, 0.1, 0.5))),
            ratings,
        ),
        (
            lambda: svd_pp.SVDPPModule(N_USERS, N_ITEMS, 4, history_dropout=0.5),
            with_mean(svd_pp.PenalisedSquaredErrorByUser(0.1, 0.1)),
            users,
        ),
        (lambda: dae.DAEModule(N_USERS, N_ITEMS, 4), Softmax(), users),
    ],
    ids=["log", "bpr", "rowwise", "softmax", "squared", "biased_mf", "svd_pp", "dae"],
)
def test_a_step_reads_no_value_from_the_device(build, objective: Objective, batch):
    with torch.device("meta"):
        module = build()
        loss = objective.loss(module, batch())
        loss.backward()
    assert loss.shape == ()
    assert all(weights.grad is not None for weights in module.parameters())


def objectives(base: type[Objective] = Objective) -> Iterator[type[Objective]]:
    for cls in base.__subclasses__():
        if cls.__module__.startswith("recsys."):
            yield cls
        yield from objectives(cls)


@pytest.mark.parametrize("objective", sorted(set(objectives()), key=lambda cls: cls.__name__))
def test_losses_have_no_code_that_waits_for_the_device(objective: type[Objective]):
    assert two_tower.SharedSampledSoftmax in set(objectives())
    for name in ("loss", "cost"):
        source = inspect.getsource(getattr(objective, name)) if hasattr(objective, name) else ""
        assert not re.search(r"\.(item|tolist|numpy|cpu)\(|\bnp\.|\b(int|float|bool)\(", source)


# Parts in turn, as RecVAE is trained.


class Autoencoder(NeuralModule):
    """Logits = a decoder of the mean of the history's item vectors."""

    reads_history = True

    def __init__(self, n_users: int, n_items: int, **training) -> None:
        super().__init__(n_users, n_items, **training)
        self.encoder = nn.Linear(n_items, 3)
        self.decoder = nn.Linear(3, n_items)

    def forward(self, queries: QueryBatch, items: Tensor | None = None) -> Tensor:
        history = queries.history
        seen = torch.zeros(len(queries.users), self.n_items).index_put((history.rows, history.items), torch.ones(()))
        return self.decoder(torch.tanh(self.encoder(seen)))


class PartsInTurn(Objective):
    """Every batch is drawn twice: for a step of the encoder, then for one of the decoder."""

    def __init__(self) -> None:
        self.n_epochs = 0

    def epoch(self, train: Interactions, draw: Draw) -> list[tuple[str, QueryBatch]]:
        return [(part, batch) for batch in UserEpoch(train, draw) for part in ("encoder", "decoder")]

    def loss(self, module: Autoencoder, batch: tuple[str, QueryBatch]) -> Tensor:
        part, queries = batch
        module.encoder.requires_grad_(part == "encoder")
        module.decoder.requires_grad_(part == "decoder")
        return softmax_loss(module(queries), queries.history)

    def after_epoch(self, module: Autoencoder) -> None:
        self.n_epochs += 1


class ChangedParts(Callback):
    """Records the parts that each step has changed."""

    def __init__(self) -> None:
        self.changed: list[set[str]] = []

    def on_train_start(self, trainer: pl.Trainer, module: Autoencoder) -> None:
        self.before = {name: tensor.clone() for name, tensor in module.state_dict().items()}

    def on_train_batch_end(self, trainer: pl.Trainer, module: Autoencoder, outputs, batch, batch_index: int) -> None:
        after = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        self.changed.append({name.split(".")[0] for name in after if not torch.equal(after[name], self.before[name])})
        self.before = after


def train_in_turn(train: Dataset, directory, *callbacks: Callback, steps_per_call: int = 1) -> Autoencoder:
    torch.manual_seed(0)
    module = Autoencoder(train.n_users, train.n_items, objective=PartsInTurn())
    module.automatic_optimization = steps_per_call == 1
    data = TrainingData(train, module.objective, batch_size=16, steps_per_call=steps_per_call)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=3,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=list(callbacks),
        default_root_dir=directory,
    )
    trainer.fit(module, data)
    return module


def test_an_objective_may_train_parts_in_turn_and_leaves_the_other_as_it_is(timed: Dataset, tmp_path):
    parts = ChangedParts()
    module = train_in_turn(timed, tmp_path, parts)
    assert parts.changed == [{"encoder"}, {"decoder"}] * (3 * math.ceil(60 / 16))
    assert module.objective.n_epochs == 3


def test_parts_in_turn_learn_the_same_in_groups_of_steps(timed: Dataset, tmp_path):
    single, grouped = (train_in_turn(timed, tmp_path, steps_per_call=size) for size in (1, 5))
    torch.testing.assert_close(grouped.state_dict(), single.state_dict(), rtol=0, atol=0)
    assert grouped.objective.n_epochs == 3


def test_the_epoch_ends_before_its_weights_are_measured_and_stored(timed: Dataset, tmp_path):
    class Rounded(PartsInTurn):
        def after_epoch(self, module: Autoencoder) -> None:
            with torch.no_grad():
                module.decoder.bias.fill_(7.0)

    class Measured(Callback):
        def on_train_epoch_end(self, trainer: pl.Trainer, module: Autoencoder) -> None:
            assert (module.decoder.bias == 7.0).all()

    module = Autoencoder(timed.n_users, timed.n_items, objective=Rounded())
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=[Measured()],
        default_root_dir=tmp_path,
    )
    trainer.fit(module, TrainingData(timed, module.objective, batch_size=16))
