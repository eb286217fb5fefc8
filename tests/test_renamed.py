"""Former names of classes in configs."""

import importlib

import pytest
from omegaconf import OmegaConf

from recsys.config import compose, instantiate
from recsys.errors import UserError
from recsys.models.base import make
from recsys.models.lightgcn import LightGCN
from recsys.models.xsimgcl import XSimGCL
from recsys.renamed import TARGETS, XSIMGCL, current, current_settings, with_current_targets

# A LightGCN of the version in which it was also XSimGCL, as its config and its model.json had it.
FORMER_LIGHTGCN = {
    "_target_": "recsys.models.lightgcn.LightGCN",
    "n_layers": 2,
    "temperature": 0.1,
    "noise": 0.2,
    "contrasted_layer": 2,
}


@pytest.mark.parametrize("target", [*TARGETS.values(), XSIMGCL])
def test_every_current_name_is_that_of_a_class(target):
    module, _, name = target.rpartition(".")
    found = getattr(importlib.import_module(module), name)
    assert isinstance(found, type)
    assert current(target) == target


def test_former_names_are_replaced_at_every_depth_of_a_config():
    former = {
        "split": {"_target_": "recsys.data.split.Ratio", "test": 0.2},
        "model": {"encoders": [{"_target_": "recsys.data.text.WordVectorEncoder"}], "of": "recsys.data.split.Ratio"},
    }
    assert with_current_targets(former) == {
        "split": {"_target_": "recsys.data.splitters.Ratio", "test": 0.2},
        "model": {"encoders": [{"_target_": "recsys.data.text.PPMIEncoder"}], "of": "recsys.data.split.Ratio"},
    }
    assert former["split"]["_target_"] == "recsys.data.split.Ratio"


def test_a_former_choice_of_encoder_is_the_current_one():
    former, now = (compose("train", ["model=content", f"encoder={name}"]) for name in ("word2vec", "ppmi"))
    assert former == now
    assert now.model.encoder._target_ == "recsys.data.text.PPMIEncoder"


@pytest.mark.parametrize(
    "build", [make, lambda setting: instantiate(OmegaConf.create(setting))], ids=["make", "config"]
)
def test_a_lightgcn_that_had_a_contrastive_loss_is_an_xsimgcl(build):
    model = build(FORMER_LIGHTGCN | {"contrast_weight": 0.02})
    assert type(model) is XSimGCL
    assert (model.contrast_weight, model.temperature, model.noise, model.contrasted_layer) == (0.02, 0.1, 0.2, 2)
    assert model.n_layers == 2


@pytest.mark.parametrize("weight", [{}, {"contrast_weight": 0}, {"contrast_weight": 0.0}])
@pytest.mark.parametrize(
    "build", [make, lambda setting: instantiate(OmegaConf.create(setting))], ids=["make", "config"]
)
def test_a_lightgcn_that_had_none_is_the_same_without_its_settings(build, weight):
    model = build(FORMER_LIGHTGCN | weight)
    assert type(model) is LightGCN
    assert model.hyperparameters() == LightGCN(n_layers=2).hyperparameters()


def test_settings_of_this_version_are_not_changed():
    for target, settings in ((XSIMGCL, {"contrast_weight": 0.2}), ("recsys.models.lightgcn.LightGCN", {"l2": 0.1})):
        assert current_settings(target, settings) == (target, settings)


@pytest.mark.parametrize("name", ["contrast_weight", "temperature", "noise", "contrasted_layer"])
def test_a_command_with_a_setting_that_moved_names_the_model_that_has_it(name):
    with pytest.raises(UserError, match=f"LightGCN takes no '{name}' any more: it is a setting of model=xsimgcl."):
        compose("train", ["model=lightgcn", f"model.{name}=1"])
