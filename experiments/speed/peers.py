"""Comparison of this project with public libraries: equal ratings, sizes and settings, one thread, alternating turns.

    python experiments/speed/peers.py [--rounds 3] [--only TEXT ...] [--epochs N] [--ml-1m DIR] [--environments DIR]
        [--out DIR]

Each library has an environment of its own, created once from the pins in `peers/`. Each turn is a process of its own:
the peer's, then ours, for each pair and round. The scores are returned to this script, which evaluates all of them in
the same way. `measured.csv` holds time and quality of each turn; the tables are computed from it.

Seconds are CPU seconds of training, without imports and reading. They include all threads that a library starts, and
depend little on other load of the machine. "Times faster" is the ratio of a turn's seconds, the peer's to ours: the
median over rounds, with minimum and maximum. Scores are recorded after each epoch if a library allows it; the best
epoch by NDCG@10 on validation counts, and test ratings are not used for any choice.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from evaluation import random_data
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from tqdm import tqdm
from turns import Data, composed_split, environment, last_line, take_turn

from recsys.data.splitters import LeaveOneOut
from recsys.files import write_text

EPOCHS = ("epochs", "max_epochs")  # names of this setting
OURS = "recsys"
NEUMF = {  # settings of the NCF paper, with 8 predictive factors
    "_target_": "recsys.models.ncf.NeuMF",
    "embedding_dim": 8,
    "hidden_dims": [64, 32, 16, 8],
    "n_negatives": 4,
    "lr": 0.001,
}
RECBOLE_NEUMF = {
    "model": "NeuMF",
    "mf_embedding_size": 8,
    "mlp_embedding_size": 32,
    "mlp_hidden_size": [32, 16, 8],
    "dropout_prob": 0.0,
    "train_neg_sample_args": {"distribution": "uniform", "sample_num": 4, "dynamic": False},
    "learning_rate": 0.001,
}
BPR = {"_target_": "recsys.models.mf.MF", "loss": "bpr", "embedding_dim": 64, "n_negatives": 1}
RECBOLE_START = BPR | {"init_std": 0.04}  # RecBole's: 0.045 for users and 0.034 for items
SMALL_BATCHES = {"train_batch_size": 256, "epochs": 15}
LARGE_BATCHES = {"train_batch_size": 4096, "epochs": 40}
TUNED = {"batch_size": 4096, "lr": 0.01, "weight_decay": 0.22, "dropout": 0.1, "max_epochs": 20}
TUNED_NEUMF = NEUMF | TUNED  # the best of six on validation, close to the choice of experiment=ncf_revisited
RECBOLE_BPR = {"model": "BPR", "embedding_size": 64, "train_batch_size": 2048, "learning_rate": 0.001, "epochs": 20}
TUNED_BPR = BPR | {"batch_size": 4096, "lr": 0.01, "max_epochs": 20}  # batches of 2,048 pairs; chosen on validation
EASE = {"_target_": "recsys.models.ease.EASE", "l2": 500.0}
KNN = {"_target_": "recsys.models.knn.ItemKNN"}
SASREC = {"_target_": "recsys.models.sasrec.SASRec"}
SASREC_SIZES = {"embedding_dim": 64, "n_blocks": 2, "n_heads": 1, "dropout": 0.2, "max_length": 200}
SASREC_TRAINING = {"batch_size": 128, "lr": 0.001, "max_epochs": 30}
SASREC_SOFTMAX = SASREC_SIZES | SASREC_TRAINING | {"loss": "softmax"}
SASREC_GBCE = SASREC_SIZES | SASREC_TRAINING | {"loss": "gbce", "n_negatives": 256, "calibration": 0.75}
RECTOOLS_SASREC = {
    "n_factors": 64,
    "n_blocks": 2,
    "n_heads": 1,
    "dropout_rate": 0.2,
    "session_max_len": 200,
    "batch_size": 128,
    "lr": 0.001,
    "epochs": 30,
}
RECTOOLS_GBCE = RECTOOLS_SASREC | {"loss": "gBCE", "n_negatives": 256, "gbce_t": 0.75}
ALS = {"_target_": "recsys.models.als.ALS", "embedding_dim": 64, "l2": 0.01}


class Task(NamedTuple):
    """A task of two libraries.

    Attributes:
        name: name of the task in the peer's script.
        ours: name of the task in `peers/recsys.py`.
        data: name of its data, a key of `DATA`.
    """

    name: str
    ours: str
    data: str = "rankings"


@dataclass(frozen=True)
class Pair:
    """A peer and this project at one task.

    Attributes:
        task: the task of both.
        peer: name of a script in `peers/`.
        theirs: settings of the peer.
        ours: settings of our model.
        note: remark on the settings.
    """

    task: Task
    peer: str
    theirs: Mapping[str, Any]
    ours: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    def of_epochs(self, n: int) -> Pair:
        """Return the pair with so many epochs, of the sides that have epochs."""
        sides = [
            {key: n if key in EPOCHS else value for key, value in side.items()} for side in (self.theirs, self.ours)
        ]
        return replace(self, theirs=sides[0], ours=sides[1])

    def __str__(self) -> str:
        return f"{self.task.name}, {self.peer}{self.note and f', {self.note}'}"


NCF, MF = Task("NeuMF", "rank"), Task("MF-BPR", "rank")
LINEAR, NEIGHBOURS, LEAST_SQUARES = Task("EASE", "rank"), Task("item-KNN", "rank"), Task("ALS", "rank")
ATTENTION = Task("SASRec", "rank", "sequences")
SVD_PP, STAR_NEIGHBOURS, BAYES = (
    Task(name, "predict", "stars") for name in ("SVD++", "item-KNN for stars", "Bayesian MF")
)
METRICS, EVERYTHING = Task("evaluation", "metrics", "scores"), Task("evaluation", "evaluate", "scores")
PAIRS = (
    Pair(
        NCF, "recbole", RECBOLE_NEUMF | SMALL_BATCHES, NEUMF | {"batch_size": 256, "max_epochs": 15}, "batches of 256"
    ),
    Pair(NCF, "recbole", RECBOLE_NEUMF | SMALL_BATCHES, TUNED_NEUMF, "batches of 256; ours tuned"),
    Pair(
        NCF,
        "recbole",
        RECBOLE_NEUMF | LARGE_BATCHES,
        NEUMF | {"batch_size": 4096, "max_epochs": 40},
        "batches of 4,096",
    ),
    Pair(NCF, "recbole", RECBOLE_NEUMF | LARGE_BATCHES, TUNED_NEUMF, "batches of 4,096; ours tuned"),
    Pair(MF, "recbole", RECBOLE_BPR, RECBOLE_START | {"batch_size": 4096, "lr": 0.001, "max_epochs": 20}),
    Pair(MF, "implicit", {"factors": 64, "iterations": 100}, TUNED_BPR, "ours by Adam"),
    Pair(MF, "cornac", {"k": 64, "max_iter": 100, "learning_rate": 0.01}, TUNED_BPR, "ours by Adam"),
    Pair(LINEAR, "recbole", {"model": "EASE", "reg_weight": 500.0}, EASE),
    Pair(LINEAR, "cornac", {"lamb": 500.0}, EASE),
    Pair(LINEAR, "rectools", {"regularization": 500.0}, EASE),
    Pair(LINEAR, "lenskit", {"regularization": 500.0}, EASE),
    Pair(NEIGHBOURS, "recbole", {"model": "ItemKNN", "k": 100, "shrink": 0.0}, KNN | {"k": 100}, "k = 100"),
    Pair(NEIGHBOURS, "implicit", {"K": 100}, KNN | {"k": 100}, "k = 100"),
    Pair(NEIGHBOURS, "lenskit", {"save_nbrs": 100, "max_nbrs": 100}, KNN | {"k": 100}, "k = 100"),
    Pair(
        LEAST_SQUARES,
        "implicit",
        {"factors": 64, "regularization": 0.01, "iterations": 15},
        ALS | {"n_sweeps": 15},
        "which ours wraps",
    ),
    Pair(
        LEAST_SQUARES,
        "lenskit",
        {"embedding_size": 64, "regularization": 0.01, "epochs": 15, "weight": 1.0},
        ALS | {"n_sweeps": 15},
    ),
    Pair(ATTENTION, "bare_sasrec", SASREC_SOFTMAX, SASREC | SASREC_SOFTMAX, "softmax"),
    Pair(ATTENTION, "rectools", RECTOOLS_SASREC | {"loss": "softmax"}, SASREC | SASREC_SOFTMAX, "softmax"),
    Pair(ATTENTION, "bare_sasrec", SASREC_GBCE, SASREC | SASREC_GBCE, "gBCE, 256 negatives"),
    Pair(ATTENTION, "rectools", RECTOOLS_GBCE, SASREC | SASREC_GBCE, "gBCE, 256 negatives"),
    Pair(METRICS, "recbole", {"batch_size": 4_000_000}),
    Pair(METRICS, "cornac", {}),
    Pair(METRICS, "lenskit", {}),
    Pair(METRICS, "rectools", {}, note="its lists given"),
    Pair(EVERYTHING, "recbole", {"batch_size": 4_000_000}, note="ours with AUC, diversity, slices"),
    Pair(
        SVD_PP,
        "surprise",
        {"n_factors": 20, "n_epochs": 20},
        {"_target_": "recsys.models.svd_pp.SVDPP", "embedding_dim": 20, "max_epochs": 20, "batch_size": 8, "lr": 0.005},
    ),
    Pair(STAR_NEIGHBOURS, "surprise", {"k": 40}, {"_target_": "recsys.models.rating_knn.RatingItemKNN"}),
    Pair(
        BAYES,
        "myfm",
        {"rank": 16, "n_iter": 300, "n_kept_samples": 120},
        {"_target_": "recsys.models.bayesian_mf.BayesianMF", "embedding_dim": 16, "side": []},
    ),
)


def rankings() -> Data:
    """Return MovieLens-100K with the last rating of each user for test and the one before for validation."""
    return Data(composed_split(["data=ml-100k", "split=leave_last_out"]))


def sequences(folder: str | None = None) -> Data:
    """Return MovieLens-1M, films with five ratings and more, split like `rankings`; download it without a folder."""
    path = [f"data.path={folder}"] if folder else []
    return Data(composed_split(["data=ml-1m", "data.cleaning.item_core=5", "split=leave_last_out", *path]))


def stars() -> Data:
    """Return the first canonical fold of MovieLens-100K, for rating prediction."""
    return Data(composed_split(["data=ml-100k", "split=folds"]))


def scores() -> Data:
    """Return random scores of the size of MovieLens-1M, with one held-out film per user."""
    split = LeaveOneOut()(random_data(np.random.default_rng(0)))
    shape = (split.dataset.n_users, split.dataset.n_items)
    return Data(split, np.random.default_rng(1).standard_normal(shape, dtype=np.float32))


class Turns:
    """Runs turns; a side that several pairs share runs once a round."""

    def __init__(self, environments: Path, datasets: Mapping[str, Data]) -> None:
        self.environments = environments
        self.datasets = datasets
        self.measured: dict[str, pd.DataFrame] = {}

    def compare(self, pair: Pair, turn: int) -> pd.DataFrame:
        """Measure both sides in one round; a row for each record of scores."""
        task = pair.task
        sides = ((pair.peer, task.name, pair.theirs), (OURS, task.ours, pair.ours))
        rows = pd.concat([self._measure(library, *side, turn, task.data) for library, *side in sides])
        return rows.assign(task=task.name, peer=pair.peer, note=pair.note, round=turn)

    def _measure(self, library: str, name: str, settings: Mapping[str, Any], turn: int, data: str) -> pd.DataFrame:
        job = {"task": name, "settings": dict(settings), "seed": turn}
        key = json.dumps([library, data, job])
        if key not in self.measured:
            python = environment(library, self.environments)
            rows = pd.DataFrame(take_turn(library, python, job, self.datasets[data]))
            self.measured[key] = rows.assign(library=library, record=np.arange(1, len(rows) + 1))
        return self.measured[key]


def _times(theirs: pd.Series, ours: pd.Series) -> str:
    """Format how many times faster ours is: median (minimum - maximum) over rounds."""
    ratios = theirs.to_numpy() / ours.to_numpy()
    return f"{np.median(ratios):.2f} ({ratios.min():.2f} - {ratios.max():.2f})"


def _pairs(measured: pd.DataFrame) -> list[tuple[list[str], pd.DataFrame, pd.DataFrame]]:
    """Return the names of each pair, and the rows of its two sides."""
    grouped = measured.groupby(["task", "peer", "note"], sort=False, dropna=False)
    return [(list(names), rows[rows["library"] != OURS], rows[rows["library"] == OURS]) for names, rows in grouped]


def complete_trainings(measured: pd.DataFrame) -> Table:
    """Build a table of complete trainings: seconds, quality and memory."""
    columns = (
        "task",
        "peer",
        "",
        "peer s",
        "ours s",
        "times faster",
        "peer's quality",
        "ours",
        "peer MB (+ training)",
        "ours MB",
    )
    table = Table(*columns, title="Complete trainings")
    for names, *sides in _pairs(measured):
        ends = [side.groupby("round").last() for side in sides]
        seconds = [end["seconds"] for end in ends]
        quality = [_quality(pd.DataFrame([_best(turn) for _, turn in side.groupby("round")])) for side in sides]
        memory = [f"{end['mb'].median():.0f} (+{(end['mb'] - end['mb_before']).median():.0f})" for end in ends]
        medians = [f"{values.median():.3g}" for values in seconds]
        table.add_row(*names, *medians, _times(*seconds), *quality, *memory)
    return table


def equal_quality(measured: pd.DataFrame) -> Table:
    """Build a table of the seconds until the peer's best epoch on validation, and until ours is first as good."""
    columns = ("task", "peer", "", "peer's best, valid", "peer s", "ours s", "times faster", "peer's test", "ours")
    table = Table(*columns, title="Trained to equal quality")
    for names, theirs, ours in _pairs(measured):
        if ours["record"].max() == 1:
            continue
        goals = pd.DataFrame([_best(turn) for _, turn in theirs.groupby("round")]).set_index("round")
        reached = ours[ours["valid/ndcg@10"] >= ours["round"].map(goals["valid/ndcg@10"])].groupby("round").first()
        if len(reached) < len(goals):
            table.add_row(*names, _mean(goals["valid/ndcg@10"]), f"{goals['seconds'].median():.3g}", "never")
            continue
        medians = [f"{frame['seconds'].median():.3g}" for frame in (goals, reached)]
        quality = [_quality(frame) for frame in (goals, reached)]
        times = _times(goals["seconds"], reached["seconds"])
        table.add_row(*names, _mean(goals["valid/ndcg@10"]), *medians, times, *quality)
    return table


def _best(turn: pd.DataFrame) -> pd.Series:
    """Return the row that is best on validation, or the only one."""
    return turn.loc[turn["valid/ndcg@10"].idxmax()] if turn["valid/ndcg@10"].notna().any() else turn.iloc[-1]


def _quality(rows: pd.DataFrame) -> str:
    names = ["rmse"] if rows["rmse"].notna().all() else ["test/hr@10", "test/ndcg@10"]
    return " / ".join(_mean(rows[name]) for name in names)


def _mean(values: pd.Series) -> str:
    return f"{values.mean():.4f}"


DATA = {"rankings": rankings, "sequences": sequences, "stars": stars, "scores": scores}
COLUMNS = [
    "task",
    "peer",
    "note",
    "round",
    "library",
    "record",
    "seconds",
    "valid/hr@10",
    "valid/ndcg@10",
    "test/hr@10",
]
COLUMNS += ["test/ndcg@10", "rmse", "mb", "mb_before"]


def main() -> None:
    """Create environments, run turns and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--only", nargs="+", default=[""], metavar="TEXT", help="pairs whose names have one of these")
    parser.add_argument("--environments", type=Path, default=Path("cache/peers"), metavar="DIR")
    parser.add_argument("--out", type=Path, default=Path("outputs/peers"), metavar="DIR")
    parser.add_argument("--epochs", type=int, metavar="N", help="of deep models, in place of each pair's own")
    parser.add_argument("--ml-1m", metavar="DIR", help="folder of MovieLens-1M; downloaded unless given")
    arguments = parser.parse_args()
    chosen = [pair for pair in PAIRS if any(text.lower() in str(pair).lower() for text in arguments.only)]
    if not chosen:
        raise SystemExit(
            f"error: --only must match one of {'; '.join(map(str, PAIRS))} (got {' '.join(arguments.only)})."
        )
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.epochs:
        chosen = [pair.of_epochs(arguments.epochs) for pair in chosen]
    makers = DATA | {"sequences": partial(sequences, arguments.ml_1m)}
    datasets = {name: make() for name, make in makers.items() if any(pair.task.data == name for pair in chosen)}
    turns = Turns(arguments.environments.resolve(), datasets)
    measured, failures = [pd.DataFrame(columns=COLUMNS)], {}
    for turn, pair in tqdm(list(product(range(arguments.rounds), chosen)), unit=" pairs", disable=None):
        if str(pair) in failures:
            continue
        try:
            measured.append(turns.compare(pair, turn))
        except subprocess.CalledProcessError as error:
            failures[str(pair)] = last_line(error)
            continue
        text = pd.concat(measured)[COLUMNS].to_csv(
            index=False
        )  # each time, so that an interrupted run leaves its results
        write_text(arguments.out / "measured.csv", text)
    console = Console(width=180)
    if len(measured) > 1:
        whole = pd.concat(measured)
        console.print(complete_trainings(whole), equal_quality(whole))
    for name, reason in failures.items():
        console.print(escape(f"Not measured: {name}: {reason}"))


if __name__ == "__main__":
    main()
