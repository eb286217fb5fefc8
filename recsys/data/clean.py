"""Cleaning of raw tables in SQL: which ratings are dropped, and by which rule.

The SELECTs are in `sql/clean`, where comments explain the rules. A dropped rating is counted once, under the first rule
that rejects it, in the order of `RULES`; the rule for negatives applies before that for duplicates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from numbers import Real
from pathlib import Path

import duckdb

from recsys.errors import UserError, check_finite, check_positive, check_shares

SQL = Path(__file__).parent / "sql"
DUPLICATE, ACROSS_SOURCES = "duplicate of a later rating", "duplicate across sources"
LABEL, NEGATIVE = "label", "negative by its label"
PLAYS = "plays"
FURTHER_COLUMNS = (LABEL, PLAYS)  # optional columns of ratings
RULES = (
    "missing id",
    "missing rating",
    "rating outside the scale",
    "missing time",
    "impossible time",
    "film unknown to the metadata",
    DUPLICATE,
    "rating below the threshold",
    "user or film with too few ratings",
)
# Rules that always apply, except for duplicates -> what to check if they drop many ratings.
UNCHOSEN = {
    "missing id": "check data.columns and data.missing",
    "missing rating": "check data.columns.rating, which is null for data without ratings",
    "rating outside the scale": "set data.scale=[LOWEST,HIGHEST]",
    "missing time": "check data.columns.time, which is null for data without times",
    "impossible time": "set data.cleaning.earliest=DATE or data.time_format",
}

# For gathered sources only. (Not in sql/, whose files are part of the fingerprint of every data set.)
_N_ACROSS = """
SELECT count(*) FROM checked
JOIN ratings USING (user_id, movie_id)
JOIN raw_ratings AS dropped ON dropped.rowid = checked.source_row
JOIN raw_ratings AS clean ON clean.rowid = ratings.source_row
WHERE checked.rule IS NULL AND dropped.source <> clean.source
"""
# For sources whose rows have a label, a number or a truth value: rows whose label is not positive are not interactions.
_NEGATIVES = """
UPDATE checked SET rule = $rule FROM raw_ratings
WHERE raw_ratings.rowid = source_row AND rule IS NULL
    AND coalesce(try_cast(label AS DOUBLE), try_cast(try_cast(label AS BOOLEAN) AS DOUBLE)) <= 0
"""
# For sources with plays: their sum over all rows of a pair of user and item; a row without a number counts as one play.
_PLAYS = """
CREATE TABLE plays AS SELECT checked.user_id, checked.movie_id, sum(coalesce(try_cast(plays AS DOUBLE), 1)) AS plays
FROM checked JOIN raw_ratings ON raw_ratings.rowid = source_row
WHERE rule IS NULL GROUP BY ALL
"""
# Optional columns, with their rows in the order of `coded.sql`.
_FURTHER = """
CREATE TABLE further AS SELECT {columns} FROM ratings
JOIN raw_ratings ON raw_ratings.rowid = source_row
JOIN users ON users.user_id = ratings.user_id
JOIN films ON films.movie_id = ratings.movie_id
{joined}
ORDER BY "user", ratings.time, source_row
"""
_JOIN_PLAYS = "JOIN plays ON plays.user_id = ratings.user_id AND plays.movie_id = ratings.movie_id"
_WITH_FURTHER = """
CREATE TABLE with_further AS FROM ratings POSITIONAL JOIN further;
DROP TABLE further;
DROP TABLE ratings;
ALTER TABLE with_further RENAME TO ratings;
"""


@dataclass(frozen=True)
class Cleaning:
    """Options of cleaning; rules that have no option here always apply.

    Attributes:
        min_rating: drop ratings below this threshold; None drops none.
        user_core: drop users with fewer clean ratings than this. The ratings of users and items with too few are
            dropped repeatedly, until all that remain have enough (the k-core).
        item_core: drop items with fewer clean ratings than this.
        keep_unknown_films: keep ratings of items that the source's metadata does not contain.
        earliest: ISO date; ratings before it are dropped, because their times are considered impossible. For data with
            order numbers instead of times it must be 1970-01-01.
        max_dropped: largest share of the ratings, from 0 to 1, that the rules in `UNCHOSEN` may drop; preparation fails
            above it. The clean tables do not depend on it.

    Raises:
        UserError: a value is not allowed.
    """

    min_rating: float | None = None
    user_core: int = 1
    item_core: int = 1
    keep_unknown_films: bool = True
    earliest: str = "1990-01-01"
    max_dropped: float = 0.05

    def __post_init__(self) -> None:
        try:
            date.fromisoformat(self.earliest)
        except ValueError as error:
            raise UserError(
                f"cleaning.earliest must be an ISO date, such as 1990-01-01 (got {self.earliest})."
            ) from error
        check_shares(**{"cleaning.max_dropped": self.max_dropped})
        check_positive(**{"cleaning.user_core": self.user_core, "cleaning.item_core": self.item_core})
        if self.min_rating is not None:
            check_finite(**{"cleaning.min_rating": self.min_rating})


def checked_scale(scale: Sequence[float]) -> tuple[float, float]:
    """Check the scale of ratings, and return its lowest and its highest rating.

    Raises:
        UserError: the scale is not two numbers, of which the first is at most the second.
    """
    ends = list(scale) if isinstance(scale, Sequence) else [scale]
    if not (len(ends) == 2 and all(isinstance(end, Real) for end in ends) and ends[0] <= ends[1]):
        raise UserError(f"data.scale must be the lowest and the highest rating (got {scale}).")
    return ends[0], ends[1]


def check_dropped(dropped: Mapping[str, int], n_rows: int, cleaning: Cleaning) -> None:
    """Check that the rules in `UNCHOSEN` dropped few ratings.

    Args:
        dropped: rule -> number of ratings that it dropped.
        n_rows: number of ratings before cleaning.
        cleaning: cleaning options.

    Raises:
        UserError: these rules dropped more than the share `cleaning.max_dropped` of the ratings.
    """
    unchosen = {rule: dropped[rule] for rule in UNCHOSEN}
    n_dropped, worst = sum(unchosen.values()), max(UNCHOSEN, key=lambda rule: unchosen[rule])
    if n_dropped > cleaning.max_dropped * n_rows:
        raise UserError(
            f"Cleaning must not drop more than {cleaning.max_dropped:.0%} of the ratings by rules that always "
            f"apply (got {n_dropped:,} of {n_rows:,}, {unchosen[worst]:,} of them by '{worst}'): {UNCHOSEN[worst]}, "
            "or allow it with data.cleaning.max_dropped=1."
        )


def clean(connection: duckdb.DuckDBPyConnection, scale: tuple[float, float], cleaning: Cleaning) -> dict[str, int]:
    """Create the clean tables `ratings`, `users`, `films`, `parts` and `negatives` from the raw tables.

    `ratings` has the columns `user`, `item` (codes from 0), `rating`, `time` (Unix time in seconds, or NULL) and `part`
    (a code, or -1), and `source` and `plays` if the raw ratings have them.

    Args:
        connection: a database with the tables `raw_ratings`, `raw_users`, `raw_films`, `raw_links`, `raw_tags` and
            `raw_negatives`.
        scale: lowest and highest rating of the source.
        cleaning: cleaning options.

    Returns:
        Number of dropped ratings by rule, in the order of `RULES`; for sources with labels also the negatives, and for
        gathered sources the duplicates across sources.

    Raises:
        UserError: no rating is left.
    """
    create(
        connection,
        "checked",
        "checked",
        lowest=scale[0],
        highest=scale[1],
        earliest=cleaning.earliest,
        keep_unknown_films=cleaning.keep_unknown_films,
    )
    if LABEL in connection.table("raw_ratings").columns:
        connection.execute(_NEGATIVES, {"rule": NEGATIVE})
    counted = connection.execute("SELECT rule, count(*) FROM checked WHERE rule IS NOT NULL GROUP BY rule").fetchall()
    dropped = dict.fromkeys(RULES, 0) | dict(counted)
    create(connection, "ratings", "latest")
    n_checked = count(connection, "checked")
    dropped[DUPLICATE] = n_checked - sum(dropped.values()) - count(connection, "ratings")
    gathered, played = (column in connection.table("raw_ratings").columns for column in ("source", PLAYS))
    if gathered:
        [(dropped[ACROSS_SOURCES],)] = connection.execute(_N_ACROSS).fetchall()
        dropped[DUPLICATE] -= dropped[ACROSS_SOURCES]
    if played:
        connection.execute(_PLAYS)
    connection.execute("DROP TABLE checked")
    if cleaning.min_rating is not None:
        dropped["rating below the threshold"] = _replace(connection, "liked", min_rating=cleaning.min_rating)
    core = {"user_core": cleaning.user_core, "item_core": cleaning.item_core}
    while max(core.values()) > 1 and (n_removed := _replace(connection, "core", **core)):
        dropped["user or film with too few ratings"] += n_removed

    check_any_left(count(connection, "ratings"), dropped, scale)
    create_codes(connection)
    further = ["raw_ratings.source"] * gathered + ["plays.plays"] * played
    if further:
        joined = _JOIN_PLAYS if played else ""
        connection.execute(_FURTHER.format(columns=", ".join(further), joined=joined))
    _replace(connection, "coded")  # replaces raw ids by codes
    if further:
        connection.execute(_WITH_FURTHER)
    return dropped


def check_any_left(n_left: int, dropped: Mapping[str, int], scale: tuple[float, float]) -> None:
    """Check that at least one rating is left after cleaning.

    Args:
        n_left: number of ratings that are left.
        dropped: rule -> number of ratings that it dropped, for the message.
        scale: lowest and highest rating of the source, for the message.

    Raises:
        UserError: no rating is left.
    """
    if not n_left:
        worst = max(dropped, key=lambda rule: dropped[rule])
        raise UserError(
            f"Cleaning dropped all ratings ({sum(dropped.values()):,}), most of them ({dropped[worst]:,}) by the rule "
            f"'{worst}' (the scale is {scale[0]:g} to {scale[1]:g}): {UNCHOSEN.get(worst, 'check data.cleaning')}."
        )


def create_codes(connection: duckdb.DuckDBPyConnection) -> None:
    """Create `users`, `films`, `parts` and `negatives`, which assign codes, from raw tables and uncoded `ratings`."""
    connection.execute((SQL / "clean" / "macros.sql").read_text(encoding="utf-8"))
    for table in ("users", "films", "parts", "negatives"):
        create(connection, table, table)


def create(connection: duckdb.DuckDBPyConnection, table: str, query: str, **parameters: object) -> None:
    """Create a table of the rows of the SELECT in `sql/clean/<query>.sql`, given its parameters."""
    sql = (SQL / "clean" / f"{query}.sql").read_text(encoding="utf-8")
    connection.execute(f'CREATE TABLE "{table}" AS {sql}', parameters)


def count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """Count the rows of a table."""
    return connection.table(table).count("*").fetchall()[0][0]


def _replace(connection: duckdb.DuckDBPyConnection, query: str, **parameters: object) -> int:
    """Replace the table `ratings` by the result of a SELECT in `sql/clean`; return how many rows fewer these are."""
    before = count(connection, "ratings")
    create(connection, "replacement", query, **parameters)
    connection.execute("DROP TABLE ratings")
    connection.execute("ALTER TABLE replacement RENAME TO ratings")
    return before - count(connection, "ratings")
