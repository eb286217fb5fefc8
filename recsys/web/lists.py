"""Lists of recommended films, and the options with which a list is requested."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from recsys.web.catalogue import Film

UNLOGGED = "unlogged"  # id of a list that cannot be replayed, because it depends on a history that is not stored


class Order(StrEnum):
    """Orders of the films of a list."""

    BEST = "best"  # the best film first
    NEWEST = "newest"
    OLDEST = "oldest"


@dataclass(frozen=True)
class ListOptions:
    """Options of a list.

    Attributes:
        k: maximum number of films.
        genres: only films with at least one of these genres; empty for all films.
        years: first and last year of release, both included; None leaves an end open.
        surprise: from 0, the order of the run, to 1, the least popular of its best films first.
        without: ids of films to leave out because they are already shown.
        order: order of the best k films; films of unknown years are last.
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
        reason: the reason as a phrase, or None if no liked film supports the recommendation or the film was drawn at
            random.
        reason_kind: `order`, `history`, `embeddings` or `metadata`, see `recsys.analysis.explain`.
        reason_films: the liked films that the reason names, the strongest first; see `Reason`.
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
        """Return whether the film was drawn at random, see `Exploration`; pages label such films."""
        return self.propensity < 1


@dataclass(frozen=True)
class FilmList:
    """Films for one user, in the requested order.

    Attributes:
        list_id: unique id, or `UNLOGGED` for a list that is not logged.
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
        match: share, from 0 to 1, of the other films not rated by the user that the model ranks below the film.
    """

    stars: float | None
    match: float
