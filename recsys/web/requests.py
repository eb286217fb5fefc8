"""Typed requests of the API. Unknown fields are refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from recsys.web.events import Kind
from recsys.web.lists import ListOptions, Order

MAX_HISTORY = 2000  # films
MAX_QUERY = 100  # characters of a search


def _printable(text: str) -> str:
    """Check that text has only printable characters and no space at either end, as the feedback store requires."""
    if not (text.isprintable() and text == text.strip()):
        raise ValueError("must have printable characters only, and no space at either end")
    return text


Name = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_printable)]
RawId = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_printable)]
Id = Annotated[  # raw id of a user or film: text, or an integer that is converted to text
    RawId,
    BeforeValidator(lambda given: str(given) if type(given) is int else given),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1, "maxLength": 255},
                {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
            ]
        }
    ),
]
Year = Annotated[int, Field(ge=1850, le=2150)]
SentKind = Annotated[  # the server logs impressions itself
    Kind, WithJsonSchema({"type": "string", "enum": [kind.value for kind in Kind if kind is not Kind.IMPRESSION]})
]


class StrictRequest(BaseModel):
    """Base class of requests, which refuses unknown fields, values of another type, NaN and infinity."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class RatedFilm(StrictRequest):
    """A film of a user's history, with its rating."""

    movie_id: Id = Field(description="the film", examples=["50"])
    stars: float | None = Field(
        None, description="a value of the data set's scale; the highest by default", examples=[5]
    )


class UserRequest(StrictRequest):
    """A request about one user, who is identified by an id, a history of rated films, or both."""

    user_id: Id | None = Field(None, description="a user of the data set or of feedback, whose known ratings count")
    history: list[RatedFilm] = Field([], max_length=MAX_HISTORY, description="further rated films, the oldest first")
    run: Name | None = Field(None, description="a name from /api/runs; the default run if omitted")

    @model_validator(mode="after")
    def _check_user(self) -> Self:
        if self.user_id is None and "history" not in self.model_fields_set:
            raise ValueError("the request must have a user_id or a history, which may be empty (got neither)")
        counts = Counter(rated.movie_id for rated in self.history)
        if repeated := [movie_id for movie_id, n_ratings in counts.items() if n_ratings > 1]:
            raise ValueError(f"the history must hold each film once (got film {repeated[0]} twice)")
        return self


class FilteredRequest(StrictRequest):
    """A request for up to k films, optionally only of some genres and years."""

    k: int = Field(10, ge=1, le=100, description="largest number of films")
    genres: list[Name] = Field([], max_length=50, description="only films with at least one of these genres")
    year_from: Year | None = Field(None, description="only films of this year or later")
    year_to: Year | None = Field(None, description="only films of this year or earlier")

    def options(self) -> ListOptions:
        """Convert the fields of the request to options of the list."""
        return ListOptions(self.k, tuple(self.genres), (self.year_from, self.year_to))


class RecommendRequest(FilteredRequest, UserRequest):
    """Body of a request to `/api/recommend`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"history": [{"movie_id": "50", "stars": 5}, {"movie_id": "181"}], "k": 1, "genres": ["Sci-Fi"]}
            ]
        }
    )

    surprise: float = Field(0.0, ge=0, le=1, description="0: the order of the run; 1: the least popular films first")
    order: Order = Field(
        Order.BEST, strict=False, description="order of the best k films: best, newest or oldest first"
    )
    show: bool = Field(False, description="the user will see the list: log impressions and apply exploration")

    @model_validator(mode="after")
    def _check_shown_list(self) -> Self:
        if self.show and (self.user_id is None or self.history):
            raise ValueError("show=true must come with a user_id and without a history: send ratings as feedback first")
        return self

    def options(self) -> ListOptions:
        """Convert the fields of the request to options of the list."""
        return replace(super().options(), surprise=self.surprise, order=self.order)


class SimilarRequest(FilteredRequest):
    """Body of a request to `/api/similar`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"movie_id": "50", "k": 2}]})

    movie_id: Id = Field(description="the film to which others are similar")
    run: Name | None = Field(None, description="a name from /api/runs; the default run if omitted")


class ExplainRequest(UserRequest):
    """Body of a request to `/api/explain`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"movie_id": "181", "history": [{"movie_id": "50"}]}]})

    movie_id: Id = Field(description="the film to explain")


class SearchRequest(StrictRequest):
    """Parameters of a search for films by title."""

    query: str = Field(min_length=1, max_length=MAX_QUERY, description="a title, or the beginning of one")
    k: int = Field(10, ge=1, le=100, description="largest number of films")


class FeedbackRequest(StrictRequest):
    """Body of a request to `/api/feedback`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"key": "a5f0", "user_id": "ann", "kind": "rating", "movie_id": "50", "value": 5}]
        }
    )

    key: Name = Field(description="a unique key chosen by the client, such as a UUID; a repeated event is stored once")
    user_id: Id = Field(description="a user of the data set, or any other id")
    kind: SentKind = Field(strict=False, description="what the user did")
    movie_id: Id | None = Field(None, description="required for every kind but undo")
    value: float | None = Field(None, description="stars of a rating")
    list_id: Name | None = Field(None, description="id of the list in which the film was shown")
    run: Name | None = Field(None, description="the run that produced the list, as given in the response")
    position: int | None = Field(None, ge=1, le=1000, description="place of the film in that list, from 1")
    undoes: Name | None = Field(None, description="for an undo, the key of the event to undo")

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if self.kind is Kind.IMPRESSION:
            raise ValueError("impressions are logged by /api/recommend with show=true, which knows their probability")
        if (self.kind is Kind.UNDO) != (self.undoes is not None):
            raise ValueError("undoes, the key of the event to undo, must be given for an undo and for no other kind")
        if (self.kind is Kind.RATING) != (self.value is not None):
            raise ValueError("value, the stars of a rating, must be given for a rating and for no other kind")
        if (self.kind is Kind.UNDO) != (self.movie_id is None):
            raise ValueError("movie_id must be given for every kind except undo")
        return self
