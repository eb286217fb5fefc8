"""What surrounds every page: heading, navigation, colours, a link past all that."""

from __future__ import annotations

from nicegui import ui

from recsys.web.pages.elements import ON_VALUE, Tag, cookie, set_cookie, value_of

PLACES = {"/": "Discover", "/user": "Viewers", "/compare": "Compare", "/runs": "Models"}
COLOURS = {"": "Auto", "light": "Light", "dark": "Dark"}
_DARK = {"light": False, "dark": True}


def frame(title: str, here: str = "") -> None:
    """Lay out what is around a page, whose own elements come next.

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
