"""Tables of the feedback store, with column types that behave the same in every database."""

from __future__ import annotations

import math

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from recsys.errors import UserError

VERSION_TABLE = "feedback_version"  # not alembic_version, which may belong to other tables of the same database


class Name(sa.types.TypeDecorator[str]):
    """Column type for text that every database compares character by character, with case and accents."""

    impl = sa.String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[str]:
        """Choose a binary collation in MySQL, which would otherwise consider 'A' and 'a' equal."""
        if dialect.name in ("mysql", "mariadb"):
            return mysql.VARCHAR(self.length, charset="utf8mb4", collation="utf8mb4_bin")
        return self.impl_instance

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """Refuse text that any supported database would truncate, trim or reject."""
        if value is not None and not (0 < len(value) <= self.length and value.isprintable() and value == value.strip()):
            raise UserError(
                f"A name must have 1 to {self.length} printable characters and no space at either end "
                f"(got {value[:80]!r})."
            )
        return value


class Number(sa.types.TypeDecorator[float]):
    """Column type for finite numbers in double precision."""

    impl = sa.Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: sa.Dialect) -> float | None:
        """Refuse infinity and NaN; SQLite would store NaN as NULL."""
        if value is not None and not math.isfinite(value):
            raise UserError(f"A number must be finite (got {value}).")
        return value


TABLES = sa.MetaData()
LISTS = sa.Table(
    "lists",
    TABLES,
    sa.Column("list_id", Name(64), primary_key=True),
    sa.Column("user_id", Name(255), nullable=False),
    sa.Column("time", Number, nullable=False),
    sa.Column("run", Name(255), nullable=False),
    sa.Column("k", sa.Integer, nullable=False),
    sa.Column("request", sa.JSON, nullable=False),
)
REQUESTS = sa.Table(  # of the last minutes, by which the servers of one store keep a rate limit together
    "request_counts",
    TABLES,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),  # in order of arrival
    sa.Column("server", Name(64), nullable=False),
    sa.Column("client", Name(64), nullable=False),
    sa.Column("requests", sa.Integer, nullable=False),
    sa.Column("time", Number, nullable=False),
    sqlite_autoincrement=True,  # numbers of deleted rows are not used again
)
EVENTS = sa.Table(
    "events",
    TABLES,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),  # in order of arrival
    sa.Column("key", Name(64), nullable=False, unique=True),
    sa.Column("user_id", Name(255), nullable=False),
    sa.Column("kind", Name(16), nullable=False),
    sa.Column("time", Number, nullable=False),
    sa.Column("movie_id", Name(255)),
    sa.Column("value", Number),
    sa.Column("run", Name(255)),
    sa.Column("list_id", Name(64), sa.ForeignKey("lists.list_id", name="events_of_lists")),
    sa.Column("position", sa.Integer),
    sa.Column("propensity", Number),
    sa.Column("undoes", Name(64)),
    sa.Index("events_by_user", "user_id", "kind", "number"),
    sa.Index("events_by_film", "movie_id", "kind"),
    sa.Index("events_by_list", "list_id", "kind"),
    sa.Index("events_by_undone", "undoes"),
)
