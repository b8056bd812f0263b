"""Locks on tables of a database in production: asked for briefly, again, and by name.

A statement that waits for a lock holds up whoever comes behind it. So each try waits no longer
than the session's lock_timeout, and others go on before the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from psycopg import errors

from naru.errors import DeadlineError
from naru.migrate.names import Relation
from naru.postgres import Connection, fetch_all, fetch_value

TRIES: Final = 5
_MOST_SECONDS: Final = 5.0

_EXCLUSIVE = ("ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")
_ANY_WRITE = ("RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareLock", *_EXCLUSIVE)

AGAINST_READING: Final = ("AccessExclusiveLock",)
AGAINST_PUBLISHING: Final = ("ShareUpdateExclusiveLock", "ShareLock", *_EXCLUSIVE)
AGAINST_ALTERING: Final = ("AccessShareLock", "RowShareLock", *_ANY_WRITE)
"""Lock modes of others that a statement of ours waits for."""

_HOLDERS = """
SELECT DISTINCT ON (l.pid) l.pid, n.nspname || '.' || c.relname, a.usename, a.application_name,
       a.state, extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::int8,
       pg_catalog.left(a.query, 60)
FROM unnest(%s::text[], %s::text[]) AS t (schema, name)
JOIN pg_catalog.pg_namespace n ON n.nspname = t.schema
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = t.name
JOIN pg_catalog.pg_locks l ON l.locktype = 'relation' AND l.relation = c.oid AND l.granted
 AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.mode = ANY (%s) AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
ORDER BY l.pid LIMIT 3
"""


def patiently(
    connection: Connection,
    act: Callable[[], None],
    relations: Sequence[Relation],
    against: Sequence[str],
    doing: str,
) -> None:
    """Run `act`, whose statements need locks on `relations`, up to `TRIES` times.

    Raises DeadlineError that names who holds a lock in the way.
    """
    for left in reversed(range(TRIES)):
        try:
            act()
        except errors.LockNotAvailable as error:
            if left == 0:
                raise _in_the_way(connection, relations, against, doing) from error
            time.sleep(min(_MOST_SECONDS, _timeout(connection)))
        else:
            return


def holders(
    connection: Connection, relations: Sequence[Relation], against: Sequence[str]
) -> tuple[str, int | None]:
    """Who holds a lock on one of the relations that is in the way, in words, and a process."""
    schemas, names = [one.schema for one in relations], [one.name for one in relations]
    rows = fetch_all(connection, _HOLDERS, [schemas, names, list(against)])
    told = [_holder(*row) for row in rows]
    pid = next((row[0] for row in rows if row[0] is not None), None)
    return "; ".join(told) or "whoever held a lock has let go just now", pid


def _holder(
    pid: int | None, table: str, user: str | None, application: str | None, state: str | None,
    seconds: int | None, query: str | None,
) -> str:  # fmt: skip
    if pid is None:
        return f"{table} is locked by a prepared transaction"
    who = ", ".join(word for word in (user, application) if word)
    since = f" for {seconds} s" if seconds is not None else ""
    return f"{table} is locked by process {pid} ({who}; {state}{since}: {query})"


def remedy_for(pid: int | None) -> str:
    """What to do about who holds a lock."""
    end = f"SELECT pg_terminate_backend({pid})" if pid is not None else "end its transaction"
    return f"wait for it, or end it: {end}; then run the same command again"


def _in_the_way(
    connection: Connection, relations: Sequence[Relation], against: Sequence[str], doing: str
) -> DeadlineError:
    who, pid = holders(connection, relations, against)
    info = connection.info
    return DeadlineError(
        f"{info.user}@{info.host}:{info.port}/{info.dbname}: {doing}: no lock in {TRIES} tries of"
        f" {_timeout(connection):g} s: {who}",
        remedy=remedy_for(pid),
        sqlstate="55P03",
    )


def _timeout(connection: Connection) -> float:
    query = "SELECT setting::float8 / 1000 FROM pg_catalog.pg_settings WHERE name = 'lock_timeout'"
    return float(fetch_value(connection, query))
