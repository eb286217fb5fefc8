"""The rows of a file in a raw table, which this package reads and changes."""

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
    """The rows of one file in a raw table.

    Attributes:
        connection: a database with the table.
        table: name of the table.
        first: DuckDB's row id of the first row; all later rows of the table belong to the file.
    """

    connection: duckdb.DuckDBPyConnection
    table: str
    first: int

    @property
    def condition(self) -> str:
        """Return the SQL condition that exactly these rows meet."""
        return f"rowid >= {self.first:d}" if self.first else "true"

    @property
    def further(self) -> list[str]:
        """Return the optional columns (`FURTHER_COLUMNS`) that the table has."""
        return [name for name in self.connection.table(self.table).columns if name in FURTHER_COLUMNS]

    def select(self, *expressions: str) -> tuple[Any, ...]:
        """Return the values of SQL expressions that aggregate the rows."""
        sql = f"SELECT {', '.join(expressions)} FROM {self.table} WHERE {self.condition}"  # noqa: S608
        return self.connection.execute(sql).fetchall()[0]

    def count(self, condition: str) -> int:
        """Return the number of the rows that meet an SQL condition."""
        return self.select(f"count(*) FILTER ({condition})")[0]

    def update(self, column: str, expression: str, condition: str) -> None:
        """Set a column to an SQL expression in those of the rows that meet an SQL condition."""
        self.connection.execute(
            f"UPDATE {self.table} SET {column} = {expression} WHERE {self.condition} AND ({condition})"  # noqa: S608
        )


def is_listed(name: str, texts: Sequence[str]) -> str:
    """Return the SQL condition that a column has one of some texts; it is false if there are none."""
    return f"{name} IN ({', '.join(map(literal, texts))})" if texts else "false"
