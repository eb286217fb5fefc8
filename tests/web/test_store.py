"""The feedback store in every supported database."""

import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count, product
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from recsys.data.address import Address
from recsys.errors import UserError
from recsys.web import store as store_module
from recsys.web.database import create_engine
from recsys.web.events import Event, Kind, Opinions, ShownList
from recsys.web.schema import REQUESTS, TABLES, VERSION_TABLE
from recsys.web.store import KeyConflictError, Store, StoreError
from tests.servers import PASSWORD

LIMIT = 300  # seconds; a busy machine takes as long as it takes
SHOWN = ShownList("list-1", "ann", 10.0, "outputs/a", 2, {"genres": ("Drama",), "surprise": 0.25})


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def address(request, tmp_path) -> Iterator[Address]:
    """Address of a store that does not exist yet, in each database in turn."""
    if request.param == "sqlite":
        yield Address.parse(f"{tmp_path}/feedback.sqlite")
        return
    address = Address.parse(request.getfixturevalue(request.param))
    yield address
    engine = create_engine(address)
    with engine.begin() as connection:
        for name in ("events", "lists", "request_counts", VERSION_TABLE):
            connection.execute(sa.text(f"DROP TABLE IF EXISTS {name}"))
    engine.dispose()


@pytest.fixture
def store(address) -> Iterator[Store]:
    store = Store.open(address)
    yield store
    store.close()


@pytest.fixture
def event() -> Callable[..., Event]:
    """Create an event of ann, a second after the previous one."""
    numbers = count(1)

    def event(kind: Kind, movie_id: str | None = None, value: float | None = None, **further) -> Event:
        number = next(numbers)
        return Event(**{"key": f"key-{number}", "user_id": "ann", "kind": kind, "time": 100.0 + number, **further,
                        "movie_id": movie_id, "value": value})  # fmt: skip

    return event


def impressions() -> list[Event]:
    shown = {"user_id": "ann", "kind": Kind.IMPRESSION, "time": 10.0, "run": "outputs/a", "list_id": "list-1"}
    return [
        Event("shown-1", movie_id="7", position=1, propensity=1.0, **shown),
        Event("shown-2", movie_id="8", position=2, propensity=2 / 38, **shown),
    ]


def test_an_event_is_read_back_unchanged_and_stored_once(store):
    assert store.add(impressions(), SHOWN) == [True, True]
    assert store.event("shown-2") == impressions()[1]
    assert store.event("Shown-2") is None
    again = [replace(event, time=11.0) for event in impressions()]  # a repeated request gets a new time
    assert store.add([*again, *again[:1]], SHOWN) == [False, False, False]
    assert store.counts() == {kind: 2 * (kind == "impression") for kind in Kind}


def test_a_key_with_other_content_is_refused_with_the_whole_transaction(store, event):
    store.add(impressions(), SHOWN)
    with pytest.raises(KeyConflictError, match="Another event shown-1 already exists"):
        store.add([event(Kind.CLICK, "7"), replace(impressions()[0], movie_id="9")])
    with pytest.raises(KeyConflictError, match="Another list list-1 already exists"):
        store.add([event(Kind.CLICK, "7")], replace(SHOWN, k=3))
    assert store.counts()["click"] == 0


def test_the_latest_rating_that_is_not_undone_counts(store, event):
    first, second = event(Kind.RATING, "7", 2.0), event(Kind.RATING, "7", 4.5)
    store.add([first, second, event(Kind.RATING, "8", 1.0)])
    assert store.opinions("ann") == Opinions({"7": 4.5, "8": 1.0})
    undo = event(Kind.UNDO, undoes=second.key)
    store.add([undo])
    assert store.opinions("ann") == Opinions({"7": 2.0, "8": 1.0})
    assert store.opinions("ann", before=undo.time) == Opinions({"7": 4.5, "8": 1.0})
    assert store.opinions("ann", before=second.time) == Opinions({"7": 2.0})
    assert store.ratings().to_dict("list") == {
        "user_id": ["ann", "ann"], "movie_id": ["7", "8"], "rating": [2.0, 1.0], "time": [101, 103],
    }  # fmt: skip


def test_the_rating_that_arrived_last_counts_when_a_clock_was_set_back(store, event):
    store.add([event(Kind.RATING, "7", 2.0, time=500.0), event(Kind.SEEN, "8", time=500.0)])
    store.add([event(Kind.RATING, "7", 5.0, time=100.0)])
    assert store.opinions("ann").ratings == {"7": 5.0}
    assert [shown.value for shown in store.recent("ann", 5)] == [5.0, None, 2.0]
    assert store.ratings()["rating"].tolist() == [5.0]


def test_ratings_are_oldest_first_by_the_rating_that_counts(store, event):
    store.add([event(Kind.RATING, "7", 2.0), event(Kind.RATING, "8", 3.0), event(Kind.RATING, "7", 4.0)])
    assert list(store.opinions("ann").ratings) == list(store.ratings()["movie_id"]) == ["8", "7"]


def test_marked_films_stay_marked_until_rated_or_undone(store, event):
    seen, bored = event(Kind.SEEN, "7"), event(Kind.NOT_INTERESTED, "8")
    store.add([seen, bored, event(Kind.CLICK, "9")])
    assert store.opinions("ann") == Opinions({}, {"7": Kind.SEEN, "8": Kind.NOT_INTERESTED})
    store.add([event(Kind.RATING, "8", 4.0), event(Kind.UNDO, undoes=seen.key)])
    assert store.opinions("ann") == Opinions({"8": 4.0})


def test_the_latest_mark_of_a_film_counts_and_rated_films_can_be_watched_later(store, event):
    store.add([event(Kind.WATCH_LATER, "7"), event(Kind.NOT_INTERESTED, "8"), event(Kind.RATING, "9", 4.0)])
    later = event(Kind.WATCH_LATER, "9")
    store.add([event(Kind.WATCH_LATER, "8"), event(Kind.SEEN, "7"), later])
    marks = {"8": Kind.WATCH_LATER, "7": Kind.SEEN, "9": Kind.WATCH_LATER}
    assert store.opinions("ann") == Opinions({"9": 4.0}, marks)
    assert list(store.opinions("ann").marks) == list(marks)  # the oldest first
    store.add([event(Kind.SEEN, "9")])
    assert "9" not in store.opinions("ann").marks  # its stars say that it was seen
    assert store.ratings()["movie_id"].tolist() == ["9"]


def test_undoable_events_are_listed_latest_first(store, event):
    events = [
        event(Kind.RATING, "7", 2.0),
        event(Kind.CLICK, "7"),
        event(Kind.SEEN, "8"),
        event(Kind.NOT_INTERESTED, "9"),
    ]
    store.add([*events, event(Kind.UNDO, undoes=events[3].key), event(Kind.RATING, "7", 3.0, user_id="bob")])
    assert store.recent("ann", 5) == [events[2], events[0]]
    assert store.recent("ann", 1) == [events[2]]
    assert store.recent("ann", movie_id="7") == [events[0]]


def test_only_the_latest_opinions_of_a_kind_count(store, event, monkeypatch):
    monkeypatch.setattr("recsys.web.store.MAX_OPINIONS", 2)
    store.add([event(Kind.RATING, str(film), 4.0) for film in range(4)])
    store.add([event(Kind.SEEN, str(film)) for film in range(4, 7)])
    assert store.opinions("ann") == Opinions({"2": 4.0, "3": 4.0}, {"5": Kind.SEEN, "6": Kind.SEEN})
    assert store.opinions("ann", before=103.0) == Opinions({"0": 4.0, "1": 4.0})  # as it was then
    store.add([event(Kind.UNDO, undoes="key-4")])
    assert store.opinions("ann").ratings == {"2": 4.0}


def test_a_list_reads_no_more_of_a_user_with_50000_events_than_of_one_with_6000(tmp_path):
    store = Store.open(Address.parse(f"{tmp_path}/feedback.sqlite"))
    many_events = """
        INSERT INTO events (key, user_id, kind, time, movie_id, value)
        WITH RECURSIVE numbers (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM numbers WHERE i + 1 < :n)
        SELECT :user || i, :user, CASE i % 3 WHEN 0 THEN 'rating' WHEN 1 THEN 'seen' ELSE 'not_interested' END,
            i, i, 4.0 FROM numbers"""
    with store.engine.begin() as connection:
        for user, n in (("few", 6000), ("many", 50_000)):
            connection.execute(sa.text(many_events), {"user": user, "n": n})
    steps = {}
    for user in ("few", "many"):
        counted = count()
        with store.engine.connect() as connection:
            connection.connection.driver_connection.set_progress_handler(lambda counted=counted: next(counted) < 0, 100)
        opinions = store.opinions(user)
        assert (len(opinions.ratings), len(opinions.marks)) == (2000, 4000)
        store.recent(user, 10)
        steps[user] = next(counted)
    store.close()
    assert 0 < steps["many"] < 1.1 * steps["few"]


def test_only_one_s_own_opinions_are_undone(store, event):
    rating, click = event(Kind.RATING, "7", 2.0), event(Kind.CLICK, "7")
    undo = event(Kind.UNDO, undoes=rating.key)
    store.add([rating, click, undo])
    for refused, message in [
        (event(Kind.UNDO, undoes=undo.key), f"Event {undo.key} is of the kind undo, which cannot be undone."),
        (event(Kind.UNDO, undoes=click.key), f"Event {click.key} is of the kind click, which cannot be undone."),
        (event(Kind.UNDO, undoes="none"), "There is no event none to undo."),
        (event(Kind.UNDO, undoes=rating.key, user_id="bob"), f"Event {rating.key} is of another user"),
        (event(Kind.UNDO), "An event of the kind undo must have undoes."),
        (event(Kind.CLICK, "7", undoes=rating.key), "An event of the kind click must not have undoes"),
    ]:
        with pytest.raises(UserError, match=message):
            store.add([refused])
    assert sum(store.counts().values()) == 3


def test_users_films_and_keys_differ_by_case_and_accents(store, event):
    names = ["ann", "Ann", "\u00e4nn", "a\u0308nn"]
    store.add([event(Kind.RATING, name, 3.0, key=name, user_id=name) for name in names])
    assert sorted(store.ratings()["user_id"]) == sorted(names)
    assert [store.opinions(name).ratings for name in names] == [{name: 3.0} for name in names]


def test_names_that_some_database_would_alter_are_refused(store, event):
    asks = (
        lambda name: store.add([event(Kind.SEEN, name)]),
        lambda name: store.opinions(name),
        lambda name: store.recent(name, 1),
    )
    for name, ask in product(["", "a\0", "\ud800", " ann", "x" * 256, "a\nb"], asks):
        with pytest.raises(UserError, match="A name must have 1 to 255 printable characters"):
            ask(name)


def test_ratings_without_a_film_or_finite_stars_are_refused(store, event):
    for incomplete in (event(Kind.RATING, "7"), event(Kind.RATING, value=3.0), event(Kind.RATING, "7", math.nan)):
        with pytest.raises(UserError, match=r"must have value|must have movie_id|must be finite"):
            store.add([incomplete])


def test_impressions_have_their_outcomes(store, event):
    store.add(impressions(), SHOWN)
    with pytest.raises(UserError, match="got list list-1 of user bob"):
        store.add([event(Kind.CLICK, "7", user_id="bob", list_id="list-1")])
    undone = event(Kind.RATING, "7", 1.0, list_id="list-1")
    clicks = [event(Kind.CLICK, "8", list_id="list-1") for _ in range(2)]
    elsewhere = [event(Kind.CLICK, "7"), event(Kind.RATING, "7", 5.0)]
    stars = event(Kind.RATING, "8", 4.0, list_id="list-1")
    store.add([*clicks, undone, stars, *elsewhere, event(Kind.UNDO, undoes=undone.key)])
    shown = store.impressions()
    assert shown["movie_id"].tolist() == ["7", "8"]
    assert shown["propensity"].tolist() == [1.0, 2 / 38]
    assert shown["clicked"].tolist() == [False, True]
    assert shown["stars"].fillna(0).tolist() == [0, 4]
    assert shown.loc[0, ["list_id", "user_id", "run", "time", "k", "position"]].tolist() == [
        "list-1", "ann", "outputs/a", 10.0, 2, 1,
    ]  # fmt: skip
    assert shown["request"][0] == {"genres": ["Drama"], "surprise": 0.25}


def test_an_empty_store_has_empty_tables(store):
    assert store.add([]) == []
    assert store.ratings().empty
    assert store.impressions().empty
    assert store.opinions("ann") == Opinions()


def test_of_simultaneous_writers_of_one_event_exactly_one_stores_it(store, event):
    events = [event(Kind.RATING, str(film), 3.0) for film in range(8)]
    together = threading.Barrier(4, timeout=LIMIT)

    def send(_: int) -> list[bool]:
        found = []
        for event in events:
            together.wait()
            found += store.add([event])
        return found

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(send, range(4)))
    assert [sum(new) for new in zip(*found, strict=True)] == [1] * 8
    assert store.counts()["rating"] == 8


def test_a_store_that_many_open_at_the_same_time_is_created_once(address):
    with ThreadPoolExecutor(6) as threads:
        stores = list(threads.map(lambda _: Store.open(address), range(6)))
    assert stores[0].add(impressions(), SHOWN) == [True, True]
    assert stores[5].counts()["impression"] == 2
    for store in stores:
        store.close()


def test_migrations_create_the_tables_of_the_schema(store):
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, TABLES) == []


def test_servers_of_one_store_count_each_other_s_requests_once(store, monkeypatch):
    seconds = 1000.0
    monkeypatch.setattr(store_module.time, "time", lambda: seconds)
    assert store.exchange_requests("a", {"ann": 3, "bob": 1}, 0) == ([], 0)
    found, last = store.exchange_requests("b", {"ann": 5}, 0)
    assert found == [("ann", 3), ("bob", 1)]
    assert store.exchange_requests("b", {}, last) == ([], last)
    assert store.exchange_requests("a", {}, 0)[0] == [("ann", 5)]
    seconds += store_module.REQUEST_SECONDS
    assert store.exchange_requests("c", {"cid": 1}, 0)[0] == []
    with store.engine.connect() as connection:
        assert connection.execute(sa.select(REQUESTS.c.client)).scalars().all() == ["cid"]
    assert [name for name, _ in store.exchange_requests("b", {}, last)[0]] == ["cid"]


def test_a_store_of_the_first_version_keeps_its_events(address, monkeypatch):
    upgrade = command.upgrade
    monkeypatch.setattr(command, "upgrade", lambda config, _: upgrade(config, "0001"))
    old = Store.open(address)
    with old.engine.begin() as connection:
        assert "lists" not in sa.inspect(connection).get_table_names()
        first = {"key": "old", "user_id": "ann", "kind": "rating", "time": 1.5, "movie_id": "7", "value": 4.5}
        connection.execute(sa.insert(sa.table("events", *map(sa.column, first))), first)
    old.close()
    monkeypatch.undo()
    store = Store.open(address)
    assert store.event("old") == Event("old", "ann", Kind.RATING, 1.5, "7", 4.5)
    assert store.add(impressions(), SHOWN) == [True, True]
    store.close()


def test_a_store_of_a_later_version_is_refused(store):
    with store.engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '0099'"))
    with pytest.raises(UserError, match=r"was created by a later version of recsys \(schema 0099\): update recsys"):
        Store.open(store.address)


def test_unreachable_addresses_are_refused_without_the_password(tmp_path):
    password = quote(PASSWORD, safe="")
    for address in (
        f"{tmp_path}/no/feedback.sqlite",
        f"postgresql://ann:{password}@127.0.0.1:9/films",
        f"mysql://ann:{password}@127.0.0.1:9/films",
    ):
        with pytest.raises(StoreError, match="failed: ") as error:
            Store.open(Address.parse(address))
        assert PASSWORD not in str(error.value)
        assert password not in str(error.value)
    (tmp_path / "text.sqlite").write_text("no database at all" * 100)
    with pytest.raises(StoreError, match="file is not a database"):
        Store.open(Address.parse(f"{tmp_path}/text.sqlite"))
    with pytest.raises(UserError, match="allows only one writer at a time"):
        Store.open(Address.parse("feedback.duckdb"))
    with pytest.raises(UserError, match="does not exist"):
        Store.open(Address.parse(f"{tmp_path}/none.sqlite"), make=False)
    assert not (tmp_path / "none.sqlite").exists()


SENDER = """
import itertools
import sys
from recsys.data.address import Address
from recsys.web.events import Event, Kind
from recsys.web.store import Store

store = Store.open(Address.parse(sys.argv[1]))
for number in itertools.count():
    store.add([Event(f"key-{number}", "ann", Kind.RATING, float(number), str(number), 3.0)])
    print(f"key-{number}", flush=True)
"""


def test_a_killed_process_loses_no_acknowledged_event_and_repeats_none(tmp_path):
    address = Address.parse(f"{tmp_path}/feedback.sqlite")
    sender = subprocess.Popen([sys.executable, "-c", SENDER, address.url], stdout=subprocess.PIPE, text=True)
    assert sender.stdout is not None
    acknowledged = [next(sender.stdout).strip() for _ in range(50)]
    os.kill(sender.pid, signal.SIGKILL)
    acknowledged += sender.stdout.read().split()
    assert sender.wait() == -signal.SIGKILL
    sender.stdout.close()
    store = Store.open(address)
    stored = store.counts()["rating"]
    assert 50 <= len(acknowledged) <= stored <= len(acknowledged) + 1  # one may be stored but not yet acknowledged
    assert all(store.event(key) for key in acknowledged)
    events = [
        Event(f"key-{number}", "ann", Kind.RATING, float(number), str(number), 3.0) for number in range(stored + 100)
    ]
    new = store.add(events)
    assert not any(new[:stored])
    assert all(new[stored:])
    assert len(store.ratings()) == stored + 100
    store.close()


def test_a_database_that_can_be_read_but_not_written_to_is_reported(store):
    store.check()
    assert store.data() is None  # what a check writes is not there afterwards
    with store.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE lists RENAME COLUMN k TO length"))
    with pytest.raises(StoreError, match="failed"):
        store.check()
