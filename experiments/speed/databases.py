"""Speed of databases: a million ratings are written, read and prepared.

    RECSYS_POSTGRES_URL=postgresql://... RECSYS_MYSQL_URL=mysql://... \
        python experiments/speed/databases.py RECSYS_POSTGRES_URL RECSYS_MYSQL_URL

Arguments are the names of environment variables that hold addresses. In each database, a table of random ratings is
created, read into the cache as `data=sql` does (to text, counted and hashed), prepared (read again, cleaned and
loaded), and dropped.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from recsys.config import one_sentence
from recsys.data.address import Address
from recsys.data.attach import attached
from recsys.data.databases import Database
from recsys.data.prepare import prepare
from recsys.data.tables import write_tables

N_RATINGS, N_USERS, N_FILMS = 1_000_000, 6_040, 3_706
TABLE = "recsys_speed"


def random_ratings() -> pd.DataFrame:
    """Return distinct pairs of user and film with ratings and times."""
    rng = np.random.default_rng(0)
    pairs = rng.choice(N_USERS * N_FILMS, N_RATINGS, replace=False)
    ratings, times = rng.integers(1, 11, N_RATINGS) / 2, rng.integers(10**9, 16 * 10**8, N_RATINGS)
    return pd.DataFrame({"user_id": pairs // N_FILMS, "movie_id": pairs % N_FILMS, "rating": ratings, "time": times})


@contextlib.contextmanager
def seconds(cells: list[str]) -> Iterator[None]:
    """Append the seconds and rows per second of the enclosed statements to a row of cells."""
    started = time.perf_counter()
    yield
    duration = time.perf_counter() - started
    cells += [f"{duration:.2f}", f"{N_RATINGS / duration:,.0f}"]


def measured(variable: str, ratings: pd.DataFrame) -> list[str]:
    """Measure one database; returns a row of cells."""
    address = Address.from_environment(variable)
    source = Database(TABLE, {column: column for column in ratings}, address_env=variable)
    cells = [address.kind]
    with seconds(cells):
        write_tables(address, {TABLE: ratings})
    try:
        with tempfile.TemporaryDirectory() as cache, contextlib.redirect_stdout(io.StringIO()):
            with seconds(cells):
                source.locate(Path(cache))
            with seconds(cells):
                prepare(source, Path(cache))
    finally:
        with attached(address, "target", read_only=False) as connection:
            connection.execute(f"DROP TABLE {TABLE}")
    return cells


def main() -> None:
    """Print a row for each database."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variables", nargs="+", metavar="VARIABLE")
    ratings = random_ratings()
    table = Table("database", "write s", "rows/s", "read s", "rows/s", "prepare s", "rows/s")
    for variable in parser.parse_args().variables:
        table.add_row(*measured(variable, ratings))
    Console().print(table)


if __name__ == "__main__":
    with one_sentence():
        main()
