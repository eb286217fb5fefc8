"""Lists of recommended films, and the options of a request for a list."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from recsys.web.catalogue import Film

UNLOGGED = "unlogged"  # id of a list that cannot be replayed, because it depends on a history that is not stored


class Order(StrEnum):
    """Orders in which the films of a list can be shown."""

    BEST = "best"  # the best film first
    NEWEST = "newest"
    OLDEST = "oldest"


@dataclass(frozen=True)
class ListOptions:
    """Options of a list.

    Attributes:
        k: maximum number of films.
        genres: only films with at least one of these genres are listed; empty for all films.
        years: only films released from the first to the second year, both included, are listed; None leaves an end
            open.
        surprise: degree of surprise. 0 leaves the run's order unchanged; 1 lists the least popular of the run's best
            films first.
        without: ids of films to leave out because they are already on the page.
        order: order in which the best k films are listed; in an order by year, films of unknown year are last.
    """

    k: int = 10
    genres: tuple[str, ...] = ()
    years: tuple[int | None, int | None] = (None, None)
    surprise: float = 0.0
    without: tuple[str, ...] = ()
    order: Order = Order.BEST


@dataclass(frozen=True)
class ListedFilm:
    """A film in a list.

    Attributes:
        film: the film.
        score: score of the model.
        position: rank in the list, starting at 1.
        reason: the reason for the recommendation as a phrase; None if the film was drawn at random or no liked film
            supports the recommendation.
        reason_kind: `order`, `history`, `embeddings` or `metadata`, see `recsys.analysis.explain`; None without a
            reason.
        reason_films: the liked films that the reason names, strongest support first; see `Reason`.
        propensity: probability with which the film was included in the list.
    """

    film: Film
    score: float
    position: int
    reason: str | None = None
    reason_kind: str | None = None
    reason_films: tuple[Film, ...] = ()
    propensity: float = 1.0

    @property
    def is_explored(self) -> bool:
        """Return whether the film was drawn at random, see `Exploration`; the web pages label such films."""
        return self.propensity < 1


@dataclass(frozen=True)
class FilmList:
    """Films recommended to one user, in the requested order.

    Attributes:
        list_id: unique id, or `UNLOGGED` if the list must not be logged.
        run: name of the run or refit that ranked the films.
        films: the films.
    """

    list_id: str
    run: str
    films: tuple[ListedFilm, ...]


@dataclass(frozen=True)
class Prediction:
    """A run's prediction for a user and a film that the user has not rated.

    Attributes:
        stars: the predicted rating, or None if the model does not predict ratings.
        match: share (0 to 1) of the user's other unrated films that the model ranks below this film.
    """

    stars: float | None
    match: float
