"""SASRec as a bare PyTorch loop, as a researcher writes it down: the paper's batches, padded to the maximum length.

The model is that of `recsys.models.sasrec` at its defaults, layer by layer, with torch's own attention and dropout.
Nothing is packed: every batch is a matrix (B, L) of items with padding on the right, and the loss ignores padding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (the field's name for it)
from exchange import Job, run
from torch import Tensor, nn

PADDING = 0  # items have the codes from 1
USERS_PER_PASS = 256


class Block(nn.Module):
    """A pre-norm block of attention and feed-forward layers."""

    def __init__(self, dim: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.attention_norm, self.feed_forward_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.queries_keys_values, self.output = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.feed_forward = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the states after both layers, (B, L, d), of x (B, L, d); a position attends to none after it."""
        heads = self.queries_keys_values(self.attention_norm(x)).unflatten(2, (3, self.n_heads, -1))
        attended = F.scaled_dot_product_attention(*heads.permute(2, 0, 3, 1, 4).unbind(), is_causal=True)
        x = x + self.dropout(self.output(attended.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))


class SASRec(nn.Module):
    """Maps the embeddings of items and their positions to states by blocks of causal self-attention."""

    def __init__(self, n_items: int, length: int, dim: int, n_blocks: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.items, self.positions = nn.Embedding(n_items + 1, dim), nn.Embedding(length, dim)
        for table in (self.items, self.positions):
            nn.init.normal_(table.weight, std=0.02)
        self.blocks = nn.ModuleList(Block(dim, n_heads, dropout) for _ in range(n_blocks))
        self.norm, self.dropout = nn.LayerNorm(dim), nn.Dropout(dropout)

    def forward(self, items: Tensor, lengths: Tensor) -> Tensor:
        """Return states (B, L, d) after items (B, L), of which the first `lengths` (B,) of a row are real."""
        places = (lengths[:, None] - 1 - torch.arange(items.shape[1])).clamp(min=0)  # from the end
        x = self.dropout(self.items.embedding_dim**0.5 * self.items(items) + self.positions(places))
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


def softmax_loss(states: Tensor, model: SASRec, targets: Tensor, settings: dict[str, Any]) -> Tensor:
    """Return the mean cross-entropy over the catalogue of the next items `targets`, (B, L), given states (B, L, d)."""
    logits = states @ model.items.weight.T
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=PADDING)


def gbce_loss(states: Tensor, model: SASRec, targets: Tensor, settings: dict[str, Any]) -> Tensor:
    """Return the mean gBCE of the next items `targets`, (B, L), with negatives drawn for each position.

    Petrov and Macdonald, "gSASRec: Reducing Overconfidence in Sequential Recommendation Trained with Negative
    Sampling", RecSys 2023.
    """
    n_items, n_negatives = model.items.num_embeddings - 1, settings["n_negatives"]
    drawn = n_negatives / (n_items - 1)
    power = drawn * (settings["calibration"] * (1 - 1 / drawn) + 1 / drawn)
    negatives = torch.randint(1, n_items + 1, (*targets.shape, n_negatives))
    positive = (states * model.items(targets)).sum(-1)
    negative = torch.einsum("bld,blnd->bln", states, model.items(negatives))
    losses = power * F.softplus(-positive) + F.softplus(negative).sum(-1)
    return (losses * (targets != PADDING)).sum() / (targets != PADDING).sum() / (1 + n_negatives)


def train(job: Job) -> None:
    """Train a model and record its scores after each epoch."""
    torch.set_num_threads(1)
    torch.manual_seed(job.seed)
    settings = job.settings
    loss_of = {"softmax": softmax_loss, "gbce": gbce_loss}[settings["loss"]]
    histories = sequences(job, settings["max_length"] + 1)
    with job.timed():
        names = ("max_length", "embedding_dim", "n_blocks", "n_heads", "dropout")
        model = SASRec(job.n_items, *(settings[name] for name in names))
        optimizer = torch.optim.AdamW(model.parameters(), settings["lr"], weight_decay=0.0)
        items, lengths = padded(histories, settings["max_length"] + 1)
        for _ in range(settings["max_epochs"]):
            for batch in torch.randperm(len(items)).split(settings["batch_size"]):
                read = items[batch, :-1] * (items[batch, 1:] != PADDING)  # less the last item, which follows all
                states = model(read, lengths[batch] - 1)
                loss = loss_of(states, model, items[batch, 1:], settings)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            job.record_scores(lambda: scores(model, histories, settings["max_length"]))


def sequences(job: Job, length: int) -> list[np.ndarray]:
    """Return the latest training items of each user, oldest first, as codes from 1."""
    users, items, _ = job.part("train")
    return [part[-length:] + 1 for part in np.split(items, np.searchsorted(users, np.arange(1, job.n_users)))]


def padded(histories: list[np.ndarray], length: int) -> tuple[Tensor, Tensor]:
    """Return items (B, length) with padding on the right, and lengths (B,)."""
    rows = np.zeros((len(histories), length), np.int64)
    for row, history in zip(rows, histories, strict=True):
        row[: len(history)] = history
    return torch.from_numpy(rows), torch.tensor([len(history) for history in histories])


@torch.inference_mode()
def scores(model: SASRec, histories: list[np.ndarray], length: int) -> np.ndarray:
    """Return the scores of all users and items, (n_users, n_items)."""
    model.eval()
    items, lengths = padded([history[-length:] for history in histories], length)
    rows = []
    for part, n in zip(items.split(USERS_PER_PASS), lengths.split(USERS_PER_PASS), strict=True):
        last = model(part, n)[torch.arange(len(part)), n - 1]
        rows.append(last @ model.items.weight[1:].T)
    model.train()
    return torch.cat(rows).numpy()


run({"SASRec": train})
