"""Outcomes become the report of a study: tables with notes, runs.csv, and the figures that have data."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pytorch_lightning.loggers import TensorBoardLogger
from scipy.stats import kendalltau

from recsys.analysis import figures
from recsys.errors import UserError
from recsys.evaluation.resampling import compare
from recsys.evaluation.significance import holm
from recsys.studies.budget import budget_curves, expected_best
from recsys.studies.curves import learning_curve
from recsys.studies.declared_pairs import pair_statistics
from recsys.studies.orders import kendall_tau, order_agreement
from recsys.studies.outcome import Outcome
from recsys.studies.runs import Run
from recsys.studies.slice_figures import slice_means
from recsys.studies.study import Row, Setting, Study
from recsys.studies.study_figures import calibration_gaps, pareto_front
from recsys.studies.study_report import print_report, runs_frame, write_report
from recsys.studies.study_table import StudyTable, study_tables
from tests.studies.runs import N_USERS, write_run

LEVELS = {"popularity": 0.1, "item_knn": 0.3, "ease": 0.32}  # results by row


@pytest.fixture
def make(tmp_path) -> Callable[..., Run]:
    """Writes a run directory; see `write_run`. Users of each run have noise of their own."""
    n_runs = 0

    def make(level: float, *arguments, **settings) -> Run:
        nonlocal n_runs
        n_runs += 1
        return write_run(tmp_path / "runs" / str(n_runs), level, *arguments, random_seed=n_runs, **settings)

    return make


@pytest.fixture
def drawn(monkeypatch, undrawn) -> list[str]:
    """The names of the figures, which are made but not drawn."""
    names: list[str] = []
    monkeypatch.setattr(figures, "save", lambda fig, directory, name, *texts: names.append(name))
    return names


def study(*rows: str, metrics: tuple[str, ...] = ("ndcg@10",), **described: Row) -> Study:
    by_name = {row: Row({}) for row in rows} | described
    return Study("demo", "Which is best?", {"folds": Setting({}, by_name, metrics)}, (0, 1), rows[:2], 20, 1e-3)


def outcome(row: str, run: Run | None = None, seed: int = 0, variant: str = "", failure: str | None = None) -> Outcome:
    return Outcome("folds", variant, row, seed, 20, run, failure)


@pytest.fixture
def outcomes(make) -> list[Outcome]:
    """Outcomes of two seeds of three rows."""
    return [outcome(row, make(level, seed=seed), seed) for row, level in LEVELS.items() for seed in (0, 1)]


def only(study: Study, outcomes: list[Outcome]) -> StudyTable:
    [table] = study_tables(study, outcomes)
    return table


def line(table: StudyTable, row: str, metric: str = "ndcg@10") -> pd.Series:
    return table.statistics.set_index(["row", "metric"]).loc[(row, metric)]


def cells(table: StudyTable, row: str) -> list[str]:
    name = row.replace("_", r"\_")
    [found] = [line for line in table.markdown().splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_variants_are_averaged_within_seeds_before_seeds_are_averaged(make):
    values = {0: (0.1, 0.3), 1: (0.5, 0.9)}
    planned = [
        outcome("ease", make(0.1, {"test/ndcg@10": value}, seed, split=f"{fold}"), seed, f"fold={fold}")
        for seed, folds in values.items()
        for fold, value in enumerate(folds)
    ]
    table = only(study("ease"), planned)
    assert line(table, "ease")[["seeds", "mean", "std"]].tolist() == [
        2,
        pytest.approx(0.45),
        pytest.approx(np.std([0.2, 0.7], ddof=1)),
    ]
    assert "over 2 seeds, each the mean over fold=0, fold=1;" in table.notes[0]


def test_seeds_with_a_missing_variant_are_excluded(make):
    planned = [outcome("ease", make(0.1, {"test/ndcg@10": 0.2}), 0, fold) for fold in ("a", "b")]
    planned += [outcome("ease", make(0.9), 1, "a"), outcome("ease", None, 1, "b")]
    table = only(study("ease"), planned)
    assert line(table, "ease")[["status", "seeds", "mean"]].tolist() == ["not run", 1, 0.2]
    assert table.notes[0] == "ease: 1 of 4 not run yet; its values are over 1 seed."


def test_rows_are_compared_with_the_baseline_that_is_best_on_validation(make):
    planned = [
        outcome("popularity", make(0.5, {"valid/ndcg@10": 0.1})),
        outcome("item_knn", make(0.2, {"valid/ndcg@10": 0.3})),
        outcome("ease", make(0.2, {"valid/ndcg@10": 0.9})),  # not a baseline
    ]
    assert only(study("popularity", "item_knn", "ease"), planned).baseline == "item_knn"


def test_smaller_errors_are_better(make):
    planned = [outcome(row, make(level, metric="rmse")) for row, level in (("bias", 0.9), ("knn", 0.8), ("mf", 0.7))]
    table = only(study("bias", "knn", "mf", metrics=("rmse",)), planned)
    assert table.baseline == "knn"
    assert cells(table, "mf")[1].startswith("**0.7")
    assert cells(table, "mf")[1].endswith("↓")
    assert cells(table, "knn")[1].startswith("<u>0.8")
    assert any("The tests weight all users equally, while rmse in the table" in note for note in table.notes)


def user_values(outcomes: list[Outcome], row: str) -> dict[tuple[int, str], pd.Series]:
    return {(each.seed, "a"): each.run.per_user_metrics(["ndcg@10"])["ndcg@10"] for each in outcomes if each.row == row}


def test_rows_are_compared_over_users_and_seeds_and_p_values_are_adjusted_for_all_rows(outcomes):
    table = only(study(*LEVELS), outcomes)
    found = {
        row: compare(*(user_values(outcomes, each) for each in (row, "item_knn"))) for row in ("popularity", "ease")
    }
    adjusted = holm([each.p_value for each in found.values()])
    for (row, expected), p_holm in zip(found.items(), adjusted, strict=True):
        own = line(table, row)
        assert own[["baseline", "users", "p", "p_holm"]].tolist() == ["item_knn", N_USERS, expected.p_value, p_holm]
        assert own["difference"] == pytest.approx(line(table, row)["mean"] - line(table, "item_knn")["mean"])
        assert own["low"] < own["difference"] < own["high"]
        assert own["effect_size"] == expected.effect_size
    assert cells(table, "popularity")[1].endswith("↓")
    assert np.isnan(line(table, "item_knn")["p"])


def test_p_values_are_adjusted_for_all_settings_of_a_study(outcomes):
    folds = study(*LEVELS).settings["folds"]
    twice = Study("demo", "Which?", {"folds": folds, "again": folds}, (0, 1), tuple(LEVELS)[:2], 20, 1e-3)
    [table, _] = study_tables(twice, [*outcomes, *(replace(each, setting="again") for each in outcomes)])
    p_values = [line(table, row)["p"] for row in ("popularity", "ease")]
    expected = holm(p_values * 2)[:2]
    assert [line(table, row)["p_holm"] for row in ("popularity", "ease")] == pytest.approx(expected)
    assert any("for the 4 tests of the study" in note for note in table.notes)


def test_declared_pairs_are_one_family_with_intervals_equivalence_and_power(outcomes, tmp_path, capsys):
    config = {
        "name": "demo",
        "question": "Which?",
        "settings": {
            "folds": {
                "overrides": {},
                "metrics": ["ndcg@10"],
                "rows": {row: {"model": row, "seeds": [0, 1]} for row in LEVELS},
                "pairs": [["ease", "item_knn"], ["ease", "popularity", "ndcg@10"]],
                "margin": 0.1,
            }
        },
    }
    planned = Study.from_config(config)
    pairs = pair_statistics(planned, outcomes).set_index("other")
    expected = {other: compare(*(user_values(outcomes, each) for each in ("ease", other))) for other in pairs.index}
    assert pairs["p_holm"].tolist() == holm([each.p_value for each in expected.values()]).tolist()
    assert pairs.loc["popularity", ["conclusion", "equivalent"]].tolist() == ["above", False]
    assert pairs.loc["item_knn", "equivalent"]
    assert pairs.loc["item_knn", "detectable"] == pytest.approx(2.8 * expected["item_knn"].standard_error)
    print_report(write_report(tmp_path, tmp_path, planned, outcomes))
    assert "| folds | ndcg@10 | ease and popularity |" in capsys.readouterr().out
    text = (tmp_path / "table.md").read_text()
    assert "## Declared comparisons" in text
    assert "above, equivalent |" in text or "undecided, equivalent |" in text
    assert len(pd.read_csv(tmp_path / "pairs.csv")) == 2


@pytest.mark.parametrize("pair", [["ease"], ["ease", "slim"], ["ease", "mf", "hr@10"], ["ease", "mf", "ndcg@10", "x"]])
def test_a_pair_of_unknown_rows_or_metrics_is_refused(pair):
    setting = {"overrides": {}, "metrics": ["ndcg@10"], "rows": {"ease": {}, "mf": {}}, "pairs": [pair]}
    with pytest.raises(UserError, match=f"Pairs of the setting folds must name two of its rows.*got {', '.join(pair)}"):
        Study.from_config({"name": "demo", "question": "Which?", "settings": {"folds": setting}})


def test_the_agreement_of_two_orders_is_reported_next_to_that_of_two_resamples(outcomes):
    folds = study(*LEVELS).settings["folds"]
    two = Study("demo", "Which?", {"folds": folds, "again": folds}, (0, 1), tuple(LEVELS)[:2], 20, 1e-3)
    reversed_rows = dict(zip(LEVELS, reversed(LEVELS), strict=True))
    again = [replace(each, setting="again", row=reversed_rows[each.row]) for each in outcomes]
    [found] = order_agreement(two, [*outcomes, *again]).to_dict("records")
    assert (found["setting"], found["other_setting"], found["rows"]) == ("folds", "again", 3)
    assert found["tau"] == pytest.approx(-1.0)
    assert found["high"] < found["noise_low"]


def test_tau_is_that_of_scipy_with_ties():
    one, other = np.random.default_rng(0).integers(4, size=(2, 9, 6)).astype(float)
    expected = [kendalltau(a, b).statistic for a, b in zip(one, other, strict=True)]
    assert kendall_tau(one, other) == pytest.approx(expected)


def test_values_that_are_equal_after_rounding_are_all_best(make):
    values = {"popularity": 0.30001, "item_knn": 0.30002, "ease": 0.2}
    table = only(study(*values), [outcome(row, make(0.1, {"test/ndcg@10": mean})) for row, mean in values.items()])
    assert [cells(table, row)[1].split(" ")[0] for row in values] == ["**0.3000**", "**0.3000**", "<u>0.2000</u>"]


def test_metrics_of_all_users_together_are_shown_but_not_tested(make):
    planned = [outcome(row, make(level, {"test/coverage@10": level})) for row, level in LEVELS.items()]
    table = only(study(*LEVELS, metrics=("ndcg@10", "coverage@10")), planned)
    assert cells(table, "ease")[2] == "0.3200"
    assert any("only for all users together: coverage@10." in note for note in table.notes)


def test_a_row_without_a_metric_has_an_empty_cell(make):
    planned = [outcome("ease", make(0.1)), outcome("bias", make(0.9, metric="rmse"))]
    table = only(study("ease", "bias", metrics=("ndcg@10", "rmse")), planned)
    assert (cells(table, "ease")[2], cells(table, "bias")[1]) == ("", "")


def test_rows_on_another_split_are_listed_as_not_tested(make):
    planned = [outcome(row, make(level, split=row[:1])) for row, level in LEVELS.items()]
    table = only(study(*LEVELS), planned)
    assert any(note.startswith("No test") for note in table.notes)
    planned[0] = outcome("popularity", make(0.1, split="i"))
    table = only(study(*LEVELS), planned)
    assert any("splits or users differ from those of item_knn: ease." in note for note in table.notes)


def test_a_failed_run_is_listed_with_its_reason_and_without_local_paths(make):
    failure = f"Nothing is in {Path.cwd()}/outputs/<x>: train it anew."
    planned = [outcome("ease", make(0.1)), outcome("slim_2", failure=failure), outcome("mf")]
    table = only(study("ease", "slim_2", "mf"), planned)
    assert cells(table, "slim_2")[1] == "failed"
    assert cells(table, "mf")[1] == "not run"
    assert "slim_2: 1 of 1 run failed (Nothing is in outputs/<x>: train it anew)." in table.notes
    assert r"outputs/\<x>" in table.markdown()
    frame = runs_frame(study("ease", "slim_2", "mf"), planned)
    assert frame["status"].tolist() == ["complete", "failed: Nothing is in outputs/<x>: train it anew.", "not run"]


def test_a_study_without_runs_has_a_report(tmp_path):
    write_report(tmp_path / "demo", tmp_path, study("ease"), [outcome("ease")])
    assert "| ease | not run |" in (tmp_path / "demo" / "table.md").read_text()
    assert len(pd.read_csv(tmp_path / "demo" / "table.csv")) == 1


def test_an_untested_run_is_refused(make):
    run = make(0.1)
    (run.directory / "per_user.parquet").unlink()
    with pytest.raises(UserError, match="was not tested"):
        study_tables(study("ease", "slim"), [outcome("ease", run), outcome("slim", make(0.2))])


def test_notes_report_several_versions_of_the_code(make):
    planned = [outcome("ease", make(0.1)), outcome("slim", make(0.2, commit="decaf", dirty=True))]
    table = only(study("ease", "slim"), planned)
    assert table.notes[-2:] == [
        "The runs are of 2 versions of the code, which runs.csv lists.",
        "1 of 2 runs used code or configs that were not committed (+ in runs.csv).",
    ]
    assert runs_frame(study("ease", "slim"), planned)["commit"].tolist() == ["c0ffee", "decaf+"]
    for each in planned:
        each.run.manifest["code"] = "the same files"
    assert not any("versions of the code" in note for note in only(study("ease", "slim"), planned).notes)


def test_published_values_have_a_column_if_there_are_any(make):
    planned = [outcome(row, make(0.1)) for row in ("ease", "slim")]
    table = only(study("slim", ease=Row({}, published={"ndcg@10": 0.445})), planned)
    assert "| model | ndcg@10 | ndcg@10 published | configurations | CPU seconds | MiB |" in table.markdown()
    assert cells(table, "ease")[2:] == ["0.445", "20", "6", "3"]
    assert cells(table, "slim")[2] == ""


def test_training_of_a_blend_includes_that_of_the_rows_it_uses(make):
    planned = [outcome(row, make(0.1)) for row in ("ease", "slim", "blend", "blend of blends")]
    rows = {"blend": Row({"models.a": "{ease}", "models.b": "{slim}"}), "blend of blends": Row({"models.a": "{blend}"})}
    statistics = only(study("ease", "slim", **rows), planned).statistics.set_index("row")
    assert statistics["seconds"].to_dict() == {"ease": 3.0, "slim": 3.0, "blend": 9.0, "blend of blends": 12.0}
    assert statistics["cpu_seconds"].to_dict() == {"ease": 6.0, "slim": 6.0, "blend": 18.0, "blend of blends": 24.0}


def test_latex_is_escaped(make):
    text = only(study("a_b & 50%", "c"), [outcome("a_b & 50%", make(0.1)), outcome("c", make(0.2))]).latex()
    assert r"a\_b \& 50\% & \underline{" in text
    assert r"$\downarrow$" in text
    assert "±" not in text
    assert r"\toprule" in text


def test_the_report_has_runs_tables_and_figures(outcomes, tmp_path, capsys):
    folds = study(*LEVELS).settings["folds"]
    planned = Study("demo", "Which?", {"folds": folds, "by time": folds}, (0, 1), tuple(LEVELS), 20, 1e-3)
    directory = tmp_path / "demo"
    print_report(write_report(directory, tmp_path, planned, outcomes))
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
    assert names == {f"{name}_folds.{kind}" for name in drawn for kind in ("png", "svg")}  # no run by time


def test_statistics_are_reproducible(outcomes):
    pd.testing.assert_frame_equal(*(only(study(*LEVELS), outcomes).statistics for _ in range(2)))


def test_sampled_metrics_and_calibration_have_figures(make, tmp_path, drawn):
    metric = "ndcg@10/sampled99"
    planned = [outcome(row, make(level, metric=metric)) for row, level in LEVELS.items()]
    bins = pd.DataFrame({"n": [60, 60], "predicted": [2.9, 4.1], "actual": [3.0, 4.0]})
    bins.to_csv(planned[0].run.directory / "calibration.csv", index=False)
    write_report(tmp_path, tmp_path, study(*LEVELS, metrics=(metric,)), planned)
    assert {"list_length", "calibration", "training_time"} <= set(drawn)


def test_popularity_is_drawn_only_if_lists_differ_in_it(make, tmp_path, drawn):
    same = [outcome(row, make(level, {"test/mean_popularity@10": 0.0})) for row, level in LEVELS.items()]
    write_report(tmp_path, tmp_path, study(*LEVELS), same)
    assert "list_length" in drawn
    assert "popularity_bias" not in drawn


def test_popularity_and_slices_are_not_drawn_for_a_group_of_users(make, tmp_path, drawn):
    metric = "ndcg@10/with_history"
    planned = [outcome(row, make(level, metric=metric)) for row, level in LEVELS.items()]
    write_report(tmp_path, tmp_path, study(*LEVELS, metrics=(metric,)), planned)
    assert "list_length" in drawn
    assert not {"popularity_bias", "slices_activity"} & set(drawn)


@pytest.mark.parametrize(("other", "is_drawn"), [("jazz", True), ("opera", False)])
def test_segments_are_drawn_only_if_the_rows_share_them(make, tmp_path, drawn, other, is_drawn):
    planned = [outcome(row, make(LEVELS[row])) for row in ("item_knn", "ease")]
    for each, name in zip(planned, ("jazz", other), strict=True):
        own = pd.DataFrame({"slice": "segment", "value": ["rock", name], "n": [4, 6], "ndcg@10": [0.1, 0.3]})
        own.to_csv(each.run.directory / "slices.csv", index=False)
    write_report(tmp_path, tmp_path, study("item_knn", "ease"), planned)
    assert ("slices_segment" in drawn) == is_drawn


def test_training_time_is_drawn_in_the_seconds_of_the_table(monkeypatch, outcomes, tmp_path, undrawn):
    drawn = {}
    monkeypatch.setattr(figures, "save", lambda fig, directory, name, *texts: drawn.update({name: fig}))
    write_report(tmp_path / "demo", tmp_path, study(*LEVELS), outcomes)
    [ax] = drawn["training_time"].axes
    assert ax.get_xlabel().startswith("CPU seconds of training")
    assert ax.get_ylabel() == "NDCG@10, 95% intervals"  # as in titles and tables
    times = np.concatenate([points.get_offsets()[:, 0] for points in ax.collections])
    assert 6.0 in times
    assert 3.0 not in times


@pytest.mark.parametrize(("n", "is_drawn"), [(9, False), (60, True)])
def test_calibration_is_drawn_only_of_bins_with_enough_ratings(make, tmp_path, drawn, n, is_drawn):
    run = make(0.1)
    pd.DataFrame({"n": [n], "predicted": [3.0], "actual": [4.0]}).to_csv(run.directory / "calibration.csv", index=False)
    write_report(tmp_path, tmp_path, study("ease"), [outcome("ease", run)])
    assert "list_length" in drawn
    assert ("calibration" in drawn) == is_drawn


def test_curves_are_read_from_either_logger_and_a_repeated_epoch_counts_once(make, tmp_path):
    assert learning_curve(make(0.3), "ndcg@10").to_dict() == {1: 0.1, 2: 0.3}
    run = Run(tmp_path, {}, {}, {})
    assert learning_curve(run, "ndcg@10").empty
    logger = TensorBoardLogger(tmp_path, name="", version="tensorboard")
    for step, epoch, value in ((5, 0, 0.1), (10, 1, 0.2), (11, 1, 0.25)):
        logger.log_metrics({"train/epoch": epoch, "curves/valid/ndcg@10": value}, step)
    logger.finalize("success")
    assert learning_curve(run, "ndcg@10").to_dict() == pytest.approx({1: 0.1, 2: 0.25})


def test_the_pareto_front_has_rows_that_no_other_beats_in_both_time_and_metric():
    seconds = pd.Series({"slow": 9.0, "fast": 1.0, "slower": 10.0, "beaten": 5.0})
    values = pd.Series({"slow": 0.5, "fast": 0.3, "slower": 0.5, "beaten": 0.2})
    assert pareto_front(seconds, values, 1) == ["fast", "slow"]
    assert pareto_front(seconds, -values, -1) == ["fast", "slow"]


def test_calibration_pools_runs_and_omits_small_bins():
    bins = pd.DataFrame({"n": [30, 90, 9], "predicted": [3.0, 3.04, 4.5], "actual": [3.4, 3.0, 1.0]})
    gaps = calibration_gaps(bins)
    assert gaps.index.tolist() == [pytest.approx((30 * 3.0 + 90 * 3.04) / 120)]
    assert gaps.tolist() == [pytest.approx((30 * 0.4 - 90 * 0.04) / 120)]


def test_bands_whose_bounds_differ_between_variants_are_averaged_by_position():
    frames = [
        pd.DataFrame({"slice": "activity", "value": names, "n": [4, 6], "ndcg@10": [0.1, 0.3], "place": [0, 1]})
        for names in (["1-9", "10-20"], ["1-8", "10-20"])
    ]
    means = slice_means(frames, "activity", "ndcg@10")
    assert means["value"].tolist() == ["band 1", "10-20"]
    assert means["mean"].tolist() == pytest.approx([0.1, 0.3])
    assert slice_means(frames, "segment", "ndcg@10").empty


def test_searches_have_a_figure_of_the_expected_best_by_number_of_configurations(make, tmp_path, undrawn, monkeypatch):
    names = []
    monkeypatch.setattr(figures, "save", lambda fig, directory, name, *texts: names.append(name))
    folder = tmp_path / "folds" / "ease" / "search"
    folder.mkdir(parents=True)
    states = ["complete", "failed", "stopped", "pruned"]
    trials = pd.DataFrame({"state": states, "value": [0.1, None, None, 0.4]})
    trials.to_csv(folder / "trials.csv", index=False)
    planned = study("ease", "slim")
    curves = budget_curves(tmp_path, "folds", planned.settings["folds"])
    assert list(curves) == ["ease"]
    assert curves["ease"].to_dict() == pytest.approx(dict(enumerate(expected_best(np.array([0.1, 0.1, 0.4])), 1)))
    write_report(tmp_path / "report", tmp_path, planned, [outcome("ease", make(0.1))])
    assert "budget" in names


def test_the_expected_best_of_an_error_is_the_error_itself(tmp_path):
    """A search maximises negated errors, with which `trials.csv` is written."""
    folder = tmp_path / "folds" / "ease" / "search"
    folder.mkdir(parents=True)
    pd.DataFrame({"state": "complete", "value": [-0.9, -1.1]}).to_csv(folder / "trials.csv", index=False)
    setting = replace(study("ease").settings["folds"], metrics=("rmse",))
    assert budget_curves(tmp_path, "folds", setting)["ease"].tolist() == pytest.approx([1.0, 0.95])


def test_the_expected_best_is_the_mean_over_all_draws():
    values = np.array([0.3, 0.1, 0.4])
    expected = [np.mean([max(draw) for draw in product(values, repeat=n)]) for n in (1, 2, 3)]
    assert expected_best(values) == pytest.approx(expected)
