"""Train in processes that Ray starts on the machines of its cluster, with the arguments of train.py.

    pip install 'ray[train]'
    python experiments/scale/on_ray.py --processes 8 model=mf trainer=sharded trainer.strategy=sharded \
        trainer.devices=8 hydra.run.dir=/shared/big

Ray numbers the processes by the variables that torchrun uses, so the run is that of `torchrun ... train.py`. The
project, the data and the directory of the run must have the same paths on all machines.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ray.train import ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from torch import distributed

TRAIN = Path(__file__).parents[2] / "train.py"


def train(settings: dict[str, Any]) -> None:
    """Execute train.py as one process of the run; Ray calls this in a thread, where train.py cannot handle signals."""
    distributed.destroy_process_group()  # of Ray's own, whose port train.py uses
    environment = os.environ | {"TORCHELASTIC_RUN_ID": "ray"}  # by which Lightning recognises processes of torchrun
    command = [sys.executable, str(TRAIN), *settings["arguments"]]
    subprocess.run(command, cwd=settings["folder"], env=environment, check=True)  # noqa: S603


def main() -> None:
    """Start the processes, and wait for them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--gpu", action="store_true", help="a GPU for each process")
    options, arguments = parser.parse_known_args()
    TorchTrainer(
        train,
        train_loop_config={"arguments": arguments, "folder": str(Path.cwd())},
        torch_config=TorchConfig(backend="gloo"),
        scaling_config=ScalingConfig(num_workers=options.processes, use_gpu=options.gpu),
    ).fit()


if __name__ == "__main__":
    main()
