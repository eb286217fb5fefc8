"""Addresses of databases, which messages show without the user name and the password."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from recsys.errors import UserError

DEFAULT_VARIABLE = "RECSYS_DATABASE_URL"
SECRET = re.compile(r"secret|password|token|access\.?key", re.IGNORECASE)  # as in spark.redaction.regex
_SERVERS = {"postgresql": "postgres", "postgres": "postgres", "mysql": "mysql"}  # scheme of an address -> DuckDB's type
_FILES = {".duckdb": "duckdb", ".sqlite": "sqlite", ".sqlite3": "sqlite", ".db": "sqlite"}
_KNOWN = (
    f"begin with {' or '.join(f'{scheme}://' for scheme in _SERVERS)}, or be the path of a file that ends in "
    f"{' or '.join(_FILES)}"
)

# Stricter than the drivers: if a password has special characters, they parse its rest as a host or port, and quote
# it in their messages.
_URL = re.compile(
    r"(?P<scheme>\w+)://"
    r"(?:[^:@/?#\s]*(?::(?P<password>[^:@/?#\s]*))?@)?"
    r"(?P<place>(?:\[[0-9a-fA-F:.]+\]|[\w.%-]*)(?::\d+)?(?:/[^@?#\s]*)?)"
    r"(?:\?(?!.*pass)[^@#\s]*)?"
)


@dataclass(frozen=True)
class Address:
    """The address of a database; `str(address)` leaves out the user name and the password.

    Attributes:
        url: address that DuckDB attaches; must not be shown, since it may contain a password.
        kind: kind of the database, as DuckDB names it: `postgres`, `mysql`, `duckdb` or `sqlite`.
        place: the address without user name and password, which may be shown.
        password: the password as written in the address, or "".
    """

    url: str = field(repr=False)
    kind: str
    place: str
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse an address.

        Args:
            text: `postgresql://...`, `postgres://...`, `mysql://...`, or the path of a DuckDB or SQLite file.

        Raises:
            UserError: the text is not of any of these forms; the message does not quote it.
        """
        scheme, is_url, _ = text.partition("://")
        if not is_url:
            if (ending := Path(text).suffix) not in _FILES:
                raise UserError(f"The database's address is of an unknown kind: it must {_KNOWN}.")
            return cls(text, _FILES[ending], text)
        if scheme not in _SERVERS:
            raise UserError(f"The database's address must {_KNOWN} (got {scheme}://).")
        if not (found := _URL.fullmatch(text)):
            raise UserError(
                f"The address of the {_SERVERS[scheme]} database must be of the form "
                f"{scheme}://USER:PASSWORD@HOST:PORT/DATABASE, in which the characters @ / : ? # and % of a password "
                "are written as %40 %2F %3A %3F %23 and %25."
            )
        return cls(text, _SERVERS[scheme], f"{scheme}://{found['place']}", found["password"] or "")

    @classmethod
    def from_environment(cls, variable: str) -> Address:
        """Parse the address that an environment variable contains.

        Raises:
            UserError: the variable is unset or empty, or its address is not valid.
        """
        return cls.parse(in_environment(variable))

    def __str__(self) -> str:
        return self.place

    @property
    def is_file(self) -> bool:
        """Return whether the database is a file on this machine."""
        return self.kind in _FILES.values()

    def without_secrets(self, error: Exception) -> str:
        """Return the message of a database error on one line, with the address, the password and quoted SQL removed."""
        message = str(error).replace(self.url, self.place)
        for secret in {self.password, unquote(self.password)} - {""}:
            message = message.replace(secret, "***")
        message = re.split(r"\s*LINE \d+:", message)[0]  # the rest quotes SQL, as drivers do in "..."
        return " ".join(re.sub(r' "(COPY|CREATE|INSERT|SELECT)\b.*":', ":", message, flags=re.DOTALL).split())


@dataclass(frozen=True)
class JavaAddress:
    """The JDBC address of a database, `jdbc:...`; `str(address)` leaves out the login and the options.

    Attributes:
        url: the address; must not be shown, since it may contain a password.
    """

    url: str = field(repr=False)

    @property
    def password(self) -> str:
        """Return the part of the address that may contain a password, or "" if there is none.

        This part is everything before the last @ or, if the address has no @, the value of the option `password`.
        """
        login, at, _ = self.url.rpartition("@")
        found = re.search(r"pass\w*=([^&;]*)", self.url, re.IGNORECASE)
        return login if at else found[1] if found else ""

    def __str__(self) -> str:
        kind, _, rest = self.url.removeprefix("jdbc:").partition(":")
        return f"jdbc:{kind}:{'' if '@' in rest else re.split('[?;]', rest)[0]}"


def in_environment(variable: str) -> str:
    """Return the address that an environment variable contains.

    Raises:
        UserError: the variable is unset or empty.
    """
    if not (text := os.environ.get(variable, "")):
        raise UserError(
            f"The environment variable {variable} is not set: give it the database's address, as in "
            f"export {variable}=postgresql://USER:PASSWORD@HOST/DATABASE"
        )
    return text
