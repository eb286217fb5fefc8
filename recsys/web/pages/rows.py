"""Lists that are updated in place, and actions on their rows.

If a list were replaced as a whole during a click, the click would be lost: the browser sends none if the pressed
element is removed before the release, and the server ignores clicks on elements that it has deleted. So rows are reused
while their keys are listed, and the list itself sends an action, with the key of the row that was pressed; see
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
    """An action of a viewer on a row.

    Attributes:
        name: name of the action.
        key: value of the row's `data-key` attribute, such as the id of its film.
        value: value of the pressed button, such as a rating, or "".
    """

    name: str
    key: str
    value: str


class Row(Protocol[Entry_contra]):
    """A row of a list.

    Attributes:
        element: HTML element of the row.
    """

    element: Tag

    def show(self, entry: Entry_contra) -> None:
        """Update the row to a new entry with the same key."""


class Rows(Generic[Entry]):
    """The rows of a list by key; a row is reused, and moved if necessary, while its key is listed.

    Args:
        place: element that contains the rows. Other contents, such as placeholders, are removed when an empty list is
            updated.
    """

    def __init__(self, place: Element) -> None:
        self.place = place
        self.shown: dict[Any, Row[Entry]] = {}  # in the order of the list

    def show(self, entries: Mapping[Any, Entry], add: Callable[[Entry], Row[Entry]]) -> None:
        """Show entries in the given order.

        Args:
            entries: entries by key.
            add: function that adds the row of an entry.
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
    """Add the script that sends actions to all pages; call it once in a process."""
    ui.add_head_html(f"<script>{_SCRIPT.read_text('utf-8')}</script>", shared=True)


def on_action(place: Element, act: Callable[[Action], Awaitable[None] | None]) -> None:
    """Call a function with each action on the rows of an element; the element itself must stay on the page."""
    place.props["data-actions"] = True
    place.on("act", lambda event: act(Action(*map(str, event.args))), js_handler="(event) => emit(event.detail)")


def action_button(text: str, name: str, classes: str = "", value: str = "", **attributes: object) -> Tag:
    """Add a button that sends an action of its row; see `on_action`."""
    kept = value or None
    return Tag("button", text, f"button {classes}", type="button", data_act=name, data_value=kept, **attributes)
