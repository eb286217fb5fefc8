"""Typed responses of the API."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, Field

from recsys.models.similar import MEASURE
from recsys.web.catalogue import Film
from recsys.web.lists import ListedFilm
from recsys.web.loaded_run import LoadedRun


class FilmResponse(BaseModel):
    """A film as it appears in lists."""

    movie_id: str = Field(description="id of the film in the data set", examples=["181"])
    title: str = Field(description="title without the year", examples=["Return of the Jedi"])
    year: int | None = Field(description="year of release", examples=[1983])
    genres: list[str] = Field(description="names of genres", examples=[["Action", "Sci-Fi"]])
    poster: str | None = Field(description="URL of a picture", examples=[None])

    @classmethod
    def from_film(cls, film: Film) -> Self:
        """Build the response from a film."""
        return cls(
            movie_id=film.movie_id, title=film.title, year=film.year, genres=list(film.genres), poster=film.poster
        )


class ReasonResponse(BaseModel):
    """Why a film is recommended."""

    kind: str = Field(
        description="order, history, embeddings or metadata; see recsys/analysis/explain.py", examples=["history"]
    )
    sentence: str = Field(
        description="the reason as a phrase",
        examples=["liked by 480 of the 501 people who, like you, liked Star Wars (1977)"],
    )
    film: FilmResponse = Field(description="the first of `films`")
    films: list[FilmResponse] = Field(description="one or two films of the history, the strongest reason first")


class ListedFilmResponse(BaseModel):
    """A film of a list, with its score and reason."""

    film: FilmResponse = Field(description="the film")
    score: float = Field(description="score of the model; higher is better within one list", examples=[0.42])
    reason: ReasonResponse | None = Field(description="null if no film of the history supports it, or if `explored`")
    explored: bool = Field(
        description="the film was drawn at random: label it, since it is not a recommendation", examples=[False]
    )

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

    list_id: str = Field(
        description="the list_id to send with feedback on the films of the list", examples=["8c1b6f0a2d9e4375"]
    )
    run: str = Field(description="the run or refit that ranked the films", examples=["live"])
    films: list[ListedFilmResponse] = Field(description="at most k films, in the requested order")


class SimilarFilm(BaseModel):
    """A film, and its similarity to the film of the request."""

    film: FilmResponse = Field(description="the similar film")
    similarity: float = Field(description="value of the similarity measure; higher is more similar", examples=[0.61])


class SimilarResponse(BaseModel):
    """The films most similar to one film."""

    film: FilmResponse = Field(description="the film of the request")
    measure: str = Field(description="the similarity measure in words", examples=[MEASURE])
    films: list[SimilarFilm] = Field(description="at most k films, the most similar first")


class FilmDetailsResponse(FilmResponse):
    """A film with all its metadata."""

    plot: str = Field(description="summary of the plot, or an empty text", examples=["Luke returns to Tatooine."])
    runtime: int | None = Field(description="minutes", examples=[135])
    details: dict[str, str] = Field(
        description="people, keywords and dates by label, as far as they are known",
        examples=[{"Directed by": "Richard Marquand"}],
    )
    links: dict[str, str] = Field(
        description="URLs of the film's pages on IMDb and TMDb, where its ids are known",
        examples=[{"TMDb": "https://www.themoviedb.org/movie/1892"}],
    )
    histogram: dict[str, int] = Field(
        description="number of ratings in the data set by stars",
        examples=[{"1": 4, "2": 20, "3": 98, "4": 204, "5": 181}],
    )


class FeedbackResponse(BaseModel):
    """Confirmation that an event is stored on disk."""

    kept: bool = Field(description="false if the same event was already stored", examples=[True])


class RunResponse(BaseModel):
    """A run that answers requests."""

    name: str = Field(description="the name to give as `run` in requests", examples=["live"])
    run: str = Field(description="the run itself, or the promoted refit that answers in its place", examples=["live"])
    model: str = Field(description="class of the model", examples=["EASE"])
    takes_new_people: bool = Field(
        description="whether the model can recommend to users unseen in training", examples=[True]
    )
    metrics: dict[str, float] = Field(
        description="validation and test metrics by name", examples=[{"test/ndcg@10": 0.072}]
    )

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
    """Confirmation that the server can answer requests."""

    status: str = Field(description="`ok`; if something is not available, the response is an error", examples=["ok"])
