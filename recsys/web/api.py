"""The API: typed requests, one form of errors, nothing of a request interpreted as a path, SQL or HTML.

Routes are plain functions, which FastAPI runs in threads, so that no request holds up another.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Self, cast

from fastapi import APIRouter, FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from starlette.exceptions import HTTPException

from recsys.errors import UserError
from recsys.web.catalogue import Film, NotFoundError
from recsys.web.events import Event, Kind, Opinions
from recsys.web.measures import CONTENT_TYPE, Measures
from recsys.web.served import Listed, Served, Wish
from recsys.web.service import Service, now
from recsys.web.store import KeyTaken, StoreError

MOST_RATED = 2000  # films in a history
NAME = r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$"  # printable, and no space at either end

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=NAME)]
Id = Annotated[  # raw, of a user or film: text, or a whole number that stands for its digits
    Name,
    BeforeValidator(lambda given: str(given) if type(given) is int else given),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1, "maxLength": 64, "pattern": NAME},
                {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
            ]
        }
    ),
]
Year = Annotated[int, Field(ge=1850, le=2150)]
FilmQuery = Annotated[str, Query(min_length=1, max_length=100, description="a title, or its beginning")]


class Asked(BaseModel):
    """A request: what is not known in it is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Rated(Asked):
    """A film of a history."""

    movie_id: Id
    stars: float | None = Field(None, description="as many as films got in training; the most where they are left out")


class Person(Asked):
    """Somebody, and the run that is asked."""

    user_id: Id | None = Field(None, description="of the data set, or of feedback; what is known of the user counts")
    history: list[Rated] = Field([], max_length=MOST_RATED, description="films rated beside, the oldest first")
    run: Name | None = Field(None, description="as /api/runs names it; the default where it is left out")

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if self.user_id is None and not self.history:
            raise ValueError("the history is empty, and there is no user_id: rate a film, or name a user")
        film, n_times = Counter(rated.movie_id for rated in self.history).most_common(1)[0] if self.history else ("", 0)
        if n_times > 1:
            raise ValueError(f"film {film} is rated twice in the history: give each film once")
        return self


class Kept(Asked):
    """Which films, and how many."""

    k: int = Field(10, ge=1, le=100)
    genres: list[Name] = Field([], max_length=50, description="films of any of them")
    year_from: Year | None = None
    year_to: Year | None = None

    def wish(self, surprise: float = 0.0) -> Wish:
        """The same as a service takes it."""
        return Wish(self.k, tuple(self.genres), (self.year_from, self.year_to), surprise)


class RecommendRequest(Kept, Person):
    """What `/api/recommend` takes."""

    surprise: float = Field(0.0, ge=0, le=1, description="0: the model's own order; 1: the least known films first")
    show: bool = Field(False, description="the user will see the list: impressions are logged, with some chance in it")

    @model_validator(mode="after")
    def _shown_to_somebody(self) -> Self:
        if self.show and (self.user_id is None or self.history):
            raise ValueError("show=true logs what a user sees: give user_id, and the history as feedback before")
        return self


class SimilarRequest(Kept):
    """What `/api/similar` takes."""

    movie_id: Id
    run: Name | None = None


class ExplainRequest(Person):
    """What `/api/explain` takes."""

    movie_id: Id


class FeedbackRequest(Asked):
    """What `/api/feedback` takes."""

    key: Name = Field(description="of your making, a UUID say: what is sent again under its key is kept once")
    user_id: Id
    kind: Kind = Field(strict=False, description="impressions are logged by /api/recommend with show=true")
    movie_id: Id | None = Field(None, description="but for undo")
    value: float | None = Field(None, description="the stars of a rating")
    list_id: Name | None = Field(None, description="of the list that the film was seen in")
    run: Name | None = Field(None, description="that made the list, as its answer has it")
    position: int | None = Field(None, ge=1, le=1000)
    undoes: Name | None = Field(None, description="of an undo, the key of the event to take back")

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind is Kind.IMPRESSION:
            raise ValueError("impressions are logged by /api/recommend with show=true, which knows their probability")
        if (self.kind is Kind.UNDO) != (self.undoes is not None):
            raise ValueError("undoes is the key of the event that an undo takes back, and of no other kind")
        if (self.kind is Kind.RATING) != (self.value is not None):
            raise ValueError("value is the stars of a rating, and of no other kind")
        if (self.kind is Kind.UNDO) != (self.movie_id is None):
            raise ValueError("movie_id says which film, and is left out of an undo alone")
        return self


class FilmAnswer(BaseModel):
    """A film."""

    movie_id: str
    title: str
    year: int | None
    genres: list[str]
    poster: str | None

    @classmethod
    def of(cls, film: Film) -> Self:
        """What is told of a film in lists."""
        return cls(
            movie_id=film.movie_id, title=film.title, year=film.year, genres=list(film.genres), poster=film.poster
        )


class ReasonAnswer(BaseModel):
    """Why a film is listed."""

    kind: str = Field(description="history: the film without which the score would fall most; embeddings; metadata")
    sentence: str
    film: FilmAnswer


class ListedAnswer(BaseModel):
    """A film of a list."""

    film: FilmAnswer
    score: float
    reason: ReasonAnswer | None

    @classmethod
    def of(cls, listed: Listed) -> Self:
        """A film of a list with its reason."""
        reason = None
        if listed.reason is not None and listed.reason_kind is not None and listed.reason_film is not None:
            film = FilmAnswer.of(listed.reason_film)
            reason = ReasonAnswer(kind=listed.reason_kind, sentence=listed.reason, film=film)
        return cls(film=FilmAnswer.of(listed.film), score=listed.score, reason=reason)


class RecommendAnswer(BaseModel):
    """A list."""

    list_id: str = Field(description="to name in feedback on its films")
    run: str
    films: list[ListedAnswer]


class SimilarFilm(BaseModel):
    """A film near to another."""

    film: FilmAnswer
    similarity: float


class SimilarAnswer(BaseModel):
    """Films near to one."""

    film: FilmAnswer
    measure: str = Field(description="what similarity is, in words")
    films: list[SimilarFilm]


class FilmDetails(FilmAnswer):
    """All that is known of a film."""

    details: dict[str, str]
    histogram: dict[str, int] = Field(description="ratings in the data by stars")


class FeedbackAnswer(BaseModel):
    """Feedback is on disk."""

    kept: bool = Field(description="false: an event of this key and content was there already")


class RunAnswer(BaseModel):
    """A run that can be asked."""

    name: str
    run: str = Field(description="the run itself, or the refit that is served in its place")
    model: str
    takes_new_people: bool
    metrics: dict[str, float]


class HealthAnswer(BaseModel):
    """Requests can be answered."""

    status: str


class Failure(BaseModel):
    """What went wrong, in one sentence."""

    status: int
    message: str


class ErrorAnswer(BaseModel):
    """The one form of errors."""

    error: Failure


ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer, "description": meaning}
    for status, meaning in {
        400: "not readable",
        401: "the token is missing or wrong",
        403: "from another site",
        404: "no such user, film or run",
        405: "no such method",
        409: "the key names something else",
        413: "too large",
        415: "not JSON",
        422: "a value that cannot be",
        429: "too many requests",
        503: "the store of feedback cannot be reached",
    }.items()
}


def failed(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An error in the one form that all have."""
    return JSONResponse({"error": {"status": status, "message": message}}, status, headers)


def add_api(app: FastAPI, service: Service, measures: Measures) -> None:
    """Add the routes under /api/, and what makes errors of one form.

    Args:
        app: the application.
        service: what answers.
        measures: what is counted of requests.
    """
    router = APIRouter(prefix="/api", responses=ERRORS)

    @router.post("/recommend")
    def recommend(asked: RecommendRequest) -> RecommendAnswer:
        """Films for a user, or for anybody by a history: no training, at once."""
        served, wish = service.served(asked.run), asked.wish(asked.surprise)
        opinions = _opinions(service, served, asked)
        if asked.show and asked.user_id is not None:
            made = service.show(asked.user_id, wish, asked.run)
        else:
            made = served.recommend(asked.user_id, opinions, wish)
        return RecommendAnswer(
            list_id=made.list_id, run=made.run, films=[ListedAnswer.of(listed) for listed in made.films]
        )

    @router.post("/similar")
    def similar(asked: SimilarRequest) -> SimilarAnswer:
        """Films near to one, as a run's model places them."""
        served = service.served(asked.run)
        measure, near = served.similar(asked.movie_id, asked.wish())
        films = [SimilarFilm(film=FilmAnswer.of(film), similarity=similarity) for film, similarity in near]
        return SimilarAnswer(film=FilmAnswer.of(served.catalogue.film(asked.movie_id)), measure=measure, films=films)

    @router.post("/explain")
    def explain(asked: ExplainRequest) -> ListedAnswer:
        """What speaks for one film, for a user or by a history."""
        served = service.served(asked.run)
        return ListedAnswer.of(served.explain(asked.user_id, _opinions(service, served, asked), asked.movie_id))

    @router.get("/films")
    def films(query: FilmQuery, k: Annotated[int, Query(ge=1, le=100)] = 10) -> list[FilmAnswer]:
        """Films by title, forgiving of typing errors and articles; the likeliest first."""
        return [FilmAnswer.of(film) for film in service.served().catalogue.search(query, k)]

    @router.get("/films/{movie_id}")
    def film(movie_id: Annotated[Name, Path()]) -> FilmDetails:
        """All that is known of a film."""
        catalogue = service.served().catalogue
        found = catalogue.film(movie_id)
        counts = {f"{stars:g}": n for stars, n in catalogue.histogram(movie_id).items()}
        return FilmDetails(**FilmAnswer.of(found).model_dump(), details=dict(found.details), histogram=counts)

    @router.post("/feedback")
    def feedback(told: FeedbackRequest) -> FeedbackAnswer:
        """Keep what somebody did; what this has answered to is on disk."""
        return FeedbackAnswer(kept=service.tell(Event(**told.model_dump(), time=now())))

    @router.get("/runs")
    def runs() -> list[RunAnswer]:
        """The runs that can be asked, the default first, with their metrics."""
        return [_described(name, service.served(name)) for name in service.names()]

    @router.get("/health")
    def health() -> HealthAnswer:
        """Whether model and store are there."""
        service.served()
        service.store.check()
        return HealthAnswer(status="ok")

    @router.get("/metrics", response_class=PlainTextResponse)
    def metrics() -> Response:
        """Requests and latencies, for Prometheus."""
        return Response(measures.text(), media_type=CONTENT_TYPE)

    app.include_router(router)
    app.add_exception_handler(UserError, _user_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)


def _opinions(service: Service, served: Served, asked: Person) -> Opinions:
    """What somebody thinks: as the store has it, and over that as the request has it.

    Raises:
        UserError: nothing is known of the user, or stars are none that can be given.
    """
    kept = Opinions() if asked.user_id is None else service.store.opinions(asked.user_id)
    most = served.catalogue.stars[-1]
    told = {rated.movie_id: most if rated.stars is None else rated.stars for rated in asked.history}
    for given in told.values():
        served.catalogue.check_stars(given)
    ratings = {movie_id: given for movie_id, given in kept.ratings.items() if movie_id not in told} | told
    if asked.user_id is not None and not (ratings or kept.hidden or served.is_known(asked.user_id)):
        raise NotFoundError(
            f"Nothing is known of user {asked.user_id!r}: give a history, or a user of {served.dataset.name}, "
            f"whose ids are like {', '.join(served.some_users(3))}."
        )
    return Opinions(ratings, kept.hidden)


def _described(name: str, served: Served) -> RunAnswer:
    return RunAnswer(
        name=name,
        run=served.name,
        model=type(served.model).__name__,
        takes_new_people=served.takes_new_people,
        metrics=served.run.metrics,
    )


def _user_error(request: Request, error: Exception) -> JSONResponse:
    statuses = ((NotFoundError, 404), (KeyTaken, 409), (StoreError, 503))
    status = next((status for kind, status in statuses if isinstance(error, kind)), 422)
    return failed(status, str(error))


def _invalid(request: Request, error: Exception) -> JSONResponse:
    """The first thing that is wrong with a request, where it stands and why."""
    first = cast(RequestValidationError, error).errors()[0]
    if first["type"] == "json_invalid":
        return failed(400, f"The body is no JSON: {first['ctx']['error']}.")
    where = ".".join(str(part) for part in first["loc"] if part != "body")
    message = str(first["msg"]).removeprefix("Value error, ")
    return failed(422, f"{where}: {message}" if where else message)


def _http_error(request: Request, error: Exception) -> JSONResponse:
    told = cast(HTTPException, error)
    return failed(told.status_code, str(told.detail), dict(told.headers or {}))
