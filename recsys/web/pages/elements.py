"""What pages are made of: plain HTML elements, stars, posters, reasons, and addresses of pages.

Text and attributes reach the browser as data and are set on its elements, never read as HTML, whatever a title or an
id holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement
from nicegui.events import GenericEventArguments

from recsys.web.catalogue import Catalogue, Film

KINDS = {  # of reasons: their name, and what it means
    "history": (
        "from ratings",
        "Of all films rated, this film's score would lose most without that one: it is what the model itself goes by.",
    ),
    "embeddings": (
        "near in the model",
        "The model does not go by single ratings. Of the films that were liked, that one lies nearest to this film in "
        "what the model has learned.",
    ),
    "metadata": (
        "alike on paper",
        "The model cannot say why. Of the films that were liked, that one has most genres and people in common with "
        "this film.",
    ),
}


ON_VALUE = "(event) => emit(event.target.value)"  # sends what was typed or chosen, for `value_of`
REMEMBERED = 365 * 24 * 3600  # seconds that a browser keeps what it is given


class Tag(TextElement):
    """An HTML element.

    Args:
        tag: its name, `section`.
        text: what it says.
        classes: of style.css, parted by spaces.
        attributes: by name, `aria_label` for `aria-label`; those that are None are left out.
    """

    def __init__(self, tag: str, /, text: str = "", classes: str = "", **attributes: Any) -> None:
        super().__init__(tag=tag, text=text)
        self.classes(classes)
        for key, value in attributes.items():
            self.props.set_optional(key.strip("_").replace("_", "-"), value)


class Stars(Element, component="stars.js"):
    """Stars that can be given.

    Args:
        steps: what can be given, ascending; halves are drawn where there are some.
        given: what was given before, or None.
        label: of the group, for those who do not see it.
        give: called with the stars.
    """

    def __init__(
        self, steps: Sequence[float], given: float | None, label: str, give: Callable[[float], Awaitable[None]]
    ) -> None:
        super().__init__()
        self.props.update({"steps": list(steps), "given": given, "label": label})
        self.on("give", lambda event: give(float(event.args)))

    def show(self, given: float | None) -> None:
        """Show other stars as given."""
        self.props["given"] = given


def button(text: str, press: Callable[[], Awaitable[None] | None], classes: str = "", **attributes: Any) -> Tag:
    """A button."""
    tag = Tag("button", text, f"button {classes}", type="button", **attributes)
    tag.on("click", press)
    return tag


def value_of(event: GenericEventArguments) -> str:
    """What was typed or chosen, of an event whose handler is `ON_VALUE`."""
    return str(event.args)


def choice(label: str, options: Mapping[str, str], chosen: str, choose: Callable[[str], Awaitable[None]]) -> Tag:
    """A labelled list to choose one of: names by value."""
    with Tag("label", classes="field"):
        Tag("span", label, "field-label")
        with Tag("select") as select:
            for value, name in options.items():
                Tag("option", name, value=value, selected=value == chosen or None)
    select.on("change", lambda event: choose(value_of(event)), js_handler=ON_VALUE)
    return select


def poster(film: Film, catalogue: Catalogue, classes: str = "") -> None:
    """A drawn poster with title and year, coloured by genre, and above it the real one where there is an address."""
    places = [catalogue.genres.index(genre) for genre in film.genres[:2]]
    hues = [round(360 * place / len(catalogue.genres)) for place in places] or [30]
    with Tag("div", classes=f"poster {classes}", aria_hidden="true").style(f"--hue: {hues[0]}; --hue-2: {hues[-1]}"):
        Tag("span", film.title, "poster-title")
        Tag("span", "" if film.year is None else str(film.year), "poster-year")
        if film.poster:
            picture = Tag("img", src=film.poster, alt="", loading="lazy", referrerpolicy="no-referrer")
            picture.on("error", js_handler="(event) => { event.target.hidden = true; }")


def told(film: Film) -> str:
    """Year and genres in one line."""
    return " · ".join(filter(None, ("" if film.year is None else str(film.year), ", ".join(film.genres))))


def reason(sentence: str, kind: str) -> None:
    """Why a film was recommended, and a badge that says of what kind the reason is."""
    name, meaning = KINDS[kind]
    with Tag("p", classes="reason"):
        Tag("span", sentence)
        with Tag("button", name, "badge", type="button") as badge:
            tip = Tag("span", meaning, "tip", role="tooltip")
        badge.props["aria-describedby"] = tip.html_id


def stars_given(stars: float) -> None:
    """Stars as a figure, which cannot be changed."""
    Tag("span", f"★ {stars:g}", "given", role="img", aria_label=f"{stars:g} stars")


def notice(sentence: str, *links: tuple[str, str]) -> None:
    """A sentence in place of what cannot be shown, with ways on: their names and addresses."""
    with Tag("div", classes="notice"):
        Tag("p", sentence)
        for name, address in links:
            Tag("a", name, "button", href=address)


def skeletons(n: int) -> None:
    """The outlines of cards that are on their way."""
    for _ in range(n):
        with Tag("div", classes="card skeleton", aria_hidden="true"):
            Tag("div", classes="poster")
            with Tag("div", classes="card-body"):
                for width in ("70%", "45%", "90%"):
                    Tag("span", classes="bar").style(f"width: {width}")


async def let_others_in() -> None:
    """Answer other requests before a page is built further: a whole one holds everybody up for some 20 milliseconds."""
    await asyncio.sleep(0)


def focus_lost_goes_to(element: Element) -> None:
    """Give the focus to an element where what had it is gone."""
    element.client.run_javascript(
        f"if (document.activeElement === document.body) getHtmlElement({element.id})?.focus({{preventScroll: true}})"
    )


def cookie(name: str) -> str:
    """What the browser has kept under a name, which anybody may have written; nothing where it has not."""
    request = ui.context.client.request
    return "" if request is None else request.cookies.get(name, "")


def set_cookie(name: str, value: str) -> None:
    """Have the browser keep a word of letters and digits for a year."""
    ui.run_javascript(f"document.cookie = '{name}={value}; path=/; max-age={REMEMBERED}; samesite=lax'")


def address(*parts: str, **query: str | int | None) -> str:
    """The address of a page, of the parts of its path; what is None or empty is left out of the query."""
    given = {name: value for name, value in query.items() if value not in (None, "")}
    return "/" + "/".join(quote(part, safe="") for part in parts) + (f"?{urlencode(given)}" if given else "")
