"""PostgreSQL and MariaDB for tests: servers of the test session, with a user whose password is an awkward one."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pytest

from recsys.data.address import Address
from recsys.data.attach import attached

PASSWORD = "p@ss'w\"o%rd:/?#"
verified_connect = duckdb.connect


@pytest.fixture(scope="session", autouse=True)
def _unverified_extensions() -> Iterator[None]:
    """Let DuckDB load its extensions unverified: checking the signature of one takes longer than most tests with it."""

    def unverified(*args: Any, config: dict[str, Any] | None = None, **kwargs: Any) -> duckdb.DuckDBPyConnection:
        return verified_connect(*args, config={**(config or {}), "allow_unsigned_extensions": "true"}, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duckdb, "connect", unverified)
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Address of an empty database in a PostgreSQL server."""
    pytest.importorskip("duckdb_extension_postgres_scanner")
    initdb, server = (_program(name, "/usr/lib/postgresql/*/bin") for name in ("initdb", "postgres"))
    with _folder("postgres") as (folder, as_user):
        (folder / "password").write_text(PASSWORD)
        made = [initdb, "-D", f"{folder}/data", "-U", "ann", "-A", "scram-sha-256", "--pwfile", f"{folder}/password"]
        subprocess.run([*as_user, *made, "--no-sync"], check=True, capture_output=True)
        port = _free_port()
        options = ["-D", f"{folder}/data", "-k", str(folder), "-p", str(port), "-h", "127.0.0.1", "-F"]
        with _running(
            [*as_user, server, *options], "ready to accept connections", signal.SIGINT
        ):  # waits for no client
            yield f"postgresql://ann:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/postgres"


@pytest.fixture(scope="session")
def mariadb() -> Iterator[str]:
    """Address of an empty database in a MariaDB server."""
    pytest.importorskip("duckdb_extension_mysql_scanner")
    install, server, client = (_program(name) for name in ("mariadb-install-db", "mariadbd", "mariadb"))
    with _folder("mysql") as (folder, as_user):
        # Each has a --tmpdir of its own: a server that starts removes all temporary tables that it finds there.
        places = ["--no-defaults", f"--datadir={folder}/data", f"--tmpdir={folder}"]
        made = [install, *places, "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run([*as_user, *made], check=True, capture_output=True)
        port = _free_port()
        options = [*places, f"--socket={folder}/socket", f"--port={port}"]
        options.append("--innodb-flush-method=nosync")  # as -F for PostgreSQL: commits do not wait for the disk
        with _running([*as_user, server, *options, "--bind-address=127.0.0.1"], "ready for connections"):
            password = PASSWORD.replace("'", "''")
            sql = f"CREATE DATABASE films; GRANT ALL ON films.* TO ann@'%' IDENTIFIED BY '{password}'"
            command = [client, "--no-defaults", f"--socket={folder}/socket", "--user=root", f"--execute={sql}"]
            subprocess.run(command, check=True, capture_output=True)
            yield f"mysql://ann:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/films"


@pytest.fixture(params=["postgres", "mariadb"])
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """Address of an empty database in each server in turn."""
    address = request.getfixturevalue(request.param)
    yield address
    with attached(Address.parse(address), "target", read_only=False) as connection:
        sql = "SELECT table_name FROM information_schema.tables WHERE table_catalog = 'target'"
        sql += " AND table_schema = current_schema()"
        for (name,) in connection.execute(sql).fetchall():
            connection.execute(f'DROP TABLE "{name}"')


@pytest.fixture
def fill() -> Callable[..., None]:
    """Run SQL in a database that may be written to."""

    def fill(address: str, *statements: str) -> None:
        with attached(Address.parse(address), "target", read_only=False) as connection:
            for statement in statements:
                connection.execute(statement)

    return fill


def _program(name: str, places: str = "/usr/sbin") -> str:
    found = [shutil.which(name), *(shutil.which(name, path=str(place)) for place in Path("/").glob(places[1:]))]
    if not any(found):
        pytest.skip(f"{name} is not installed")
    return next(path for path in reversed(found) if path)


@contextmanager
def _folder(user: str) -> Iterator[tuple[Path, list[str]]]:
    """A folder whose path is short enough for sockets, and what a server's command begins with: none runs as root."""
    as_user = []
    with tempfile.TemporaryDirectory(prefix="recsys-", ignore_cleanup_errors=True) as name:
        if os.geteuid() == 0:
            known = {entry.pw_name for entry in pwd.getpwall()}
            entry = pwd.getpwnam(user if user in known else "nobody")
            os.chown(name, entry.pw_uid, entry.pw_gid)
            as_user = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
        yield Path(name), as_user


def _free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


@contextmanager
def _running(command: list[str], ready: str, end: int = signal.SIGTERM) -> Iterator[None]:
    """Run a server, from the line of its log that says it is ready until a signal ends it."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
    assert process.stderr is not None
    try:
        assert any(ready in line for line in process.stderr), f"{command} ended with {process.wait()}"
        threading.Thread(target=deque, args=(process.stderr, 0), daemon=True).start()  # or a full pipe would stop it
        yield
    finally:
        process.send_signal(end)
        process.wait()
