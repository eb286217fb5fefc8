"""The feedback store: viewers' events in SQLite, PostgreSQL, MySQL or MariaDB.

The store has two append-only tables, `events` and `lists`; a list is stored with the request that it answers. A third
table, `request_counts`, has the request counts of the last minute, which the servers of one store exchange.

A viewer's opinions follow from their events. Of several ratings or marks of a film, the latest counts, and an event
that was undone does not count. The latest event is the one that arrived last, since clocks can be set back. Every event
has a unique key, so an event that is sent twice is stored once. When `add` returns, its events are on disk.

Opening a store brings its schema up to date; see `migrations/`.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from secrets import token_hex
from typing import Any

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, SQLAlchemyError, StatementError

from recsys.data.address import Address
from recsys.errors import UserError
from recsys.web.database import create_engine, migrate
from recsys.web.events import MARKS, Event, Kind, Opinions, ShownList
from recsys.web.schema import EVENTS, LISTS, REQUESTS

OPINIONS = (Kind.RATING, *MARKS)  # kinds that can be undone
MAX_OPINIONS = 2000  # latest events of each kind that count for a user
EVERYTHING = 10**9  # more events than any user has
REQUEST_SECONDS = 60.0  # after which request counts are deleted, since rate limits are for a minute
_CHUNK = 1000  # keys in one statement


class KeyConflictError(UserError):
    """The key of an event or list already belongs to a different event or list."""


class StoreError(UserError):
    """The database of the feedback store cannot be reached, or it failed."""


_EVENT_COLUMNS = [EVENTS.c[field.name] for field in fields(Event)]
_ARRIVAL = EVENTS.c.number
_USER = sa.bindparam("user", type_=EVENTS.c.user_id.type)
_BEFORE = sa.bindparam("before", sys.float_info.max, type_=EVENTS.c.time.type)
_AT_MOST = sa.bindparam("at_most", type_=sa.Integer)
_SPACE_NEEDED = 2**24  # bytes that must be free on the disk of an SQLite file


def _select_opinions() -> sa.Select[Any]:
    """Build the query for ratings and marks that were given before a point in time and had not been undone by then."""
    undo = EVENTS.alias()
    undone = sa.exists().where(undo.c.undoes == EVENTS.c.key, undo.c.time < _BEFORE)
    return sa.select(*_EVENT_COLUMNS).where(EVENTS.c.kind.in_(OPINIONS), EVENTS.c.time < _BEFORE, ~undone)


def _select_latest_opinions() -> sa.Select[Any]:
    """Build the query for a user's latest ratings and marks before a point in time, without those undone by then."""
    latest = []
    for kind in OPINIONS:
        of_kind = sa.select(_ARRIVAL).where(EVENTS.c.user_id == _USER, EVENTS.c.kind == kind, EVENTS.c.time < _BEFORE)
        newest = of_kind.order_by(_ARRIVAL.desc()).limit(_AT_MOST).subquery()
        latest.append(sa.select(newest.c.number))
    numbers = sa.union_all(*latest).subquery()
    return _select_opinions().join(numbers, numbers.c.number == _ARRIVAL)


# Built once, since building a statement takes longer than executing it in SQLite.
_LATEST_OPINIONS = _select_latest_opinions().order_by(_ARRIVAL)
_RECENT = _select_latest_opinions().order_by(_ARRIVAL.desc()).limit(sa.bindparam("k", type_=sa.Integer))


class Store:
    """Viewers' feedback in a database; safe to use from many threads and processes. Create a store with `open`.

    Every method raises StoreError if the database fails, and UserError for values that cannot be stored.
    """

    def __init__(self, address: Address, engine: sa.Engine) -> None:
        self.address = address
        self.engine = engine
        self._writing = engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")

    @classmethod
    def open(cls, address: Address, *, make: bool = True) -> Store:
        """Open a store, and bring its schema up to date.

        Args:
            address: address of an SQLite file, or of a PostgreSQL or MySQL database.
            make: whether to create the SQLite file if it does not exist.

        Raises:
            UserError: the database cannot be reached or does not exist, has a later schema, or is of an unsupported
                kind.
        """
        if address.kind == "duckdb":
            raise UserError(
                f"The feedback store must be an SQLite file (.sqlite), PostgreSQL or MySQL (got {address}, "
                "which allows only one writer at a time)."
            )
        if address.is_file and not make and not Path(address.url).is_file():
            raise UserError(f"{address} does not exist: serve a run and give feedback first, or name another store.")
        store = cls(address, create_engine(address))
        with store._translated_errors():
            migrate(store._writing, address)
        return store

    @property
    def is_shared(self) -> bool:
        """Return whether servers on other machines may use the same store: True unless the store is an SQLite file."""
        return not self.address.is_file

    def close(self) -> None:
        """Close all connections to the database."""
        self.engine.dispose()

    def add(self, events: Sequence[Event], shown: ShownList | None = None) -> list[bool]:
        """Store events and, if they include the impressions of a list, the list itself, in one transaction.

        An event that is stored already is skipped, even if its time differs.

        Args:
            events: the events.
            shown: the list that the impressions among the events belong to, or None.

        Returns:
            For each event, whether it was new.

        Raises:
            KeyConflictError: a key belongs to another event or list.
            UserError: an event lacks a field that its kind needs or has one that it must not have, names a list that
                its user was not shown, or undoes an event that does not exist or cannot be undone.
        """
        for event in events:
            _check(event)
        with self._translated_errors():
            try:
                return self._add(events, shown)
            except IntegrityError:  # another writer has just stored one of the keys, which is visible by now
                return self._add(events, shown)

    def event(self, key: str) -> Event | None:
        """Return the event that has the given key, or None if there is no such event."""
        with self._translated_errors(), self.engine.connect() as connection:
            return _stored(connection, [key]).get(key)

    def opinions(self, user_id: str, before: float = math.inf) -> Opinions:
        """Return a viewer's opinions, by default the current ones.

        A rating replaces an earlier mark of the same film. Of the marks that follow a rating, only `WATCH_LATER`
        counts. Of each kind of event, only the latest `MAX_OPINIONS` count, which limits the time to build a list.

        Args:
            user_id: id of the viewer.
            before: Unix time in seconds; only earlier events count.
        """
        ratings: dict[str, float] = {}
        marks: dict[str, Kind] = {}
        values = {"user": user_id, "before": min(before, sys.float_info.max), "at_most": MAX_OPINIONS}
        with self._translated_errors(), self.engine.connect() as connection:
            for row in connection.execute(_LATEST_OPINIONS, values):
                marks.pop(row.movie_id, None)  # the latest rating or mark also determines the order
                if row.kind == Kind.RATING:
                    ratings.pop(row.movie_id, None)
                    ratings[row.movie_id] = row.value
                elif row.kind == Kind.WATCH_LATER or row.movie_id not in ratings:
                    marks[row.movie_id] = Kind(row.kind)
        return Opinions(ratings, marks)

    def recent(self, user_id: str, k: int = MAX_OPINIONS, movie_id: str | None = None) -> list[Event]:
        """Return a viewer's events that can be undone (ratings and marks) and were not undone, latest first.

        Args:
            user_id: id of the viewer.
            k: maximum number of events; only the latest `MAX_OPINIONS` events of each kind count as opinions.
            movie_id: only events about this film are returned; None for all films.
        """
        query = _RECENT if movie_id is None else _RECENT.where(EVENTS.c.movie_id == movie_id)
        values = {"user": user_id, "at_most": max(k, MAX_OPINIONS), "k": k}
        with self._translated_errors(), self.engine.connect() as connection:
            return [_event(row) for row in connection.execute(query, values)]

    def ratings(self) -> pd.DataFrame:
        """Return each viewer's latest rating of each film, oldest first, without ratings that were undone.

        Returns:
            A frame with the columns `user_id`, `movie_id`, `rating` (stars) and `time` (int64, Unix time in seconds).
        """
        found = self._ratings().drop_duplicates(["user_id", "movie_id"], keep="last").sort_values("time", kind="stable")
        found = found.rename(columns={"value": "rating"}).astype({"rating": float, "time": "int64"})
        return found[["user_id", "movie_id", "rating", "time"]].reset_index(drop=True)

    def impressions(self) -> pd.DataFrame:
        """Return every impression (a film shown in a list) with the viewer's reaction, ordered by time and position.

        Returns:
            A frame with a row for each impression. Columns of the list: `list_id`, `user_id`, `run`, `time`, `k` and
            `request`. Columns of the film: `position`, `movie_id`, `propensity`, `clicked` (bool) and `stars`, the
            latest rating that was given from that list, or NaN.
        """
        keys = ["list_id", "movie_id"]
        shown = self._frame(
            sa.select(*LISTS.c, EVENTS.c.position, EVENTS.c.movie_id, EVENTS.c.propensity)
            .join_from(EVENTS, LISTS)
            .where(EVENTS.c.kind == Kind.IMPRESSION)
            .order_by(LISTS.c.time, LISTS.c.list_id, EVENTS.c.position)
        )
        clicks = self._frame(sa.select(*(EVENTS.c[name] for name in keys)).where(EVENTS.c.kind == Kind.CLICK))
        clicked = clicks.drop_duplicates().assign(clicked=True)
        rated = self._ratings().drop_duplicates(keys, keep="last").rename(columns={"value": "stars"})
        found = shown.merge(clicked, "left", keys).merge(rated[[*keys, "stars"]], "left", keys)
        return found.assign(clicked=found["clicked"].eq(True)).astype({"propensity": float, "stars": float})

    def data(self) -> str | None:
        """Return the name of the data set from which the latest list was made, or None if the store has no list."""
        query = sa.select(LISTS.c.request).order_by(LISTS.c.time.desc()).limit(1)
        with self._translated_errors(), self.engine.connect() as connection:
            request = connection.execute(query).scalar()
        return None if request is None else request.get("data")

    def check(self) -> None:
        """Check that the database can be written to: it responds, is not locked, and its disk is not full.

        For this, a list is written and rolled back. SQLite needs disk space only at the commit, so the free space on
        the disk of an SQLite file is checked separately.
        """
        shown = ShownList(token_hex(16), "check", 0.0, "check", 0, {})
        with self._translated_errors(), self._writing.connect() as connection:
            _add_list(connection, shown)
            connection.rollback()
        if self.address.is_file and (free := shutil.disk_usage(Path(self.address.url).parent).free) < _SPACE_NEEDED:
            raise StoreError(f"The disk of the feedback store {self.address} is full ({free:,} bytes are free).")

    def exchange_requests(
        self, server: str, counts: Mapping[str, int], after: int
    ) -> tuple[list[tuple[str, int]], int]:
        """Add the request counts of one server to the store, and return those that other servers have added.

        Args:
            server: name of the server that calls.
            counts: number of new requests of each client.
            after: number of the last row that this server has read; 0 at the first call.

        Returns:
            The counts that other servers have added after that row, as (client, number of requests), and the number of
            the last row read, for the next call. Counts older than `REQUEST_SECONDS` are left out; the next server that
            adds counts deletes them.
        """
        now = time.time()
        is_new = sa.and_(REQUESTS.c.number > after, REQUESTS.c.time > now - REQUEST_SECONDS)
        query = sa.select(REQUESTS).where(is_new, REQUESTS.c.server != server).order_by(REQUESTS.c.number)
        with self._translated_errors(), (self._writing if counts else self.engine).begin() as connection:
            if counts:
                rows = [{"server": server, "client": name, "requests": n, "time": now} for name, n in counts.items()]
                connection.execute(sa.delete(REQUESTS).where(REQUESTS.c.time <= now - REQUEST_SECONDS))
                connection.execute(sa.insert(REQUESTS), rows)
            found = connection.execute(query).all()
        return [(row.client, row.requests) for row in found], found[-1].number if found else after

    def counts(self) -> dict[str, int]:
        """Return the number of stored events of each kind, including undone ones."""
        query = sa.select(EVENTS.c.kind, sa.func.count().label("n")).group_by(EVENTS.c.kind)
        with self._translated_errors(), self.engine.connect() as connection:
            found = {row.kind: row.n for row in connection.execute(query)}
        return {str(kind): found.get(kind, 0) for kind in Kind}

    def _ratings(self) -> pd.DataFrame:
        """Return all ratings that are not undone, oldest first."""
        return self._frame(_select_opinions().where(EVENTS.c.kind == Kind.RATING).order_by(_ARRIVAL))

    def _frame(self, query: sa.Select[Any]) -> pd.DataFrame:
        with self._translated_errors(), self.engine.connect() as connection:
            found = connection.execute(query)
            return pd.DataFrame(found.fetchall(), columns=list(found.keys()))

    def _add(self, events: Sequence[Event], shown: ShownList | None) -> list[bool]:
        added: list[bool] = []
        with self._writing.begin() as connection:
            if shown is not None:
                _add_list(connection, shown)
            for start in range(0, len(events), _CHUNK):
                added += _add_events(connection, events[start : start + _CHUNK])
        return added

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Replace an error of the database by a StoreError, whose message is one sentence without secrets."""
        try:
            yield
        except SQLAlchemyError as error:
            cause = error.orig if isinstance(error, StatementError) and isinstance(error.orig, Exception) else error
            if isinstance(cause, UserError):
                raise cause from None
            message = self.address.without_secrets(cause)
            raise StoreError(f"The feedback store {self.address} failed: {message}") from None


def _check(event: Event) -> None:
    """Check that an event has the fields of its kind.

    Raises:
        UserError: a field is missing, or `undoes` is given for a kind other than undo.
    """
    needed = {Kind.UNDO: ("undoes",), Kind.RATING: ("movie_id", "value")}.get(event.kind, ("movie_id",))
    if missing := [name for name in needed if getattr(event, name) is None]:
        raise UserError(f"An event of the kind {event.kind} must have {' and '.join(missing)}.")
    if event.kind is not Kind.UNDO and event.undoes is not None:
        raise UserError(f"An event of the kind {event.kind} must not have undoes: only an undo has it.")


def _event(row: sa.Row[Any]) -> Event:
    values = row._asdict()
    return Event(**values | {"kind": Kind(values["kind"])})


def _stored(connection: sa.Connection, keys: Sequence[str]) -> dict[str, Event]:
    """Return the stored events that have the given keys, as a mapping from key to event."""
    found = connection.execute(sa.select(*_EVENT_COLUMNS).where(EVENTS.c.key.in_(keys)))
    return {event.key: event for event in map(_event, found)}


def _add_list(connection: sa.Connection, shown: ShownList) -> None:
    given = asdict(shown) | {"request": json.loads(json.dumps(dict(shown.request)))}  # as it is read back
    stored = connection.execute(sa.select(*LISTS.c).where(LISTS.c.list_id == shown.list_id)).one_or_none()
    if stored is None:
        connection.execute(sa.insert(LISTS), given)
    elif stored._asdict() | {"time": shown.time} != given:
        raise KeyConflictError(f"Another list {shown.list_id} already exists: list ids must be unique.")


def _add_events(connection: sa.Connection, events: Sequence[Event]) -> list[bool]:
    """Insert the events that are not stored yet, and return for each event whether it was new."""
    stored = _stored(connection, [event.key for event in events])
    new: dict[str, Event] = {}
    added = []
    for event in events:
        earlier = stored.get(event.key) or new.get(event.key)
        if earlier is not None and earlier != replace(event, time=earlier.time):
            raise KeyConflictError(f"Another event {event.key} already exists: keys must be unique.")
        new |= {} if earlier else {event.key: event}
        added.append(earlier is None)
    if new:
        _check_lists(connection, new)
        connection.execute(sa.insert(EVENTS), [vars(event) for event in new.values()])
        _check_undone(connection, [event for event in new.values() if event.kind is Kind.UNDO])
    return added


def _check_lists(connection: sa.Connection, events: Mapping[str, Event]) -> None:
    """Check that each event that names a list comes from the user who was shown that list."""
    named = {(event.list_id, event.user_id) for event in events.values() if event.list_id is not None}
    query = sa.select(LISTS.c.list_id, LISTS.c.user_id).where(LISTS.c.list_id.in_([name for name, _ in named]))
    if unknown := named - {(row.list_id, row.user_id) for row in connection.execute(query)}:
        raise UserError(
            "list_id must name a list that the user was shown (got list {} of user {}).".format(*min(unknown))
        )


def _check_undone(connection: sa.Connection, undos: Sequence[Event]) -> None:
    """Check that every undo refers to an event of the same user, of a kind that can be undone."""
    targets = _stored(connection, [undo.undoes for undo in undos if undo.undoes])
    for undo in undos:
        target = targets.get(str(undo.undoes))
        if target is None:
            raise UserError(f"There is no event {undo.undoes} to undo.")
        if target.user_id != undo.user_id:
            raise UserError(f"Event {undo.undoes} is of another user: only its own user can undo it.")
        if target.kind not in OPINIONS:
            raise UserError(f"Event {undo.undoes} is of the kind {target.kind}, which cannot be undone.")
