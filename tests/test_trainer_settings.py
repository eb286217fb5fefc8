"""Settings of Lightning's Trainer, of the logger and of other tools: honoured, or refused with what to set instead."""

import pytest

from recsys.config import complete, compose, instantiate
from recsys.config.trainer import check_trainer, lightning
from recsys.errors import UserError
from recsys.models.trainer_settings import REFUSED


def config(*overrides: str):
    return compose("train", ["run_dir=/tmp/none", *overrides])


@pytest.mark.parametrize("name", REFUSED)
def test_settings_that_a_fit_chooses_are_refused(name):
    with pytest.raises(UserError, match=rf"trainer\.{name} has no effect on a fit"):
        check_trainer(config(f"++trainer.{name}=1").trainer)


@pytest.mark.parametrize(
    ("override", "hint"),
    [("trainer.max_epochs=2", r"set model\.max_epochs"), ("trainer.fast_dev_run=true", "debug=default")],
)
def test_a_refusal_says_what_to_set(override, hint):
    with pytest.raises(UserError, match=hint):
        check_trainer(config(override).trainer)


def test_other_settings_are_checked_by_lightning():
    check_trainer(config("trainer.max_steps=3").trainer)
    with pytest.raises(UserError, match="Lightning cannot train"):
        check_trainer(config("trainer.accelerator=abacus").trainer)


def test_tasks_that_slurm_counts_in_another_way_than_lightning_are_one_sentence(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_NAME", "job")
    monkeypatch.setenv("SLURM_NTASKS", "2")
    monkeypatch.delenv("SLURM_NTASKS_PER_NODE", raising=False)
    with pytest.raises(UserError, match="--ntasks-per-node=2"):
        check_trainer(config("trainer.max_steps=3").trainer)


CALLBACK = "{_target_: pytorch_lightning.callbacks.LearningRateFinder}"
PRUNING = "{_target_: recsys.models.callbacks.Pruning, journal: j, trial: 0, metric: ndcg@10, after: 1}"


def test_pruning_joins_the_callbacks_of_the_user():
    own = f"trainer.callbacks=[{CALLBACK}]"
    alone, _ = lightning(config(own, "logger=none"))
    both, _ = lightning(config(own, f"++pruning={PRUNING}", "logger=none"))
    assert [type(each).__name__ for each in alone.keywords["callbacks"]] == ["LearningRateFinder"]
    assert [type(each).__name__ for each in both.keywords["callbacks"]] == ["LearningRateFinder", "Pruning"]


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("lr=0.1", r"did you mean model\.lr\?"),
        ("epochs=3", r"did you mean model\.max_epochs\?"),
        ("batch_size=3", r"did you mean model\.batch_size\?"),
        ("callbacks=[]", r"did you mean trainer\.callbacks\?"),
        ("ckpt_path=x", r"did you mean resume=DIR, which continues an interrupted run\?"),
        ("trained=x", r"python -m recsys test RUN"),
        ("peek=true", r"experiments/ncf_revisited/peek\.py"),
    ],
)
def test_settings_known_by_other_names_are_answered_with_the_right_name(override, hint):
    with pytest.raises(UserError, match=hint):
        complete("train", ["model=ncf", override])


@pytest.mark.parametrize(("logger", "package"), [("wandb", "wandb"), ("mlflow", "mlflow")])
def test_a_logger_whose_package_is_missing_says_how_to_install_it(logger, package, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(UserError, match=rf"pip install 'recsys\[{package}\]'"):
        instantiate(config(f"logger={logger}").logger)
