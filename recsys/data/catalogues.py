"""Catalogues of item metadata, read from local files in the format in which they are published."""

# ruff: noqa: S608 - SQL is put together from constants of this file only

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

from recsys.data.metadata import Metadata
from recsys.data.raw import Raw, RawTable
from recsys.data.readers import delimited
from recsys.errors import UserError


class Catalogue(Metadata):
    """A catalogue of item metadata in a local folder.

    Args:
        path: the folder with the catalogue's files, or the path of one of these files.
    """

    def __init__(self, path: str | None) -> None:
        self.path = path

    def locate(self, cache_dir: Path) -> Raw:
        """Return the files of the catalogue and how to read them.

        Raises:
            UserError: no path is given, the path does not exist, or a file of the catalogue is missing.
        """
        path = Path(self.path or "").expanduser()
        if self.path is None or not path.exists():
            raise UserError(
                f"metadata.path must be an existing folder with the files of {self.name} (got {self.path})."
            )
        return Raw(str(path), (self._table(path if path.is_dir() else path.parent),))

    @abstractmethod
    def _table(self, folder: Path) -> RawTable:
        """Describe how to read the catalogue's files in a folder.

        Raises:
            UserError: a file does not exist.
        """

    def _joined(self, query: str, omitted: str, *files: Path, **parameters: float) -> RawTable:
        """Describe the raw table `descriptions`, which a SELECT reads from one or more files.

        Args:
            query: the SELECT, in which `$file` stands for the first of `files`, `$file2` for the second, and so on.
            omitted: a SELECT that counts the rows left out by `query`; see `RawTable.omitted`.
            *files: paths of the files.
            **parameters: values of the other parameters of both SELECTs.

        Raises:
            UserError: a file does not exist.
        """
        if missing := [file.name for file in files if not file.is_file()]:
            raise UserError(f"metadata.path must hold all files of {self.name} (got {self.path} without {missing[0]}).")
        return RawTable("descriptions", files[0], query, parameters=parameters, others=files[1:], omitted=omitted)


class KaggleMovies(Catalogue):
    """Kaggle's "The Movies Dataset": 45,000 films of The Movie Database, with plots, keywords, cast and crew."""

    name = "kaggle-movies"
    # a few rows lack fields, because a line break in a text splits the row
    _movies = delimited(
        "adult belongs_to_collection budget genres homepage id imdb_id original_language original_title overview "
        "popularity poster_path production_companies production_countries release_date revenue runtime "
        "spoken_languages status tagline title video vote_average vote_count",
        options="null_padding = true, parallel = false",
        quote='"',
        header=True,
    )
    _credits = delimited("cast_ crew id", file="$file2", quote='"', header=True)
    _keywords = delimited("id keywords", file="$file3", quote='"', header=True)
    # if a film has several rows of credits or of keywords, the last counts
    _query = f"""
    SELECT id AS tmdb_id, imdb_id, title, original_title, release_date, runtime, overview AS plot, genres, keywords,
        cast_ AS actors, crew AS directors, crew AS writers
    FROM (SELECT *, row_number() OVER () AS place FROM {_movies}) AS movies
    LEFT JOIN (SELECT id, last(cast_ ORDER BY n) AS cast_, last(crew ORDER BY n) AS crew
        FROM (SELECT *, row_number() OVER () AS n FROM {_credits}) GROUP BY id) AS credits USING (id)
    LEFT JOIN (SELECT id, last(keywords ORDER BY n) AS keywords
        FROM (SELECT *, row_number() OVER () AS n FROM {_keywords}) GROUP BY id) AS keywords_ USING (id)
    ORDER BY place
    """
    _omitted = f"""
    WITH movies AS (SELECT DISTINCT id FROM {_movies}), further AS (
        SELECT 'credits' AS name, id FROM {_credits} UNION ALL SELECT 'keywords', id FROM {_keywords}
    ), counted AS (
        SELECT name, count(*) AS n, any_value(id IN (FROM movies)) IS TRUE AS is_known FROM further GROUP BY name, id
    )
    SELECT CAST(sum(if(is_known, n - 1, n)) AS BIGINT),
        'rows of ' || name || if(is_known, ' that are repeated (the last row counts)', ' of no film')
    FROM counted GROUP BY name, is_known ORDER BY ALL
    """

    def _table(self, folder: Path) -> RawTable:
        names = ("movies_metadata.csv", "credits.csv", "keywords.csv")
        return self._joined(self._query, self._omitted, *(folder / name for name in names))


class IMDb(Catalogue):
    """IMDb's file title.basics: title, year, genres and runtime of all its entries except episodes and games.

    Items are matched by IMDb ids if the ratings' source has them, otherwise by title and year.
    """

    name = "imdb"
    _titles = delimited("tconst kind title original_title adult year last_year runtime genres", "\t", header=True)
    _query = f"""
    SELECT tconst AS imdb_id, title, original_title, year, runtime, replace(genres, ',', '|') AS genres
    FROM {_titles} WHERE kind NOT IN ('tvEpisode', 'videoGame')
    """
    _omitted = f"""
    SELECT count(*), 'rows of episodes, of games or of no kind' FROM {_titles}
    WHERE coalesce(kind IN ('tvEpisode', 'videoGame'), true)
    """

    def _table(self, folder: Path) -> RawTable:
        names = ("title.basics.tsv.gz", "title.basics.tsv")
        found = [folder / name for name in names if (folder / name).is_file()]
        return self._joined(self._query, self._omitted, found[0] if found else folder / names[0])


class TagGenome(Catalogue):
    """The tag genome of MovieLens: tags that are relevant enough to an item become its keywords, most relevant first.

    Args:
        path: the folder with the files of a MovieLens release (`genome-scores.csv`), of the 2012 tag genome
            (`tag_relevance.dat`) or of the 2021 tag genome (`tagdl.csv`).
        min_relevance: minimum relevance to an item, from 0 to 1, at which a tag becomes a keyword of the item.
    """

    name = "tag-genome"
    _scores = delimited("movie_id tag_id relevance", header=True)
    _tags = delimited("tag_id tag", file="$file2", quote='"', header=True)
    _scores_2012 = delimited("movie_id tag_id relevance", "\t")
    _tags_2012 = delimited("tag_id tag popularity", "\t", file="$file2")
    # file of scores -> further files, and the FROM clause of tags with their relevance
    _layouts: ClassVar[dict[str, tuple[tuple[str, ...], str]]] = {
        "genome-scores.csv": (("genome-tags.csv",), f"{_scores} AS scores LEFT JOIN {_tags} AS tags USING (tag_id)"),
        "tag_relevance.dat": (
            ("tags.dat",),
            f"{_scores_2012} AS scores LEFT JOIN {_tags_2012} AS tags USING (tag_id)",
        ),
        "tagdl.csv": ((), delimited("tag movie_id relevance", quote='"', header=True)),
    }
    # NULL for a relevance that is missing, nan or infinite
    _read = """
    (SELECT movie_id, tag, if(isfinite(try_cast(relevance AS DOUBLE)), try_cast(relevance AS DOUBLE), NULL) AS relevance
    FROM {source})
    """
    _query = """
    SELECT movie_id, string_agg(replace(tag, '|', '/'), '|' ORDER BY relevance DESC) AS keywords
    FROM {read} WHERE tag IS NOT NULL AND relevance >= $min_relevance GROUP BY movie_id
    """
    _omitted = """
    SELECT count(*), 'rows ' || CASE WHEN tag IS NULL THEN 'without a known tag'
        WHEN relevance IS NULL THEN 'without a number as relevance'
        ELSE 'below the relevance of metadata.min_relevance' END AS note
    FROM {read} WHERE tag IS NULL OR coalesce(relevance < $min_relevance, true) GROUP BY note ORDER BY note
    """

    def __init__(self, path: str | None, min_relevance: float = 0.5) -> None:
        super().__init__(path)
        self.min_relevance = min_relevance

    def _table(self, folder: Path) -> RawTable:
        name = next((name for name in self._layouts if (folder / name).is_file()), next(iter(self._layouts)))
        further, source = self._layouts[name]
        files = (folder / file for file in (name, *further))
        read = self._read.format(source=source)
        query, omitted = (sql.format(read=read) for sql in (self._query, self._omitted))
        return self._joined(query, omitted, *files, min_relevance=self.min_relevance)
