"""The terminal: text is printed as it is, since square brackets and colons in titles are no markup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from rich.status import Status


def terminal(*, stderr: bool = False) -> Console:
    """Return the console on stdout or stderr, which interprets neither markup (`[bold]`) nor emoji (`:heart:`)."""
    return Console(stderr=stderr, markup=False, emoji=False)


def working(sentence: str) -> Status:
    """Show on stderr, during the body of a `with` statement, what is being done."""
    return terminal(stderr=True).status(Text(sentence))
