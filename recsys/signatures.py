"""What a constructor takes: the names and types of its settings, read off its signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def settings(called: Callable[..., Any]) -> dict[str, Any]:
    """The type of each keyword that a class or function takes, by name.

    Parents' keywords count too, where a constructor hands what it does not name on as **keywords.
    """
    types: dict[str, Any] = {}
    for function in _constructors(called) if isinstance(called, type) else [called]:
        parameters = inspect.signature(function).parameters.values()
        hints = _hints(function)
        for p in parameters:
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != "self":
                types.setdefault(p.name, hints.get(p.name, Any))
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return types


def fits(value: Any, hint: Any) -> bool:
    """Whether a plain value (as in JSON) is of a type; True for types that plain values cannot be told of."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(fits(value, argument) for argument in arguments)
    if origin is Literal:
        return value in arguments
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in (bool, str, NoneType):
        return isinstance(value, hint)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, Mapping)
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return isinstance(value, list | tuple) and all(fits(element, arguments[0]) for element in value)
    return True


def described(hint: Any) -> str:
    """A type in words: `float`, `int | None`."""
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint).replace("typing.", "")


def _constructors(cls: type) -> list[Callable[..., Any]]:
    return [vars(parent)["__init__"] for parent in cls.__mro__ if "__init__" in vars(parent)]


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except NameError:  # a name that is only imported for type checkers
        return {}
