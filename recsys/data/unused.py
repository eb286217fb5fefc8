"""Counts the rows of side tables (users, items, links, tags, negatives) that the clean tables do not use."""

from __future__ import annotations

import duckdb

from recsys.data.normalize import MOVED

INCOMPLETE = "missing id or tag"
NO_RATINGS = "no clean ratings"  # of the user or the item
REPEATED = "repeated, the last row counts"
# Name of a table -> its rows, their id, the clean table with these ids, and the cells in which repeated rows are equal.
_TABLES = {
    "users": ("raw_users", "user_id", "users", "user_id"),
    "items": ("raw_films", "movie_id", "films", "movie_id"),
    "links": (f"(FROM raw_links WHERE {MOVED} IS NULL)", "movie_id", "films", "movie_id"),
    "tags": (
        "(SELECT * REPLACE (if(tag IS NULL, NULL, movie_id) AS movie_id) FROM raw_tags)",
        "movie_id",
        "films",
        "(user_id, movie_id, lower(tag))",
    ),
}
_COUNTS = """
SELECT count(*) FILTER (id IS NULL), count(*) FILTER (NOT is_rated),
    count(*) FILTER (is_rated) - count(DISTINCT cells) FILTER (is_rated)
FROM (SELECT {id} AS id, {id} IN (SELECT {id} FROM {clean}) AS is_rated, {cells} AS cells FROM {rows})
"""
# Each item of a list counts as a row.
_NEGATIVES = """
SELECT coalesce(sum(len(string_split(movie_ids, '|'))), 0) - (SELECT count(*) FROM negatives) FROM raw_negatives
"""
# Rows of a catalogue are repeated if they have the same id or, without ids, the same title and year.
_DESCRIPTIONS = """
WITH identified AS (
    SELECT matched.source_row IS NOT NULL AS is_used,
        coalesce(movie_id, 'tmdb ' || tmdb_id, 'imdb ' || imdb_id, 'title ' || title || coalesce(' ' || year, ''))
            AS key
    FROM described LEFT JOIN (SELECT DISTINCT source_row FROM matched) AS matched USING (source_row)
), counted AS (
    SELECT key, count(*) AS n, count(*) FILTER (is_used) AS n_used FROM identified GROUP BY key
)
SELECT sum(n) FILTER (key IS NULL), count(*) FILTER (key IS NOT NULL AND n_used = 0),
    sum(n - greatest(n_used, 1)) FILTER (key IS NOT NULL)
FROM counted
"""


def unused_rows(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, int]]:
    """Return the number of unused rows, keyed by side table, then by reason; numbers that are zero are left out.

    Args:
        connection: a connection to a database with the clean tables, and all raw tables except perhaps `raw_ratings`.
    """
    counted = {
        name: _by_rule(
            connection,
            _COUNTS.format(rows=rows, id=raw_id, clean=clean, cells=cells),
            (INCOMPLETE, NO_RATINGS, REPEATED),
        )
        for name, (rows, raw_id, clean, cells) in _TABLES.items()
    }
    counted["negatives"] = _by_rule(connection, _NEGATIVES, (NO_RATINGS,))
    return {name: by_rule for name, by_rule in counted.items() if by_rule}


def unused_descriptions(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Return the number of unused rows of a metadata catalogue, keyed by reason; numbers that are zero are left out.

    Args:
        connection: a connection to a database with the tables `described` and `matched`.
    """
    return _by_rule(connection, _DESCRIPTIONS, ("no id and no title", "no such item", REPEATED))


def _by_rule(connection: duckdb.DuckDBPyConnection, sql: str, rules: tuple[str, ...]) -> dict[str, int]:
    [numbers] = connection.execute(sql).fetchall()
    return {rule: int(number) for rule, number in zip(rules, numbers, strict=True) if number}
