"""Names of constructors' arguments in the source, held against those of the imported classes."""

from pathlib import Path

import pytest
from hydra.utils import get_object

from recsys.argument_names import argument_names
from recsys.signatures import settings

ROOT = Path(__file__).parents[1]
LINES = [line for file in ROOT.glob("configs/model/*.yaml") for line in file.read_text().splitlines()]
TARGETS = sorted({line.split()[1] for line in LINES if line.startswith("_target_: recsys.")})


def test_the_source_of_every_model_tells_what_its_class_takes():
    found = {target: argument_names(target) for target in TARGETS}
    assert [target for target, names in found.items() if names is None] == ["recsys.models.popularity.Popularity"]
    assert {t: names for t, names in found.items() if names is not None and names != {*settings(get_object(t))}} == {}


@pytest.mark.parametrize(
    "target",
    [
        "pytorch_lightning.Trainer",
        "recsys.data.clean.Cleaning",  # a dataclass
        "recsys.data.splitters.split",  # a function
        "recsys.models.ease.Nothing",
        "recsys.nowhere.EASE",
        "....EASE",
    ],
)
def test_what_the_source_does_not_tell_is_left_to_an_import(target):
    assert argument_names(target) is None
