"""Lists that are updated in place, and viewers' actions on the rows of these lists.

Replacing a whole list during a click would lose the click: the browser sends no click if the pressed element is removed
before the button is released, and the server ignores clicks on elements that it has deleted. A row is therefore reused
as long as its key is in the list, and an action is sent by the list itself, with the key of the pressed row; see
actions.js.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from nicegui import ui
from nicegui.element import Element

from recsys.web.pages.components import Tag

Entry = TypeVar("Entry")
Entry_contra = TypeVar("Entry_contra", contravariant=True)
_SCRIPT = Path(__file__).with_name("actions.js")


@dataclass(frozen=True)
class Action:
    """An action of a viewer on a row, such as a rating.

    Attributes:
        name: name of the action.
        key: value of the row's `data-key` attribute, such as the id of its film.
        value: value of the pressed button, such as a rating, or "".
    """

    name: str
    key: str
    value: str


class Row(Protocol[Entry_contra]):
    """Interface of a row that is shown in `Rows`.

    Attributes:
        element: HTML element of the row.
    """

    element: Tag

    def show(self, entry: Entry_contra) -> None:
        """Update the row to a new entry that has the same key."""


class Rows(Generic[Entry]):
    """The rows of a list, each with a key. While a key stays in the list, its row is reused, and moved if necessary.

    Args:
        place: HTML element that contains the rows. Its other contents, such as placeholders, are removed by `show` if
            there is no row yet.
    """

    def __init__(self, place: Element) -> None:
        self.place = place
        self.shown: dict[Any, Row[Entry]] = {}  # in the order of the list

    def show(self, entries: Mapping[Any, Entry], add: Callable[[Entry], Row[Entry]]) -> None:
        """Show a row for each entry, in the given order.

        Args:
            entries: the entries; the key of an entry is also the key of its row.
            add: function that adds a new row for an entry to the page and returns the row.
        """
        if not self.shown:
            self.place.clear()
        for key in self.shown.keys() - entries.keys():
            self.shown.pop(key).element.delete()
        for index, (key, entry) in enumerate(entries.items()):
            row = self.shown.pop(key, None)
            if row is None:
                with self.place:
                    row = add(entry)
            else:
                row.show(entry)
            self.shown[key] = row
            if self.place.default_slot.children[index] is not row.element:
                row.element.move(target_index=index)


def add_action_script() -> None:
    """Add to all pages the script that sends viewers' actions to the server; call this only once in a process."""
    ui.add_head_html(f"<script>{_SCRIPT.read_text('utf-8')}</script>", shared=True)


def on_action(place: Element, act: Callable[[Action], Awaitable[None] | None]) -> None:
    """Call a function with each action of the viewer on the rows in an element, which must itself stay on the page."""
    place.props["data-actions"] = True
    place.on("act", lambda event: act(Action(*map(str, event.args))), js_handler="(event) => emit(event.detail)")


def action_button(text: str, name: str, classes: str = "", value: str = "", **attributes: object) -> Tag:
    """Add a button that sends an action on the row that contains it; see `on_action`."""
    kept = value or None
    return Tag("button", text, f"button {classes}", type="button", data_act=name, data_value=kept, **attributes)
