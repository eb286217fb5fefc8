"""Outcomes become the folder of a study: tables with notes, runs.csv, figures of what there is."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
import yaml
from pytorch_lightning.loggers import TensorBoardLogger

from recsys.errors import UserError
from recsys.evaluation.significance import holm, randomisation
from recsys.studies.curves import learning_curve
from recsys.studies.runs import Run, read_run
from recsys.studies.study import Outcome, Row, Setting, Study
from recsys.studies.study_figures import calibration_gaps, pareto_front, slice_means
from recsys.studies.study_numbers import direction
from recsys.studies.study_report import print_tables, runs_frame, write_report
from recsys.studies.study_table import StudyTable, study_tables

N_USERS = 40
LEVELS = {"popularity": 0.1, "item_knn": 0.3, "ease": 0.32}  # what rows reach


def manifest(split: str, commit: str, dirty: bool) -> dict:
    return {
        "data": {"name": "ml-100k", "fingerprint": "data"},
        "split": {"name": "folds", "fingerprint": split},
        "seconds": {"data": 9.0, "fit": 2.0, "validation": 9.0, "refit": 1.0, "test": 0.5},
        "git": {"commit": commit, "dirty": dirty},
        "versions": {"torch": "2.13.0", "numpy": "2.4.0", "scipy": "1.17.0", "scikit-learn": "1.8.0"},
        "hardware": {"machine": "x86_64", "processor": "Abacus", "cores": 2, "gpus": []},
        "threads": 1,
        "peak_memory_bytes": 3 * 2**20,
    }


@pytest.fixture
def make(tmp_path) -> Callable[..., Run]:
    """Write a small run directory and read it back; each user's value is the level and a little of their own."""
    made = []

    def make(
        level: float,
        metrics: Mapping[str, float] | None = None,
        seed: int = 0,
        split: str = "a",
        commit: str = "c0ffee",
        dirty: bool = False,
        metric: str = "ndcg@10",
    ) -> Run:
        directory = tmp_path / "runs" / str(len(made))
        (directory / "csv").mkdir(parents=True)
        made.append(directory)
        values = level + 0.1 * np.random.default_rng(len(made)).random(N_USERS)
        test = {f"test/{metric}": values.mean(), f"valid/{metric}": level, "test/mean_popularity@10": 100 * level}
        test |= {f"test/{metric.replace('@10', '@5')}": level / 2} if "@" in metric else {}
        test |= metrics or {}
        users = pd.DataFrame({"user_id": np.arange(N_USERS), metric: values, "unread": "x"})
        duckdb.from_df(users).write_parquet(str(directory / "per_user.parquet"))
        slices = {
            "slice": ["activity"] * 2 + ["genre"] * 2,
            "value": ["1-9", "10-20", "Drama", "None"],
            "n": [4, 4, 5, 3],
        }
        pd.DataFrame({**slices, metric: [level, level, None, None], "dcg@10": [None, None, level, 0.2]}).to_csv(
            directory / "slices.csv", index=False
        )
        curve = {"step": [5, 5, 10, 10], "train/epoch": [0, None, 1, None], f"valid/{metric}": [None, 0.1, None, level]}
        pd.DataFrame(curve).to_csv(directory / "csv" / "metrics.csv", index=False)
        (directory / "config.yaml").write_text(yaml.safe_dump({"seed": seed}))
        (directory / "metrics.json").write_text(json.dumps(test))
        (directory / "manifest.json").write_text(json.dumps(manifest(split, commit, dirty)))
        return read_run(directory)

    return make


def study(*rows: str, metrics: tuple[str, ...] = ("ndcg@10",), **described: Row) -> Study:
    by_name = {row: Row({}) for row in rows} | described
    return Study("demo", "Which is best?", {"folds": Setting({}, by_name, metrics)}, (0, 1), rows[:2], 20, 1e-3)


def outcome(row: str, run: Run | None = None, seed: int = 0, variant: str = "", failure: str | None = None) -> Outcome:
    return Outcome("folds", variant, row, seed, 20, run, failure)


@pytest.fixture
def outcomes(make) -> list[Outcome]:
    """Two seeds of three rows."""
    return [outcome(row, make(level, seed=seed), seed) for row, level in LEVELS.items() for seed in (0, 1)]


def only(study: Study, outcomes: list[Outcome]) -> StudyTable:
    [table] = study_tables(study, outcomes)
    return table


def line(table: StudyTable, row: str, metric: str = "ndcg@10") -> pd.Series:
    return table.numbers.set_index(["row", "metric"]).loc[(row, metric)]


def cells(table: StudyTable, row: str) -> list[str]:
    name = row.replace("_", r"\_")
    [found] = [line for line in table.markdown().splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_variants_are_averaged_within_each_seed_before_seeds_are(make):
    values = {0: (0.1, 0.3), 1: (0.5, 0.9)}
    asked = [
        outcome("ease", make(0.1, {"test/ndcg@10": value}, seed, split=f"{fold}"), seed, f"fold={fold}")
        for seed, folds in values.items()
        for fold, value in enumerate(folds)
    ]
    table = only(study("ease"), asked)
    assert line(table, "ease")[["seeds", "mean", "std"]].tolist() == [
        2,
        pytest.approx(0.45),
        pytest.approx(np.std([0.2, 0.7], ddof=1)),
    ]
    assert "over 2 seeds, each the mean over fold=0, fold=1;" in table.notes[0]


def test_a_seed_that_lacks_a_variant_does_not_count(make):
    asked = [outcome("ease", make(0.1, {"test/ndcg@10": 0.2}), 0, fold) for fold in ("a", "b")]
    asked += [outcome("ease", make(0.9), 1, "a"), outcome("ease", None, 1, "b")]
    table = only(study("ease"), asked)
    assert line(table, "ease")[["status", "seeds", "mean"]].tolist() == ["not run", 1, 0.2]
    assert table.notes[0] == "ease: 1 of 4 not run yet; its figures are of 1 seed."


def test_the_baseline_is_the_one_that_is_best_on_validation(make):
    asked = [
        outcome("popularity", make(0.5, {"valid/ndcg@10": 0.1})),
        outcome("item_knn", make(0.2, {"valid/ndcg@10": 0.3})),
        outcome("ease", make(0.2, {"valid/ndcg@10": 0.9})),  # none of the baselines
    ]
    assert only(study("popularity", "item_knn", "ease"), asked).baseline == "item_knn"


def test_of_errors_the_least_is_best(make):
    asked = [outcome(row, make(level, metric="rmse")) for row, level in (("bias", 0.9), ("knn", 0.8), ("mf", 0.7))]
    table = only(study("bias", "knn", "mf", metrics=("rmse",)), asked)
    assert table.baseline == "knn"
    assert cells(table, "mf")[1].startswith("**0.7")
    assert cells(table, "mf")[1].endswith("↓")
    assert cells(table, "knn")[1].startswith("<u>0.8")
    assert any("Tests weigh all users alike, while rmse in the table" in note for note in table.notes)


def test_users_are_averaged_over_seeds_and_all_rows_are_corrected_for(outcomes):
    table = only(study(*LEVELS), outcomes)
    of_users = {
        row: pd.concat([each.run.per_user_metrics(["ndcg@10"]) for each in outcomes if each.row == row])
        .groupby(level=0)
        .mean()
        for row in LEVELS
    }
    differences = {row: (of_users[row] - of_users["item_knn"])["ndcg@10"].to_numpy() for row in ("popularity", "ease")}
    p_values = [randomisation(own) for own in differences.values()]
    for row, p_value, adjusted in zip(differences, p_values, holm(p_values), strict=True):
        found = line(table, row)
        assert found[["baseline", "users", "p", "p_holm"]].tolist() == ["item_knn", N_USERS, p_value, adjusted]
        assert found["difference"] == pytest.approx(differences[row].mean())
        assert found["low"] < found["difference"] < found["high"]
        assert found["effect_size"] == pytest.approx(differences[row].mean() / differences[row].std(ddof=1))
    assert cells(table, "popularity")[1].endswith("↓")
    assert np.isnan(line(table, "item_knn")["p"])


def test_ties_in_the_figure_shown_are_all_best(make):
    reached = {"popularity": 0.30001, "item_knn": 0.30002, "ease": 0.2}
    table = only(study(*reached), [outcome(row, make(0.1, {"test/ndcg@10": mean})) for row, mean in reached.items()])
    assert [cells(table, row)[1].split(" ")[0] for row in reached] == ["**0.3000**", "**0.3000**", "<u>0.2000</u>"]


def test_metrics_without_a_better_end_have_no_best():
    assert [direction(metric) for metric in ("hr@10/sampled99", "auc/sampled99", "rmse", "mean_popularity@10")] == [
        1,
        1,
        -1,
        0,
    ]


def test_metrics_of_all_users_together_are_shown_and_not_tested(make):
    asked = [outcome(row, make(level, {"test/coverage@10": level})) for row, level in LEVELS.items()]
    table = only(study(*LEVELS, metrics=("ndcg@10", "coverage@10")), asked)
    assert cells(table, "ease")[2] == "0.3200"
    assert any("so not tested: coverage@10." in note for note in table.notes)


def test_a_row_without_a_metric_has_an_empty_cell(make):
    asked = [outcome("ease", make(0.1)), outcome("bias", make(0.9, metric="rmse"))]
    table = only(study("ease", "bias", metrics=("ndcg@10", "rmse")), asked)
    assert (cells(table, "ease")[2], cells(table, "bias")[1]) == ("", "")


def test_rows_on_another_split_are_named_and_not_tested(make):
    asked = [outcome(row, make(level, split=row[:1])) for row, level in LEVELS.items()]
    table = only(study(*LEVELS), asked)
    assert any(note.startswith("Nothing is tested") for note in table.notes)
    asked[0] = outcome("popularity", make(0.1, split="i"))
    table = only(study(*LEVELS), asked)
    assert any("on other splits or users than item_knn: ease." in note for note in table.notes)


def test_a_failed_run_is_named_with_its_reason_and_no_path(make):
    failure = f"Nothing is in {Path.cwd()}/outputs/<x>: train it anew."
    asked = [outcome("ease", make(0.1)), outcome("slim_2", failure=failure), outcome("mf")]
    table = only(study("ease", "slim_2", "mf"), asked)
    assert cells(table, "slim_2")[1] == "failed"
    assert cells(table, "mf")[1] == "not run"
    assert "slim_2: 1 of 1 runs failed (Nothing is in outputs/<x>: train it anew)." in table.notes
    assert r"outputs/\<x>" in table.markdown()
    frame = runs_frame(study("ease", "slim_2", "mf"), asked)
    assert frame["status"].tolist() == ["complete", "failed: Nothing is in outputs/<x>: train it anew.", "not run"]


def test_a_study_of_which_nothing_was_run_still_has_its_folder(tmp_path):
    write_report(tmp_path / "demo", study("ease"), [outcome("ease")])
    assert "| ease | not run |" in (tmp_path / "demo" / "table.md").read_text()
    assert len(pd.read_csv(tmp_path / "demo" / "table.csv")) == 1


def test_a_run_that_was_not_tested_is_one_sentence(make):
    run = make(0.1)
    (run.directory / "per_user.parquet").unlink()
    with pytest.raises(UserError, match="was not tested"):
        study_tables(study("ease", "slim"), [outcome("ease", run), outcome("slim", make(0.2))])


def test_several_versions_of_the_code_are_told(make):
    asked = [outcome("ease", make(0.1)), outcome("slim", make(0.2, commit="decaf", dirty=True))]
    table = only(study("ease", "slim"), asked)
    assert table.notes[-2:] == [
        "Runs are of 2 versions of the code; runs.csv has each one's.",
        "1 of 2 runs were of code that was not committed (+ in runs.csv).",
    ]
    assert runs_frame(study("ease", "slim"), asked)["commit"].tolist() == ["c0ffee", "decaf+"]
    for each in asked:
        each.run.manifest["code"] = "the same files"
    assert not any("versions of the code" in note for note in only(study("ease", "slim"), asked).notes)


def test_published_figures_have_a_column_where_there_are_some(make):
    asked = [outcome(row, make(0.1)) for row in ("ease", "slim")]
    table = only(study("slim", ease=Row({}, published={"ndcg@10": 0.445})), asked)
    assert "| model | ndcg@10 | ndcg@10 published | configurations | seconds |" in table.markdown()
    assert cells(table, "ease")[2:] == ["0.445", "20", "3"]
    assert cells(table, "slim")[2] == ""


def test_latex_means_its_signs(make):
    text = only(study("a_b & 50%", "c"), [outcome("a_b & 50%", make(0.1)), outcome("c", make(0.2))]).latex()
    assert r"a\_b \& 50\% & \underline{" in text
    assert r"$\downarrow$" in text
    assert "±" not in text
    assert r"\toprule" in text


def test_the_folder_holds_runs_tables_and_figures_of_what_there_is(outcomes, tmp_path, capsys):
    folds = study(*LEVELS).settings["folds"]
    asked = Study("demo", "Which?", {"folds": folds, "by time": folds}, (0, 1), tuple(LEVELS), 20, 1e-3)
    directory = tmp_path / "demo"
    print_tables(write_report(directory, asked, outcomes))
    assert "item_knn" in capsys.readouterr().out
    runs = pd.read_csv(directory / "runs.csv")
    assert runs[["row", "seed"]].to_numpy().tolist() == [[row, seed] for row in LEVELS for seed in (0, 1)]
    assert runs.loc[0, ["seconds_fit", "seconds_refit", "peak_memory_mib", "split"]].tolist() == [2.0, 1.0, 3, "a"]
    assert runs["test/ndcg@10"].tolist() == [each.run.metrics["test/ndcg@10"] for each in outcomes]
    assert str(tmp_path) not in (directory / "runs.csv").read_text()
    assert len(pd.read_csv(directory / "table.csv")) == 6
    assert (directory / "table.tex").read_text().count(r"\begin{table}") == 2
    assert "## by time" in (directory / "table.md").read_text()
    drawn = {"learning_curves", "list_length", "popularity_bias", "slices_activity", "slices_genre", "training_time"}
    names = {path.name for path in (directory / "figures").iterdir()}
    assert names == {f"{name}_folds.{kind}" for name in drawn for kind in ("png", "svg")}  # by time nothing was run


def test_the_same_runs_give_the_same_numbers(outcomes):
    pd.testing.assert_frame_equal(*(only(study(*LEVELS), outcomes).numbers for _ in range(2)))


def test_figures_know_sampled_metrics_and_calibration(make, tmp_path):
    metric = "ndcg@10/sampled99"
    asked = [outcome(row, make(level, metric=metric)) for row, level in LEVELS.items()]
    bins = pd.DataFrame({"n": [60, 60], "predicted": [2.9, 4.1], "actual": [3.0, 4.0]})
    bins.to_csv(asked[0].run.directory / "calibration.csv", index=False)
    write_report(tmp_path, study(*LEVELS, metrics=(metric,)), asked)
    names = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert {"list_length", "calibration", "training_time"} <= names


def test_calibration_of_few_ratings_is_not_drawn(make, tmp_path):
    run = make(0.1)
    pd.DataFrame({"n": [9], "predicted": [3.0], "actual": [4.0]}).to_csv(run.directory / "calibration.csv", index=False)
    write_report(tmp_path, study("ease"), [outcome("ease", run)])
    assert not list((tmp_path / "figures").glob("calibration*"))


def test_curves_are_read_from_either_logger_and_an_epoch_done_again_counts_once(make, tmp_path):
    assert learning_curve(make(0.3), "ndcg@10").to_dict() == {1: 0.1, 2: 0.3}
    run = Run(tmp_path, {}, {}, {})
    assert learning_curve(run, "ndcg@10").empty
    logger = TensorBoardLogger(tmp_path, name="", version="tensorboard")
    for step, epoch, value in ((5, 0, 0.1), (10, 1, 0.2), (11, 1, 0.25)):
        logger.log_metrics({"train/epoch": epoch, "valid/ndcg@10": value}, step)
    logger.finalize("success")
    assert learning_curve(run, "ndcg@10").to_dict() == pytest.approx({1: 0.1, 2: 0.25})


def test_the_pareto_front_has_what_none_beats_in_time_and_metric():
    seconds = pd.Series({"slow": 9.0, "fast": 1.0, "slower": 10.0, "beaten": 5.0})
    reached = pd.Series({"slow": 0.5, "fast": 0.3, "slower": 0.5, "beaten": 0.2})
    assert pareto_front(seconds, reached, 1) == ["fast", "slow"]
    assert pareto_front(seconds, -reached, -1) == ["fast", "slow"]


def test_calibration_pools_ratings_of_runs_and_leaves_out_bins_of_few():
    bins = pd.DataFrame({"n": [30, 90, 9], "predicted": [3.0, 3.04, 4.5], "actual": [3.4, 3.0, 1.0]})
    gaps = calibration_gaps(bins)
    assert gaps.index.tolist() == [pytest.approx((30 * 3.0 + 90 * 3.04) / 120)]
    assert gaps.tolist() == [pytest.approx((30 * 0.4 - 90 * 0.04) / 120)]


def test_bands_whose_ends_differ_between_variants_are_averaged_by_their_place():
    frames = [
        pd.DataFrame({"slice": "activity", "value": names, "n": [4, 6], "ndcg@10": [0.1, 0.3], "place": [0, 1]})
        for names in (["1-9", "10-20"], ["1-8", "10-20"])
    ]
    means = slice_means(frames, "activity", "ndcg@10")
    assert means["value"].tolist() == ["band 1", "10-20"]
    assert means["mean"].tolist() == pytest.approx([0.1, 0.3])
    assert slice_means(frames, "segment", "ndcg@10").empty
