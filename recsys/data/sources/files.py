"""Ratings in a user's own files: CSV, TSV, JSON lines or Parquet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from recsys.data.clean import Cleaning
from recsys.data.raw import Raw, RawTable, Source
from recsys.data.sources.paths import existing
from recsys.errors import UserError

_FORMATS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}


class Files(Source):
    """Ratings in a CSV, TSV, JSON lines or Parquet file, optionally with files of users and items.

    Args:
        path: file of the ratings, in the format of its ending (.csv, .tsv, .jsonl or .parquet; .gz may follow). None if
            this is one of several gathered sources and has only users or items.
        columns: our name -> the file's name of each column: `user_id`, `movie_id` and, if there are such columns,
            `rating`, `time` (seconds UTC or ISO dates) and `part` (the source's own partition).
        users_path: file of users.
        users_columns: our name -> the file's name of each column, where they differ: `user_id`, and any of `age`,
            `gender`, `occupation`, `zip_code` or names of your own.
        films_path: file of items.
        films_columns: our name -> the file's name of each column, where they differ: `movie_id`, and any of
            `raw.ITEM_COLUMNS` or names of your own.
        genre_separator: separator of the genres of an item, and of the elements of other lists.
        scale: lowest and highest possible rating.
        name: name of the data set.
        cleaning: cleaning options.
    """

    def __init__(
        self,
        path: str | None,
        columns: Mapping[str, str | None],
        users_path: str | None = None,
        users_columns: Mapping[str, str | None] | None = None,
        films_path: str | None = None,
        films_columns: Mapping[str, str | None] | None = None,
        genre_separator: str = "|",
        scale: tuple[float, float] = (0.5, 5.0),
        name: str = "files",
        cleaning: Cleaning = Cleaning(),
    ) -> None:
        self.files = {
            "ratings": (path, columns),
            "users": (users_path, users_columns),
            "films": (films_path, films_columns),
        }
        self.genre_separator = genre_separator
        self.scale = (scale[0], scale[1])
        self.name = name
        self.cleaning = cleaning

    def locate(self, cache_dir: Path) -> Raw:
        """Find the files."""
        tables = []
        for name, (path, columns) in self.files.items():
            if path is not None:
                file = existing(path)
                tables.append(RawTable(name, file, _format(file), columns, self.genre_separator))
        origin = tables[0].file if tables else existing(None)
        return Raw(str(origin), tuple(tables))


def _format(file: Path) -> str:
    """Return the SELECT that reads a file, by the ending of its name."""
    ending = Path(file.name.removesuffix(".gz")).suffix
    if ending not in _FORMATS:
        raise UserError(f"The file of a source must end in {', '.join(_FORMATS)} (got {file}).")
    return _FORMATS[ending]
