"""Components of the pages, such as HTML elements, stars and posters.

Texts and attributes are sent to the browser as data, and are set on elements there. They are never parsed as HTML,
whatever a title or an id contains.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement
from nicegui.events import GenericEventArguments

from recsys.web.catalogue import Catalogue, Film

REASON_KINDS = {  # kind of reason: its name, and an explanation
    "order": (
        "Recent films",
        "This film of your history counts most, mostly because it is one of the latest: without it, the score would "
        "fall most.",
    ),
    "history": (
        "Liked films",
        "These films of your history count most: without one of them, the score would fall most.",
    ),
    "embeddings": (
        "Similar films",
        "The model does not depend on single ratings. Of the films you liked, these are the most similar to the "
        "recommended one by what the model has learned.",
    ),
    "metadata": (
        "Films with the same traits",
        "The model gives no reason. Of the films you liked, this one shares the largest part of its people, keywords "
        "and genres with the recommended one.",
    ),
}


RATE = "rate"
EXPLORED = "Random pick"  # badge of a film that was drawn at random
MAX_LETTERS = 20  # longest word on a drawn poster that is not broken over lines
_WORD = re.compile(r"[^\s\u2e80-\uffff-]+")  # text that a browser keeps on one line
EMIT_VALUE = "(event) => emit(event.target.value)"  # sends the typed or chosen value, for `value_of`


class Tag(TextElement):
    """An HTML element.

    Args:
        tag: name of the element, such as `section`.
        text: text content.
        classes: classes of style.css, separated by spaces.
        attributes: HTML attributes, keyed by name with underscores for hyphens, as in `aria_label`; an attribute whose
            value is None is left out.
    """

    def __init__(self, tag: str, /, text: str = "", classes: str = "", **attributes: Any) -> None:
        super().__init__(tag=tag, text=text)
        self.classes(classes)
        for key, value in attributes.items():
            self.props.set_optional(key.strip("_").replace("_", "-"), value)


class Section(Tag):
    """A section with a heading, which screen readers also use as the name of the section.

    Args:
        title: text of the heading.
        classes: classes of style.css, separated by spaces.
        level: name of the heading's element, such as `h2`.
        attributes: HTML attributes of the section; see `Tag`.

    Attributes:
        heading: the element of the heading.
    """

    def __init__(self, title: str, classes: str = "panel", level: str = "h2", **attributes: Any) -> None:
        super().__init__("section", classes=classes, **attributes)
        with self:
            self.heading = Tag(level, title)
        self.props["aria-labelledby"] = self.heading.html_id


class Stars(Element, component="stars.js"):
    """Stars with which a viewer rates a film.

    A press on a star sends the action `RATE` on the row that contains the stars, with the rating as its value; see
    `recsys.web.pages.rows`.

    Args:
        steps: values of the rating scale, ascending; half stars are drawn if the scale has them.
        given: the current rating, or None.
        label: label of the group for screen readers.
    """

    def __init__(self, steps: Sequence[float], given: float | None, label: str) -> None:
        super().__init__()
        self.props.update({"steps": list(steps), "given": given, "label": label})

    def show(self, given: float | None) -> None:
        """Show the given rating; None stands for no rating."""
        if given != self.props["given"]:
            self.props["given"] = given


class Skeletons(Element, component="skeletons.js"):
    """Placeholders for films that are being loaded.

    Args:
        n: number of placeholders.
        cards: whether the placeholders look like cards; otherwise they look like the tiles of a strip.
    """

    def __init__(self, n: int, *, cards: bool = False) -> None:
        super().__init__()
        self.props.update({"n": n, "cards": cards})


class Chips(Element, component="chips.js"):
    """A group of buttons, any number of which can be chosen at the same time.

    Args:
        label: label of the group for screen readers.
        names: texts of the buttons.
        toggle: function that is called with the text of the button that was pressed.
    """

    def __init__(self, label: str, names: Sequence[str], toggle: Callable[[str], Awaitable[None]]) -> None:
        super().__init__()
        self.props.update({"label": label, "names": list(names), "chosen": []})
        self.on("toggle", lambda event: toggle(value_of(event)))

    def show(self, chosen: Sequence[str]) -> None:
        """Show the buttons with the given texts as chosen, and the others as not chosen."""
        self.props["chosen"] = list(chosen)


def button(text: str, press: Callable[[], Awaitable[None] | None], classes: str = "", **attributes: Any) -> Tag:
    """Add a button that calls `press` when it is pressed."""
    tag = Tag("button", text, f"button {classes}", type="button", **attributes)
    tag.on("click", press)
    return tag


def value_of(event: GenericEventArguments) -> str:
    """Return the value of an event that a component emits or that is sent by the JavaScript handler `EMIT_VALUE`."""
    return str(event.args)


def choice(label: str, options: Mapping[str, str], chosen: str, choose: Callable[[str], Awaitable[None]]) -> Tag:
    """Add a drop-down list with a label.

    Args:
        label: the label.
        options: displayed names, keyed by value.
        chosen: the value that is chosen at first.
        choose: function that is called with the value that the viewer chooses.

    Returns:
        The HTML element `select`.
    """
    with Tag("label", classes="field"):
        Tag("span", label, "field-label")
        with Tag("select") as select:
            for value, name in options.items():
                Tag("option", name, value=value, selected=value == chosen or None)
    select.on("change", lambda event: choose(value_of(event)), js_handler=EMIT_VALUE)
    return select


def poster(film: Film, catalogue: Catalogue, classes: str = "") -> None:
    """Add a drawn poster, coloured by genre, and on top of it the film's real poster if its URL is known."""
    places = [catalogue.genres.index(genre) for genre in film.genres[:2]]
    hues = [round(360 * place / len(catalogue.genres)) for place in places] or [30]
    letters = min(MAX_LETTERS, max(map(len, _WORD.findall(film.title)), default=1))
    style = f"--hue: {hues[0]}; --hue-2: {hues[-1]}; --letters: {letters}"
    with Tag("div", classes=f"poster {classes}", aria_hidden="true").style(style):
        Tag("span", film.title, "poster-title")
        if film.poster:
            picture = Tag("img", src=film.poster, alt="", loading="lazy", referrerpolicy="no-referrer")
            picture.on("error", js_handler="(event) => { event.target.hidden = true; }")


def facts_line(film: Film) -> str:
    """Return the year, the runtime and the genres of a film in one line, as far as they are known."""
    year = "" if film.year is None else str(film.year)
    runtime = "" if film.runtime is None else f"{film.runtime} min"
    return " · ".join(filter(None, (year, runtime, ", ".join(film.genres))))


def badge(text: str, meaning: str) -> None:
    """Add a badge, and an explanation that appears when the badge has the pointer or the focus."""
    with Tag("button", text, "badge", type="button") as tag:
        tip = Tag("span", meaning, "tip", role="tooltip")
    tag.props["aria-describedby"] = tip.html_id


def explored_badge() -> None:
    """Add the badge of a film that was drawn at random."""
    badge(
        EXPLORED,
        "Not one of your best matches: it was picked at random from the films that come next, to find out whether you "
        "would like more like it.",
    )


def reason_kinds(kinds: Iterable[str]) -> None:
    """Add a collapsed explanation of the given kinds of reasons; one explanation serves a whole list."""
    with Tag("details", classes="why"):
        Tag("summary", "Where the reasons come from")
        for kind in kinds:
            name, meaning = REASON_KINDS[kind]
            with Tag("p", classes="meta"):
                Tag("strong", f"{name}: ")
                Tag("span", meaning)


def fixed_stars(stars: float) -> None:
    """Add stars that show a rating and cannot be pressed."""
    Tag("span", f"★ {stars:g}", "given", role="img", aria_label=f"{stars:g} stars")


def notice(sentence: str, *links: tuple[str, str]) -> None:
    """Add a sentence in place of content that cannot be shown, followed by links, which are pairs of text and URL."""
    with Tag("div", classes="notice"):
        Tag("p", sentence)
        for name, address in links:
            Tag("a", name, "button", href=address)


async def yield_to_requests() -> None:
    """Give way to other requests: building a whole page at once would delay them by about 20 milliseconds."""
    await asyncio.sleep(0)


def restore_focus(element: Element) -> None:
    """Move the focus to an element if the element that had the focus was removed or hidden."""
    element.client.run_javascript(
        "if (document.activeElement === document.body || !document.activeElement.checkVisibility()) "
        f"getHtmlElement({element.id})?.focus({{preventScroll: true}})"
    )
