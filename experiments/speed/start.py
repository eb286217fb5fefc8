"""CPU seconds of commands, from start to end: how long users wait for what is not computation.

    python experiments/speed/start.py [--repeat 3]

Trains on MovieLens-100K, prepared before. Every command is a process of its own; the least of its repeats is printed,
of which the first may compile modules.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def cpu_seconds(command: list[str]) -> float:
    """Run Python with these arguments, and return the CPU seconds of its process and of those that it started."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *command], cwd=ROOT, check=True, capture_output=True)  # noqa: S603
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print a row for each command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3, metavar="N")
    repeat = parser.parse_args().repeat
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled modules are stored, as users' are
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    with tempfile.TemporaryDirectory() as directory:
        run = f"{directory}/ease"
        commands = {
            "import torch": ["-c", "import torch"],  # tells how fast the machine is
            "python -m recsys --help": ["-m", "recsys", "--help"],
            "import recsys.config": ["-c", "import recsys.config"],
            "import recsys.models.ease": ["-c", "import recsys.models.ease"],
            "python -m recsys prepare": ["-m", "recsys", "prepare"],
            "train.py model=popularity": ["train.py", "model=popularity", f"hydra.run.dir={directory}/popularity"],
            "train.py model=ease": ["train.py", "model=ease", f"hydra.run.dir={run}"],
            "recommend, EASE": ["-m", "recsys", "recommend", run, "--user", "1"],
            "similar, EASE": ["-m", "recsys", "similar", run, "Toy Story (1995)"],
            "table": ["-m", "recsys", "table", run],
            "test, EASE": ["-m", "recsys", "test", run, "ks=[10]", "--out", f"{directory}/test"],
        }
        cpu_seconds(commands["python -m recsys prepare"])
        for name, command in commands.items():
            seconds = min(cpu_seconds(command) for _ in range(repeat))
            print(f"{name:<28} {seconds:6.2f} s", flush=True)


if __name__ == "__main__":
    main()
