"""Exchange of tensors between the processes of a distributed training, and errors when a process is lost.

Functions that exchange tensors are collective operations: all processes must call them in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from recsys.errors import UserError

# Parts of the error messages of torch.distributed when another process of the group no longer responds.
LOST = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "Timed out waiting", "NCCL error")


def summed(values: Tensor) -> Tensor:
    """Return, in every process, the elementwise sum of the tensors that the processes pass; all have the same shape."""
    total = values.clone()
    dist.all_reduce(total)
    return total


def of_each(values: Tensor) -> Tensor:
    """Return, in every process, the tensors (n,) that the processes pass, stacked: (n_processes, n)."""
    gathered = [torch.empty_like(values) for _ in range(dist.get_world_size())]
    dist.all_gather(gathered, values)
    return torch.stack(gathered)


def joined(rows: Tensor, parts: Sequence[range], device: torch.device) -> Tensor:
    """Return, in the first process, the rows of all processes; in the others, the given rows. The result is on the CPU.

    Args:
        rows: (n, ...) the rows of this process.
        parts: for each process, the positions of its rows among the rows of all processes, in ascending order.
        device: device of the training, through which processes exchange tensors.
    """
    if dist.get_rank():
        dist.send(rows.to(device).contiguous(), 0)
        return rows.cpu()
    whole = torch.empty(parts[-1].stop, *rows.shape[1:], dtype=rows.dtype)
    whole[: len(rows)] = rows
    for rank, part in enumerate(parts[1:], start=1):
        received = torch.empty(len(part), *rows.shape[1:], dtype=rows.dtype, device=device)
        dist.recv(received, rank)
        whole[part.start : part.stop] = received
    return whole


@contextmanager
def lost_processes_explained() -> Iterator[None]:
    """Turn errors that follow the loss of a process, by a signal or a network failure, into a `UserError`.

    Raises:
        UserError: a process was lost.
    """
    try:
        yield
    except ProcessExitedException as error:
        reason = error.signal_name or f"exit status {error.exit_code}"
        raise _lost(f"{reason}, often for lack of memory" if reason == "SIGKILL" else reason) from error
    except (ProcessRaisedException, RuntimeError) as error:
        if not any(part in str(error) for part in LOST):
            raise
        raise _lost("its connection was closed") from error


def _lost(reason: str) -> UserError:
    return UserError(
        f"A process of the training ended before the others ({reason}), so that all of them have ended: resume the "
        "run, with as many processes or another number, to continue from its last epoch."
    )
