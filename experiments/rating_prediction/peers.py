"""Errors of public libraries on the canonical folds u1 to u5 of MovieLens-100K.

    python experiments/rating_prediction/peers.py [--only TEXT ...] [--environments DIR] [--out DIR]

Each model trains on all ratings outside a fold, validation ratings included, as our models do in their refit, and
predicts the ratings of the fold. Settings are those of the libraries' own documentation, which `MODELS` names; none was
chosen on these folds here. Predictions are clipped to the range of ratings. Each training is a process with one thread,
in the environment of its library, which is created once from the pins in `experiments/speed/peers`.

`peers.csv` has the errors and the CPU seconds of training and prediction, for each model and fold and as means over the
folds; `peers.md` is a table of the means. Lines that `peers.csv` has already, with the same versions and settings, are
not measured again. Models that could not be measured are named at the end and left out.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from recsys.data.split import TRAIN, VALID
from recsys.files import read_csv, write_text
from recsys.studies.tables import markdown

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "speed"))  # which compares times with the same libraries

from turns import Data, composed_split, environment, last_line, pins, take_turn  # noqa: E402

FOLDS = (1, 2, 3, 4, 5)
SEED = 0
DESCRIBED = ["row", "library", "version", "settings", "source"]
MEASURED = ["rmse", "mae", "seconds"]


@dataclass(frozen=True)
class Model:
    """A model of a public library.

    Attributes:
        name: name of the row.
        peer: script in `experiments/speed/peers`.
        package: distribution whose version is reported.
        task: task of the script.
        settings: settings in the terms of the library.
        source: where the settings come from.
    """

    name: str
    peer: str
    package: str
    task: str
    settings: Mapping[str, Any]
    source: str


def surprise(name: str, task: str, source: str, **settings: Any) -> Model:
    """Return a model of Surprise."""
    return Model(f"Surprise {name}", "surprise", "scikit-surprise", task, settings, source)


def myfm(name: str, task: str) -> Model:
    """Return a factorisation machine of myFM."""
    settings = {"rank": 10, "n_iter": 200, "n_kept_samples": 200}
    return Model(f"myFM, {name}", "myfm", "myfm", task, settings, "the tutorial on MovieLens-100K of its documentation")


DEFAULTS = "defaults, as in the benchmark on MovieLens-100K of its documentation"
NEIGHBOURS = "default k, and the similarity that its documentation recommends"
MODELS = (
    surprise("SVD", "SVD", DEFAULTS, n_factors=100, n_epochs=20, lr_all=0.005, reg_all=0.02),
    surprise("SVD++", "SVD++", DEFAULTS, n_factors=20, n_epochs=20, lr_all=0.007, reg_all=0.02),
    surprise("KNNBaseline of users", "user-KNN for stars", NEIGHBOURS, k=40),
    surprise("KNNBaseline of items", "item-KNN for stars", NEIGHBOURS, k=40),
    Model(
        "LensKit item-KNN",
        "lenskit",
        "lenskit",
        "item-KNN for stars",
        {"max_nbrs": 20, "min_nbrs": 1, "min_sim": 1e-6},
        "defaults, with its bias model for items without neighbours",
    ),
    Model(
        "Cornac MF",
        "cornac",
        "cornac",
        "MF for stars",
        {"k": 10, "max_iter": 25, "learning_rate": 0.01, "lambda_reg": 0.02, "use_bias": True},
        "the example on MovieLens-100K in its README",
    ),
    myfm("users and items", "Bayesian MF"),
    myfm("with rated items", "Bayesian SVD++"),
)


def fold_data(fold: int) -> Data:
    """Return a fold's ratings for the test and all others for training."""
    split = composed_split(["data=ml-100k", "split=folds", f"split.fold={fold}"])
    return Data(replace(split, labels=np.where(split.labels == VALID, TRAIN, split.labels)))


def with_means(measured: pd.DataFrame) -> pd.DataFrame:
    """Add a line with the means over the folds after the lines of each model that has all folds."""
    parts = []
    for _, lines in measured.groupby("row", sort=False):
        parts.append(lines)
        if len(lines) == len(FOLDS):
            parts.append(lines.head(1).assign(fold="mean", **lines[MEASURED].mean()))
    return pd.concat([measured.head(0), *parts], ignore_index=True)


def report(table: pd.DataFrame) -> str:
    """Write the table of means as Markdown."""
    means = table[table["fold"] == "mean"]
    folds = {f"u{fold}": _digits(table, fold) for fold in FOLDS}
    columns = {
        "model": means["row"],
        "RMSE": means["rmse"].map("{:.4f}".format),
        "MAE": means["mae"].map("{:.4f}".format),
        **{name: means["row"].map(values) for name, values in folds.items()},
        "CPU seconds": means["seconds"].map("{:.3g}".format),
        "version": means["version"],
        "settings": means["settings"],
        "from": means["source"],
    }
    return (
        "# Public libraries on the folds u1 to u5\n\nMade by `python experiments/rating_prediction/peers.py`.\n\n"
        f"{markdown(pd.DataFrame(columns))}\n\n"
        "RMSE and MAE are means over the folds, u1 to u5 the RMSE of each fold, and CPU seconds the mean time of "
        f"training and prediction with one thread. One seed ({SEED}).\n"
    )


def _digits(table: pd.DataFrame, fold: int) -> pd.Series:
    lines = table[table["fold"] == str(fold)].set_index("row")
    return lines["rmse"].map("{:.4f}".format)


def version(model: Model) -> str:
    """Return the version of a model's library that the pins name."""
    [found] = re.findall(rf"^{re.escape(model.package)}==(.+)$", pins(model.peer).read_text(), re.MULTILINE)
    return found


def finished(file: Path) -> pd.DataFrame:
    """Return the lines of an earlier run for single folds whose models, versions and settings are still those here."""
    if not file.is_file():
        return pd.DataFrame(columns=[*DESCRIBED, "fold", *MEASURED])
    lines = read_csv(file, [*DESCRIBED, "fold", *MEASURED], dtype=dict.fromkeys([*DESCRIBED, "fold"], str))
    current = [tuple(described(model).values()) for model in MODELS]
    is_current = np.array([line in current for line in lines[DESCRIBED].itertuples(index=False, name=None)], bool)
    return lines[is_current & (lines["fold"] != "mean")]


def described(model: Model) -> dict[str, str]:
    """Return the columns that identify a model."""
    columns = {"row": model.name, "library": model.package, "version": version(model)}
    return columns | {"settings": json.dumps(model.settings), "source": model.source}


def write(measured: pd.DataFrame, folder: Path) -> None:
    """Write the tables of all measured folds, in the order of the models."""
    rows = [model.name for model in MODELS]
    table = with_means(measured.sort_values("row", key=lambda names: names.map(rows.index), kind="stable"))
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "peers.csv", table.to_csv(index=False))
    write_text(folder / "peers.md", report(table))


def main() -> None:
    """Create the environments, measure the models on all folds, and write the tables after each training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[""], metavar="TEXT", help="models whose names have one of these")
    parser.add_argument("--environments", type=Path, default=Path("cache/peers"), metavar="DIR")
    parser.add_argument("--out", type=Path, default=HERE, metavar="DIR")
    given = parser.parse_args()
    models = [model for model in MODELS if any(text.lower() in model.name.lower() for text in given.only)]
    if not models:
        parser.error(f"--only must match one of {'; '.join(model.name for model in MODELS)}.")
    measured, failures = finished(given.out / "peers.csv"), {}
    done = set(zip(measured["row"], measured["fold"], strict=True))
    data = {fold: fold_data(fold) for fold in FOLDS}
    for model, fold in tqdm(list(product(models, FOLDS)), unit=" trainings", disable=None):
        if model.name in failures or (model.name, str(fold)) in done:
            continue
        job = {"task": model.task, "settings": dict(model.settings), "seed": SEED}
        try:
            python = environment(model.peer, given.environments.resolve())
            [turn] = take_turn(model.peer, python, job, data[fold])
        except subprocess.CalledProcessError as error:
            failures[model.name] = last_line(error)
            continue
        line = described(model) | {"fold": str(fold)} | {name: turn[name] for name in MEASURED}
        measured = pd.concat([measured, pd.DataFrame([line])], ignore_index=True)
        write(measured, given.out)
    if len(measured):
        print((given.out / "peers.md").read_text())
    for name, reason in failures.items():
        print(f"Not measured: {name}: {reason}")


if __name__ == "__main__":
    main()
