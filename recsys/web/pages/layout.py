"""The layout of every page: header, navigation, messages, colour scheme and skip link."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from nicegui import ui

from recsys.errors import UserError
from recsys.web.pages.components import Tag, value_of
from recsys.web.pages.cookies import cookie, cookie_script
from recsys.web.pages.rows import Action, action_button, on_action

NAVIGATION = {"/": "Discover", "/user": "Viewers", "/compare": "Compare", "/runs": "Models"}
COLOURS = {"": "Auto", "light": "Light", "dark": "Dark"}
MAX_UNDOS = 10  # latest messages whose Undo still works, since one may be replaced while it is pressed
_IS_DARK = {"light": False, "dark": True}
# The browser itself stores the choice, so the next page has it even if it is opened immediately.
_STORE_AND_EMIT = f"(event) => {{ {cookie_script('colours', 'event.target.value')}; emit(event.target.value); }}"


class Snackbar:
    """A message about the last action, with a button to undo the action.

    The message appears in the page's header, which is always in view, so it covers no content. The style sheet hides it
    after some seconds, unless it has the focus or the pointer.
    """

    def __init__(self) -> None:
        self._place = Tag("div", classes="snackbar-place", role="status")
        self._undos: dict[str, Callable[[], Awaitable[None]]] = {}  # by number of the message, the latest ones
        self._n_messages = 0
        on_action(self._place, self._undo)

    def show(self, sentence: str, undo: Callable[[], Awaitable[None]] | None = None) -> None:
        """Show a message in place of the previous one, with an Undo button that calls `undo` if it is given."""
        self._n_messages += 1
        key = str(self._n_messages)
        self._place.clear()
        with self._place, Tag("div", classes="snackbar", data_key=key):
            Tag("span", sentence)
            if undo is not None:
                action_button("Undo", "undo", "quiet")
                self._undos = dict([*self._undos.items(), (key, undo)][-MAX_UNDOS:])

    def hide(self) -> None:
        """Remove the message."""
        self._place.clear()

    async def _undo(self, action: Action) -> None:
        if undo := self._undos.pop(action.key, None):
            await undo()

    @contextmanager
    def show_errors(self) -> Iterator[None]:
        """Show a UserError that is raised in the `with` statement, instead of raising it further."""
        try:
            yield
        except UserError as error:
            self.show(str(error))
            self._place.client.run_javascript("dispatchEvent(new Event('refused'))")  # for Stars


def page_layout(title: str, current: str = "") -> Snackbar:
    """Add the header and the skip link of a page, and return the snackbar in the header.

    Args:
        title: title of the page in the browser's tab.
        current: the key of `NAVIGATION` to which the page belongs, or "".
    """
    client = ui.context.client
    ui.page_title(f"{title} · recsys")
    chosen = cookie("colours")
    mode = ui.dark_mode(_IS_DARK.get(chosen))
    with client.layout, Tag("header", classes="top").move(target_index=0), Tag("div", classes="top-inside"):
        Tag("a", "recsys", "brand", href="/", aria_label="recsys, start page")
        with Tag("nav", aria_label="Pages"):
            for address, name in NAVIGATION.items():
                Tag("a", name, href=address, aria_current="page" if address == current else None)
        snackbar = Snackbar()
        with Tag("select", classes="colours", aria_label="Colours") as colours:
            for value, name in COLOURS.items():
                Tag("option", name, value=value, selected=value == chosen or None)
    ui.skip_link("Skip to the content", target=client.content)
    colours.on("change", lambda event: mode.set_value(_IS_DARK.get(value_of(event))), js_handler=_STORE_AND_EMIT)
    ui.on_exception(lambda: snackbar.show("Something went wrong. Please try again."))
    return snackbar
