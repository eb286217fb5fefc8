"""Databases as sources and targets: PostgreSQL, MariaDB, SQLite and DuckDB."""

import importlib.util
import re

import duckdb
import numpy as np
import pandas as pd
import pytest

from recsys.data.address import Address
from recsys.data.attach import attached
from recsys.data.databases import Database, _select
from recsys.data.quoting import literal
from recsys.data.sources import Files, MovieLens
from recsys.data.tables import clean_tables, write_tables
from recsys.errors import UserError
from tests.servers import PASSWORD, verified_connect

VARIABLE = "RECSYS_DATABASE_URL"
VOTES = "CREATE TABLE votes (who VARCHAR, film BIGINT, stars DOUBLE, moment TIMESTAMP)"
VOTED = (
    "INSERT INTO votes VALUES ('bob', 7, 4.5, '1999-01-01'), ('amy', 7, 3, '1999-01-02'), ('amy', 8, 0.5, '1999-01-02')"
)
COLUMNS = {"user_id": "who", "movie_id": "film", "rating": "stars", "time": "moment"}


@pytest.fixture
def votes(server, fill, monkeypatch) -> str:
    """Three ratings in a table with other names, on each server; returns the address, as does the environment."""
    fill(server, VOTES, VOTED)
    monkeypatch.setenv(VARIABLE, server)
    return server


def test_extensions_of_the_packages_are_those_that_duckdb_has_signed(server, monkeypatch):
    monkeypatch.setattr(duckdb, "connect", verified_connect)
    with attached(Address.parse(server), "source", read_only=True) as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]


def same(one, other) -> bool:
    """Whether two data sets have the same contents."""
    arrays = ("users", "items", "ratings", "times", "parts", "part_names")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays) and all(
        frame.equals(getattr(other, name))
        for name, frame in (("user_frame", one.user_frame), ("item_frame", one.item_frame))
    )


def test_a_table_gives_the_same_data_as_a_file_of_its_rows(votes, prepared, write):
    rows = "who,film,stars,moment\nbob,7,4.5,1999-01-01\namy,7,3,1999-01-02\namy,8,0.5,1999-01-02\n"
    file = write({"votes.csv": rows}) / "votes.csv"
    assert same(prepared(Database("votes", COLUMNS)).dataset, prepared(Files(str(file), COLUMNS)).dataset)


def test_a_select_is_read_like_a_table(votes, prepared):
    query = "SELECT who, film, stars, moment FROM votes WHERE stars > 1 ORDER BY moment; "
    assert prepared(Database(query, COLUMNS)).report.rows_read == 2


def test_the_fingerprint_depends_on_the_rows_that_are_read(votes, fill, prepared):
    first = prepared(Database("votes", COLUMNS)).dataset
    assert prepared(Database("SELECT * FROM votes", COLUMNS)).dataset.fingerprint == first.fingerprint
    fill(votes, "INSERT INTO votes VALUES ('bob', 8, 1, '1999-01-03')")
    assert prepared(Database("votes", COLUMNS)).dataset.fingerprint != first.fingerprint


@pytest.mark.parametrize("column", ["who", "film"])
def test_floating_point_ids_that_may_be_rounded_are_refused(server, fill, prepared, monkeypatch, column):
    monkeypatch.setenv(VARIABLE, server)
    other = ({"who", "film"} - {column}).pop()
    fill(server, f"CREATE TABLE votes ({column} DOUBLE, {other} INTEGER)", f"INSERT INTO votes VALUES ({2**53 - 2}, 7)")
    columns = {"user_id": "who", "movie_id": "film"}
    dataset = prepared(Database("votes", columns)).dataset
    ids = {*dataset.user_frame["user_id"].astype(str), *dataset.item_frame["movie_id"].astype(str)}
    assert ids == {"7", str(2**53 - 2)}
    fill(server, f"INSERT INTO votes VALUES ({2**53}, 7)")
    with pytest.raises(UserError, match=rf"must have whole ids \(got {2**53} in column {column}, of type DOUBLE"):
        prepared(Database("votes", columns))


def test_clean_tables_are_read_back_unchanged(server, releases, write, prepared, monkeypatch):
    monkeypatch.setenv(VARIABLE, server)
    source = MovieLens("ml-100k", str(write(releases["ml-100k"])))
    dataset = prepared(source).dataset
    write_tables(Address.parse(server), clean_tables(dataset))
    loaded = Database(
        "ratings", {c: c for c in ("user_id", "movie_id", "rating", "time", "part")}, "users", films="films"
    )
    assert same(prepared(loaded).dataset, dataset)


def test_parts_and_text_in_any_script_are_read_back_unchanged(server, write, prepared, monkeypatch):
    monkeypatch.setenv(VARIABLE, server)
    ratings = [f"{1 + place % 3},七人の侍 {place % 7},{1 + place % 5},{'vu'[place > 9]}\n" for place in range(20)]
    parts = {c: c for c in ("user_id", "movie_id", "rating", "part")}
    file = write({"ratings.csv": "user_id,movie_id,rating,part\n" + "".join(ratings)}) / "ratings.csv"
    dataset = prepared(Files(str(file), parts)).dataset
    assert dataset.part_names == ("v", "u")
    write_tables(Address.parse(server), clean_tables(dataset))
    assert same(prepared(Database("ratings", parts, "users", films="films")).dataset, dataset)


@pytest.mark.parametrize("ending", ["duckdb", "sqlite"])
def test_links_and_lists_are_read_back_from_database_files(ending, releases, write, prepared, tmp_path):
    if ending == "sqlite":
        pytest.importorskip("duckdb_extension_sqlite_scanner")
    dataset = prepared(MovieLens("ml-32m", str(write(releases["ml-32m"])))).dataset
    file = str(tmp_path / f"films.{ending}")
    write_tables(Address.parse(file), clean_tables(dataset))
    loaded = Database(films="films", links="links", address=file)
    assert same(prepared(loaded).dataset, dataset)


@pytest.mark.parametrize("failing", ["users", "ratings"])
def test_either_all_tables_are_written_or_none(failing, server, fill):
    address = Address.parse(server)
    fill(server, "CREATE TABLE ratings (existing INTEGER)", "INSERT INTO ratings VALUES (1)")
    tables = {name: duckdb.sql("SELECT 1 AS user_id").df() for name in ("films", "ratings", "users")}
    tables[failing] = tables[failing].assign(**{"user_id ": 1, "a" * 100: 1, "A" * 100: 2, "x": 1j})
    with pytest.raises((UserError, duckdb.Error)):
        write_tables(address, tables, replace=True)
    with attached(address, "source", read_only=True) as connection:
        left = connection.execute("SELECT table_name FROM information_schema.tables WHERE table_catalog = 'source'")
        assert "films" not in str(left.fetchall())
        assert connection.execute("FROM ratings").fetchall() == [(1,)]


def test_existing_tables_are_replaced_only_on_request(server):
    address = Address.parse(server)
    for stars, replace in ((1, False), (2, True)):
        write_tables(address, {"ratings": duckdb.sql(f"SELECT {stars} AS stars").df()}, replace=replace)
    with pytest.raises(UserError, match="already has ratings: give --replace"):
        write_tables(address, {"ratings": duckdb.sql("SELECT 3 AS stars").df()})
    with attached(address, "source", read_only=True) as connection:
        assert connection.execute("FROM ratings").fetchall() == [(2,)]


def test_sql_that_writes_is_refused(votes, prepared):
    for query in (
        "DELETE FROM votes",
        "SELECT 1; DROP TABLE votes",
        "UPDATE votes SET stars = 5 RETURNING *",
        "COPY votes TO 'x.csv'",
    ):
        with pytest.raises(
            UserError, match=r"data\.ratings must be a table or one SELECT, because a database is only read"
        ):
            prepared(Database(query, COLUMNS))
    assert prepared(Database("votes", COLUMNS)).report.rows_read == 3


def test_selects_of_functions_that_write_are_refused_by_the_database(votes, prepared):
    function = "postgres_execute" if votes.startswith("postgres") else "mysql_execute"
    query = f"SELECT 1 AS user_id, 1 AS movie_id FROM {function}('source', 'DELETE FROM votes')"
    with pytest.raises(UserError, match=r"(?i)read-only"):
        prepared(Database(query))
    assert prepared(Database("votes", COLUMNS)).report.rows_read == 3


@pytest.mark.parametrize("called", ["erase()", "nextval('numbers')"])
def test_views_of_functions_that_write_are_refused_by_the_database(called, postgres, fill, prepared, monkeypatch):
    statements = f"""CREATE TABLE erased (who text); CREATE SEQUENCE numbers;
        CREATE FUNCTION erase() RETURNS int LANGUAGE sql AS $$DELETE FROM erased; SELECT 1$$;
        CREATE VIEW writing AS SELECT {called} AS user_id, 7 AS movie_id"""
    fill(postgres, f"CALL postgres_execute('target', {literal(statements)})")
    monkeypatch.setenv(VARIABLE, postgres)
    try:
        with pytest.raises(UserError, match="in a read-only transaction"):
            prepared(Database("writing", {"user_id": "user_id", "movie_id": "movie_id"}))
    finally:
        gone = "DROP VIEW writing; DROP FUNCTION erase(); DROP SEQUENCE numbers; DROP TABLE erased"
        fill(postgres, f"CALL postgres_execute('target', '{gone}')")


def test_missing_tables_and_columns_are_named(votes, prepared):
    with pytest.raises(UserError, match="Table with name ballots does not exist"):
        prepared(Database("ballots", COLUMNS))
    with pytest.raises(
        UserError, match=r"ratings of \w+://127\S+ has the columns who, film, stars, moment; it lacks score"
    ):
        prepared(Database("votes", COLUMNS | {"rating": "score"}))
    with pytest.raises(UserError, match='"score" not found'):
        prepared(Database("SELECT score FROM votes", COLUMNS))
    with pytest.raises(UserError, match=r"ratings of .* has no rows"):
        prepared(Database("SELECT * FROM votes WHERE stars > 9", COLUMNS))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda url: url.replace(url.split(":")[2].split("@")[0], "wr%27ong"), "authentication failed|Access denied"),
        (lambda url: url.replace(url.rsplit(":", 1)[1].split("/")[0], "1"), "refused|Can't connect"),
        (lambda url: url.rsplit("/", 1)[0] + "/elsewhere", "does not exist|Access denied"),
        (lambda url: url.replace("127.0.0.1", "no.host.invalid"), "translate host|Unknown server host"),
    ],
)
def test_errors_of_unreachable_databases_are_one_sentence_without_the_password(
    change, sentence, votes, prepared, monkeypatch
):
    changed = change(votes)
    monkeypatch.setenv(VARIABLE, changed)
    with pytest.raises(UserError, match=sentence) as raised:
        prepared(Database("votes", COLUMNS))
    message = str(raised.value)
    assert message.startswith(f"Cannot reach {Address.parse(changed)}")
    assert "\n" not in message
    assert not [secret for secret in (changed, PASSWORD, Address.parse(changed).password) if secret in message]


def test_a_missing_environment_variable_is_named(prepared, monkeypatch):
    monkeypatch.delenv("NO_SUCH_URL", raising=False)
    with pytest.raises(UserError, match="The environment variable NO_SUCH_URL is not set"):
        prepared(Database(address_env="NO_SUCH_URL"))


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("oracle://ann:secret@host/films", r"must begin with postgresql://.* \(got oracle://\)"),
        ("host=h password=secret", "of an unknown kind: it must begin with postgresql://"),
        ("ratings.xlsx", "of an unknown kind"),
        ("postgresql://ann:sec@ret@host/films", "must be of the form"),
        ("postgresql://ann:sec/ret@host/films", "must be of the form"),
        ("postgresql://ann:secret", "must be of the form"),
        ("postgresql://host/films?user=ann&password=secret", "must be of the form"),
        ("mysql://ann:sec ret@host/films", "must be of the form"),
    ],
)
def test_malformed_addresses_are_refused_without_being_quoted(address, sentence):
    with pytest.raises(UserError, match=sentence) as raised:
        Address.parse(address)
    assert "sec" not in str(raised.value)


def test_addresses_show_neither_user_nor_password():
    address = Address.parse("postgresql://ann:secret@host:5432/films?sslmode=require")
    assert str(address) == "postgresql://host:5432/films"
    assert "ann" not in repr(address)


def test_passwords_in_configs_are_refused():
    with pytest.raises(UserError, match=r"data\.address holds a password.*RECSYS_DATABASE_URL") as raised:
        Database(address="postgresql://ann:secret@host/films")
    assert "secret" not in str(raised.value)


def test_missing_database_files_are_refused_and_not_created(prepared, tmp_path):
    with pytest.raises(UserError, match=r"none\.duckdb does not exist"):
        prepared(Database(address=str(tmp_path / "none.duckdb")))
    assert not (tmp_path / "none.duckdb").exists()


def test_missing_extensions_name_the_package_to_install(prepared, monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(
        duckdb,
        "connect",
        lambda connect=duckdb.connect, **kw: connect(config=kw["config"] | _without_extensions(tmp_path)),
    )
    with pytest.raises(UserError, match=r"needs an extension for postgres .* pip install 'recsys\[databases\]'"):
        prepared(Database(address="postgresql://host/films"))


def _without_extensions(tmp_path) -> dict[str, str]:
    """Load extensions from a folder without any."""
    return {"custom_extension_repository": str(tmp_path), "extension_directory": str(tmp_path / "extensions")}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("PRAGMA database_list", "a table or one SELECT"),
        ("SHOW DATABASES", "(got SHOW or DESCRIBE)"),
        ("FROM (SHOW ALL TABLES)", "(got SHOW or DESCRIBE)"),
        ("DELETE FROM votes", "a table or one SELECT"),
        ("ATTACH 'other.db' AS other", "a table or one SELECT"),
        ("COPY votes TO 'votes.csv'", "a table or one SELECT"),
        ("SET lock_configuration = false", "a table or one SELECT"),
        ("SELECT 1; SELECT 2", "(got 2 statements)"),
        ("SELECT * FROM read_csv('/etc/passwd')", "(got read_csv())"),
        ("SELECT (SELECT content FROM read_text('/etc/passwd')) FROM votes", "(got read_text())"),
        ("WITH files AS (FROM glob('/*')) FROM files", "(got glob())"),
        ("SELECT * FROM sqlite_scan('other.db', 'votes')", "(got sqlite_scan())"),
        ("SELECT * FROM postgres_query('source', 'SELECT 1')", "(got postgres_query())"),
        ("FROM query('SELECT 1')", "(got query())"),
        ("SELECT * FROM duckdb_databases()", "(got duckdb_databases())"),
        ("duckdb_databases", "(got duckdb_databases)"),
        ("system.main.duckdb_settings", "(got system.main.duckdb_settings)"),
        ("SELECT current_setting('temp_directory') FROM votes", "(got current_setting())"),
        ("SELECT current_query() FROM votes", "(got current_query())"),
        ("SELECT list_transform(['HOME'], x -> system.main.GETENV(x)) FROM votes", "(got getenv())"),
        ("WITH gone AS (DELETE FROM votes RETURNING *) FROM gone", "a table or one SELECT"),
        ("SELECT * FROM pg_ls_dir('/')", "(got pg_ls_dir())"),
        ("SELECT * FROM dblink('dbname=other', 'SELECT 1') AS other", "(got dblink())"),
        ("FROM arrow_scan(1, 2, 3)", "(got arrow_scan())"),
        ("FROM votes POSITIONAL JOIN glob('/*')", "(got glob())"),
        ("FROM (SUMMARIZE votes)", "(got SHOW or DESCRIBE)"),
        ("FROM source.information_schema.tables", "(got source.information_schema.tables)"),
        ('FROM "Pg_Catalog".pg_class', "(got pg_catalog.pg_class)"),
        ("pg_shadow", "(got pg_shadow)"),
        ("SELECT * FROM pg_catalog.pg_database", "(got pg_catalog.pg_database)"),
        ("SELECT who FROM votes WHERE who IN (SELECT name FROM sqlite_master)", "(got sqlite_master)"),
    ],
)
def test_a_select_reads_nothing_but_tables_of_the_database(query, message):
    with pytest.raises(UserError, match=re.escape(message)):
        _select("ratings", query)


@pytest.mark.parametrize("query", ["SELECT * FROM '{secret}'", "{secret}", "SELECT * FROM spying "])
def test_a_select_reads_no_file_of_this_machine(query, prepared, tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("who,film,stars,moment\nbob,7,4,1999-01-01\n")
    with duckdb.connect(str(tmp_path / "votes.duckdb")) as connection:
        connection.execute(VOTES)
        connection.execute(f"CREATE VIEW spying AS FROM '{secret}'")
    source = Database(query.format(secret=secret), COLUMNS, address=str(tmp_path / "votes.duckdb"))
    with pytest.raises(UserError, match=r"does not exist|Cannot access file"):
        prepared(source)


def test_a_variable_of_this_process_is_not_a_table(prepared, tmp_path):
    votes = pd.DataFrame({"who": ["bob"], "film": [7], "stars": [4.0], "moment": ["1999-01-01"]})
    duckdb.connect(str(tmp_path / "empty.duckdb")).close()
    with pytest.raises(UserError, match="votes does not exist"):
        prepared(Database("votes", COLUMNS, address=str(tmp_path / "empty.duckdb")))
    assert len(votes) == 1


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (["CREATE VIEW spying AS SELECT path AS who, 7 AS film FROM duckdb_databases()"], "(got duckdb_databases())"),
        (["CREATE VIEW spying (who, film) AS SELECT value, 7 FROM duckdb_settings()"], "(got duckdb_settings())"),
        (
            [
                'CREATE VIEW "é AS SELECT 1 --" AS SELECT path AS who, 7 AS film FROM duckdb_databases()',
                'CREATE VIEW spying AS FROM "é AS SELECT 1 --"',
            ],
            "(got duckdb_databases())",
        ),
        (
            [
                "CREATE MACRO places() AS (SELECT string_agg(path) FROM duckdb_databases())",
                "CREATE VIEW spying AS SELECT places() AS who, 7 AS film",
            ],
            "(got the macro places())",
        ),
        (
            [
                "CREATE MACRO strptime(a, b) AS (SELECT string_agg(path) FROM duckdb_databases())",
                "CREATE VIEW spying AS SELECT strptime('', '') AS who, 7 AS film",
            ],
            "(got the macro strptime())",
        ),
        (["CREATE VIEW spying AS SELECT getvariable('x') AS who, 7 AS film"], "(got getvariable())"),
    ],
)
def test_a_view_of_a_duckdb_file_reads_nothing_but_tables_of_the_database(statements, message, prepared, tmp_path):
    with duckdb.connect(str(tmp_path / "votes.duckdb")) as connection:
        for statement in statements:
            connection.execute(statement)
    columns = {"user_id": "who", "movie_id": "film"}
    with pytest.raises(UserError, match=re.escape(message)):
        prepared(Database("spying", columns, address=str(tmp_path / "votes.duckdb")))


def test_views_of_tables_are_read(prepared, tmp_path):
    with duckdb.connect(str(tmp_path / "votes.duckdb")) as connection:
        connection.execute(VOTES)
        connection.execute(VOTED)
        connection.execute("CREATE VIEW all_of_them AS SELECT * FROM votes; CREATE VIEW later AS FROM all_of_them")
    later, votes = (
        prepared(Database(name, COLUMNS, address=str(tmp_path / "votes.duckdb"))).dataset for name in ("later", "votes")
    )
    assert later.ratings.tolist() == votes.ratings.tolist() == [3.0, 0.5, 4.5]
