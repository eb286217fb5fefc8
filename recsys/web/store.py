"""The store of feedback: what viewers do, in SQLite, PostgreSQL, MySQL or MariaDB.

Two tables, `events` (what was done) and `lists` (what films were shown for), whose rows stay as they were written. What
somebody thinks is read off the events: of several ratings of a film the latest counts, and an event that an undo names
counts no more. An event has a key of its own, so one that is sent again is kept once; what `add` has returned for is on
disk.

The schema has versions (`migrations/`), which opening a store brings up to date.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import IntegrityError, SQLAlchemyError, StatementError

from recsys.data.address import Address
from recsys.errors import UserError
from recsys.web.events import Event, Kind, Opinions, ShownList

OPINIONS = (Kind.RATING, Kind.NOT_INTERESTED, Kind.SEEN)  # what an undo can take back
VERSION_TABLE = "feedback_version"  # a database that holds other things may have an alembic_version of theirs
WAIT = 10  # seconds for another writer, and for a server to answer
_DRIVERS = {"postgres": "postgresql+psycopg", "mysql": "mysql+pymysql"}
_AT_ONCE = 1000  # keys asked for in one statement

logging.getLogger("alembic").setLevel(logging.WARNING)  # what it tells of every opening is no news


class KeyTaken(UserError):  # noqa: N818 - read as a sentence
    """An event or list of this key is there already, and it is another one."""


class StoreError(UserError):
    """The database is out of reach or fails, whatever it was asked for."""


class Name(sa.types.TypeDecorator[str]):
    """Text that all databases tell apart by its characters, case and accents included."""

    impl = sa.String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[str]:
        """MySQL takes 'A' for 'a' unless it is told otherwise."""
        if dialect.name in ("mysql", "mariadb"):
            return mysql.VARCHAR(self.length, charset="utf8mb4", collation="utf8mb4_bin")
        return self.impl_instance

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """Refuse what some database would cut off, trim or not take."""
        if value is not None and not (0 < len(value) <= self.length and value.isprintable() and value == value.strip()):
            raise UserError(f"{value[:80]!r} cannot be kept: a name has 1 to {self.length} printable characters.")
        return value


class Number(sa.types.TypeDecorator[float]):
    """Double precision, finite."""

    impl = sa.Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: sa.Dialect) -> float | None:
        """Refuse what SQLite would take for nothing at all."""
        if value is not None and not math.isfinite(value):
            raise UserError(f"{value} cannot be kept: it is no number.")
        return value


_tables = sa.MetaData()
_LISTS = sa.Table(
    "lists",
    _tables,
    sa.Column("list_id", Name(64), primary_key=True),
    sa.Column("user_id", Name(255), nullable=False),
    sa.Column("time", Number, nullable=False),
    sa.Column("run", Name(255), nullable=False),
    sa.Column("k", sa.Integer, nullable=False),
    sa.Column("request", sa.JSON, nullable=False),
)
_EVENTS = sa.Table(
    "events",
    _tables,
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
    sa.Index("events_by_user", "user_id", "kind", "time"),
    sa.Index("events_by_film", "movie_id", "kind"),
    sa.Index("events_by_list", "list_id", "kind"),
    sa.Index("events_by_undone", "undoes"),
)
_OF_EVENT = [_EVENTS.c[field.name] for field in fields(Event)]
_IN_ORDER = (_EVENTS.c.time, _EVENTS.c.number)


class Store:
    """Feedback in a database; for many threads and processes at a time. `open` makes one.

    Every method raises StoreError where the database fails, and a UserError for names that cannot be kept.
    """

    def __init__(self, address: Address, engine: sa.Engine) -> None:
        self.address = address
        self._engine = engine
        self._writing = engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")

    @classmethod
    def open(cls, address: Address, *, make: bool = True) -> Store:
        """Reach a store, and bring its schema up to date.

        Args:
            address: an SQLite file, PostgreSQL or MySQL.
            make: whether to make a file where there is none.

        Raises:
            UserError: it cannot be reached, is of a later version, or is a kind of database that feedback cannot be in.
        """
        if address.kind == "duckdb":
            raise UserError(
                f"{address} takes one writer at a time: feedback needs an SQLite file (.sqlite), PostgreSQL or MySQL."
            )
        if address.is_file and not make and not Path(address.url).is_file():
            raise UserError(f"{address} does not exist: serve a run and give feedback first, or name another store.")
        store = cls(address, _engine(address))
        with store._failing():
            store._migrate()
        return store

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    def add(self, events: Sequence[Event], shown: ShownList | None = None) -> list[bool]:
        """Keep events, and the list that impressions among them are of: all of them, or none.

        An event that was sent before may be sent again; its time need not be the same.

        Returns:
            Whether each was new.

        Raises:
            KeyTaken: another event, or list, has the key already.
            UserError: an event lacks what its kind needs, is of a list that its user was not shown, or undoes what
                cannot be undone.
        """
        for event in events:
            _check(event)
        with self._failing():
            try:
                return self._add(events, shown)
            except IntegrityError:  # another writer was faster with one of the keys, which is there by now
                return self._add(events, shown)

    def event(self, key: str) -> Event | None:
        """The event of a key."""
        with self._failing(), self._engine.connect() as connection:
            return _stored(connection, [key]).get(key)

    def opinions(self, user_id: str, before: float = math.inf) -> Opinions:
        """What somebody thinks, or thought before a time in seconds UTC; a film with stars is not hidden as well."""
        ratings: dict[str, float] = {}
        hidden = set()
        query = _counting(before).where(_EVENTS.c.user_id == user_id).order_by(*_IN_ORDER)
        with self._failing(), self._engine.connect() as connection:
            for row in connection.execute(query):
                if row.kind == Kind.RATING:
                    ratings.pop(row.movie_id, None)  # the latest rating decides about the order, too
                    ratings[row.movie_id] = row.value
                else:
                    hidden.add(row.movie_id)
        return Opinions(ratings, frozenset(hidden - ratings.keys()))

    def recent(self, user_id: str, k: int) -> list[Event]:
        """The latest k events of somebody that an undo can take back, latest first."""
        latest_first = [column.desc() for column in _IN_ORDER]
        query = _counting().where(_EVENTS.c.user_id == user_id).order_by(*latest_first).limit(k)
        with self._failing(), self._engine.connect() as connection:
            return [_event(row) for row in connection.execute(query)]

    def ratings(self) -> pd.DataFrame:
        """Everybody's latest ratings: `user_id`, `movie_id`, `rating` and `time` (whole seconds UTC), oldest first."""
        found = self._ratings().drop_duplicates(["user_id", "movie_id"], keep="last")
        found = found.rename(columns={"value": "rating"}).astype({"rating": float, "time": "int64"})
        return found[["user_id", "movie_id", "rating", "time"]].reset_index(drop=True)

    def impressions(self) -> pd.DataFrame:
        """Every film that was shown in a list, in order of time and place, and what came of it.

        Returns:
            Of the list `list_id`, `user_id`, `run`, `time`, `k` and `request`; of the film `position`, `movie_id`,
            `propensity`, `clicked` (bool) and `stars`, the latest rating given from that list, or NaN.
        """
        of_film = ["list_id", "movie_id"]
        shown = self._frame(
            sa.select(*_LISTS.c, _EVENTS.c.position, _EVENTS.c.movie_id, _EVENTS.c.propensity)
            .join_from(_EVENTS, _LISTS)
            .where(_EVENTS.c.kind == Kind.IMPRESSION)
            .order_by(_LISTS.c.time, _LISTS.c.list_id, _EVENTS.c.position)
        )
        clicks = self._frame(sa.select(*(_EVENTS.c[name] for name in of_film)).where(_EVENTS.c.kind == Kind.CLICK))
        clicked = clicks.drop_duplicates().assign(clicked=True)
        rated = self._ratings().drop_duplicates(of_film, keep="last").rename(columns={"value": "stars"})
        found = shown.merge(clicked, "left", of_film).merge(rated[[*of_film, "stars"]], "left", of_film)
        return found.assign(clicked=found["clicked"].eq(True)).astype({"propensity": float, "stars": float})

    def data(self) -> str | None:
        """The data set whose films were last shown, or None where none were."""
        query = sa.select(_LISTS.c.request).order_by(_LISTS.c.time.desc()).limit(1)
        with self._failing(), self._engine.connect() as connection:
            request = connection.execute(query).scalar()
        return None if request is None else request.get("data")

    def check(self) -> None:
        """Find out whether the database answers."""
        with self._failing(), self._engine.connect() as connection:
            connection.execute(sa.select(sa.literal(1)))

    def counts(self) -> dict[str, int]:
        """How many events there are of each kind."""
        query = sa.select(_EVENTS.c.kind, sa.func.count().label("n")).group_by(_EVENTS.c.kind)
        with self._failing(), self._engine.connect() as connection:
            found = {row.kind: row.n for row in connection.execute(query)}
        return {str(kind): found.get(kind, 0) for kind in Kind}

    def _ratings(self) -> pd.DataFrame:
        """All ratings that count, oldest first."""
        return self._frame(_counting().where(_EVENTS.c.kind == Kind.RATING).order_by(*_IN_ORDER))

    def _frame(self, query: sa.Select[Any]) -> pd.DataFrame:
        with self._failing(), self._engine.connect() as connection:
            found = connection.execute(query)
            return pd.DataFrame(found.fetchall(), columns=list(found.keys()))

    def _add(self, events: Sequence[Event], shown: ShownList | None) -> list[bool]:
        added: list[bool] = []
        with self._writing.begin() as connection:
            if shown is not None:
                _add_list(connection, shown)
            for start in range(0, len(events), _AT_ONCE):
                added += _add_events(connection, events[start : start + _AT_ONCE])
        return added

    def _migrate(self) -> None:
        config = Config(attributes={"version_table": VERSION_TABLE})
        config.set_main_option("script_location", "recsys.web:migrations")
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        with self._writing.connect() as connection, _alone(connection):
            opts = {"version_table": VERSION_TABLE}
            version = MigrationContext.configure(connection, opts=opts).get_current_revision()
            if version is not None and version not in known:
                raise UserError(f"{self.address} is of a later version of recsys (schema {version}): update recsys.")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Tell in one sentence, without secrets, that the database failed."""
        try:
            yield
        except SQLAlchemyError as error:
            cause = error.orig if isinstance(error, StatementError) and isinstance(error.orig, Exception) else error
            if isinstance(cause, UserError):
                raise cause from None
            raise StoreError(f"the store {self.address} fails: {self.address.without_secrets(cause)}") from None


def _engine(address: Address) -> sa.Engine:
    if address.kind == "sqlite":
        engine = sa.create_engine(sa.URL.create("sqlite", database=address.url), connect_args={"timeout": WAIT})
        sa.event.listen(engine, "connect", _settle)
        sa.event.listen(engine, "begin", _begin)
        return engine
    url = sa.make_url(address.url).set(drivername=_DRIVERS[address.kind])
    if address.kind == "mysql":
        url = url.update_query_dict({"charset": "utf8mb4"})
    # A transaction that begins anew sees what others have committed meanwhile, and a server may have been restarted.
    return sa.create_engine(
        url, isolation_level="READ COMMITTED", pool_pre_ping=True, connect_args={"connect_timeout": WAIT}
    )


def _settle(connection: Any, _: object) -> None:
    """Let readers and a writer work at once, and commits wait until they are on disk."""
    connection.isolation_level = None  # transactions begin where they are told to, not at the first INSERT
    for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {setting}")


def _begin(connection: sa.Connection) -> None:
    """Begin a transaction; one that writes has the database to itself from the start, so it need not be given up."""
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))


@contextmanager
def _alone(connection: sa.Connection) -> Iterator[None]:
    """Keep other processes from migrating the same store; in SQLite the transaction does."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext(:table))"), {"table": VERSION_TABLE})
    if connection.dialect.name not in ("mysql", "mariadb"):
        yield
        return
    lock = {"name": f"{VERSION_TABLE} of {connection.engine.url.database}"[:64]}
    connection.execute(sa.text("SELECT GET_LOCK(:name, :wait)"), {**lock, "wait": WAIT})
    try:
        yield
    finally:
        connection.execute(sa.text("SELECT RELEASE_LOCK(:name)"), lock)


def _check(event: Event) -> None:
    """Hold to it that an event has what others read off it, and undoes nothing by the way.

    Raises:
        UserError: it has not, or does.
    """
    needed = {Kind.UNDO: ("undoes",), Kind.RATING: ("movie_id", "value")}.get(event.kind, ("movie_id",))
    if lacking := [name for name in needed if getattr(event, name) is None]:
        raise UserError(f"An event of the kind {event.kind} needs {' and '.join(lacking)}.")
    if event.kind is not Kind.UNDO and event.undoes is not None:
        raise UserError(f"An event of the kind {event.kind} undoes nothing: leave out undoes.")


def _counting(before: float = math.inf) -> sa.Select[Any]:
    """Opinions from before a time that were not undone by then."""
    undo = _EVENTS.alias()
    undone = sa.exists().where(undo.c.undoes == _EVENTS.c.key)
    query = sa.select(*_OF_EVENT).where(_EVENTS.c.kind.in_(OPINIONS))
    if before < math.inf:
        undone, query = undone.where(undo.c.time < before), query.where(_EVENTS.c.time < before)
    return query.where(~undone)


def _event(row: sa.Row[Any]) -> Event:
    values = row._asdict()
    return Event(**values | {"kind": Kind(values["kind"])})


def _stored(connection: sa.Connection, keys: Sequence[str]) -> dict[str, Event]:
    """The events of some keys."""
    found = connection.execute(sa.select(*_OF_EVENT).where(_EVENTS.c.key.in_(keys)))
    return {event.key: event for event in map(_event, found)}


def _add_list(connection: sa.Connection, shown: ShownList) -> None:
    given = asdict(shown) | {"request": json.loads(json.dumps(dict(shown.request)))}  # as it will be read
    stored = connection.execute(sa.select(*_LISTS.c).where(_LISTS.c.list_id == shown.list_id)).one_or_none()
    if stored is None:
        connection.execute(sa.insert(_LISTS), given)
    elif stored._asdict() | {"time": shown.time} != given:
        raise KeyTaken(f"There is another list {shown.list_id} already.")


def _add_events(connection: sa.Connection, events: Sequence[Event]) -> list[bool]:
    """Whether each was new."""
    stored = _stored(connection, [event.key for event in events])
    new: dict[str, Event] = {}
    added = []
    for event in events:
        earlier = stored.get(event.key) or new.get(event.key)
        if earlier is not None and earlier != replace(event, time=earlier.time):
            raise KeyTaken(f"There is another event {event.key} already.")
        new |= {} if earlier else {event.key: event}
        added.append(earlier is None)
    if new:
        _check_lists(connection, new)
        connection.execute(sa.insert(_EVENTS), [vars(event) for event in new.values()])
        _check_undone(connection, [event for event in new.values() if event.kind is Kind.UNDO])
    return added


def _check_lists(connection: sa.Connection, events: Mapping[str, Event]) -> None:
    """Hold events to the lists that their users were shown."""
    named = {(event.list_id, event.user_id) for event in events.values() if event.list_id is not None}
    query = sa.select(_LISTS.c.list_id, _LISTS.c.user_id).where(_LISTS.c.list_id.in_([name for name, _ in named]))
    if unknown := named - {(row.list_id, row.user_id) for row in connection.execute(query)}:
        raise UserError("Nobody was shown a list {}: user {} cannot have come by it.".format(*min(unknown)))


def _check_undone(connection: sa.Connection, undos: Sequence[Event]) -> None:
    """Hold undos to what the same user can take back."""
    targets = _stored(connection, [undo.undoes for undo in undos if undo.undoes])
    for undo in undos:
        target = targets.get(str(undo.undoes))
        if target is None:
            raise UserError(f"There is no event {undo.undoes} to undo.")
        if target.user_id != undo.user_id:
            raise UserError(f"Event {undo.undoes} is somebody else's: only one's own can be undone.")
        if target.kind not in OPINIONS:
            raise UserError(f"Event {undo.undoes} is of the kind {target.kind}, which cannot be undone.")
