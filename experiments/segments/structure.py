"""Collect what the study's runs measured of their segments: `python experiments/segments/structure.py [RUNS]`.

RUNS is the directory of the runs, by default outputs/experiments/segments. Each run with segments gives rows to two
files beside this script: structure.csv has the measures of each number of segments, and accuracy.csv the segments that
were chosen, with the test metrics of the run's model in each.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from recsys.files import write_whole

HERE = Path(__file__).parent
INTERVAL = ("mean", "low", "high")


def runs_with_segments(directory: Path) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    """Generate the setting, row and variant of each run that has found segments, with its segments.json."""
    for found in sorted(directory.glob("*/*/*/segments/segments.json")):
        setting, row, variant = found.parts[-5:-2]
        segments = json.loads(found.read_text(encoding="utf-8"))
        yield {"setting": setting, "row": row, "variant": variant, "space": segments["space"]}, segments


def main() -> None:
    """Write both files."""
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else "outputs/experiments/segments")
    structure, accuracy = [], []
    for run, segments in runs_with_segments(directory):
        structure += [run | measures for measures in segments["measured"]]
        for profile in segments["profiles"]:
            metrics = {
                f"{metric}_{name}": values[name] for metric, values in profile["metrics"].items() for name in INTERVAL
            }
            accuracy.append(run | {key: profile[key] for key in ("name", "n_users", "median_ratings")} | metrics)
    if not structure:
        raise SystemExit(f"No run below {directory} has segments: python train.py experiment=segments")
    for name, rows in (("structure", structure), ("accuracy", accuracy)):
        write_whole(HERE / f"{name}.csv", lambda file, rows=rows: pd.DataFrame(rows).to_csv(file, index=False))


if __name__ == "__main__":
    main()
