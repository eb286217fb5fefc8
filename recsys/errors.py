"""The exception whose message is meant for users, and checks that raise it."""

from __future__ import annotations

from collections.abc import Iterable


class UserError(Exception):
    """Invalid input. The message is one sentence that says what to do; commands print it and exit with status 2."""


def one_of(name: str, value: str, choices: Iterable[str]) -> str:
    """Return a setting's value after checking that it is one of the choices.

    Raises:
        UserError: the value is not among `choices`.
    """
    if value not in choices:
        raise UserError(f"{name} must be one of {', '.join(choices)} (got {value!r}).")
    return value


def check_positive(**settings: float) -> None:
    """Check that settings, given by name, are above zero.

    Raises:
        UserError: a setting is not above zero.
    """
    for name, value in settings.items():
        if not value > 0:
            raise UserError(f"{name} must be above zero (got {value}).")


def check_not_negative(**settings: float) -> None:
    """Check that settings, given by name, are zero or above.

    Raises:
        UserError: one is not.
    """
    for name, value in settings.items():
        if not value >= 0:
            raise UserError(f"{name} must be zero or above (got {value}).")


def check_shares(**settings: float) -> None:
    """Check that settings, given by name, are between 0 and 1.

    Raises:
        UserError: a setting is below 0 or above 1.
    """
    for name, value in settings.items():
        if not 0 <= value <= 1:
            raise UserError(f"{name} must be between 0 and 1 (got {value}).")
