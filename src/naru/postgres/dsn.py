"""Where a database is, and how to log in, without the password ever being shown."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from psycopg import ProgrammingError, pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from naru.errors import UsageError


@dataclass(frozen=True)
class Dsn:
    """Connection parameters by libpq's names. `str()` and `repr()` hide the password.

    The password may also come from a passfile, a service file or PGPASSWORD, as for
    every libpq program; then it is not in here at all.
    """

    parameters: Mapping[str, str] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URI or a keyword string, as libpq does.

        A service is looked up at once, and so is what PGHOST and its like say: whoever keeps an
        address, or hands it to another server, has to know it.

        Raises UsageError if it is neither, or names more than one server.
        """
        try:
            given = conninfo_to_dict(text)
        except ProgrammingError as error:
            # libpq quotes the text in its message, and a password may be part of it.
            reason = str(error).split('"')[0].strip() or "not a connection string"
            raise UsageError(
                f"cannot read the connection string: {reason}",
                remedy="give a URI such as postgresql://user@host:5432/database",
            ) from None
        parts = {key: str(value) for key, value in given.items() if value is not None}
        if service := parts.pop("service", os.environ.get("PGSERVICE")):
            parts = {**_of_service(service), **parts}
        for key, variable in _ADDRESS.items():
            if value := os.environ.get(variable):
                parts.setdefault(key, value)
        _must_be_one_server(parts)
        return cls(parts)

    @classmethod
    def of(
        cls,
        host: str,
        port: int,
        database: str,
        user: str,
        *,
        password: str | None = None,
        passfile: Path | None = None,
        authority: Path | None = None,
    ) -> Self:
        """Put a Dsn together from its parts; secrets best as `passfile`.

        With `authority`, the file of those that are trusted, only over TLS, and only with a
        server that shows a certificate of theirs for `host`.
        """
        parts = {"host": host, "port": str(port), "dbname": database, "user": user}
        if password is not None:
            parts["password"] = password
        if passfile is not None:
            parts["passfile"] = str(passfile)
        if authority is not None:
            parts |= {"sslmode": "verify-full", "sslrootcert": str(authority)}
        return cls(parts)

    @property
    def host(self) -> str:
        return self.parameters.get("host", os.environ.get("PGHOST", "local socket"))

    @property
    def port(self) -> int:
        return int(self.parameters.get("port", os.environ.get("PGPORT", "5432")))

    @property
    def database(self) -> str:
        fallback = os.environ.get("PGDATABASE", self.user)
        return self.parameters.get("dbname", fallback)

    @property
    def user(self) -> str:
        return self.parameters.get("user") or os.environ.get("PGUSER") or _account()

    def with_(self, **changes: str | None) -> Self:
        """The same with some parameters changed; None takes one away."""
        merged = {**self.parameters, **{k: v for k, v in changes.items() if v is not None}}
        for key, value in changes.items():
            if value is None:
                merged.pop(key, None)
        return type(self)(merged)

    def conninfo(self) -> str:
        """The whole connection string, password included. Never print or log it."""
        return make_conninfo("", **self.parameters)

    def environment(self) -> dict[str, str]:
        """The parameters as libpq's environment variables, for client programs.

        The password goes in as PGPASSWORD: an environment is private to its user, an
        argument list is not.
        """
        names = {"dbname": "PGDATABASE", "application_name": "PGAPPNAME"}
        return {
            names.get(key, "PG" + key.upper().replace("_", "")): value
            for key, value in self.parameters.items()
            if key in _IN_ENVIRONMENT
        }

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}/{self.database}"

    def __repr__(self) -> str:
        return f"Dsn({self})"


def _of_service(name: str) -> dict[str, str]:
    """What libpq finds under a service's name: an address has to be known, not only used."""
    before = os.environ.get("PGSERVICE")
    os.environ.pop("PGSERVICE", None)
    plain = _libpq_defaults()
    os.environ["PGSERVICE"] = name
    try:
        found = _libpq_defaults()
    finally:
        os.environ.pop("PGSERVICE")
        if before is not None:
            os.environ["PGSERVICE"] = before
    known = {key: value for key, value in found.items() if value != plain.get(key)}
    return known or {"service": name}  # an unknown one is told by libpq, when it connects


def _libpq_defaults() -> dict[str, str]:
    return {
        one.keyword.decode(): one.val.decode()
        for one in pq.Conninfo.get_defaults()
        if one.val is not None and one.keyword != b"service"
    }


def _must_be_one_server(parts: Mapping[str, str]) -> None:
    if "," in parts.get("host", "") + parts.get("hostaddr", ""):
        raise UsageError(
            f"{parts.get('host') or parts.get('hostaddr')} is a list of servers",
            remedy="name the primary alone, or the address that always leads to it",
        )
    port = parts.get("port", "5432")
    if not (port.isdecimal() and 0 < int(port) < 65536):
        raise UsageError(f"port {port!r} is no number from 1 to 65535")


def _account() -> str:
    """The name that libpq takes when none is given: of the account we run as."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


_ADDRESS = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}

_IN_ENVIRONMENT = {
    "host", "hostaddr", "port", "dbname", "user", "password", "passfile", "service",
    "options", "application_name", "sslmode", "sslrootcert", "sslcert", "sslkey",
    "sslcrl", "connect_timeout", "target_session_attrs", "channel_binding", "gssencmode",
}  # fmt: skip
