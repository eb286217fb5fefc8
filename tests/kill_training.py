"""Kill trainings at random moments and resume them: `python -m tests.kill_training --kills 100`. It is not part of CI.

Every run is killed (SIGKILL) at a random moment after it has stored its command, and resumed once. The resumed run must
have exactly the metrics, those of users included, and the arrays of an uninterrupted run; of a pickled model, whose
bytes differ between equal models, the metrics. Processes are forked from one that has imported everything, so that a
kill hits training more often than imports. Moments are shares of the run's processor time, whatever else the machine
does; Linux reports it in /proc.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytorch_lightning  # noqa: F401
import sklearn.ensemble  # noqa: F401 - imported before the processes are forked

import train
from recsys.config import main as train_command
from recsys.studies.runs import is_finished, read_run

SHORT = ("model.max_epochs=8", "model.patience=8")
MODELS: dict[str, Sequence[str]] = {
    "ncf": ("model=ncf", *SHORT),
    "mf": ("model=mf", "model.lr_schedule=cosine", "model.dropout=0.2", *SHORT),
    "sasrec": ("model=sasrec", "model.embedding_dim=16", "model.n_negatives=16", "model.batch_size=8", *SHORT),
    "dae": ("model=dae", "model.hidden_dim=32", "model.batch_size=16", *SHORT),
    "boosting": (
        "model=gradient_boosting",
        "protocol=ratings",
        "model.n_trees=40",
        "model.min_samples_leaf=5",
        "model.models.biased_mf.max_epochs=2",
        *(f"~model.models.{name}" for name in ("svd_pp", "bayesian_mf", "user_knn")),
        "~model.texts.sentences",
    ),
    "two_stage": ("model=two_stage", "model.n_trees=40", "model.min_samples_leaf=5"),
}


def main() -> None:
    """Kill and resume trainings of each model in turn, and print how they ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, metavar="N", help="of all models together (default: 100)")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), metavar="MODEL")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    n_unequal = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = write_data(folder)
        for place, model in enumerate(arguments.models):
            n_kills = len(range(place, arguments.kills, len(arguments.models)))
            killed = KilledTraining(folder, [*data, *MODELS[model]])
            moments = Counter(killed.kill_and_resume(rng.random()) for _ in range(n_kills))
            n_unequal += sum(n for moment, n in moments.items() if moment.startswith("UNEQUAL"))
            listed = ", ".join(f"{n} {moment}" for moment, n in sorted(moments.items()))
            print(f"{model}: {n_kills} kills in runs of {killed.seconds:.1f} s of processor time: {listed}", flush=True)
    print(f"{arguments.kills - n_unequal} of {arguments.kills} ended as the uninterrupted run did.")
    sys.exit(bool(n_unequal))


def write_data(folder: Path) -> list[str]:
    """Write ratings of 40 films by 60 users, and return the overrides that read them."""
    rng = np.random.default_rng(0)
    rows = [
        (user, film, rng.integers(1, 6), 10**9 + rng.integers(10**6))
        for user in range(60)
        for film in rng.choice(40, rng.integers(8, 20), replace=False)
    ]
    pd.DataFrame(rows, columns=["user_id", "movie_id", "rating", "time"]).to_csv(folder / "ratings.csv", index=False)
    films = pd.DataFrame({"movie_id": range(40), "title": [f"Film {i} ({1980 + i})" for i in range(40)]})
    films.assign(genres="Drama").to_csv(folder / "films.csv", index=False)
    columns = [f"data.films_columns.{name}={name}" for name in ("movie_id", "title", "genres")]
    files = [f"data.path={folder}/ratings.csv", f"data.films_path={folder}/films.csv", *columns]
    return ["data=files", *files, "ks=[5,10]", f"cache_dir={folder}/cache"]


class KilledTraining:
    """One training, whose uninterrupted run is known.

    Args:
        folder: folder for runs.
        arguments: arguments of train.py.

    Attributes:
        seconds: processor time of the uninterrupted run after it has stored its command.
    """

    def __init__(self, folder: Path, arguments: Sequence[str]) -> None:
        self.folder, self.arguments = folder, arguments
        self.cache = folder / "cache" / "fitted"  # of base models
        self.output = folder / "output.txt"  # of the latest training
        wait_for(self._started("first"))  # prepares the data
        process = self._started("whole")
        begun = processor_seconds(process)
        self.seconds = wait_for(process) - begun
        self.expected = results(folder / "whole")

    def kill_and_resume(self, share: float) -> str:
        """Kill a run after a share of its processor time and resume it; returns when it was killed, how it ended."""
        run = self.folder / "killed"
        process = self._started("killed")
        end = processor_seconds(process) + share * self.seconds
        while not has_ended(process) and processor_seconds(process) < end:
            time.sleep(0.01)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        moment = moment_of(run)
        if not is_finished(run):
            wait_for(forked(lambda: train_run([f"resume={run}"], self.output)))
        return moment if equal(results(run), self.expected) else f"UNEQUAL {moment}"

    def _started(self, name: str) -> int:
        """Start a run in a process of its own, and return its number once the run has stored its command."""
        run = self.folder / name
        for folder in (run, self.cache):
            shutil.rmtree(folder, ignore_errors=True)
        process = forked(lambda: train_run([*self.arguments, f"hydra.run.dir={run}"], self.output))
        while not (run / ".hydra" / "overrides.yaml").is_file():
            if has_ended(process):
                raise SystemExit(f"A training ended before it stored its command: {self.output.read_text()}")
            time.sleep(0.01)
        return process


def moment_of(run: Path) -> str:
    """Return when a run was killed, by the files that it had written."""
    if is_finished(run):
        return "after the end"
    if (run / "checkpoints" / "refit").is_dir() or (run / "per_user.parquet").is_file():
        return "in the refit or later"
    if any((run / "checkpoints").rglob("last.ckpt")):
        return "between epochs"
    return "before the first checkpoint"


def train_run(arguments: Sequence[str], output: Path) -> None:
    """Call train.py; its output goes to a file."""
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["train.py", *arguments]
    train_command(train.objective)


def forked(work: Callable[[], None]) -> int:
    """Do some work in another process, and return its number."""
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def has_ended(process: int) -> bool:
    """Return whether a process has ended; it can still be waited for."""
    return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def processor_seconds(process: int) -> float:
    """Return the processor time of a process, whose end has not been waited for."""
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def wait_for(process: int) -> float:
    """Wait for a process, which must succeed, and return its processor time."""
    _, ended, used = os.wait4(process, 0)
    status = os.waitstatus_to_exitcode(ended)
    if status:
        raise SystemExit(f"A training ended with status {status}.")
    return used.ru_utime + used.ru_stime


def results(run: Path) -> tuple[dict[str, float], pd.DataFrame, dict[str, np.ndarray]]:
    """Return the metrics of a run, those of users, and the arrays of its model without what is pickled."""
    with np.load(run / "model" / "arrays.npz") as stored:
        arrays = {name: array for name, array in stored.items() if name != "state"}
    return read_run(run).metrics, duckdb.read_parquet(str(run / "per_user.parquet")).df(), arrays


def equal(some: tuple, others: tuple) -> bool:
    """Return whether results are equal to the last digit."""
    (metrics, users, arrays), (other_metrics, other_users, other_arrays) = some, others
    same_arrays = arrays.keys() == other_arrays.keys() and all(
        np.array_equal(array, other_arrays[name]) for name, array in arrays.items()
    )
    return metrics == other_metrics and users.equals(other_users) and same_arrays


if __name__ == "__main__":
    main()
