"""Applying a repair: in its own transactions, only while nobody else is at the target."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from naru.errors import RefusedError, StoppedError
from naru.postgres import Connection, Dsn, connect, explain, fetch_all, fetch_value
from naru.system import SILENT, Observer
from naru.verify.script import BEGIN, COMMIT, read

_PIECE = 1 << 20

_OTHERS = """
SELECT 'a client, ' || coalesce(usename, '?') || ' (' || coalesce(application_name, '') || ')'
  FROM pg_catalog.pg_stat_activity
 WHERE datname = pg_catalog.current_database() AND pid <> pg_catalog.pg_backend_pid()
   AND coalesce(backend_type, 'client backend') = 'client backend'
   AND NOT (application_name LIKE 'naru: %' AND usename = current_user)
UNION ALL
SELECT 'the subscription ' || subname FROM pg_catalog.pg_subscription
 WHERE subenabled AND subdbid =
       (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
UNION ALL
SELECT 'the prepared transaction ' || gid FROM pg_catalog.pg_prepared_xacts
 WHERE database = pg_catalog.current_database()
"""


_ONE_REPAIR = (0x6E617275, 0x7265706C)
"""Key of the advisory lock that a repair holds on the target."""


@contextmanager
def sole_repair(target: Dsn) -> Iterator[None]:
    """Be the only repair of a database while the block runs. Raises RefusedError if it is not."""
    with connect(target, purpose="repair") as connection:
        query = "SELECT pg_catalog.pg_try_advisory_lock(%s, %s)"
        if not fetch_value(connection, query, list(_ONE_REPAIR)):
            raise RefusedError(
                f"{target}: another repair of this database is under way",
                remedy="wait until it has ended, and repair again if it did not end well",
            )
        yield


def must_be_quiet(target: Dsn) -> None:
    """Raise RefusedError if anybody but us could write to the target."""
    with connect(target, purpose="repair") as connection:
        _must_be_quiet(connection, target)


def apply(script: Path, target: Dsn, observer: Observer = SILENT) -> int:
    """Carry out a repair script on the target, and give the number of its statements.

    Looks before every transaction whether the target is still quiet. Raises StoppedError when
    a statement fails or somebody comes: what is done stays, and the script can be applied again.
    """
    total = sum(statement not in (BEGIN, COMMIT) for statement in read(script))
    done = 0
    with connect(target, purpose="repair", prepare=False) as connection:
        for block in _blocks(script):
            try:
                _must_be_quiet(connection, target)
            except RefusedError as error:
                raise StoppedError(error.message, remedy=error.remedy) from error
            try:
                for piece, count in _pieces(block):
                    connection.execute(piece.encode())
                    done += count
                    observer.progress("repairing", min(done, total - 1), total, "items")
            except psycopg.Error as error:
                connection.rollback()
                reason = explain(error, target, "repairing")
                remedy = "mend the reason, and repair again: what is done stays"
                raise StoppedError(
                    reason.message, remedy=remedy, sqlstate=error.sqlstate
                ) from error
    observer.progress("repairing", total, total, "items")
    return total


def _must_be_quiet(connection: Connection, target: Dsn) -> None:
    others = [str(row[0]) for row in fetch_all(connection, _OTHERS.replace("%", "%%"), [])]
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        raise RefusedError(
            f"{target}: others can write while it is repaired: {', '.join(others[:3])}{more}",
            remedy="pause or end the clients, and disable subscriptions, until it is repaired",
        )


def _blocks(script: Path) -> Iterator[Iterator[str]]:
    """Transactions of a script one by one, each as its statements; settings are the first."""
    statements = read(script)
    for first in statements:
        yield _block(first, statements)


def _block(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    if first == BEGIN:
        for statement in rest:
            yield statement
            if statement == COMMIT:
                return


def _pieces(block: Iterator[str]) -> Iterator[tuple[str, int]]:
    """Some statements at a time, bounded in size, and how many they are."""
    size, piece = 0, list[str]()
    for statement in block:
        piece.append(statement)
        size += len(statement)
        if size > _PIECE:
            yield "\n".join(piece), _counted(piece)
            size, piece = 0, []
    if piece:
        yield "\n".join(piece), _counted(piece)


def _counted(piece: list[str]) -> int:
    return sum(statement not in (BEGIN, COMMIT) for statement in piece)
