"""What viewers do, as events that are only ever added, and what can be read off them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What happened."""

    IMPRESSION = "impression"  # a film was shown in a list
    CLICK = "click"  # its page was opened
    RATING = "rating"  # it got stars
    NOT_INTERESTED = "not_interested"
    SEEN = "seen"  # it was seen, and got no stars
    UNDO = "undo"  # an earlier event counts no more


@dataclass(frozen=True)
class Event:
    """One thing that somebody did.

    Attributes:
        key: names the event, so that one sent twice is kept once; text of at most 64 characters.
        user_id: who, as text: of the data set, or somebody new.
        kind: what happened.
        time: seconds UTC.
        movie_id: of which film, as text; None of an undo.
        value: stars of a rating, else None.
        run: the run whose model made the list that the film stood in, or None.
        list_id: that list, or None.
        position: of the film in the list, from 1, or None.
        propensity: of an impression, the probability with which the film came into such a list; else None.
        undoes: of an undo, the key of the event that counts no more.
    """

    key: str
    user_id: str
    kind: Kind
    time: float
    movie_id: str | None = None
    value: float | None = None
    run: str | None = None
    list_id: str | None = None
    position: int | None = None
    propensity: float | None = None
    undoes: str | None = None


@dataclass(frozen=True)
class ShownList:
    """What a list of films was made for and how, so that another model's list can be made for the same moment.

    Attributes:
        list_id: names it.
        user_id: who saw it.
        time: seconds UTC.
        run: whose model made it.
        k: films asked for.
        request: what else was asked for, plain values: genres, years, how surprising.
    """

    list_id: str
    user_id: str
    time: float
    run: str
    k: int
    request: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Opinions:
    """What somebody thinks of films, each named once.

    Attributes:
        ratings: stars by film, the oldest first.
        hidden: films that are not to be recommended: seen, or of no interest.
    """

    ratings: Mapping[str, float] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
