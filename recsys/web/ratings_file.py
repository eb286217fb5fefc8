"""A viewer's ratings as a CSV file to download."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime

from recsys.web.catalogue import Catalogue
from recsys.web.events import Event, Kind

COLUMNS = ("movie_id", "title", "year", "rating", "rated_at", "imdb_id", "tmdb_id")


def ratings_as_csv(events: Sequence[Event], catalogue: Catalogue) -> str:
    """Format a viewer's latest rating of each film as CSV, in the order in which the films were first rated.

    Args:
        events: the viewer's events, latest first, without those that were undone.
        catalogue: the films to include; ratings of films that it lacks are left out.

    Returns:
        CSV text with the columns `COLUMNS`; times are UTC, in ISO 8601. The text does not contain the viewer's id.
    """
    ratings = {event.movie_id: event for event in reversed(events) if event.kind is Kind.RATING}
    file = io.StringIO()
    rows = csv.writer(file)
    rows.writerow(COLUMNS)
    for movie_id, event in ratings.items():
        if movie_id in catalogue.codes:
            film = catalogue.film(movie_id)
            time = datetime.fromtimestamp(event.time, UTC).isoformat(timespec="seconds")
            rows.writerow([movie_id, film.title, film.year, event.value, time, film.imdb_id, film.tmdb_id])
    return file.getvalue()
