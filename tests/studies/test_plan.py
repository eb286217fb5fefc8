"""The runs of a study, their order, and the identity by which they are reused."""

import re
import textwrap
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from recsys.errors import UserError
from recsys.studies.identity import identity
from recsys.studies.plan import dependency_levels, override_arguments
from recsys.studies.progress import Progress
from recsys.studies.run_writer import write_failure
from recsys.studies.searches import rows_to_search, with_search_results
from recsys.studies.study import Study

ROOT = Path(__file__).parents[2]
ROWS = {
    "Whole": {"model": "ncf", "model.pretrained_gmf": "{A half}", "model.pretrained_mlp": "{Other half}"},
    "A half": {"model": "gmf"},
    "Other half": {"model": "mlp", "seeds": [7]},
    "Searched": {"model": "ease", "search": {"model.l2": "interval(1.0, 9.0)"}},
}


def study(**changes) -> Study:
    overrides = {"data": "ml-100k", "split": "folds", "split.fold": [1, 2]}
    setting = {"overrides": overrides, "metrics": ["ndcg@10"], "rows": {**ROWS, **changes}}
    return Study.from_config({"name": "s", "question": "?", "seeds": [0, 1], "settings": {"folds": setting}})


def planned(study: Study) -> list[list]:
    return [[job for job, _ in level] for level in dependency_levels(study, Path("runs"), lambda job: None)]


def test_dependencies_come_first_and_references_become_their_directories():
    first, second = planned(study())
    assert {job.row for job in first} == {"A half", "Other half", "Searched"}
    [whole] = [job for job in second if (job.seed, job.variant) == (1, "split.fold=2")]
    assert whole.overrides["model.pretrained_gmf"] == "runs/folds/A_half/split.fold=2_seed1"
    assert whole.overrides["model.pretrained_mlp"] == "runs/folds/Other_half/split.fold=2_seed7"
    assert len({job.directory for job in first + second}) == len(first + second) == 2 * (2 + 2 + 1 + 2)


def test_circular_dependencies_and_unknown_rows_are_refused():
    with pytest.raises(UserError, match="must not depend on each other in a cycle"):
        planned(study(**{"A half": {"model": "gmf", "trained": "{Whole}"}}))
    with pytest.raises(UserError, match=r"References of the row Lost must name rows .*got Unknown"):
        planned(study(Lost={"model": "gmf", "trained": "{Unknown}"}))


def test_override_arguments_are_in_hydras_grammar():
    written = override_arguments(
        {
            "model": "ease",
            "model.l2": 3.0,
            "model.dims": [8, 4],
            "model.weights": {"gmf": 1.0, "mlp": 0.5},
            "split.known": None,
            "name": "a b, c",
            "~model.a": None,
        }
    )
    assert written == [
        "model=ease",
        "++model.l2=3.0",
        "++model.dims=[8, 4]",
        "++model.weights={gmf: 1.0, mlp: 0.5}",
        "++split.known=null",
        "name='a b, c'",
        "~model.a",
    ]


@pytest.mark.parametrize(
    "value",
    [
        *("Comédie", "/home/josé/runs", "日本", "it's", "a\\", "it's\\", "a\\'b", r"\N", "${x}", "x,y", " ", ""),
        *(["Comédie", "1", "it's"], [1, 2.5, True, None], [[1], {"a": "é"}], {"a": "Comédie"}),
    ],
)
def test_hydra_reads_the_value_of_an_override_as_it_was_written(value):
    [written] = override_arguments({"data.x": value})
    assert OverridesParser.create().parse_override(written).value() == value


def test_rows_are_searched_until_their_settings_are_chosen(tmp_path):
    assert rows_to_search(study()) == [("folds", "Searched")]
    chosen = ROWS["Searched"] | {"model.l2": 5.0}
    assert rows_to_search(study(Searched=chosen)) == []
    (tmp_path / "folds" / "Searched" / "search").mkdir(parents=True)
    (tmp_path / "folds" / "Searched" / "search" / "best.yaml").write_text("overrides: ['++model.l2=2.5']\n")
    row = with_search_results(study(), tmp_path).settings["folds"].rows["Searched"]
    assert row.overrides == {"model": "ease", "model.l2": 2.5}


def test_unknown_and_missing_keys_are_refused():
    with pytest.raises(UserError, match="search of the row EASE must be a mapping of settings to their values"):
        Study.from_config({"settings": {"folds": {"rows": {"EASE": {"model": "ease", "search": "ease"}}}}})
    with pytest.raises(UserError, match=r"Keys of the setting folds must be among .*overrides.* \(got split\)"):
        Study.from_config({"name": "s", "question": "?", "settings": {"folds": {"split": "folds", "metrics": []}}})
    with pytest.raises(UserError, match="description of the study is incomplete"):
        Study.from_config({"name": "s", "settings": {}})


def test_the_identity_of_a_run_depends_on_its_settings_and_not_on_paths():
    config = {"model": {"l2": 3, "texts": True}, "data": {"path": "a", "n": 1}, "run_dir": "x", "reranker": None}
    same = {"model": {"l2": 3, "texts": True}, "data": {"path": "b", "n": 1}, "run_dir": "y", "peek": False}
    assert identity(config) == identity(same)
    assert identity(config) != identity({**config, "model": {"l2": 3, "texts": False}})
    assert identity(config) != identity({**config, "peek": True})
    assert identity(config) != identity({**config, "data": {"path": "a", "n": 2}})


def test_progress_counts_ended_and_running_runs(tmp_path, caplog):
    caplog.set_level("INFO")
    ended, running, waiting = (tmp_path / name for name in ("ended", "running", "waiting"))
    write_failure(ended, ValueError("two\nlines"))
    running.mkdir()
    (running / "config.yaml").touch()
    progress = Progress("s", n_finished=3, missing=[ended, running, waiting])
    progress.update([ended, running, waiting])
    assert "s: 4 of 6 runs done, 1 running, 00:00 elapsed, 00:00 remaining" in caplog.text
    progress.update([ended, running, waiting])
    assert len(caplog.records) == 1


def test_the_example_of_the_manual_is_a_study():
    page = (ROOT / "docs" / "studies.md").read_text()
    [block] = re.findall(r"(?m)^    # @package _global_\n((?:    .*\n|\n)*)", page)
    config = yaml.safe_load(textwrap.dedent(block))
    assert config["defaults"] == ["study"]
    example = Study.from_config(config["study"])
    assert rows_to_search(example) == [("leave last out", "Item neighbours")]
