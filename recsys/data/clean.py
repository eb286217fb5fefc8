"""Cleaning of raw tables in SQL: the rules by which ratings are dropped, and how many ratings each rule drops.

The SELECTs are in `sql/clean`, where comments explain the rules. The rules are applied in the order of `RULES`, and a
dropped rating is counted once, under the first rule that drops it. If the ratings have labels, those labelled as
negatives (0 or less, or false) are dropped just before duplicates.
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
    """Options of cleaning; the rules in `RULES` that no option controls always apply.

    Attributes:
        min_rating: ratings below this threshold are dropped; None keeps ratings of all values.
        user_core: users with fewer clean ratings than this are dropped with all their ratings. Users and items below
            their thresholds are dropped repeatedly until all that remain reach them (the k-core).
        item_core: items with fewer clean ratings than this are dropped with all their ratings.
        keep_unknown_films: whether to keep ratings of items that the source's metadata does not contain.
        earliest: ISO date; ratings before it are dropped, because their times are considered impossible. It must be
            1970-01-01 for data whose times are only order numbers.
        max_dropped: largest share of the ratings, from 0 to 1, that the rules in `UNCHOSEN`, which always apply, may
            drop; if they drop more, preparation fails. The value does not change the clean tables.

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
    """Check a rating scale, and return its lowest and its highest rating.

    Raises:
        UserError: the scale is not a pair of numbers, or the first number is larger than the second.
    """
    ends = list(scale) if isinstance(scale, Sequence) else [scale]
    if not (len(ends) == 2 and all(isinstance(end, Real) for end in ends) and ends[0] <= ends[1]):
        raise UserError(f"data.scale must be the lowest and the highest rating (got {scale}).")
    return ends[0], ends[1]


def check_dropped(dropped: Mapping[str, int], n_rows: int, cleaning: Cleaning) -> None:
    """Check that the rules in `UNCHOSEN`, which always apply, did not drop too many ratings.

    Args:
        dropped: number of dropped ratings, keyed by rule.
        n_rows: number of ratings before cleaning.
        cleaning: cleaning options.

    Raises:
        UserError: the share of the ratings that these rules dropped is above `cleaning.max_dropped`.
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

    `ratings` has the columns `user` and `item` (codes from 0), `rating`, `time` (Unix time in seconds, or NULL) and
    `part` (the code of a part of the source's own partition, or -1). It also has `source` and `plays` if the raw
    ratings have these columns.

    Args:
        connection: a connection to a database with the tables `raw_ratings`, `raw_users`, `raw_films`, `raw_links`,
            `raw_tags` and `raw_negatives`.
        scale: lowest and highest rating of the source.
        cleaning: cleaning options.

    Returns:
        Number of dropped ratings, keyed by rule, in the order of `RULES`; then, if the ratings have labels, the number
        of ratings labelled as negatives and, if several sources are gathered, the number of duplicates across sources.

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
        dropped: number of dropped ratings, keyed by rule, for the message.
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
    """Create the clean tables `users`, `films`, `parts` and `negatives` from the raw tables and the table `ratings`.

    The first three assign integer codes to the users, items and parts of the ratings.
    """
    connection.execute((SQL / "clean" / "macros.sql").read_text(encoding="utf-8"))
    for table in ("users", "films", "parts", "negatives"):
        create(connection, table, table)


def create(connection: duckdb.DuckDBPyConnection, table: str, query: str, **parameters: object) -> None:
    """Create a table from the result of the SELECT in `sql/clean/<query>.sql`, run with the given parameters."""
    sql = (SQL / "clean" / f"{query}.sql").read_text(encoding="utf-8")
    connection.execute(f'CREATE TABLE "{table}" AS {sql}', parameters)


def count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """Count the rows of a table."""
    return connection.table(table).count("*").fetchall()[0][0]


def _replace(connection: duckdb.DuckDBPyConnection, query: str, **parameters: object) -> int:
    """Replace the table `ratings` by the result of a SELECT in `sql/clean`, and return by how many rows it shrank."""
    before = count(connection, "ratings")
    create(connection, "replacement", query, **parameters)
    connection.execute("DROP TABLE ratings")
    connection.execute("ALTER TABLE replacement RENAME TO ratings")
    return before - count(connection, "ratings")
