"""Typed responses of the API."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, Field

from recsys.web.catalogue import Film
from recsys.web.lists import ListedFilm
from recsys.web.loaded_run import LoadedRun


class FilmResponse(BaseModel):
    """A film as it appears in lists."""

    movie_id: str
    title: str
    year: int | None
    genres: list[str]
    poster: str | None

    @classmethod
    def from_film(cls, film: Film) -> Self:
        """Build the response from a film."""
        return cls(
            movie_id=film.movie_id, title=film.title, year=film.year, genres=list(film.genres), poster=film.poster
        )


class ReasonResponse(BaseModel):
    """Why a film is recommended."""

    kind: str = Field(description="order, history, embeddings or metadata; see recsys/analysis/explain.py")
    sentence: str
    film: FilmResponse = Field(description="the first of `films`")
    films: list[FilmResponse] = Field(description="one or two films of the history, the strongest reason first")


class ListedFilmResponse(BaseModel):
    """A film of a list, with its score and reason."""

    film: FilmResponse
    score: float
    reason: ReasonResponse | None
    explored: bool = Field(description="the film was drawn at random: label it, since it is not a recommendation")

    @classmethod
    def from_listed(cls, listed: ListedFilm) -> Self:
        """Build the response from a film of a list."""
        reason = None
        if listed.reason is not None and listed.reason_kind is not None:
            films = [FilmResponse.from_film(film) for film in listed.reason_films]
            reason = ReasonResponse(kind=listed.reason_kind, sentence=listed.reason, film=films[0], films=films)
        film = FilmResponse.from_film(listed.film)
        return cls(film=film, score=listed.score, reason=reason, explored=listed.is_explored)


class RecommendResponse(BaseModel):
    """A list of recommended films."""

    list_id: str = Field(description="the list_id to send with feedback on the films of the list")
    run: str
    films: list[ListedFilmResponse]


class SimilarFilm(BaseModel):
    """A film and its similarity to another."""

    film: FilmResponse
    similarity: float


class SimilarResponse(BaseModel):
    """The films most similar to one film."""

    film: FilmResponse
    measure: str = Field(description="the similarity measure in words")
    films: list[SimilarFilm]


class FilmDetailsResponse(FilmResponse):
    """A film with all its metadata."""

    plot: str
    runtime: int | None = Field(description="minutes")
    details: dict[str, str]
    links: dict[str, str] = Field(description="URLs of the film's pages on IMDb and TMDb, where its ids are known")
    histogram: dict[str, int] = Field(description="number of ratings in the data set by stars")


class FeedbackResponse(BaseModel):
    """Confirmation that an event is on disk."""

    kept: bool = Field(description="false if the same event was already stored")


class RunResponse(BaseModel):
    """A run that answers requests."""

    name: str
    run: str = Field(description="the run itself, or the promoted refit that answers in its place")
    model: str
    takes_new_people: bool = Field(description="whether the model can recommend to users unseen in training")
    metrics: dict[str, float]

    @classmethod
    def from_run(cls, name: str, loaded: LoadedRun) -> Self:
        """Build the response from a loaded run."""
        return cls(
            name=name,
            run=loaded.name,
            model=type(loaded.model).__name__,
            takes_new_people=loaded.scores_new_users,
            metrics=loaded.run.metrics,
        )


class HealthResponse(BaseModel):
    """The server can answer requests."""

    status: str
