"""The exception whose message is meant for users, and checks that raise it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real

LARGEST = 2**32 - 1  # largest integer setting: no seed is larger, and no array has more rows


class UserError(Exception):
    """Error in a user's input.

    The message is one sentence that says what to do. Commands print it and exit with status 2.
    """


def one_of(name: str, value: str, choices: Iterable[str]) -> str:
    """Check that a setting's value is one of the allowed choices, and return the value.

    Args:
        name: name of the setting, for the message.
        value: the value.
        choices: the allowed values.

    Raises:
        UserError: the value is not among `choices`.
    """
    if value not in choices:
        raise UserError(f"{name} must be one of {', '.join(choices)} (got {value!r}).")
    return value


def check_positive(**settings: float) -> None:
    """Check that settings, passed as keyword arguments, are finite and above zero.

    Raises:
        UserError: a setting is not a number, is infinite, NaN, zero or negative, or is an integer above `LARGEST`.
    """
    _check("above zero", lambda value: value > 0, settings)


def check_not_negative(**settings: float) -> None:
    """Check that settings, passed as keyword arguments, are finite and not negative.

    Raises:
        UserError: a setting is not a number, is infinite, NaN or negative, or is an integer above `LARGEST`.
    """
    _check("zero or above", lambda value: value >= 0, settings)


def check_finite(**settings: float) -> None:
    """Check that settings, passed as keyword arguments, are finite.

    Raises:
        UserError: a setting is not a number, is infinite or NaN, or is an integer above `LARGEST`.
    """
    _check("a number", lambda value: not math.isnan(value), settings)


def check_shares(**settings: float) -> None:
    """Check that settings, passed as keyword arguments, are between 0 and 1.

    Raises:
        UserError: a setting is not a number, is NaN, below 0 or above 1.
    """
    _check("between 0 and 1", lambda value: 0 <= value <= 1, settings)


def check_seed(**settings: int) -> None:
    """Check that seeds, passed as keyword arguments, are integers from 0 to `LARGEST`.

    Every random number generator accepts the seeds in this range.

    Raises:
        UserError: a seed is not a whole number, is below 0 or above `LARGEST`.
    """
    _check(f"a seed from 0 to {LARGEST}", lambda value: isinstance(value, Integral) and 0 <= value <= LARGEST, settings)


def _check(wanted: str, is_allowed: Callable[[float], bool], settings: Mapping[str, float]) -> None:
    for name, value in settings.items():
        if not isinstance(value, Real):
            raise UserError(f"{name} must be a number (got {value!r}).")
        if not is_allowed(value):
            raise UserError(f"{name} must be {wanted} (got {value}).")
        if isinstance(value, int) and value > LARGEST:
            raise UserError(f"{name} must be at most {LARGEST} (got {value}).")
        if math.isinf(value):
            raise UserError(f"{name} must be finite (got {value}).")
