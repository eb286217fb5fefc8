"""Reading of runs: each run has its own metrics, whatever characters are in its path and in the names of metrics."""

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from recsys.studies.run_writer import RunWriter
from recsys.studies.runs import CONFIG
from tests.studies.runs import write_run


def test_a_directory_with_a_pattern_in_its_name_holds_its_own_metrics(tmp_path: Path):
    other = write_run(tmp_path / "seeds=1", 0.1)
    run = write_run(tmp_path / "seeds=[1,2]", 0.5)
    assert run.per_user["ndcg@10"].mean() > other.per_user["ndcg@10"].mean() + 0.3
    np.testing.assert_array_equal(run.per_user_metrics(["ndcg@10"])["ndcg@10"], run.per_user["ndcg@10"])


def test_a_metric_with_a_quotation_mark_in_its_name_is_read(tmp_path: Path):
    run = write_run(tmp_path / "run", 0.5)
    duckdb.from_df(pd.DataFrame({"user_id": [1], 'share of "A"': [0.25]})).write_parquet(
        str(run.directory / "per_user.parquet")
    )
    assert run.per_user_metrics(['share of "A"']).to_numpy().tolist() == [[0.25]]


def test_a_run_has_no_results_of_an_earlier_run_in_its_directory(tmp_path: Path):
    earlier = write_run(tmp_path / "run", 0.5)
    for name in ("embeddings.npz", "calibration.csv"):
        (earlier.directory / name).touch()
    RunWriter(earlier.directory, "seed: 1\n")  # of a model without embeddings, with test=false
    assert {path.name for path in earlier.directory.iterdir()} == {CONFIG, "unresolved.yaml", "begun.json"}


def test_a_resumed_run_keeps_what_it_has(tmp_path: Path):
    earlier = write_run(tmp_path / "run", 0.5)
    (earlier.directory / "manifest.json").unlink()
    RunWriter(earlier.directory, "seed: 0\n", resumed=True)
    assert earlier.per_user["ndcg@10"].mean() > 0.5


def test_stored_settings_are_read_as_utf_8_whatever_the_locale_is(tmp_path: Path):
    RunWriter(tmp_path, "seed: 0\nlabel: Amélie\nlogger: {name: Zoë}\n")
    code = "import sys, pathlib; from recsys.studies.runs import is_interrupted\n"
    code += "sys.exit(not is_interrupted(pathlib.Path(sys.argv[1]), {'seed': 0, 'logger': {'name': 'Zo\\u00eb'}}))"
    environment = os.environ | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-X", "utf8=0", "-c", code, tmp_path], env=environment, check=True)
