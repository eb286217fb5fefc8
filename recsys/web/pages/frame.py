"""What surrounds every page: heading, navigation, colours, a link past all that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from nicegui import ui

from recsys.errors import UserError
from recsys.web.pages.elements import ON_VALUE, Tag, button, cookie, set_cookie, value_of

PLACES = {"/": "Discover", "/user": "Viewers", "/compare": "Compare", "/runs": "Models"}
COLOURS = {"": "Auto", "light": "Light", "dark": "Dark"}
SHOWN = 12  # seconds that the bar says something; all of it can be taken back elsewhere later
_DARK = {"light": False, "dark": True}


class Bar:
    """Says at the lower edge of a page what was just done, for a while, with a way to take it back."""

    def __init__(self) -> None:
        with ui.context.client.layout, Tag("div", classes="bar-place"):
            self._place = Tag("div", classes="said", role="status")

    def show(self, sentence: str, undo: Callable[[], Awaitable[None]] | None = None) -> None:
        """Say something in the place of what was said before."""
        self.hide()
        with self._place:
            Tag("span", sentence)
            if undo is not None:
                button("Undo", undo, "quiet")
            ui.timer(SHOWN, self.hide, once=True)

    def hide(self) -> None:
        """Say nothing more."""
        self._place.clear()

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Say why something was refused."""
        try:
            yield
        except UserError as error:
            self.show(str(error))


def frame(title: str, here: str = "") -> Bar:
    """Lay out what is around a page, whose own elements come next; gives the bar at its lower edge.

    Args:
        title: of the page, in the browser's tab.
        here: the place of `PLACES` that the page belongs to.
    """
    client = ui.context.client
    ui.page_title(f"{title} · recsys")
    colours = cookie("colours")
    mode = ui.dark_mode(_DARK.get(colours))
    with client.layout, Tag("header", classes="top").move(target_index=0), Tag("div", classes="top-inside"):
        Tag("a", "recsys", "brand", href="/", aria_label="recsys, start page")
        with Tag("nav", aria_label="Pages"):
            for address, name in PLACES.items():
                Tag("a", name, href=address, aria_current="page" if address == here else None)
        with Tag("select", classes="colours", aria_label="Colours") as choice:
            for value, name in COLOURS.items():
                Tag("option", name, value=value, selected=value == colours or None)
    ui.skip_link("Skip to the content", target=client.content)

    def choose(value: str) -> None:
        mode.value = _DARK.get(value)
        set_cookie("colours", value if value in COLOURS else "")

    choice.on("change", lambda event: choose(value_of(event)), js_handler=ON_VALUE)
    bar = Bar()
    ui.on_exception(lambda: bar.show("That did not work: try it once more."))
    return bar
