"""Components of the pages: HTML elements, stars, posters, reasons.

Text and attributes reach the browser as data and are set on its elements. They are never parsed as HTML, whatever a
title or an id contains.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement
from nicegui.events import GenericEventArguments

from recsys.web.catalogue import Catalogue, Film

REASON_KINDS = {  # kind of reason: its name, and an explanation
    "order": (
        "from the order",
        "Of the films you rated, this is the one without which the score would fall most, mostly because you rated it "
        "recently.",
    ),
    "history": (
        "from ratings",
        "Of all the films you rated, these are the ones without which the score would fall most: the model relies on "
        "them.",
    ),
    "embeddings": (
        "near in the model",
        "The model does not use single ratings. Of the films that were liked, these are the most similar to the "
        "recommended film in what the model has learned.",
    ),
    "metadata": (
        "alike on paper",
        "The model cannot say why. Of the films that were liked, this one shares the most people and genres with the "
        "recommended film.",
    ),
}


EMIT_VALUE = "(event) => emit(event.target.value)"  # sends what was typed or chosen, for `value_of`


class Tag(TextElement):
    """An HTML element.

    Args:
        tag: name of the element, such as `section`.
        text: text content.
        classes: classes of style.css, separated by spaces.
        attributes: attributes by name, `aria_label` for `aria-label`; those that are None are left out.
    """

    def __init__(self, tag: str, /, text: str = "", classes: str = "", **attributes: Any) -> None:
        super().__init__(tag=tag, text=text)
        self.classes(classes)
        for key, value in attributes.items():
            self.props.set_optional(key.strip("_").replace("_", "-"), value)


class Stars(Element, component="stars.js"):
    """Stars to rate a film with.

    Args:
        steps: values of the rating scale, ascending; half stars are drawn if the scale has them.
        given: the current rating, or None.
        label: label of the group for screen readers.
        give: called with the chosen stars.
    """

    def __init__(
        self, steps: Sequence[float], given: float | None, label: str, give: Callable[[float], Awaitable[None]]
    ) -> None:
        super().__init__()
        self.props.update({"steps": list(steps), "given": given, "label": label})
        self.on("give", lambda event: give(float(event.args)))

    def show(self, given: float | None) -> None:
        """Show another rating."""
        self.props["given"] = given


def button(text: str, press: Callable[[], Awaitable[None] | None], classes: str = "", **attributes: Any) -> Tag:
    """Add a button."""
    tag = Tag("button", text, f"button {classes}", type="button", **attributes)
    tag.on("click", press)
    return tag


def value_of(event: GenericEventArguments) -> str:
    """Return what was typed or chosen, from an event whose JavaScript handler is `EMIT_VALUE`."""
    return str(event.args)


def choice(label: str, options: Mapping[str, str], chosen: str, choose: Callable[[str], Awaitable[None]]) -> Tag:
    """Add a labelled drop-down list; `options` are names by value."""
    with Tag("label", classes="field"):
        Tag("span", label, "field-label")
        with Tag("select") as select:
            for value, name in options.items():
                Tag("option", name, value=value, selected=value == chosen or None)
    select.on("change", lambda event: choose(value_of(event)), js_handler=EMIT_VALUE)
    return select


def poster(film: Film, catalogue: Catalogue, classes: str = "") -> None:
    """Add a drawn poster, coloured by genre, and above it the real one if its address is known."""
    places = [catalogue.genres.index(genre) for genre in film.genres[:2]]
    hues = [round(360 * place / len(catalogue.genres)) for place in places] or [30]
    with Tag("div", classes=f"poster {classes}", aria_hidden="true").style(f"--hue: {hues[0]}; --hue-2: {hues[-1]}"):
        Tag("span", film.title, "poster-title")
        Tag("span", "" if film.year is None else str(film.year), "poster-year")
        if film.poster:
            picture = Tag("img", src=film.poster, alt="", loading="lazy", referrerpolicy="no-referrer")
            picture.on("error", js_handler="(event) => { event.target.hidden = true; }")


def year_and_genres(film: Film) -> str:
    """Return the year and genres of a film in one line."""
    return " · ".join(filter(None, ("" if film.year is None else str(film.year), ", ".join(film.genres))))


def reason(sentence: str, kind: str) -> None:
    """Add the reason for a recommendation, with a badge that explains its kind."""
    name, meaning = REASON_KINDS[kind]
    with Tag("p", classes="reason"):
        Tag("span", sentence)
        with Tag("button", name, "badge", type="button") as badge:
            tip = Tag("span", meaning, "tip", role="tooltip")
        badge.props["aria-describedby"] = tip.html_id


def fixed_stars(stars: float) -> None:
    """Add a rating that cannot be changed."""
    Tag("span", f"★ {stars:g}", "given", role="img", aria_label=f"{stars:g} stars")


def notice(sentence: str, *links: tuple[str, str]) -> None:
    """Add a sentence in place of what cannot be shown, and links: their names and addresses."""
    with Tag("div", classes="notice"):
        Tag("p", sentence)
        for name, address in links:
            Tag("a", name, "button", href=address)


def skeletons(n: int) -> None:
    """Add placeholders for cards that are being loaded."""
    for _ in range(n):
        with Tag("div", classes="card skeleton", aria_hidden="true"):
            Tag("div", classes="poster")
            with Tag("div", classes="card-body"):
                for width in ("70%", "45%", "90%"):
                    Tag("span", classes="bar").style(f"width: {width}")


async def yield_to_requests() -> None:
    """Let other requests run: building a whole page at once would delay them by some 20 milliseconds."""
    await asyncio.sleep(0)


def restore_focus(element: Element) -> None:
    """Move the focus to an element if the focused one was removed."""
    element.client.run_javascript(
        f"if (document.activeElement === document.body) getHtmlElement({element.id})?.focus({{preventScroll: true}})"
    )
