"""Labels of runs, and the directories that end with them."""

import pytest

from recsys.config.labels import folder_name, label


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], "ncf"),
        (["model=ncf", "data=ml-1m", "model.lr=0.003", "seed=1"], "ncf lr=0.003 seed=1"),
        (["data.cleaning.min_rating=4", "seed=2"], "ncf min_rating=4 seed=2"),
        (["++model.weight_decay=0.1", "~model.dropout", "split=ratio"], "ncf weight_decay=0.1 split=ratio"),
        (
            [
                "data.path=/data",
                "data.columns.time=when",
                "warm_from=outputs/a",
                "trainer=gpu",
                "logger=csv",
                "hydra.run.dir=x",
                "resume=x",
            ],
            "ncf",
        ),
    ],
)
def test_a_label_is_the_model_and_the_settings_that_decide_results(overrides, expected):
    assert label("ncf", overrides) == expected


def test_a_directory_is_named_without_signs_that_an_override_would_quote():
    assert folder_name("two_tower lr=0.003 fields=[title, plot]") == "two_tower_lr0.003_fields_title_plot"
    assert len(folder_name("x" * 300)) == 120


def test_a_run_that_names_no_directory_locks_the_one_that_ends_with_its_label(train_small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert train_small("model=popularity", "seed=2") == 0
    (run,) = tmp_path.glob("outputs/*/*")
    assert run.name.endswith("_files_popularity_ks_1_5_10_seed2")
    assert (run / ".lock").exists()
