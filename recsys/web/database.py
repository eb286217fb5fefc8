"""Connections to the database of the feedback store, and migrations of its schema."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from recsys.data.address import Address
from recsys.errors import UserError
from recsys.web.schema import VERSION_TABLE

CONNECT_SECONDS = 10  # for a server to answer
LOCK_SECONDS = 60  # for another writer or migration to finish
_DRIVERS = {"postgres": "postgresql+psycopg", "mysql": "mysql+pymysql"}

logging.getLogger("alembic").setLevel(logging.WARNING)  # it logs every opening of a store


def create_engine(address: Address) -> sa.Engine:
    """Create the SQLAlchemy engine of a database."""
    if address.kind == "sqlite":
        url = sa.URL.create("sqlite", database=address.url)
        engine = sa.create_engine(url, connect_args={"timeout": LOCK_SECONDS})
        sa.event.listen(engine, "connect", _configure_sqlite)
        sa.event.listen(engine, "begin", _begin)
        return engine
    url = sa.make_url(address.url).set(drivername=_DRIVERS[address.kind])
    if address.kind == "mysql":
        url = url.update_query_dict({"charset": "utf8mb4"})
    # A retried transaction must see what others have committed meanwhile, and a server may have been restarted.
    return sa.create_engine(
        url, isolation_level="READ COMMITTED", pool_pre_ping=True, connect_args={"connect_timeout": CONNECT_SECONDS}
    )


def migrate(engine: sa.Engine, address: Address) -> None:
    """Bring the schema of a feedback store up to date.

    Raises:
        UserError: the schema was created by a later version of recsys, or another process takes too long to migrate it.
    """
    config = Config(attributes={"version_table": VERSION_TABLE})
    config.set_main_option("script_location", "recsys.web:migrations")
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    with engine.connect() as connection, _migration_lock(connection):
        opts = {"version_table": VERSION_TABLE}
        version = MigrationContext.configure(connection, opts=opts).get_current_revision()
        if version is not None and version not in known:
            raise UserError(f"{address} was created by a later version of recsys (schema {version}): update recsys.")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def _configure_sqlite(connection: Any, _: object) -> None:
    """Configure a connection so that reads can run during a write, and so that a commit returns once it is on disk."""
    connection.isolation_level = None  # transactions begin in `_begin`, not at the first INSERT
    for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {setting}")


def _begin(connection: sa.Connection) -> None:
    """Begin an SQLite transaction; if it will write, lock the database here instead of at the first INSERT.

    Locking at the first INSERT could fail, because another transaction may have written in the meantime.
    """
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))


@contextmanager
def _migration_lock(connection: sa.Connection) -> Iterator[None]:
    """Prevent other processes from migrating the same store; in SQLite, the transaction is enough for this.

    Raises:
        UserError: another process holds the lock for too long.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext(:table))"), {"table": VERSION_TABLE})
    if connection.dialect.name not in ("mysql", "mariadb"):
        yield
        return
    lock = {"name": f"{VERSION_TABLE} of {connection.engine.url.database}"[:64]}
    if connection.execute(sa.text("SELECT GET_LOCK(:name, :wait)"), {**lock, "wait": LOCK_SECONDS}).scalar() != 1:
        raise UserError(f"Another process has been migrating the feedback store for {LOCK_SECONDS} s: try again later.")
    try:
        yield
    finally:
        connection.execute(sa.text("SELECT RELEASE_LOCK(:name)"), lock)
