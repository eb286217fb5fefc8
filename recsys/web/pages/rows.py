"""Lists that change in place, and actions that name the row that they are about.

A click would be lost if the list that it is on were replaced: the browser sends none if the pressed element is gone at
the release, and the server ignores one on an element that it has deleted. So rows stay while they are listed, and an
action is sent by the list itself, with the key of the row that the viewer pressed; see actions.js.
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
    """What a viewer did with a row.

    Attributes:
        name: name of the action.
        key: the row's attribute `data-key`, such as the id of its film.
        value: value of the button that was pressed, such as stars, or "".
    """

    name: str
    key: str
    value: str


class Row(Protocol[Entry_contra]):
    """A row of a list.

    Attributes:
        element: its element.
    """

    element: Tag

    def show(self, entry: Entry_contra) -> None:
        """Show a later entry with the row's key."""


class Rows(Generic[Entry]):
    """The rows of a list, by key: a row stays while its key is listed, and moves to its place.

    Args:
        place: the element around the rows. What else it has, such as placeholders, goes when there are rows.
    """

    def __init__(self, place: Element) -> None:
        self.place = place
        self.shown: dict[Any, Row[Entry]] = {}  # in their order

    def show(self, entries: Mapping[Any, Entry], add: Callable[[Entry], Row[Entry]]) -> None:
        """Show entries, in their order.

        Args:
            entries: the entries by key.
            add: adds a row.
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
    """Add what sends actions to all pages; call it once in a process."""
    ui.add_head_html(f"<script>{_SCRIPT.read_text('utf-8')}</script>", shared=True)


def on_action(place: Element, act: Callable[[Action], Awaitable[None] | None]) -> None:
    """Call a function with each action on the rows in an element, which itself must stay on the page."""
    place.props["data-actions"] = True
    place.on("act", lambda event: act(Action(*map(str, event.args))), js_handler="(event) => emit(event.detail)")


def action_button(text: str, name: str, classes: str = "", value: str = "", **attributes: object) -> Tag:
    """Add a button to a row, for `on_action`."""
    kept = value or None
    return Tag("button", text, f"button {classes}", type="button", data_act=name, data_value=kept, **attributes)
