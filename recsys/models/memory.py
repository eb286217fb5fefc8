"""Checks that a computation fits in memory, before hours are spent on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from recsys.errors import UserError
from recsys.models.base import Recommender

MEMINFO = Path("/proc/meminfo")
OWN_GROUP = Path("/proc/self/cgroup")
GROUPS = Path("/sys/fs/cgroup")
COPIES_OF_WEIGHTS = 4  # weights, gradients and Adam's two moments
# Weights and Adam's two moments, which Lightning gathers in memory before it writes a checkpoint, and which are loaded
# again at the end. Both constants sum to 7 copies; a training of GMF with 26 million weights and Adam was measured to
# take 7.4, including the libraries that it imports.
COPIES_IN_A_CHECKPOINT = 3
COPIES_OF_LOGITS = 3  # logits, gradients and the softmax


def available_bytes() -> int:
    """Return an estimate of the free memory in bytes.

    On Linux, it is the smaller of `MemAvailable` in /proc/meminfo and what the memory limits of a container or a Slurm
    job leave. Elsewhere, it is the machine's whole memory, whether used or free.
    """
    if MEMINFO.is_file():
        fields = dict(line.split(":") for line in MEMINFO.read_text().splitlines())
        return min([int(fields["MemAvailable"].removesuffix("kB")) * 1024, *_left_by_groups()])
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _left_by_groups() -> Iterator[int]:
    """Yield the free bytes of each control group (cgroup v2) of this process that has a memory limit.

    File caches count as free.
    """
    names = [line.removeprefix("0::/") for line in OWN_GROUP.read_text().splitlines() if line.startswith("0::/")]
    for name in names:
        for folder in (GROUPS / name, *(GROUPS / name).parents):
            limit = folder / "memory.max"
            if limit.is_file() and (most := limit.read_text().strip()) != "max":
                counts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
                used = int((folder / "memory.current").read_text())
                yield int(most) - used + int(counts["active_file"]) + int(counts["inactive_file"])


def check_memory(n_bytes: int, subject: str, advice: str) -> None:
    """Check that a computation fits in memory.

    Args:
        n_bytes: peak memory of the computation, in bytes.
        subject: what needs the memory, as the subject of the error message.
        advice: what to do if the computation does not fit, for the error message.

    Raises:
        UserError: the computation does not fit.
    """
    available = available_bytes()
    if n_bytes > available:
        raise UserError(
            f"{subject} would take {n_bytes / 1e9:.1f} GB of memory, but only {available / 1e9:.1f} GB are free: "
            f"{advice}."
        )


def check_item_pairs(bytes_per_pair: int, n_items: int, model: str) -> None:
    """Check that a dense matrix over all pairs of items fits in memory.

    Args:
        bytes_per_pair: peak memory for each pair of items, in bytes.
        n_items: size of the catalogue.
        model: name of the model, for the error message.

    Raises:
        UserError: the matrix does not fit.
    """
    check_memory(
        bytes_per_pair * n_items**2,
        f"{model} on {n_items:,} items",
        "leave out rarely rated items with data.cleaning.item_core, or choose model=item_knn, model=elsa or "
        "model=low_rank_gfcf",
    )


def check_weights(n_weights: int, model: Recommender) -> None:
    """Check that there is enough memory to train a number of float32 weights with Adam and to store checkpoints.

    Activations are not counted: their size depends on the model, and they are in the memory of the training device.

    Args:
        n_weights: number of weights.
        model: the model to train. If the training does not fit, the error message advises lowering the model's widths.

    Raises:
        UserError: the training does not fit.
    """
    widths = [f"model.{name}" for name in model.hyperparameters() if name.endswith(("_dim", "_dims"))]
    check_memory(
        4 * (COPIES_OF_WEIGHTS + COPIES_IN_A_CHECKPOINT) * n_weights,
        f"{type(model).__name__} with {n_weights:,} weights",
        f"lower {' or '.join(widths) or 'the width of its layers'}",
    )


def check_layers(n_items: int, hidden_dim: int, batch_size: int) -> None:
    """Check that there is enough memory to train a layer that reads all items and another layer that scores all items.

    The weights are in single precision.

    Args:
        n_items: size of the catalogue.
        hidden_dim: number of outputs of the first layer, and of inputs of the second.
        batch_size: number of users in a training step, each with logits of all items.

    Raises:
        UserError: the training does not fit.
    """
    numbers = COPIES_OF_WEIGHTS * 2 * hidden_dim + COPIES_OF_LOGITS * batch_size
    check_memory(
        4 * n_items * numbers,
        f"A layer of {hidden_dim} units to and from {n_items:,} items",
        "lower model.hidden_dim or model.batch_size",
    )
