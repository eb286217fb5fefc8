"""Every model refuses settings that are no numbers for it, in its constructor and by name."""

import math
from types import UnionType
from typing import Any, Union, get_args, get_origin

import pytest
import yaml

from recsys.config.loader import CONFIGS
from recsys.config.nodes import constructor
from recsys.errors import UserError
from recsys.models.neural.optimization import Optimization
from recsys.signatures import settings

TARGETS = sorted(
    {yaml.safe_load(file.read_text()).get("_target_") for file in (CONFIGS / "model").glob("*.yaml")} - {None}
)
REQUIRED = {
    "encoder": {"_target_": "recsys.data.text.TfidfEncoder"},
    "models": {name: {"_target_": "recsys.models.popularity.Popularity"} for name in ("one", "other")},
}
MAY_BE_NEGATIVE = {"alpha", "negative_power", "distance_power", "place_power", "frequency_power"}  # weights of powers


def refused(hint: Any, name: str) -> list[Any]:
    """Return values that a setting of this type must not have."""
    kinds = {hint, *(get_args(hint) if get_origin(hint) in (Union, UnionType) else ())}
    values: list[Any] = (
        [-5.0, math.nan, math.inf, -math.inf] if float in kinds else [-5, 10**12] if int in kinds else []
    )
    texts = ["a"] if values and str not in kinds else []
    return [value for value in values if not (name in MAY_BE_NEGATIVE and value == -5)] + texts


@pytest.mark.parametrize("target", TARGETS)
def test_a_model_refuses_settings_that_are_negative_infinite_nan_or_text(target):
    cls = constructor(target)
    known = settings(cls)
    required = {name: value for name, value in REQUIRED.items() if name in known}
    for name, hint in known.items():
        for value in refused(hint, name):
            with pytest.raises(UserError, match=rf"\b{name} must be .*\(got '?{value}'?\)"):
                cls(**required | {name: value})


@pytest.mark.parametrize("widths", [[8, -4], [0, 8], [8, 10**12]])
def test_towers_refuse_widths_that_are_not_positive(widths):
    for name in ("MLP", "NeuMF"):
        with pytest.raises(UserError, match="hidden_dims"):
            constructor(f"recsys.models.ncf.{name}")(hidden_dims=widths)


def test_an_optimiser_refuses_a_negative_weight_decay():
    with pytest.raises(UserError, match="weight_decay must be zero or above"):
        Optimization(weight_decay=-1.0)
