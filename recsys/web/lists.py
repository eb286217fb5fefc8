"""Lists of recommended films, and the options with which a list is requested."""

from __future__ import annotations

from dataclasses import dataclass

from recsys.web.catalogue import Film

UNLOGGED = "unlogged"  # id of a list from a history that is not stored, without which a log of it says nothing


@dataclass(frozen=True)
class ListOptions:
    """Options of a list.

    Attributes:
        k: maximum number of films.
        genres: only films with at least one of these genres; empty for all films.
        years: first and last year of release, both included; None leaves an end open.
        surprise: from 0, the order of the run, to 1, the least popular of its best films first.
        without: ids of films to leave out because they are already shown.
    """

    k: int = 10
    genres: tuple[str, ...] = ()
    years: tuple[int | None, int | None] = (None, None)
    surprise: float = 0.0
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class ListedFilm:
    """A film in a list.

    Attributes:
        film: the film.
        score: score of the model.
        position: rank in the list, starting at 1.
        reason: a sentence, or None where no liked film supports the recommendation.
        reason_kind: `order`, `history`, `embeddings` or `metadata`, see `recsys.analysis.explain`.
        reason_films: the liked films that the reason names, the strongest first.
        propensity: probability with which the film was included in the list.
    """

    film: Film
    score: float
    position: int
    reason: str | None = None
    reason_kind: str | None = None
    reason_films: tuple[Film, ...] = ()
    propensity: float = 1.0


@dataclass(frozen=True)
class FilmList:
    """Films for one user, best first, and the run that ranked them."""

    list_id: str
    run: str
    films: tuple[ListedFilm, ...]
