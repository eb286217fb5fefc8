"""Spark sessions, whose failures are turned into a `UserError` with a message of one sentence."""

from __future__ import annotations

import logging
import os
import re
import shutil
import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys.errors import UserError
from recsys.extras import require

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_AT_START = {"spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR"}
# Settings that the SELECTs rely on.
_OF_SESSION = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.caseSensitive": "true",
    "spark.sql.csv.parser.columnPruning.enabled": "false",  # so that rows of another width are noticed
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
}
_SERVER = re.compile(r"(?:spark|sc)://(?P<host>\[[^]/]+\]|[^:/;,]+)(?::(?P<port>\d+))?")
_PORTS = {"spark": 7077, "sc": 15002}
_PATIENCE = 10  # seconds in which a server must answer


@contextmanager
def session(master: str, remote: str | None, options: Mapping[str, Any], scratch: Path) -> Iterator[SparkSession]:
    """Provide a Spark session; if Spark fails in the `with` block, a `UserError` of one sentence is raised.

    If the process already runs a Spark application, such as a notebook or a program started by `spark-submit`, this is
    a new session of that application, which keeps running afterwards. Otherwise an application is started, and stopped
    at the end of the `with` block.

    Args:
        master: address of the cluster's master, or `local[N]`.
        remote: address of a Spark Connect server to use instead of `master`; None to use `master`.
        options: name -> value of Spark's settings; a Connect server ignores them and uses its own.
        scratch: local folder for temporary files.

    Yields:
        The session.

    Raises:
        UserError: pyspark or Java is missing, the master does not answer, or Spark fails.
    """
    require("spark")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # about versions of pandas, which is not used
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    from py4j.protocol import Py4JError

    logging.getLogger("py4j").setLevel(logging.WARNING)  # at INFO it logs every connection
    running = SparkSession.getActiveSession()
    if running is None:
        check_reachable(remote or master)
    try:
        if running is not None:
            yield _prepared(running.newSession())
            return
        builder = SparkSession.builder.appName("recsys")
        if remote is None:
            builder = builder.master(master)
            places = {"spark.local.dir": str(scratch), "spark.sql.warehouse.dir": str(scratch / "warehouse")}
            for name, value in (places | _AT_START | dict(options)).items():
                builder = builder.config(name, value)
        else:
            builder = builder.remote(remote)
        started = builder.getOrCreate()
        try:
            yield _prepared(started)
        finally:
            started.stop()
    except (PySparkException, Py4JError, ImportError) as error:
        raise _failure(error, remote or master) from error


def _prepared(spark: SparkSession) -> SparkSession:
    for name, value in _OF_SESSION.items():
        spark.conf.set(name, value)
    return spark


def check_reachable(address: str) -> None:
    """Check that the server at an address answers and, unless it is a Connect server, that Java is installed.

    Args:
        address: address of the master or of the Connect server; for `local[N]`, `yarn` and `k8s://...`, only Java is
            checked.

    Raises:
        UserError: Java is missing, or the server does not answer.
    """
    home = os.environ.get("JAVA_HOME")
    if not address.startswith("sc://") and not shutil.which(Path(home) / "bin" / "java" if home else "java"):
        raise UserError("engine=spark needs Java 17 or later: install it, or set JAVA_HOME to its folder.")
    if server := _SERVER.match(address):
        place = (server["host"].strip("[]"), int(server["port"] or _PORTS[address.partition(":")[0]]))
        try:
            socket.create_connection(place, _PATIENCE).close()
        except OSError as error:
            raise UserError(
                f"Spark does not answer at {server[0]} ({error.strerror or error}): "
                "start it, or set engine.master or engine.remote."
            ) from error


def _failure(error: Exception, address: str) -> UserError:
    """Return a `UserError` to raise if Spark fails, with only the first line of Spark's message and no stack trace."""
    if isinstance(error, ImportError):
        return UserError(f"A session at {address} needs more packages ({error}): pip install 'pyspark[connect]'.")
    text = re.sub(r"jdbc:\S*", "jdbc:...", str(error))  # which may hold a password
    if "JAVA_GATEWAY_EXITED" in text:
        return UserError("Java, which engine=spark needs in version 17 or later, did not start: see what it printed.")
    if "No suitable driver" in text:
        return UserError(
            "Spark has no driver for this database: name its package with "
            "engine.options.spark.jars.packages=GROUP:NAME:VERSION."
        )
    if found := re.search(
        r"MALFORMED_RECORD_IN_PARSING.*?Malformed records are detected in record parsing: (.*)", text
    ):
        return UserError(f"Rows must have a field for each column (Spark got {found[1][:80]}): correct or remove them.")
    cause = re.search(r"^Caused by: (.*)", text, re.MULTILINE)
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("An error occurred")]
    return UserError(f"Spark failed: {' '.join((cause[1] if cause else lines[0]).split())[:500]}")
