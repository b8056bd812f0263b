"""Sessions on the source that see the copy's snapshot, and those that hold it for others."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
from psycopg import sql

from naru.errors import DeadlineError
from naru.journal import Run
from naru.migrate import snapshot
from naru.migrate.channel import Channel
from naru.migrate.names import Names
from naru.postgres import Connection, fetch_all
from naru.system import wait_until

_SELF_SECONDS: Final = 3.0
"""How long a keeper may take to see that its note is gone; it looks every second."""

_GONE_SECONDS: Final = 30.0


def purpose(channel: Channel) -> str:
    """What a keeper's session is called on the source, after `naru: `."""
    return f"keep {channel.name}"


def adopt(connection: Connection, name: str) -> None:
    """Begin a transaction on the source that sees the snapshot."""
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(name)))


def is_there(connection: Connection, name: str) -> bool:
    """True if the snapshot can be adopted on the source."""
    try:
        adopt(connection, name)
    except psycopg.Error:
        if connection.broken:
            raise
        return False
    finally:
        if not connection.closed:
            connection.execute("ROLLBACK")
    return True


@dataclass(frozen=True)
class Holding:
    """A snapshot that is held on the source now, and what that costs there."""

    since: float
    """In seconds since the epoch."""
    process: int
    """The keeper, on the machine where naru runs."""
    backend: int
    """Its session's process on the source."""
    transactions: int
    """How many have begun since the oldest one that vacuum must still respect."""
    left_seconds: float | None
    """Until it is given back if no naru goes on; None while one copies."""

    @property
    def seconds(self) -> float:
        return max(0.0, time.time() - self.since)

    def to_json(self) -> dict[str, Any]:
        return {
            "since": datetime.fromtimestamp(self.since, UTC).isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 1),
            "process": self.process,
            "backend": self.backend,
            "transactions_held_back": self.transactions,
            "left_seconds": None if self.left_seconds is None else round(self.left_seconds, 1),
        }


def observe(run: Run, names: Names, source: Connection) -> Holding | None:
    """The snapshot that is held on the source, if there is one."""
    held = snapshot.recall(run)
    sessions = _sessions(source, names)
    if held is None or not sessions:
        return None
    backend, transactions = sessions[0]
    left = None
    if held.alone_since is not None:
        left = max(0.0, held.alone_since + held.keeping.alone - time.time())
    return Holding(held.since, held.process, backend, transactions, left)


def _sessions(source: Connection, names: Names) -> list[tuple[int, int]]:
    """Backends that hold a snapshot of the migration, whatever the journal says; and its age."""
    rows = fetch_all(source, _SESSIONS, [f"^naru: keep {names.stem}_[0-9]+$"])
    return [(backend, age) for backend, age in rows]


_SESSIONS = """
SELECT pid, coalesce(pg_catalog.age(backend_xmin), 0) FROM pg_catalog.pg_stat_activity
WHERE datname = pg_catalog.current_database() AND usename = current_user
  AND application_name ~ %s
ORDER BY 1
"""


def end(run: Run, names: Names, source: Connection) -> bool:
    """Let no snapshot of the migration be held any more; true if one was.

    A keeper that does not end by itself (it was stopped, or hangs) loses its session.
    """
    was_held = bool(_sessions(source, names))
    snapshot.forget(run)
    what = "the copy's snapshot to be given back"
    try:
        wait_until(lambda: not _sessions(source, names), what, _SELF_SECONDS)
    except DeadlineError:
        for backend, _ in _sessions(source, names):
            source.execute("SELECT pg_catalog.pg_terminate_backend(%s)", [backend])
        wait_until(lambda: not _sessions(source, names), what, _GONE_SECONDS)
    return was_held
