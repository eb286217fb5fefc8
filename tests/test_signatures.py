"""Types of settings, checked strictly on plain values."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from recsys.signatures import described, fits


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (1, float),
        (float("nan"), float),
        (None, str | None),
        ([1, 2], Sequence[int]),
        ([1, 2], tuple[int, ...]),
        ([[1], [2]], list[list[int]]),
        ({"a": {"_target_": "b"}}, Mapping[str, Path]),
        ("full", Literal["full", "none"]),
        ("anything", Path),
        ({"_target_": "b"}, Path | None),
        ([1], Any),
        (None, Any),
    ],
)
def test_a_value_of_the_type_fits(value, hint):
    assert fits(value, hint)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (True, int),
        (True, float),
        (1.0, int),
        ("1", int),
        (1, bool),
        (1, str),
        (None, str),
        (None, Path),
        ("ab", Sequence[str]),
        ([1, "a"], Sequence[int]),
        ([1], Mapping[str, int]),
        ("half", Literal["full", "none"]),
        ("much", int | None),
    ],
)
def test_a_value_of_another_type_does_not(value, hint):
    assert not fits(value, hint)


@pytest.mark.parametrize(("value", "hint"), [(0.5, float), (3, int | None), (None, Path | None), ("x", str | Path)])
def test_a_value_of_exactly_the_type_fits_without_an_import_of_pydantic(monkeypatch, value, hint):
    monkeypatch.setitem(sys.modules, "pydantic", None)
    assert fits(value, hint)


def test_types_are_described_in_words():
    assert [described(hint) for hint in (float, int | None, Sequence[int])] == [
        "float",
        "int | None",
        "Sequence[int]",
    ]
