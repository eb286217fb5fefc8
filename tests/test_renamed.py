"""Former names of classes in configs."""

import importlib

import pytest

from recsys.config import compose
from recsys.renamed import TARGETS, current, with_current_targets


@pytest.mark.parametrize("target", TARGETS.values())
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
