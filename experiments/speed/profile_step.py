"""Profile of a training step by operator, compared with the limits of the machine.

    python experiments/speed/profile_step.py [--steps 50] [--only TEXT] [--out DIR]

A step on MovieLens-100K, on one thread and without Lightning, consists of the loss of a batch, its gradients and an
update by Adam. A row of a table is an operator's own time in a step: the median over steps, since other load of the
machine lengthens some of them. `DIR/MODEL.pt.trace.json` is the trace, for ui.perfetto.dev, chrome://tracing or
TensorBoard with torch-tb-profiler.

The minimum that a step requires is counted separately. Bytes: nine passes over the weights (gradients cleared and
written; gradient, weight and Adam's two moments read; weight and moments written), and the tensors saved for backward,
written and read once. Arithmetic: that of the matrix products, as torch counts it. The limits of the machine are
measured as well: a triad a = b + s c of arrays larger than the caches, and a product of square matrices.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.autograd.profiler_util import EventList
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from recsys.config import compose, instantiate
from recsys.data.dataset import Dataset
from recsys.data.prepare import prepare
from recsys.models.base import make
from recsys.models.neural import NeuralModule, NeuralRecommender
from recsys.models.neural.sampling import Draw, Interactions

PAPER = {"embedding_dim": 8, "hidden_dims": [64, 32, 16, 8], "n_negatives": 4}
MODELS = {
    "neumf-256": {"_target_": "recsys.models.ncf.NeuMF", **PAPER, "batch_size": 256},
    "neumf-4096": {"_target_": "recsys.models.ncf.NeuMF", **PAPER, "batch_size": 4096},
    "mf-bpr-4096": {
        "_target_": "recsys.models.mf.MF",
        "embedding_dim": 64,
        "loss": "bpr",
        "n_negatives": 1,
        "batch_size": 4096,
    },
    "mf-softmax-64": {"_target_": "recsys.models.mf.MF", "embedding_dim": 256, "loss": "softmax", "batch_size": 64},
}
N_WARM_UP, N_SHOWN, N_RUNS = 5, 12, 10
TRIAD_NUMBERS = 1 << 25  # 128 MiB an array
MATRIX_WIDTH = 1024
PASSES_OVER_WEIGHTS = 9


class Requirement(NamedTuple):
    """The minimum that one step moves and computes."""

    n_bytes: int
    n_flops: int


def limits() -> tuple[float, float]:
    """Measure the bytes per second of a triad, and the FLOP per second of a matrix product."""
    a, b, c = (torch.ones(TRIAD_NUMBERS) for _ in range(3))
    x = torch.randn(MATRIX_WIDTH, MATRIX_WIDTH)
    bandwidth = 3 * a.nbytes / _best(lambda: torch.add(b, c, alpha=3.0, out=a))
    return bandwidth, 2 * MATRIX_WIDTH**3 / _best(lambda: x @ x)


def _best(run: Callable[[], object]) -> float:
    """Return the minimum CPU seconds of several runs."""
    seconds = []
    for _ in range(N_RUNS):
        started = time.process_time()
        run()
        seconds.append(time.process_time() - started)
    return min(seconds)


def training(setting: dict[str, object], train: Dataset, n: int) -> tuple[NeuralModule, Callable[[], None]]:
    """Return an untrained module, and a function that runs its next step, on one of n batches."""
    model = cast(NeuralRecommender, make(setting))
    objective, interactions = model.objective(), Interactions(train, torch.device("cpu"))
    objective.bind(interactions)
    module = model.build(train.n_users, train.n_items, objective=objective)
    batches = cycle(list(islice(objective.epoch(interactions, Draw(model.batch_size, model.seed)), n)))
    optimizer = torch.optim.AdamW(module.parameters(), model.lr, weight_decay=0.0, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        module.training_step(next(batches), 0).backward()
        optimizer.step()

    return module, step


def requirement(module: NeuralModule, step: Callable[[], None]) -> Requirement:
    """Count the minimum that one step requires; see the module docstring."""
    saved: dict[int, int] = {}  # bytes by address, since backward saves some tensors twice

    def record(tensor: Tensor) -> Tensor:
        saved[tensor.data_ptr()] = tensor.nbytes
        return tensor

    with FlopCounterMode(display=False) as flops, saved_tensors_hooks(record, lambda tensor: tensor):
        step()
    weights = {parameter.data_ptr(): parameter.nbytes for parameter in module.parameters()}
    activations = sum(size for address, size in saved.items() if address not in weights)
    return Requirement(PASSES_OVER_WEIGHTS * sum(weights.values()) + 2 * activations, flops.get_total_flops())


def main() -> None:
    """Measure the limits of the machine, then the step of each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--only", default="", metavar="TEXT", help="only models whose names contain TEXT")
    parser.add_argument("--out", type=Path, default=Path("outputs/profile"), metavar="DIR")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    cfg = compose("train")
    train = instantiate(cfg.split)(prepare(instantiate(cfg.data), Path(cfg.cache_dir), None).dataset).train
    bandwidth, arithmetic = limits()
    console = Console(width=110)
    console.print(f"One thread: {bandwidth / 1e9:.1f} GB/s (triad), {arithmetic / 1e9:.1f} GFLOP/s (matrix product)")
    for name, setting in MODELS.items():
        if arguments.only not in name:
            continue
        module, step = training(setting, train, arguments.steps)
        for _ in range(N_WARM_UP):
            step()
        started = time.process_time()
        for _ in range(arguments.steps):
            step()
        seconds = (time.process_time() - started) / arguments.steps
        required = requirement(module, step)
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            for _ in range(arguments.steps):
                step()
        profiler.export_chrome_trace(str(arguments.out / f"{name}.pt.trace.json"))
        console.print(_table(name, profiler.events(), seconds, arguments.steps))
        moving, computing = required.n_bytes / bandwidth, required.n_flops / arithmetic
        console.print(
            f"It needs {required.n_bytes / 1e6:.2f} MB ({moving * 1e3:.3f} ms, {moving / seconds:.0%} of the step) and "
            f"{required.n_flops / 1e6:.1f} MFLOP ({computing * 1e3:.3f} ms, {computing / seconds:.0%}).\n"
        )


def _table(name: str, events: EventList, seconds: float, n_steps: int) -> Table:
    """Build a table of the slowest operators."""
    calls: dict[str, list[float]] = {}
    for event in events:  # in time order
        calls.setdefault(event.name, []).append(event.self_cpu_time_total / 1e3)  # milliseconds
    spent = {name: np.median([sum(part) for part in np.array_split(own, n_steps)]) for name, own in calls.items()}
    total = sum(spent.values())
    table = Table("operator", "calls a step", "ms a step", "share", title=f"{name}: {seconds * 1e3:.2f} ms a step")
    for column in table.columns[1:]:
        column.justify = "right"
    for operator in sorted(spent, key=lambda operator: -spent[operator])[:N_SHOWN]:
        count, own = len(calls[operator]) / n_steps, spent[operator]
        table.add_row(operator, f"{count:.0f}", f"{own:.3f}", f"{own / total:.0%}")
    return table


if __name__ == "__main__":
    main()
