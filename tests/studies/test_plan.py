"""Which runs a study asks for, in what order, and by what they are known again."""

from pathlib import Path

import pytest

from recsys.errors import UserError
from recsys.studies.identity import identity
from recsys.studies.plan import arguments, levels, to_search, with_searches
from recsys.studies.progress import Progress
from recsys.studies.run_writer import write_failure
from recsys.studies.study import Study

ROWS = {
    "Both": {"model": "ncf", "model.pretrained_gmf": "{A half}", "model.pretrained_mlp": "{Other half}"},
    "A half": {"model": "gmf"},
    "Other half": {"model": "mlp", "seeds": [7]},
    "Searched": {"model": "ease", "search": {"model.l2": "interval(1.0, 9.0)"}},
}


def study(**changes) -> Study:
    overrides = {"data": "ml-100k", "split": "folds", "split.fold": [1, 2]}
    setting = {"overrides": overrides, "metrics": ["ndcg@10"], "rows": {**ROWS, **changes}}
    return Study.read({"name": "s", "question": "?", "seeds": [0, 1], "settings": {"folds": setting}})


def planned(of: Study) -> list[list]:
    return [[job for job, _ in level] for level in levels(of, Path("runs"), lambda job: None)]


def test_runs_that_others_are_made_of_come_first_and_are_named_in_their_place():
    first, second = planned(study())
    assert {job.row for job in first} == {"A half", "Other half", "Searched"}
    [both] = [job for job in second if (job.seed, job.variant) == (1, "split.fold=2")]
    assert both.overrides["model.pretrained_gmf"] == "runs/folds/A_half/split.fold=2_seed1"
    assert both.overrides["model.pretrained_mlp"] == "runs/folds/Other_half/split.fold=2_seed7"
    assert len({job.directory for job in first + second}) == len(first + second) == 2 * (2 + 2 + 1 + 2)


def test_rows_that_need_each_other_or_what_is_not_there_are_refused():
    with pytest.raises(UserError, match="need each other"):
        planned(study(**{"A half": {"model": "gmf", "trained": "{Both}"}}))
    with pytest.raises(UserError, match="no such row"):
        planned(study(Lost={"model": "gmf", "trained": "{Nobody}"}))


def test_arguments_say_values_as_hydra_reads_them():
    said = arguments({"model": "ease", "model.l2": 3.0, "model.dims": [8, 4], "split.known": None, "name": "a b, c"})
    assert said == ["model=ease", "++model.l2=3.0", "++model.dims=[8, 4]", "++split.known=null", "name='a b, c'"]


def test_rows_are_searched_until_their_settings_are_chosen(tmp_path):
    assert to_search(study()) == [("folds", "Searched")]
    chosen = ROWS["Searched"] | {"model.l2": 5.0}
    assert to_search(study(Searched=chosen)) == []
    (tmp_path / "folds" / "Searched" / "search").mkdir(parents=True)
    (tmp_path / "folds" / "Searched" / "search" / "best.yaml").write_text("overrides: ['++model.l2=2.5']\n")
    row = with_searches(study(), tmp_path).settings["folds"].rows["Searched"]
    assert row.overrides == {"model": "ease", "model.l2": 2.5}


def test_a_description_with_a_slip_is_told_what_there_is():
    with pytest.raises(UserError, match=r"The setting folds has no split: there are .*overrides"):
        Study.read({"name": "s", "question": "?", "settings": {"folds": {"split": "folds", "metrics": []}}})
    with pytest.raises(UserError, match="not whole"):
        Study.read({"name": "s", "settings": {}})


def test_what_decides_a_run_is_its_identity_and_where_files_lie_is_not():
    config = {"model": {"l2": 3, "texts": True}, "data": {"path": "a", "n": 1}, "run_dir": "x", "reranker": None}
    same = {"model": {"l2": 3, "texts": True}, "data": {"path": "b", "n": 1}, "run_dir": "y", "peek": False}
    assert identity(config) == identity(same)
    assert identity(config) != identity({**config, "model": {"l2": 3, "texts": False}})
    assert identity(config) != identity({**config, "peek": True})
    assert identity(config) != identity({**config, "data": {"path": "a", "n": 2}})


def test_progress_counts_what_ended_and_is_under_way(tmp_path, caplog):
    caplog.set_level("INFO")
    ended, running, waiting = (tmp_path / name for name in ("ended", "running", "waiting"))
    write_failure(ended, ValueError("two\nlines"))
    running.mkdir()
    (running / "config.yaml").touch()
    progress = Progress("s", n_done=3, left=dict.fromkeys((ended, running, waiting), "EASE"))
    progress.look([ended, running, waiting])
    assert "s: 4 of 6 runs done, 1 running, 1 left" in caplog.text
