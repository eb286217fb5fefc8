"""Seeds and threads of this process, and its role in a run of several processes."""

from __future__ import annotations

import os
import random
import sys

import numpy as np

from recsys.errors import check_positive, check_seed

RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")  # variables by which torchrun and Slurm number processes


def fix_randomness(seed: int) -> None:
    """Seed the random number generators of Python, of NumPy and, if it is imported, of torch.

    If Lightning is imported, the processes that it starts get the same seed.

    Raises:
        UserError: the seed is out of the range that all generators accept.
    """
    check_seed(seed=seed)
    if "pytorch_lightning" in sys.modules:
        import pytorch_lightning as pl

        pl.seed_everything(seed, verbose=False)
        return
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - for libraries that draw from the global generator
    if "torch" in sys.modules:
        import torch

        torch.manual_seed(seed)


def limit_threads(n: int) -> None:
    """Limit torch to n threads, even if torch is imported only later, for example by a sentence encoder.

    Raises:
        UserError: n is not above zero.
    """
    check_positive(threads=n)
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(n)
    else:
        os.environ["OMP_NUM_THREADS"] = str(n)


def is_requeued() -> bool:
    """Return whether Slurm has restarted this job, after a preemption, a node failure or `scontrol requeue`."""
    return int(os.environ.get("SLURM_RESTART_COUNT", 0)) > 0


def reports() -> bool:
    """Return whether this process writes and prints for its run; of several processes, only the first does."""
    return not any(int(os.environ.get(name, 0)) for name in RANKS)
