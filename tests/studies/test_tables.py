"""Runs become rows: mean and standard deviation over seeds."""

from pathlib import Path

import numpy as np
import pytest

from recsys.errors import UserError
from recsys.studies.runs import Run
from recsys.studies.tables import markdown, results, table


def run(model: str, seed: int, ndcg: float, **settings) -> Run:
    return Run(
        directory=Path(),
        config={"model": {"_target_": f"recsys.models.x.{model}", "seed": seed, **settings}, "seed": seed},
        metrics={"test/ndcg@10": ndcg},
        manifest={"data": {"name": "ml-100k"}, "split": {"name": "leave_last_out"}},
    )


def test_seeds_share_a_row_with_mean_and_standard_deviation():
    frame = table([run("MF", seed, ndcg) for seed, ndcg in enumerate((0.1, 0.2, 0.3))], ["test/ndcg@10"])
    assert frame.loc[0, "seeds"] == "3"
    assert frame.loc[0, "test/ndcg@10"] == f"0.2000 ± {np.std([0.1, 0.2, 0.3], ddof=1):.4f}"


def test_a_single_seed_has_no_deviation():
    assert table([run("MF", 0, 0.1)], ["test/ndcg@10"]).loc[0, "test/ndcg@10"] == "0.1000"


def test_only_settings_that_differ_within_a_model_are_named():
    runs = [run("MF", 0, 0.1, lr=1, dim=8), run("MF", 0, 0.2, lr=2, dim=8), run("EASE", 0, 0.3, l2=5)]
    assert list(results(runs)["settings"]) == ["lr=1", "lr=2", ""]
    assert len(table(runs, ["test/ndcg@10"])) == 3


def test_an_unknown_metric_names_those_there_are():
    with pytest.raises(UserError, match=r"No run has a metric test/ndgc@10.*test/ndcg@10"):
        table([run("MF", 0, 0.1)], ["test/ndgc@10"])


def test_markdown_has_a_line_for_each_row():
    frame = table([run("MF", 0, 0.25)], ["test/ndcg@10"])
    assert markdown(frame).splitlines() == [
        "| data | split | model | settings | seeds | test/ndcg@10 |",
        "| --- | --- | --- | --- | --- | --- |",
        "| ml-100k | leave_last_out | MF |  | 1 | 0.2500 |",
    ]
