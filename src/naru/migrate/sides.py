"""The two databases of a migration, as both we and they see each other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from naru.errors import UsageError
from naru.postgres import (
    KEEPALIVES,
    Connection,
    Dsn,
    Lsn,
    connect,
    explain,
    fetch_one,
    fetch_value,
)

PLAIN = {
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "read committed",
    "standard_conforming_strings": "on",
}
"""What every session of ours needs, whatever is set for everybody."""

SESSION = {**PLAIN, "synchronous_commit": "on", "search_path": ""}

LOCK_SECONDS = 5.0
"""How long a statement of ours waits for a lock on a user's database, unless told otherwise."""


@dataclass(frozen=True)
class Side:
    """One of the two databases.

    `dsn` is how we reach it; `seen` is how the other server reaches it (host and port may
    differ). `role` is `source` or `target` for the whole migration, whoever takes writes.
    """

    role: str
    dsn: Dsn
    seen: Dsn = field(repr=False)
    lock_seconds: float = LOCK_SECONDS

    @classmethod
    def of(
        cls, role: str, dsn: Dsn, seen_at: str | None = None, lock_seconds: float = LOCK_SECONDS
    ) -> Side:
        """`seen_at`: `host:port` under which the other server reaches this one.

        Raises UsageError if it is no such address.
        """
        seen = dsn
        if seen_at:
            host, _, port = seen_at.rpartition(":")
            host = host.removeprefix("[").removesuffix("]")  # an address of IPv6
            if not (host and port.isdecimal() and 0 < int(port) < 65536):
                raise UsageError(
                    f"{seen_at!r} is no address of the {role}",
                    remedy="write HOST:PORT, such as db.example:5432",
                )
            seen = dsn.with_(host=host, port=port, hostaddr=None)
        return cls(role, dsn, seen, lock_seconds)

    def to_json(self) -> dict[str, Any]:
        """For another process of ours, through a pipe: a password may be in it."""
        return {
            "role": self.role,
            "dsn": dict(self.dsn.parameters),
            "seen": dict(self.seen.parameters),
            "lock_seconds": self.lock_seconds,
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Side:
        return cls(
            document["role"],
            Dsn(document["dsn"]),
            Dsn(document["seen"]),
            document["lock_seconds"],
        )

    def connect(self, purpose: str, *, autocommit: bool = True) -> Connection:
        """A connection for work of ours, with our session settings."""
        settings = {**SESSION, "lock_timeout": f"{round(self.lock_seconds * 1000)}ms"}
        connection = connect(self.dsn, purpose=purpose, autocommit=True, settings=settings)
        with explained(self, "setting up a session"):
            stay(connection, compiles=False)
        connection.autocommit = autocommit
        return connection

    def replication(self, purpose: str) -> Connection:
        """A logical replication connection that no timeout ends while it idles."""
        connection = connect(
            self.dsn,
            purpose=purpose,
            replication=True,
            settings={"statement_timeout": "0", "idle_in_transaction_session_timeout": "0"},
        )
        with explained(self, "setting up a session"):
            stay(connection)
            if connection.info.server_version >= 120000:
                connection.execute("SET wal_sender_timeout = 0")
        return connection

    def conninfo_for_peer(self, connection: Connection, *, peer_version: int = 120000) -> str:
        """The connection string, with the password that `connection` used.

        It goes into a subscription on the other server, of `peer_version`, whose worker must
        log in by itself; only superusers may read it there. Never print or log it.
        """
        password = connection.info.password
        local_only = ("passfile", "service", "options", "connect_timeout", "application_name")
        info = connection.info
        # What came from our own environment the other server does not know.
        known = {"host": info.host, "port": str(info.port), "user": info.user}
        seen = Dsn({**known, **self.seen.parameters}).with_(**dict.fromkeys(local_only))
        alive = dict(KEEPALIVES)
        if peer_version < 120000:
            del alive["tcp_user_timeout"]
        return seen.with_(
            **alive, password=password or None, dbname=self.dsn.database, connect_timeout="10"
        ).conninfo()

    def __str__(self) -> str:
        return f"{self.role} {self.dsn}"


def stay(connection: Connection, *, compiles: bool = True) -> None:
    """Switch off the timeouts that only newer servers know: they may be set for everybody.

    Without `compiles` expressions are not compiled either, which takes longer than any
    query on catalogs.
    """
    version = connection.info.server_version
    wanted = {
        "idle_session_timeout = 0": version >= 140000,
        "transaction_timeout = 0": version >= 170000,
        "jit = off": version >= 110000 and not compiles,
    }
    text = "; ".join(f"SET {one}" for one, is_wanted in wanted.items() if is_wanted)
    if text:
        connection.execute(text.encode())


@dataclass(frozen=True)
class ServerFacts:
    """What decides how a server is spoken to."""

    version: int
    """`server_version_num`."""
    system_identifier: int
    is_superuser: bool
    has_synchronous_standbys: bool
    encoding: str

    @property
    def major(self) -> int:
        return self.version // 10000


def observe_server(connection: Connection) -> ServerFacts:
    """Read the facts of the server behind `connection`."""
    row = fetch_one(
        connection,
        """
        SELECT current_setting('server_version_num')::int,
               (SELECT system_identifier FROM pg_catalog.pg_control_system()),
               (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user),
               current_setting('synchronous_standby_names') <> '',
               pg_catalog.pg_encoding_to_char(encoding)
        FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()
        """,
    )
    return ServerFacts(*row)


def timeline(connection: Connection) -> int:
    """The timeline that the server writes; a failover or a switchover begins a new one."""
    query = "SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn())"
    return int(str(fetch_value(connection, query))[:8], 16)


def current_lsn(connection: Connection) -> Lsn:
    """The end of the WAL written so far, including what is not flushed yet."""
    return Lsn.parse(fetch_value(connection, "SELECT pg_catalog.pg_current_wal_insert_lsn()"))


@contextlib.contextmanager
def explained(side: Side, doing: str) -> Iterator[None]:
    """Turn a driver's error in the block into ours."""
    try:
        yield
    except psycopg.Error as error:
        raise explain(error, side.dsn, doing) from error


def execute_composed(connection: Connection, text: str, **parts: Any) -> None:
    """Run a statement with `{name}` places filled by composables."""
    connection.execute(sql.SQL(text).format(**parts))
