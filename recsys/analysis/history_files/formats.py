"""The formats of histories that users export from Letterboxd, IMDb, Netflix and other services.

A format is recognised by the columns of a file. The formats below follow the documentation of the services and examples
that users have published; the formats were not tested on real exports. Names of columns are compared in lower case,
with spaces in place of underscores and hyphens. A JSON record is read as a row, and its nested fields as columns such
as `movie.title`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Format:
    """A format of history files.

    Attributes:
        name: name by which users know the format.
        recognised_by: columns that every file of the format has.
        columns: names of the columns that contain each field (`title`, `other_title`, `year`, `rating`, `time`,
            `imdb_id`, `tmdb_id`, `movie_id`, `kind`, `owner`). If a field has several columns, the first that is not
            empty in a row is used.
        scale: lowest and highest rating; None if they must be inferred from the ratings of a file.
        has_no_other_columns: whether files of this format have exactly the columns in `recognised_by`; a file with
            further columns is then of another format.
        unrated_is_seen: whether a film without a rating counts as seen.
        excluded: reasons to exclude a row, keyed by column; a reason applies if the row's cell in the column is not
            empty.
    """

    name: str
    recognised_by: frozenset[str]
    columns: Mapping[str, tuple[str, ...]]
    scale: tuple[float, float] | None = None
    has_no_other_columns: bool = False
    unrated_is_seen: bool = True
    excluded: Mapping[str, str] = field(default_factory=dict)

    def recognises(self, columns: Collection[str]) -> bool:
        """Return whether a file with these columns has the format."""
        if self.has_no_other_columns and set(columns) != self.recognised_by:
            return False
        has_films = any(name in columns for field in ("title", "movie_id") for name in self.columns.get(field, ()))
        return has_films and self.recognised_by.issubset(columns)


SERIES = "a TV series"
ON_A_LIST = "on a list, which does not say that it was seen"
FORMATS = (  # the first that recognises a file is used
    Format(  # ratings.csv, watched.csv, diary.csv and reviews.csv
        "Letterboxd",
        frozenset({"name", "year", "letterboxd uri"}),
        {"title": ("name",), "year": ("year",), "rating": ("rating",), "time": ("watched date", "date")},
        scale=(0.5, 5),
    ),
    Format(  # `You rated` and `created` until 2017, `Your Rating` and `Date Rated` since then
        "IMDb",
        frozenset({"const", "title"}),
        {
            "title": ("title",),
            "other_title": ("original title",),
            "year": ("year",),
            "rating": ("your rating", "you rated"),
            "time": ("date rated", "created"),
            "imdb_id": ("const",),
            "kind": ("title type",),
        },
        scale=(1, 10),
        unrated_is_seen=False,  # lists and watchlists have the same columns
    ),
    Format(
        "Netflix", frozenset({"title", "date"}), {"title": ("title",), "time": ("date",)}, has_no_other_columns=True
    ),
    Format(  # ViewingActivity.csv from the download of all data of a Netflix account
        "Netflix",
        frozenset({"title", "start time", "profile name"}),
        {"title": ("title",), "time": ("start time",), "owner": ("profile name",)},
        excluded={"supplemental video type": "a trailer or another short video"},
    ),
    Format(
        "Trakt",
        frozenset(),
        {
            "title": ("movie.title", "show.title"),
            "year": ("movie.year", "show.year"),
            "rating": ("rating",),
            "time": ("watched at", "last watched at", "rated at"),
            "imdb_id": ("movie.ids.imdb",),
            "tmdb_id": ("movie.ids.tmdb",),  # those of series are numbered separately
        },
        scale=(1, 10),
        excluded={"show.title": SERIES, "listed at": ON_A_LIST, "collected at": ON_A_LIST},
    ),
    Format(  # exported by movielens.org
        "MovieLens",
        frozenset({"movie id", "imdb id", "tmdb id", "rating", "average rating"}),
        {"title": ("title",), "rating": ("rating",), "imdb_id": ("imdb id",), "tmdb_id": ("tmdb id",)},
        scale=(0.5, 5),
    ),
    Format(  # ratings.csv of a release, reduced to one user
        "MovieLens",
        frozenset({"movieid", "rating"}),
        {
            "title": ("title",),
            "movie_id": ("movieid",),
            "rating": ("rating",),
            "time": ("timestamp",),
            "owner": ("userid",),
        },
        scale=(0.5, 5),
    ),
    Format(
        "table",
        frozenset(),
        {
            "title": ("title", "name", "film", "movie", "film title", "movie title", "film name", "movie name"),
            "other_title": ("original title",),
            "year": ("year", "release year", "released", "release date"),
            "rating": ("my rating", "your rating", "user rating", "rating", "stars", "score"),
            "time": (
                "watched date",
                "date watched",
                "watcheddate",
                "watched at",
                "date rated",
                "rated at",
                "date",
                "timestamp",
            ),
            "imdb_id": ("imdb id", "imdbid", "imdb", "tconst"),
            "tmdb_id": ("tmdb id", "tmdbid", "tmdb"),
            "kind": ("title type", "type", "media type"),
            "owner": ("user id", "userid", "user"),
        },
    ),
)

# Kinds of IMDb and others, in lower case without spaces and hyphens; films of the data are found by their ids first.
NO_FILMS = {
    "tvseries": SERIES,
    "tvminiseries": SERIES,
    "miniseries": SERIES,
    "show": SERIES,
    "series": SERIES,
    "tv": SERIES,
    "tvepisode": "an episode of a TV series",
    "episode": "an episode of a TV series",
    "videogame": "a video game",
    "podcastseries": "a podcast",
    "podcastepisode": "a podcast",
    "musicvideo": "a music video",
}
# Files and folders of a zip archive whose films were not seen, or that repeat those of others.
NO_HISTORIES = ("watchlist", "lists", "likes", "deleted", "orphaned", "__macosx")
