"""What repeats to the digit, and what does not, and by how much: models are trained and tested again.

    python experiments/reproducibility/repeat.py [--models NAME ...] [--python PATH] [--compare FILE] [--out DIR]

Every model of `configs/model`, except other settings of the same model (`LEFT_OUT`), is trained with seed 0 on
MovieLens-100K, with at most a few epochs, and tested: once with one thread, which all others are compared with; again
in another process, in the reverse order of models; with two threads; with the kernels for older processors; and, for
each `--python`, with the packages of another environment. `--compare` names a `measured.csv` of another machine, whose
results are compared too. `fit_models.py` trains the models; finished ones are not trained again. `--models` selects
those to train, none without a name; the tables have all that are finished.

`measured.csv` has the metrics of the first training with all digits, digests of its weights, scores and lists, and the
platform; `table.csv` a line for each comparison, and `table.md` tables of it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recsys.config.loader import CONFIGS
from recsys.files import read_csv, slug, write_text
from recsys.studies.tables import markdown
from recsys.studies.verification import PLATFORM, Verification

HERE = Path(__file__).parent
RUNS = Path("outputs/reproducibility")
LEFT_OUT = {  # other settings of a model that is in the list -> that model
    "blend": "blend_100k",
    "blend_closed_form": "blend_100k",
    "ease_by_recency": "ease",
    "ease_newcomers": "ease",
    "p3alpha": "rp3beta",
    "sasrec_text": "sasrec_both",
    "two_stage": "two_stage_100k",
}
MODELS = sorted(path.stem for path in (CONFIGS / "model").glob("*.yaml") if path.stem not in LEFT_OUT)
OLDER_KERNELS = {  # of processors with AVX, but without AVX2 and FMA
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "AVX",
    "ONEDNN_MAX_CPU_ISA": "AVX",
    "OPENBLAS_CORETYPE": "Sandybridge",
}
LIBRARIES = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB_MAXIMUM")  # that start threads
FIRST = "one thread"


@dataclass(frozen=True)
class Way:
    """A way of training all models.

    Attributes:
        name: name of the way.
        threads: number of threads of all libraries.
        variables: further environment variables.
        reverse: whether the models are trained in reverse order.
        python: the interpreter.
    """

    name: str
    threads: int = 1
    variables: Mapping[str, str] = field(default_factory=dict)
    reverse: bool = False
    python: str = sys.executable

    def run(self, models: Sequence[str]) -> None:
        """Train the models one after another in a process of their own."""
        threads = {f"{library}_NUM_THREADS": str(self.threads) for library in LIBRARIES}
        ordered = list(reversed(models)) if self.reverse else list(models)
        folder = RUNS / slug(self.name)
        command = [self.python, str(HERE / "fit_models.py"), str(folder), str(self.threads), *ordered]
        subprocess.run(command, check=True, env=os.environ | threads | self.variables)  # noqa: S603

    def results(self, model: str) -> dict[str, Any]:
        """Read the results of a model; if there are none, `failure` says why."""
        file = RUNS / slug(self.name) / model / "result.json"
        return json.loads(file.read_text()) if file.is_file() else {"model": model, "failure": "it has not been run"}

    def arrays(self, model: str) -> dict[str, np.ndarray]:
        """Read the scores and lists of a model; it has none if it has not been run."""
        file = RUNS / slug(self.name) / model / "arrays.npz"
        if not file.is_file():
            return {}
        with np.load(file) as stored:
            return dict(stored)


def ways(pythons: Sequence[str]) -> list[Way]:
    """Return all ways; the first is the one that the others are compared with."""
    others = [Way(_versions(python), python=python) for python in pythons]
    again = Way("again", reverse=True)
    return [Way(FIRST), again, Way("two threads", 2), Way("older kernels", variables=OLDER_KERNELS), *others]


def _versions(python: str) -> str:
    code = "import numpy, torch; print(f'torch {torch.__version__}, numpy {numpy.__version__}')"
    found = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603
    return found.stdout.strip()


def comparison(
    first: Mapping[str, Any],
    other: Mapping[str, Any],
    first_arrays: Mapping[str, np.ndarray],
    other_arrays: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """Compare two results of a model; without arrays, scores and lists are only compared by their digests.

    Returns:
        Columns of `table.csv`: what differs between the platforms; whether `metrics`, `weights` and `scores` are equal
        in all bits; the largest relative difference of a metric; the share of lists that are equal; the largest
        difference of scores, in standard deviations of the scores.
    """
    if failure := first.get("failure") or other.get("failure"):
        return {"failure": failure}
    if first["settings"] != other["settings"]:
        return {"failure": "its settings are others"}
    verification = Verification(pd.Series(first), pd.Series(other), pd.Series(dtype=float), 0.0)
    metrics = verification.frame()[["published", "repeated"]]
    differences = relative_differences(metrics["published"].to_numpy(), metrics["repeated"].to_numpy())
    same = {name: first[name] == other[name] for name in ("weights", "scores", "lists")}
    found = {
        "platform": ", ".join(verification.differing([*PLATFORM, "kernels", "code"])),
        "metrics": bool((differences == 0).all()),
        "weights": same["weights"],
        "scores": same["scores"],
        "difference": float(differences.max()),
        "of": str(metrics.index[differences.argmax()]) if differences.any() else "",
        "lists": 1.0 if same["lists"] else np.nan,
        "score_difference": 0.0 if same["scores"] else np.nan,
    }
    if first["task"] == "ratings":
        found["lists"] = np.nan  # nothing is ranked
    if first_arrays and other_arrays:
        one, two = first_arrays["scores"].astype(np.float64), other_arrays["scores"].astype(np.float64)
        found["score_difference"] = float(np.abs(one - two).max() / one.std())
        if first["task"] == "ranking":
            found["lists"] = equal_lists(first_arrays["lists"], other_arrays["lists"])
    return found


def relative_differences(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the differences of numbers in relation to the larger one of each pair; 0 for equal ones, also for NaN."""
    larger = np.maximum(np.abs(first), np.abs(second))
    equal = (first == second) | (np.isnan(first) & np.isnan(second))
    return np.where(equal, 0.0, np.abs(first - second) / np.where(larger == 0, 1.0, larger))


def equal_lists(first: np.ndarray, second: np.ndarray) -> float:
    """Return the share of users, the rows of (n_users, k), whose lists are equal."""
    return float((first == second).all(axis=1).mean())


def compare(all_ways: Sequence[Way], published: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Compare the other ways, and the results of other machines by name, with the first way.

    Returns:
        A line for each model and each way or machine.
    """
    first, *others = all_ways
    lines = []
    for model in MODELS:
        reference, arrays = first.results(model), first.arrays(model)
        named = {"model": model, "task": reference.get("task", "")}
        for way in others:
            found = comparison(reference, way.results(model), arrays, way.arrays(model))
            lines.append({**named, "way": way.name, **found})
        for name, frame in published.items():
            for _, former in frame[frame["model"] == model].iterrows():
                lines.append({**named, "way": name, **comparison(former.dropna(), reference, {}, {})})
    return pd.DataFrame(lines)


def measured(way: Way) -> pd.DataFrame:
    """Return the results of a way, a line for each model that is finished."""
    results = [way.results(model) for model in MODELS]
    return pd.DataFrame([result for result in results if "failure" not in result])


def report(table: pd.DataFrame, results: pd.DataFrame) -> str:
    """Return the tables as Markdown."""
    own = results.iloc[0]
    platform = ", ".join(f"{name} {own[name]}" for name in ("python", "torch", "numpy", "scipy", "scikit-learn"))
    cells = table.assign(cell=[_cell(line) for line in table.to_dict("records")])
    each = cells.pivot_table(index="model", columns="way", values="cell", aggfunc="first", sort=False).fillna("")
    summary = pd.DataFrame([{"way": way, **_counts(lines)} for way, lines in table.groupby("way", sort=False)])
    return (
        "\n\n".join(
            [
                "# What repeats to the digit",
                "Made by `python experiments/reproducibility/repeat.py`.",
                f"{own['machine']}; {own['kernels']}; {platform}. Compared with the training of one thread:",
                markdown(summary.astype(str)),
                "`equal`: weights, scores and metrics in all bits. Otherwise the largest relative difference of a "
                "metric (0 if all are equal), the largest difference of scores in their standard deviations, and for "
                "rankings the share of users whose list of ten is the same.",
                markdown(each.reset_index()),
            ]
        )
        + "\n"
    )


def _counts(lines: pd.DataFrame) -> dict[str, Any]:
    done = lines[lines["metrics"].notna()]
    return {
        "models": len(done),
        **{f"equal {name}": int(done[name].astype(bool).sum()) for name in ("weights", "scores", "metrics")},
        "all lists equal": f"{int((done['lists'] == 1).sum())} of {int(done['lists'].notna().sum())}",
        "largest difference of a metric": f"{done['difference'].max():.1e}" if len(done) else "",
        "not run": len(lines) - len(done),
    }


def _cell(line: Mapping[str, Any]) -> str:
    if pd.isna(line["metrics"]):
        return "not run"
    if line["metrics"] and line["scores"] and line["weights"]:
        return "equal"
    if line["metrics"] and line["scores"]:
        return "equal, but for weights"
    lists = "" if pd.isna(line["lists"]) else f", {line['lists']:.1%} of lists"
    scores = "" if pd.isna(line["score_difference"]) else f", scores {line['score_difference']:.0e}"
    return f"{line['difference']:.1g}{scores}{lists}"


def _published(file: Path) -> tuple[str, pd.DataFrame]:
    frame = read_csv(file, ["model", "scores", *PLATFORM])
    of = frame.iloc[0]
    return f"published: {of['machine']}, torch {of['torch']}, numpy {of['numpy']}", frame


def main() -> None:
    """Train in all ways, compare, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", choices=MODELS, default=MODELS, metavar="NAME")
    parser.add_argument("--python", action="append", default=[], metavar="PATH", help="of another environment")
    parser.add_argument("--compare", type=Path, action="append", default=[], metavar="FILE", help="measured.csv")
    parser.add_argument("--out", type=Path, default=HERE, metavar="DIR")
    given = parser.parse_args()
    published = dict(map(_published, given.compare))
    all_ways = ways(given.python)
    for way in all_ways if given.models else ():
        way.run(given.models)
    results, table = measured(all_ways[0]), compare(all_ways, published)
    given.out.mkdir(parents=True, exist_ok=True)
    write_text(given.out / "measured.csv", results.drop(columns="seconds").to_csv(index=False))
    write_text(given.out / "table.csv", table.to_csv(index=False))
    write_text(given.out / "table.md", report(table, results))
    print(report(table, results))


if __name__ == "__main__":
    main()
