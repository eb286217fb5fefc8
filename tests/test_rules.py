"""Settings that depend on the number of ratings, and the studies and tables that default settings agree with."""

from functools import cache

import pytest
from omegaconf import OmegaConf

import train
from recsys.config import compose, instantiate
from recsys.config.overrides import complete
from recsys.config.rules import RULE
from recsys.config.studies import read_study, study_names
from recsys.dotted import flatten
from recsys.errors import UserError
from recsys.studies.identity import identity
from recsys.studies.plan import override_arguments, variant_overrides
from recsys.studies.runs import read_run
from recsys.studies.study import Study
from tests.compositions import choose

ROWS = {  # of the README's tables on MovieLens-100K, by the model that reproduces them
    "ncf_revisited": {
        "User neighbours": "user_knn",
        "Item neighbours": "item_knn",
        "EASE": "ease",
        "SLIM": "slim",
        "ALS": "als",
        "iALS": "ials",
        "RP3beta": "rp3beta",
        "GF-CF": "gfcf",
        "ELSA": "elsa",
        "Denoising autoencoder": "dae",
        "Mult-VAE": "mult_vae",
        "MF softmax": "mf",
        "GMF": "gmf",
        "MLP": "mlp",
        "NeuMF log loss": "ncf",
        "NeuMF softmax": "ncf_softmax",
    },
    "sequences": {"EASE by recency": "ease_by_recency", "Markov": "markov", "LinearAR": "linear_ar"},
}
STUDIES = [name for name in study_names() if name != "study"]  # which has their defaults


@cache
def read(study: str) -> Study:
    return read_study([f"experiment={study}"])[0]


@pytest.mark.parametrize(("overrides", "l2"), [([], 94.2), (["n_ratings=499999"], 94.2), (["n_ratings=500000"], 500.0)])
def test_a_setting_follows_the_number_of_ratings(overrides, l2):
    assert compose("train", ["model=ease", *overrides]).model.l2 == l2


@pytest.mark.parametrize("n_ratings", [10, 10**6])
@pytest.mark.parametrize("l2", [94.2, 500.0, 7.0])
def test_an_override_replaces_the_rule(l2, n_ratings):
    assert compose("train", ["model=ease", f"model.l2={l2}", f"n_ratings={n_ratings}"]).model.l2 == l2


def test_rules_hold_for_models_inside_a_model():
    models = compose("train", ["model=blend_closed_form", "n_ratings=1000000"]).model.models
    assert (models.linear_ar.l2, list(models.linear_ar.half_lives)) == (500.0, [0.25, 2.0, 20.0])


def test_a_run_counts_its_ratings_and_stores_what_was_used(data, tmp_path):
    rules = [f"model.l2='${{{RULE}:1,1.0,2.0}}'", f"model.half_life='${{{RULE}:1000000,1.0,2.0}}'"]
    train.train(compose("train", [*data, "model=ease", *rules, f"run_dir={tmp_path}/run"]))
    run = read_run(tmp_path / "run")
    assert (run.config["model"]["l2"], run.config["model"]["half_life"]) == (2.0, 1.0)
    assert run.config["n_ratings"] == run.manifest["data"]["ratings"]


def test_the_number_of_ratings_does_not_change_a_runs_identity_by_itself():
    assert identity({"n_ratings": 5, "model": {"l2": 1.0}}) == identity({"model": {"l2": 1.0}})


@cache
def settings_with_rules(model: str) -> set[str]:
    node = OmegaConf.to_container(choose("model", model).model)
    return {f"model.{key}" for key, value in flatten(node).items() if f"{RULE}:" in str(value)}


@pytest.mark.parametrize("study", STUDIES)
def test_no_row_of_a_study_depends_on_the_number_of_ratings(study):
    for name, setting in read(study).settings.items():
        for row, own in setting.rows.items():
            given = {key.removeprefix("~") for key in own.overrides}
            replaced = tuple(f"{key}." for key in given if key != "model")  # with all settings below them
            ruled = {key for key in settings_with_rules(own.overrides["model"]) if not key.startswith(replaced)}
            assert ruled <= given, f"{name}: {row}"


@pytest.mark.parametrize("study", STUDIES)
def test_the_overrides_of_each_row_of_a_study_are_accepted(study):
    for setting in read(study).settings.values():
        for row in setting.rows.values():
            complete("train", override_arguments({**variant_overrides(setting)[0], **row.overrides}))


@pytest.mark.parametrize("study", STUDIES)
def test_lists_of_rows_are_unambiguous_because_no_name_of_a_row_has_a_comma(study):
    assert [row for setting in read(study).settings.values() for row in setting.rows if "," in row] == []


@pytest.mark.parametrize(("study", "row"), [(study, row) for study, rows in ROWS.items() for row in rows])
def test_the_default_settings_of_a_model_are_those_of_its_row(study, row):
    rows = read(study).settings["ml-100k"].rows
    own = compose("train", override_arguments(rows[row].overrides))
    default = choose("model", ROWS[study][row])
    assert instantiate(own.model).hyperparameters() == instantiate(default.model).hyperparameters()


@pytest.mark.parametrize("former", ["ease_100k", "ncf_1m"])
def test_the_error_for_a_removed_config_of_a_size_names_the_current_config(former):
    with pytest.raises(UserError, match=f"no model '{former}' any more: model={former.partition('_')[0]} chooses"):
        compose("train", [f"model={former}"])
