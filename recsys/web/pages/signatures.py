"""Speeds up the construction of pages: NiceGUI spends half of the time on inspecting the same signatures again."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import MethodType
from typing import Any

from nicegui import helpers


def remember_signatures() -> None:
    """Make NiceGUI inspect the signature of each method only once, not for every element.

    Call this only once in a process.
    """
    inspected = helpers.expects_arguments

    @cache
    def of_method(function: Callable[..., Any]) -> bool:
        return inspected(MethodType(function, function))  # whichever object it is bound to

    def expects_arguments(func: Callable[..., Any]) -> bool:
        return of_method(func.__func__) if isinstance(func, MethodType) else inspected(func)

    helpers.expects_arguments = expects_arguments
