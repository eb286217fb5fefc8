"""Adam with decoupled weight decay that leaves alone what a step did not look up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from recsys.errors import UserError
from recsys.models.base import FitContext


class RowwiseAdamW(torch.optim.AdamW):
    """AdamW (Loshchilov and Hutter, ICLR 2019); of a table with sparse gradients only the rows looked up are updated.

    Each row counts the steps that it took part in, and is decayed in those. A step on a table then costs as much as
    what it looked up, whatever the length of the table.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; see `torch.optim.Optimizer.step`."""
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
        """Adam's equations on the rows that have a gradient."""
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


def refuse_clipping(context: FitContext | None, setting: str) -> None:
    """Check, before any work, that gradients are not to be clipped where a setting makes them sparse.

    Raises:
        UserError: they are.
    """
    if context and context.trainer.keywords.get("gradient_clip_val"):
        raise UserError(f"Sparse gradients are not clipped: leave out trainer.gradient_clip_val or {setting}.")
