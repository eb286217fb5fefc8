"""Feedback as append-only events, and the opinions that follow from them."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """Kinds of feedback events."""

    IMPRESSION = "impression"  # a film was shown in a list
    CLICK = "click"  # the film's page was opened from a list
    RATING = "rating"
    NOT_INTERESTED = "not_interested"
    SEEN = "seen"  # the viewer has seen the film and gave no rating
    WATCH_LATER = "watch_later"  # the film is on the viewer's watchlist
    UNDO = "undo"  # an earlier event no longer counts


MARKS = (Kind.SEEN, Kind.NOT_INTERESTED, Kind.WATCH_LATER)  # opinions without stars


@dataclass(frozen=True)
class Event:
    """One action of a viewer, or one film shown to a viewer (an impression).

    Attributes:
        key: unique name of the event, at most 64 characters. It ensures that an event that is sent twice is stored
            once.
        user_id: raw id, as text, of a user of the data set or of a new viewer.
        kind: what happened.
        time: Unix time in seconds.
        movie_id: raw id of the film, as text; None for an undo.
        value: stars of a rating, otherwise None.
        run: name of the run that produced the list in which the film was shown, or None.
        list_id: id of that list, or None.
        position: rank of the film in that list, starting at 1, or None.
        propensity: for an impression, the probability that the film was included in the list; otherwise None.
        undoes: for an undo, the key of the event that no longer counts; otherwise None.
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
    """A list that a viewer saw, with the request that it answered.

    From this request, the list that another model would have produced can be computed later.

    Attributes:
        list_id: id of the list.
        user_id: id of the viewer.
        time: Unix time in seconds.
        run: name of the run whose model produced the list.
        k: number of films requested.
        request: the other options of the request (genres, years, surprise, order, films left out) and the name of the
            data set, as plain values.
    """

    list_id: str
    user_id: str
    time: float
    run: str
    k: int
    request: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Opinions:
    """A viewer's current opinions of films.

    Attributes:
        ratings: stars, keyed by film id, oldest rating first.
        marks: marks of films (members of `MARKS`), keyed by film id, oldest mark first. Marked films are not
            recommended.
    """

    ratings: Mapping[str, float] = field(default_factory=dict)
    marks: Mapping[str, Kind] = field(default_factory=dict)

    def of_films(self, movie_ids: Container[str]) -> Opinions:
        """Return only the opinions about the given films, since a store may contain films that a catalogue lacks."""
        ratings = {movie_id: stars for movie_id, stars in self.ratings.items() if movie_id in movie_ids}
        return Opinions(ratings, {movie_id: mark for movie_id, mark in self.marks.items() if movie_id in movie_ids})
