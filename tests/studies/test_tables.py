"""Tables of runs: mean and standard deviation over seeds, and comparisons with a baseline."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from recsys.errors import UserError
from recsys.evaluation.intervals import N_RESAMPLES
from recsys.evaluation.resampling import compare
from recsys.studies.runs import Run, find_runs
from recsys.studies.tables import (
    comparison,
    default_metrics,
    markdown,
    print_table,
    results,
    table,
)
from tests.studies.runs import run_in_memory, write_run


def run(model: str, seed: int, ndcg: float, **settings) -> Run:
    return run_in_memory(model, {"test/ndcg@10": ndcg}, seed=seed, **settings)


def run_with_users(model: str, split: str, values: dict[int, float], seed: int = 0) -> Run:
    """A run with a value for each user."""
    users = {"user_id": list(values), "ndcg@10": list(values.values())}
    return run_in_memory(model, {"test/ndcg@10": float(np.mean(users["ndcg@10"]))}, split, seed, users)


def test_seeds_share_a_row_with_mean_and_standard_deviation():
    frame = table([run("MF", seed, ndcg) for seed, ndcg in enumerate((0.1, 0.2, 0.3))], ["test/ndcg@10"])
    assert frame.loc[0, ["splits", "seeds"]].tolist() == ["1", "3"]
    assert frame.loc[0, "test/ndcg@10"] == f"0.2000 ± {np.std([0.1, 0.2, 0.3], ddof=1):.4f}"


def test_a_single_seed_has_no_deviation():
    assert table([run("MF", 0, 0.1)], ["test/ndcg@10"]).loc[0, "test/ndcg@10"] == "0.1000"


def test_only_settings_that_differ_within_a_model_are_listed():
    runs = [run("MF", 0, 0.1, lr=1, dim=8), run("MF", 0, 0.2, lr=2, dim=8), run("EASE", 0, 0.3, l2=5)]
    assert list(results(runs)["settings"]) == ["lr=1", "lr=2", ""]
    assert len(table(runs, ["test/ndcg@10"])) == 3


def test_settings_that_a_command_changed_are_listed_though_all_runs_have_them():
    runs = [run("MF", seed, 0.1, max_epochs=3, dim=8) for seed in (0, 1)]
    for each in runs:
        each.config["label"] = f"mf max_epochs=3 seed={each.config['seed']}"
    assert list(results(runs)["settings"]) == ["max_epochs=3", "max_epochs=3"]


def test_runs_on_other_trainers_do_not_share_a_row():
    runs = [run("MF", 0, 0.1), run("MF", 0, 0.3)]
    for each, clip in zip(runs, (None, 0.5), strict=True):
        each.config["trainer"] = {"accelerator": "cpu", "gradient_clip_val": clip}
    assert list(results(runs)["settings"]) == ["trainer.gradient_clip_val=None", "trainer.gradient_clip_val=0.5"]


def test_a_repeated_run_counts_once_and_is_reported(command, monkeypatch):
    runs = [run("MF", seed, ndcg) for seed, ndcg in ((0, 0.7), (1, 0.1), (0, 0.3))]
    monkeypatch.setattr("recsys.commands.table.find_runs", lambda _: runs)
    out = command("table", "runs", "--metrics", "ndcg@10")[1]
    assert "0.2000 ± 0.1414" in out
    assert "1 run of the same settings, seed and split as a later one: left out." in out


def test_an_unknown_metric_is_refused_with_the_closest_ones_of_its_stage():
    measured = run("MF", 0, 0.1)
    measured.metrics.update({"valid/ndcg@10": 0.1, "test/coverage@10": 0.1, "test/hr@10": 0.1})
    for metric in ("test/ndgc@10", "ndgc@10"):
        with pytest.raises(UserError, match=r"No run has the metric test/ndgc@10: did you mean test/ndcg@10\?$"):
            table([measured], [metric])
    with pytest.raises(UserError, match=r"valid/fame: it must be one of ndcg, as in valid/ndcg@10\.$"):
        table([measured], ["valid/fame"])


def test_a_metric_without_a_stage_is_of_the_test():
    assert table([run("MF", 0, 0.1)], ["ndcg@10"]).equals(table([run("MF", 0, 0.1)], ["test/ndcg@10"]))
    runs = [run_with_users(model, "a", {1: value, 2: value}) for model, value in (("EASE", 0.1), ("MF", 0.2))]
    assert comparison(runs, "EASE", ["ndcg@10"]).equals(comparison(runs, "EASE", ["test/ndcg@10"]))


def test_default_metrics_are_those_of_the_test_or_of_validation_if_no_run_was_tested():
    tested, validated = run_in_memory("EASE", {"test/ndcg@10": 0.1}), run_in_memory("EASE", {"valid/ndcg@10": 0.1})
    assert default_metrics([validated, tested]) == ["test/hr@10", "test/ndcg@10"]
    assert default_metrics([validated]) == ["valid/hr@10", "valid/ndcg@10"]


def test_runs_without_any_of_the_metrics_have_no_row():
    other = run("EASE", 0, 0.1)
    other.metrics["test/hr@10/sampled99"] = other.metrics.pop("test/ndcg@10")
    assert table([run("MF", 0, 0.1), other], ["test/ndcg@10"])["model"].tolist() == ["MF"]


def test_trials_of_a_search_do_not_add_settings_to_the_names_of_tested_runs():
    trial = run("EASE", 0, 0.1, l2=7)
    trial.metrics["valid/ndcg@10"] = trial.metrics.pop("test/ndcg@10")
    runs = [run("EASE", 0, 0.1, l2=5), trial]
    assert table(runs, ["test/ndcg@10"])["settings"].tolist() == [""]
    users = run_with_users("EASE", "a", {1: 0.1, 2: 0.2}), run_with_users("MF", "a", {1: 0.2, 2: 0.1})
    assert comparison([*users, trial], "EASE", ["test/ndcg@10"])["model"].tolist() == ["MF"]


def test_a_table_fits_the_terminal_and_is_markdown_elsewhere(monkeypatch, capsys):
    runs = [run("MF", 0, 0.25, negatives_per_positive=n, embedding_dim=n) for n in (10, 20)]
    frame = table(runs, ["test/ndcg@10"])
    print_table(frame, ["model", "settings"], ["data", "split"])
    assert capsys.readouterr().out == f"{markdown(frame)}\n"
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")  # as in a terminal
    print_table(frame, ["model", "settings"], ["data", "split"])
    printed = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
    assert printed.startswith("data ml-100k, split leave_last_out")
    assert "MF negatives_per_positive=20 embedding_dim=20" in printed
    assert max(map(len, printed.splitlines())) <= 80


def test_markdown_has_a_line_for_each_row():
    frame = table([run("MF", 0, 0.25)], ["test/ndcg@10"])
    assert markdown(frame).splitlines() == [
        "| data | split | model | settings | splits | seeds | test/ndcg@10 |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| ml-100k | leave_last_out | MF |  | 1 | 1 | 0.2500 |",
    ]


def test_models_are_compared_user_by_user_on_the_splits_that_they_share():
    ease, mf = (
        {"a": {1: 0.1, 2: 0.4, 3: 0.2}, "b": {1: 0.3, 3: 0.5}},
        {"a": {1: 0.3, 2: 0.5, 3: 0.4}, "b": {1: 0.2, 3: 0.9}},
    )
    runs = [run_with_users("EASE", split, values) for split, values in ease.items()]
    runs += [run_with_users("MF", split, values) for split, values in mf.items()]
    runs.append(run_with_users("MF", "c", {1: 0.9}))  # a split that the baseline was not tested on
    row = comparison(runs, "EASE", ["test/ndcg@10"]).loc[0]
    assert row[["model", "splits"]].tolist() == ["MF", "2"]
    assert row["difference"].startswith(f"{0.475 - np.mean([0.7 / 3, 0.4]):.4f} [")
    expected = compare(*({(0, split): pd.Series(users) for split, users in own.items()} for own in (mf, ease)))
    assert row["p"] == f"{expected.p_value:.2g}"
    half = stats.t.ppf(0.975, 1) * stats.sem([0.4, 0.55])
    assert row["mean"] == f"0.4750 [{0.475 - half:.4f}, {0.475 + half:.4f}]"
    assert row["baseline"].startswith(f"{np.mean([0.7 / 3, 0.4]):.4f} [")


def test_seeds_are_averaged_before_models_are_compared():
    runs = [run_with_users("EASE", "a", {1: 0.0, 2: 0.0})]
    runs += [run_with_users("MF", "a", {1: value, 2: 3 * value}, seed) for seed, value in enumerate((0.1, 0.3))]
    row = comparison(runs, "EASE", ["test/ndcg@10"]).loc[0]
    assert (row["mean"], row["baseline"]) == ("0.4000", "0.0000")  # one split has no interval
    assert row["difference"].startswith("0.4000 [")


def test_an_unknown_baseline_or_one_without_shared_splits_is_refused():
    runs = [run_with_users("EASE", "a", {1: 0.1}), run_with_users("MF", "b", {1: 0.2})]
    with pytest.raises(UserError, match=r"baseline must be among EASE, MF \(got Ease\)"):
        comparison(runs, "Ease", ["test/ndcg@10"])
    with pytest.raises(UserError, match="No other model was tested on a split of EASE"):
        comparison(runs, "EASE", ["test/ndcg@10"])


def test_a_clear_difference_has_the_smallest_p_value():
    values = {name: dict(enumerate(value + np.zeros(40))) for name, value in (("EASE", 0.1), ("MF", 0.5))}
    row = comparison([run_with_users(name, "a", own) for name, own in values.items()], "EASE", ["test/ndcg@10"]).loc[0]
    assert row["p"] == f"{2 / (N_RESAMPLES + 1):.2g}" == "0.0002"


def test_metrics_of_all_users_together_and_several_data_sets_are_refused():
    runs = [run_with_users("EASE", "a", {1: 0.1}), run_with_users("MF", "a", {1: 0.2})]
    runs[1].metrics["test/coverage@10"] = 0.5
    with pytest.raises(UserError, match=r"test/coverage@10 is not a per-user metric of the test: .*test/ndcg@10"):
        comparison(runs, "EASE", ["test/coverage@10"])
    runs[1].manifest["data"]["name"] = "ml-1m"
    with pytest.raises(
        UserError, match=r"one data set and kind of split \(got ml-100k by leave_last_out, ml-1m by leave_last_out\)"
    ):
        comparison(runs, "EASE", ["test/ndcg@10"])


def test_runs_of_a_sweep_are_in_the_order_of_its_jobs(tmp_path):
    for number in (10, 2, 0, 1):
        write_run(tmp_path / f"{number}_ease_seed{number}", level=0.1)
    assert [each.directory.name.partition("_")[0] for each in find_runs(tmp_path)] == ["0", "1", "2", "10"]


def test_a_run_in_two_of_the_given_directories_counts_once(tmp_path):
    sweep, other = tmp_path / "sweep", tmp_path / "other"
    paths = [write_run(directory, level=0.1).directory for directory in (sweep / "0", sweep / "1", other)]
    runs = find_runs(sweep / "1", sweep, other, tmp_path / "sweep" / ".." / "sweep")
    assert [run.directory for run in runs] == [paths[1], paths[0], paths[2]]


@pytest.mark.parametrize(
    ("name", "arguments", "legend"),
    [
        ("table", (), "±: standard deviation over the runs of a row"),
        ("compare", ("--baseline", "EASE"), "[]: 95% confidence interval. p: adjusted by Holm's method"),
    ],
)
def test_one_line_below_a_table_explains_its_cells_and_csv_has_none(name, arguments, legend, command, monkeypatch):
    runs = [
        run_with_users(model, "a", {1: value, 2: value + seed}, seed)
        for model, value in (("EASE", 0.1), ("MF", 0.2))
        for seed in (0, 1)
    ]
    monkeypatch.setattr(f"recsys.commands.{name}.find_runs", lambda _: runs)
    arguments = (name, "runs", *arguments, "--metrics", "ndcg@10")
    lines = command(*arguments)[1].splitlines()
    assert lines[-2] == ""
    assert lines[-1].startswith(legend)
    assert len(lines[-1]) <= 80
    assert legend not in command(*arguments, "--csv")[1]


def test_a_table_without_deviations_has_no_legend(command, monkeypatch):
    monkeypatch.setattr("recsys.commands.table.find_runs", lambda _: [run("MF", 0, 0.1)])
    assert "±" not in command("table", "runs", "--metrics", "ndcg@10")[1]


def test_runs_on_other_metadata_do_not_share_a_row():
    runs = [run("Content", 0, 0.1), run("Content", 0, 0.3)]
    runs[1].config["metadata"] = {"_target_": "recsys.data.metadata.TMDB5000"}
    assert list(results(runs)["settings"]) == ["metadata=release", "metadata=TMDB5000"]


def test_runs_with_other_rerankers_warm_starts_or_segments_do_not_share_a_row():
    runs = [run("EASE", 0, 0.1 * n) for n in range(5)]
    for n, trade_off in ((1, 0.2), (2, 0.5)):
        target = "recsys.evaluation.reranking.Calibrated"
        runs[n].config["reranker"] = {"_target_": target, "trade_off": trade_off}
    runs[3].config["warm_from"] = "outputs/earlier"
    runs[4].config["segments_from"] = "outputs/segments"
    plain = "warm_from=None segments_from=None reranker="
    assert list(results(runs)["settings"]) == [
        f"{plain}None",
        f"{plain}Calibrated reranker.trade_off=0.2",
        f"{plain}Calibrated reranker.trade_off=0.5",
        "warm_from=outputs/earlier segments_from=None reranker=None",
        "warm_from=None segments_from=outputs/segments reranker=None",
    ]
    assert len(table(runs, ["test/ndcg@10"])) == 5
