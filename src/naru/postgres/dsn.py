"""Where a database is, and how to log in, without the password ever being shown."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from psycopg import ProgrammingError
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
        """Read a URI or a keyword string, as libpq does. Raises UsageError if it is neither."""
        try:
            given = conninfo_to_dict(text)
        except ProgrammingError as error:
            # libpq quotes the text in its message, and a password may be part of it.
            reason = str(error).split('"')[0].strip() or "not a connection string"
            raise UsageError(
                f"cannot read the connection string: {reason}",
                remedy="give a URI such as postgresql://user@host:5432/database",
            ) from None
        return cls({key: str(value) for key, value in given.items() if value is not None})

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
    ) -> Self:
        """Put a Dsn together from its parts; secrets best as `passfile`."""
        parts = {"host": host, "port": str(port), "dbname": database, "user": user}
        if password is not None:
            parts["password"] = password
        if passfile is not None:
            parts["passfile"] = str(passfile)
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
        return self.parameters.get("user", os.environ.get("PGUSER", ""))

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


_IN_ENVIRONMENT = {
    "host", "hostaddr", "port", "dbname", "user", "password", "passfile", "service",
    "options", "application_name", "sslmode", "sslrootcert", "sslcert", "sslkey",
    "sslcrl", "connect_timeout", "target_session_attrs", "channel_binding", "gssencmode",
}  # fmt: skip
