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
    """Format the latest rating of each film as CSV, in the order in which the films were first rated.

    Args:
        events: a viewer's events that are not undone, the latest first.
        catalogue: the films; ratings of other films are left out.

    Returns:
        CSV with the columns `COLUMNS`; times are UTC, in ISO 8601. It does not contain the id of the viewer.
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
