"""Overrides are checked against configs and constructors before anything runs."""

import sys

import hydra
import pytest
import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig, OmegaConf

from recsys.config import complete, compose, instantiate, main
from recsys.config.entry import may_sweep
from recsys.config.general import TYPES, check_general
from recsys.config.loader import CONFIGS
from recsys.config.nodes import constructor
from recsys.errors import UserError
from recsys.models.ease import EASE
from recsys.signatures import settings
from tests import kill_training
from tests.compositions import choose

PARTS = ("split", "protocol", "reranker", "model", "trainer", "logger")


def test_an_unknown_choice_names_near_ones_and_all():
    with pytest.raises(UserError, match=r"no model 'nfc': did you mean ncf\b.*There are .*ease.*popularity"):
        complete("train", ["model=nfc"])


def test_an_unknown_choice_in_a_sweep_is_found():
    with pytest.raises(UserError, match="no model 'eaes': did you mean ease"):
        complete("train", ["model=ncf,eaes"])


@pytest.mark.parametrize(
    ("override", "near"),
    [("sede=1", "seed"), ("modle=ease", "model"), ("modle.lr=1", "model"), ("debgu=x", "debug")],
)
def test_an_unknown_key_names_near_ones(override, near):
    with pytest.raises(UserError, match=f"did you mean {near}"):
        complete("train", [override])


@pytest.mark.parametrize("group", ["debug", "experiment", "hparams_search", "reranker"])
def test_no_config_of_an_optional_group_is_chosen_by_null(group):
    assert complete("train", [f"{group}=null"]) == [f"{group}=null"]
    with pytest.raises(UserError, match="There is no model 'None'"):
        complete("train", ["model=null"])


def test_a_setting_that_only_a_constructor_has_is_accepted():
    assert "negative_power" not in (CONFIGS / "model" / "ncf.yaml").read_text()
    assert complete("train", ["model=ncf", "model.negative_power=0.5"]) == ["model=ncf", "++model.negative_power=0.5"]
    assert compose("train", ["model=ncf", "model.negative_power=0.5"]).model.negative_power == 0.5


@pytest.mark.parametrize("master", ["local[2]", "local[*]", "spark://host:7077"])
def test_the_address_of_a_master_needs_no_quotes(master):
    assert compose("train", ["engine=spark", f"engine.master={master}"]).engine.master == master


def test_a_value_of_only_spaces_is_not_an_empty_text():
    assert compose("train", ["data=files", "data.delimiter= "]).data.delimiter == " "


@pytest.mark.parametrize(
    ("override", "quoted"),
    [
        ("data.columns.rating=Stars (1-5)", "data.columns.rating='Stars (1-5)'"),
        ("segments_from=runs/split.fold=1_seed0", "segments_from='runs/split.fold=1_seed0'"),
        ("data.path=ratings.csv", "data.path=ratings.csv"),
    ],
)
def test_names_of_files_and_columns_may_be_outside_of_the_grammar_of_overrides(override, quoted):
    assert complete("train", ["data=files", override]) == ["data=files", quoted]


def test_a_setting_that_the_config_lists_is_unchanged():
    assert complete("train", ["model=ease", "model.l2=3"]) == ["model=ease", "model.l2=3"]


def test_settings_of_the_trainer_are_accepted():
    assert complete("train", ["trainer.max_steps=3"]) == ["++trainer.max_steps=3"]


def test_settings_inside_a_mapping_are_accepted():
    completed = complete("train", ["data=files", "data.films_columns.title=name"])
    assert completed[1] == "++data.films_columns.title=name"


@pytest.mark.parametrize("override", ["model.wieght_decay=1", "model.weight_deca=1"])
def test_a_setting_that_no_constructor_knows_names_near_ones(override):
    with pytest.raises(UserError, match=r"NeuMF takes no .*did you mean weight_decay"):
        complete("train", ["model=ncf", override])


def test_a_sweep_over_models_takes_only_settings_of_all():
    overrides = ["model=mf,ncf", "model.negative_power=0.5,1.0"]
    assert complete("train", overrides) == ["model=mf,ncf", "++model.negative_power=0.5,1.0"]
    with pytest.raises(UserError, match="Popularity takes no 'negative_power'"):
        complete("train", ["model=ncf,popularity", "model.negative_power=0.5"])


def test_searched_settings_are_accepted():
    assert complete("train", ["model=ncf", "model.negative_power=interval(0.1, 1)"])[1].startswith(
        "++model.negative_power"
    )


def test_prefixed_and_hydras_own_overrides_are_unchanged():
    overrides = ["+new=1", "++model.lr=2", "~debug", "hydra.run.dir=/tmp/x", "hydra/launcher=basic"]
    assert complete("train", overrides) == overrides


def test_instantiate_makes_what_a_config_names_of_plain_values():
    model = instantiate(compose("train", ["model=ease", "model.l2=7"]).model)
    assert isinstance(model, EASE)
    assert model.hyperparameters().items() >= {"l2": 7, "half_life": None, "play_weight": 0.0}.items()
    mlp = instantiate(compose("train", ["model=mlp", "model.hidden_dims=[8,4]"]).model)
    assert type(mlp.hidden_dims) is list


def test_a_value_of_another_type_is_named_with_the_type_wanted():
    with pytest.raises(UserError, match=r"'l2' of EASE must be float \(got 'much'\)"):
        instantiate(compose("train", ["model=ease", "model.l2=much"]).model)


@pytest.mark.parametrize(
    ("override", "must"),
    [
        ("ks=10", r"ks must be list\[int\] \(got 10\)"),
        ("ks=[2.5]", r"ks must be list\[int\]"),
        ("refit=Fales", r"refit must be bool \(got 'Fales'\)"),
        ("threads=1.5", r"threads must be int"),
        ("seed=null", r"seed must be int"),
        ("warm_from=5", r"warm_from must be str \| None"),
    ],
)
def test_a_general_setting_of_another_type_is_named_with_the_type_wanted(override, must):
    with pytest.raises(UserError, match=must):
        check_general(compose("train", [override]))


def test_every_general_setting_of_train_has_a_type():
    cfg = compose("train", ["label=x", "run_dir=x"])
    check_general(cfg)
    nodes = {"pruning", "study"}  # set by searches and experiments, and built as a whole
    groups = {"metadata", "split", "protocol", "reranker", "engine", "data", "encoder", "model", "trainer", "logger"}
    assert {*cfg} - nodes - groups == {*TYPES}


def test_an_added_key_that_the_constructor_does_not_take_is_named():
    with pytest.raises(UserError, match="EASE takes no 'l3': did you mean l2"):
        instantiate(compose("train", ["model=ease", "++model.l3=1"]).model)


def test_the_error_for_a_value_that_the_constructor_refuses_has_its_words():
    with pytest.raises(UserError, match="rms"):
        instantiate(compose("train", ["model=ncf", "model.optimizer=rms"]).model)


def names(group: str) -> list[str]:
    """Names of the configs of a group, but of those whose packages need not be installed."""
    return sorted({path.stem for path in (CONFIGS / group).glob("*.yaml")} - {"wandb", "mlflow"})


def instantiate_parts(cfg: DictConfig) -> None:
    for part in PARTS:
        instantiate(cfg.get(part))


@pytest.mark.parametrize("group", ["data", *PARTS])
def test_every_config_of_a_part_composes_and_names_what_exists(group):
    for name in names(group):
        node = choose(group, name).get(group)
        if group == "data":  # some need a path
            constructor(node._target_)
        else:
            instantiate(node)


@pytest.mark.parametrize("group", ["debug", "experiment"])
def test_every_config_that_changes_others_composes_and_names_what_exists(group):
    for name in names(group):
        instantiate_parts(compose("train", [f"{group}={name}", "++run_dir=/tmp/none"]))


def test_searches_see_no_test_ratings():
    cfg = compose("train", ["hparams_search=base", "++run_dir=/tmp/none"])
    instantiate_parts(cfg)
    assert cfg.test is False
    assert cfg.refit is False


def test_every_search_is_one_of_a_models_settings():
    for name in [name for name in names("hparams_search") if name != "base"]:
        search = yaml.safe_load((CONFIGS / "hparams_search" / f"{name}.yaml").read_text())
        base, model, *others = search.pop("defaults")
        space = search.pop("hydra")["sweeper"]["params"]
        assert base == "base"
        if others or search:  # with another split than the base
            cfg = compose("train", [f"hparams_search={name}", "++run_dir=/tmp/none"])
            instantiate_parts(cfg)
            assert (cfg.test, cfg.refit) == (False, False)
        cfg = choose("model", model["override /model"])
        for key in space:
            node, _, setting = key.rpartition(".")
            owner = OmegaConf.select(cfg, node, throw_on_missing=True)
            assert setting in owner or setting in settings(constructor(owner._target_)), f"{name}: {key}"


@pytest.mark.parametrize("model", kill_training.MODELS)
def test_trainings_of_the_kill_test_compose(model):
    compose("train", ["data=files", *kill_training.MODELS[model]])


def test_jobs_for_slurm_compose_with_what_a_cluster_asks_for():
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    asked = ["hydra/launcher=slurm", "hydra.launcher.partition=short", "hydra.launcher.gpus_per_node=1"]
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        launcher = hydra.compose("train", asked, return_hydra_config=True).hydra.launcher
    assert (launcher.partition, launcher.gpus_per_node, launcher.timeout_min) == ("short", 1, 240)


@pytest.mark.parametrize(
    "argument",
    [
        "data.address=postgresql://ann:geheim@host/films",
        "data.address='postgresql://ann@host/films?sslpassword=geheim'",
        "data.address='host=db password=geheim'",
    ],
)
def test_a_password_is_refused_before_anything_is_written(argument: str):
    with pytest.raises(UserError, match="The command or a config contains a password"):
        complete("train", ["data=sql", argument])


def test_settings_with_pass_in_their_names_are_not_passwords():
    assert complete("train", ["model=ease", "++model.passes=1"]) == ["model=ease", "++model.passes=1"]


def test_a_password_in_a_users_config_does_not_stay_in_the_run(tmp_path, train_command, capfd):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.yaml").write_text(
        "_target_: recsys.data.databases.Database\naddress: postgresql://ann:geheim@nowhere/films\nratings: votes\n"
    )
    assert train_command("--config-dir", tmp_path, "data=mine", f"hydra.run.dir={tmp_path}/run") == 2
    out, err = capfd.readouterr()
    assert "password" in err
    kept = [file for file in (tmp_path / "run").rglob("*") if file.is_file() and b"geheim" in file.read_bytes()]
    assert not kept
    assert "geheim" not in out + err


@pytest.mark.parametrize(
    ("arguments", "sweeps"),
    [
        (["model=ease", "seed=1", "hydra.run.dir=x"], False),
        (["-m", "model=ease,popularity"], True),
        (["--config-dir", "x", "model=mine"], True),
        (["hydra.searchpath=[file://x]", "model=mine"], True),
        (["+experiment=ncf_revisited"], True),
        (["hparams_search=ease"], True),
        (["++hydra.mode=MULTIRUN"], True),
    ],
)
def test_whether_a_command_may_sweep_is_known_from_its_arguments(arguments: list[str], sweeps: bool):
    assert may_sweep(arguments) == sweeps


def test_only_configs_of_studies_and_searches_sweep():
    contents = {path: yaml.safe_load(path.read_text()) or {} for path in CONFIGS.rglob("*.yaml")}
    groups = {path.parent.name for path, config in contents.items() if "mode" in config.get("hydra", {})}
    assert groups == {"experiment", "hparams_search"}


def test_the_config_of_a_single_run_is_composed_once(monkeypatch, tmp_path):
    compose_once, composed, run = ConfigLoaderImpl.load_configuration, [], []

    def load_configuration(self, *args, **kwargs) -> DictConfig:
        composed.append(kwargs)
        return compose_once(self, *args, **kwargs)

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", load_configuration)
    monkeypatch.setattr(sys, "argv", ["train.py", "model=ease", f"hydra.run.dir={tmp_path}/run"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    main(run.append)
    assert len(run) == len(composed) == 1
