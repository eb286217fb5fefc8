"""Reading of runs: each run has its own metrics, whatever characters are in its path and in the names of metrics."""

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

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
