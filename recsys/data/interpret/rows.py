"""`Rows`, the rows of one file in a raw table: the functions of this package read and change them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from recsys.data.clean import FURTHER_COLUMNS
from recsys.data.quoting import literal

# Words, in lower case, that may stand for a missing value although `Reading.missing` does not have them.
ABSENT = (
    *("null", "none", "na", "n/a", "#n/a", "<na>", "nan", "nat", "nil", "undefined", "(null)", "[null]", "\\n"),
    *("-", "--", "?", ".", "n.a.", "missing"),
)


@dataclass(frozen=True)
class Rows:
    """The rows of one file in a raw table of the database.

    Attributes:
        connection: a connection to the database.
        table: name of the raw table.
        first: DuckDB's row id of the file's first row; all rows of the table from this one on belong to the file.
    """

    connection: duckdb.DuckDBPyConnection
    table: str
    first: int

    @property
    def condition(self) -> str:
        """Return an SQL condition that is true for exactly these rows."""
        return f"rowid >= {self.first:d}" if self.first else "true"

    @property
    def further(self) -> list[str]:
        """Return the names of the optional columns (`FURTHER_COLUMNS`) that the table has."""
        return [name for name in self.connection.table(self.table).columns if name in FURTHER_COLUMNS]

    def select(self, *expressions: str) -> tuple[Any, ...]:
        """Return the values of SQL aggregates over the rows, one for each of `expressions`."""
        sql = f"SELECT {', '.join(expressions)} FROM {self.table} WHERE {self.condition}"  # noqa: S608
        return self.connection.execute(sql).fetchall()[0]

    def count(self, condition: str) -> int:
        """Return how many of the rows meet an SQL condition."""
        return self.select(f"count(*) FILTER ({condition})")[0]

    def update(self, column: str, expression: str, condition: str) -> None:
        """Set a column to the value of an SQL expression in all of the rows that meet an SQL condition."""
        self.connection.execute(
            f"UPDATE {self.table} SET {column} = {expression} WHERE {self.condition} AND ({condition})"  # noqa: S608
        )


def is_listed(name: str, texts: Sequence[str]) -> str:
    """Return an SQL condition that is true if a column equals one of `texts`; "false" if `texts` is empty."""
    return f"{name} IN ({', '.join(map(literal, texts))})" if texts else "false"
