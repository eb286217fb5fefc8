"""Functions that answer typed requests, shared by the HTTP API and the tools of the MCP server."""

from __future__ import annotations

from recsys.models.similar import MEASURE
from recsys.web.catalogue import NotFoundError
from recsys.web.events import Opinions
from recsys.web.loaded_run import LoadedRun
from recsys.web.recommendation_service import RecommendationService
from recsys.web.requests import ExplainRequest, RecommendRequest, SearchRequest, SimilarRequest, UserRequest
from recsys.web.responses import FilmResponse, ListedFilmResponse, RecommendResponse, SimilarFilm, SimilarResponse


def recommend(service: RecommendationService, request: RecommendRequest) -> RecommendResponse:
    """Recommend films to a user, to a history of rated films, or to both together, without training a model."""
    loaded, options = service.loaded_run(request.run), request.options()
    opinions = _opinions(service, loaded, request)
    if request.show and request.user_id is not None:
        listed = service.show_list(request.user_id, options, request.run)
    else:
        listed = loaded.recommend(request.user_id, opinions, options)
    films = [ListedFilmResponse.from_listed(film) for film in listed.films]
    return RecommendResponse(list_id=listed.list_id, run=listed.run, films=films)


def similar(service: RecommendationService, request: SimilarRequest) -> SimilarResponse:
    """Return the films that are most similar to one film."""
    loaded = service.loaded_run(request.run)
    near = loaded.similar(request.movie_id, request.options())
    films = [SimilarFilm(film=FilmResponse.from_film(film), similarity=similarity) for film, similarity in near]
    film = FilmResponse.from_film(loaded.catalogue.film(request.movie_id))
    return SimilarResponse(film=film, measure=MEASURE, films=films)


def explain(service: RecommendationService, request: ExplainRequest) -> ListedFilmResponse:
    """Return the score of one film for a user or a history of rated films, with the reason to recommend it."""
    loaded = service.loaded_run(request.run)
    opinions = _opinions(service, loaded, request)
    return ListedFilmResponse.from_listed(loaded.explain(request.user_id, opinions, request.movie_id))


def search(service: RecommendationService, request: SearchRequest) -> list[FilmResponse]:
    """Search films by title, best match first; articles such as `The` and most typing errors do not matter."""
    return [FilmResponse.from_film(film) for film in service.loaded_run().catalogue.search(request.query, request.k)]


def _opinions(service: RecommendationService, loaded: LoadedRun, request: UserRequest) -> Opinions:
    """Return a user's stored opinions together with the ratings in the request's history, which take precedence.

    Raises:
        UserError: the user is unknown, or a rating is not a value of the scale.
    """
    stored = Opinions() if request.user_id is None else service.opinions(request.user_id)
    highest = loaded.catalogue.stars[-1]
    given = {rated.movie_id: highest if rated.stars is None else rated.stars for rated in request.history}
    for stars in given.values():
        loaded.catalogue.check_stars(stars)
    ratings = {movie_id: stars for movie_id, stars in stored.ratings.items() if movie_id not in given} | given
    if request.user_id is not None and not (ratings or stored.marks or loaded.has_user(request.user_id)):
        raise NotFoundError(
            f"User {request.user_id!r} is unknown: give a history, or a user of {loaded.dataset.name}, whose ids are "
            f"like {', '.join(loaded.example_users(3))}."
        )
    return Opinions(ratings, stored.marks)
