"""Optimisers and learning-rate schedules of deep models."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from recsys.errors import check_not_negative, check_positive, one_of

OPTIMIZERS = ("adam", "sgd")
WARMUP = 0.1  # share of all steps
SCHEDULES: dict[str, Callable[[float], float]] = {  # factor of the learning rate after a share of all steps
    "constant": lambda done: 1.0,
    "linear": lambda done: 1.0 - done,
    "cosine": lambda done: 0.5 * (1.0 + math.cos(math.pi * done)),
    "warmup_linear": lambda done: min(done / WARMUP, (1.0 - done) / (1.0 - WARMUP)),
}


@dataclass(frozen=True)
class Optimization:
    """Settings of the optimiser of a module.

    Args:
        optimizer: `adam` (AdamW) or `sgd`.
        lr: learning rate.
        weight_decay: weight decay, which is decoupled for `adam` and an L2 penalty for `sgd`.
        lr_schedule: `constant`; `linear` or `cosine`, a decay to zero over `epochs`; or `warmup_linear`, a linear
            increase from zero over the first tenth of the steps, then a linear decay to zero.
        epochs: number of epochs that the schedule spans, or None for the trainer's `max_epochs`. If it is a
            number, a refit has the same schedule as the preceding fit, although the refit trains for fewer epochs.

    Raises:
        UserError: a value is not allowed.
    """

    optimizer: str = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    lr_schedule: str = "constant"
    epochs: int | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        one_of("optimizer", self.optimizer, OPTIMIZERS)
        one_of("lr_schedule", self.lr_schedule, SCHEDULES)
        check_positive(lr=self.lr)
        check_not_negative(weight_decay=self.weight_decay)

    def build(self, module: nn.Module, groups: Iterable[Any]) -> torch.optim.Optimizer:
        """Return the optimiser for a module's parameter groups; `adam` is `RowwiseAdamW` if gradients are sparse."""
        if self.optimizer == "sgd":
            return torch.optim.SGD(groups, self.lr, weight_decay=self.weight_decay)
        adam = RowwiseAdamW if has_sparse_gradients(module) else partial(torch.optim.AdamW, fused=True)
        return adam(groups, self.lr, weight_decay=self.weight_decay)

    def schedule(self, optimizer: torch.optim.Optimizer, n_steps: float) -> LambdaLR:
        """Return the learning-rate schedule over `n_steps` steps; call its method `step` after each step."""
        factor = SCHEDULES[self.lr_schedule]
        return LambdaLR(optimizer, lambda step: factor(step / n_steps))


def has_sparse_gradients(module: nn.Module) -> bool:
    """Return whether an embedding table of the module has sparse gradients (of only the rows that a step looked up)."""
    return any(getattr(part, "sparse", False) for part in module.modules())


class RowwiseAdamW(torch.optim.AdamW):
    """AdamW that updates only the rows of an embedding table that a step looked up.

    AdamW: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019. This class changes the updates of
    tables with sparse gradients; other weights are updated as usual. For each row, only the steps that looked it up
    count as steps and apply weight decay. The cost of a step thus depends on the number of rows looked up, and
    not on the size of the table.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Perform one step, and set sparse gradients to None; see `torch.optim.Optimizer.step`."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None and table.grad.is_sparse:
                    self._step_rows(table, **{name: group[name] for name in ("lr", "betas", "eps", "weight_decay")})
                    table.grad = None
        super().step()
        return loss

    def _step_rows(self, table: Tensor, lr: float, betas: tuple[float, float], eps: float, weight_decay: float) -> None:
        """Apply AdamW's equations to the rows of a table that have a gradient."""
        state = self.state[table]
        if not state:
            state["step"] = torch.zeros(len(table), 1, device=table.device)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(table), torch.zeros_like(table)
        gradient = table.grad.coalesce()  # type: ignore[union-attr]
        rows, values = gradient.indices()[0], gradient.values()
        # index_select copies whole rows, many times as fast as table[rows] on a CPU
        steps, mean, square = (state[name].index_select(0, rows) for name in ("step", "exp_avg", "exp_avg_sq"))
        steps += 1
        mean.lerp_(values, 1 - betas[0])
        square.lerp_(values.square(), 1 - betas[1])
        state["step"][rows], state["exp_avg"][rows], state["exp_avg_sq"][rows] = steps, mean, square
        deviation = square.div_(1 - betas[1] ** steps).sqrt_().add_(eps)
        change = mean.mul_(lr).div_(1 - betas[0] ** steps).div_(deviation)
        table[rows] = table.index_select(0, rows).mul_(1 - lr * weight_decay).sub_(change)
