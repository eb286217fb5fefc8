"""Settings of a constructor: their names and types, read from its signature, and checks of values against the types."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from pydantic import TypeAdapter


@cache
def settings(called: Callable[..., Any]) -> Mapping[str, Any]:
    """Return the types of the keyword arguments of a class or function, by name; Any where there is no annotation.

    If a constructor takes `**keywords`, the arguments of its parent class are included. The result is cached, so it
    must not be changed.
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
    """Return whether a JSON-able value has the given type.

    The check is strict: a bool does not count as an int, and text is not converted; but an int counts as a
    float. A list matches any sequence type. For a type that JSON cannot express, such as most classes, the result is
    True unless the value is None.
    """
    if value is None and isinstance(hint, type) and hint not in (Any, NoneType, object):
        return False
    if type(value) is hint or (get_origin(hint) in (Union, UnionType) and type(value) in get_args(hint)):
        return True  # the common case, for which pydantic need not be imported
    from pydantic import ValidationError

    try:
        _validator(_expressible(hint)).validate_json(json.dumps(value), strict=True)
    except ValidationError:
        return False
    return True


def described(hint: Any) -> str:
    """Return a type hint as text, such as `float` or `int | None`."""
    if isinstance(hint, type) and not get_args(hint):
        return hint.__name__
    return str(hint).replace("typing.", "").replace("collections.abc.", "")


@cache
def _validator(hint: Any) -> TypeAdapter:
    """Return the pydantic validator of a type; cached, because building it is slower than most checks."""
    from pydantic import TypeAdapter

    return TypeAdapter(hint)


def _expressible(hint: Any) -> Any:
    """Return a type in which Any replaces the parts that JSON cannot express."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal or hint in (int, float, bool, str, NoneType):
        return hint
    if origin in (Union, UnionType):
        return Union[tuple(map(_expressible, arguments))]  # noqa: UP007 - the tuple is computed
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return dict[str, Any]
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return list[_expressible(arguments[0])]  # type: ignore[misc]
    return Any


def _constructors(cls: type) -> list[Callable[..., Any]]:
    return [vars(parent)["__init__"] for parent in cls.__mro__ if "__init__" in vars(parent)]


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except NameError:  # a name that is only imported for type checkers
        return {}
