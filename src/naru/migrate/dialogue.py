"""COPY through libpq in short waits: while nothing moves, the caller is asked whether to go on."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Callable, Iterable
from typing import Final

import psycopg
from psycopg import pq

from naru.postgres import Connection, Vigil
from naru.system import Deadline

LOOK_SECONDS: Final = 0.2
"""While nothing moves, the caller is asked so often whether to go on."""

STUCK_SECONDS: Final = 600.0
TAKING: Final = "a server to take bytes of the copy"
_CANCEL_SECONDS: Final = 2.0

Passed = Callable[[int], None]
"""Hears of the bytes of every block, and of none while nothing moves; what it raises ends it."""


def feed(blocks: Iterable[bytes | bytearray | memoryview], target: Connection, into: bytes,
         passed: Passed) -> int:  # fmt: skip
    """Write `blocks` into COPY `into` on `target`; give the rows written.

    After an error the connection is of no use, and is closed. Raises psycopg.Error.
    """
    pgconn = target.pgconn
    try:
        begin(target, into, passed)
        for block in blocks:
            pgconn.put_copy_data(block)
            flush(target, passed)
            passed(len(block))
        return end(target, passed)
    except BaseException:
        give_up(target)
        raise


def give_up(*connections: Connection) -> None:
    """End what servers do for us, and close the connections."""
    for connection in connections:
        # A server that waits for a lock, or reads on for nobody, would not notice the end.
        with contextlib.suppress(psycopg.Error):
            connection.cancel_safe(timeout=_CANCEL_SECONDS)
        # Not in the middle of a message, where the server would wait for its rest.
        with contextlib.suppress(psycopg.Error):
            connection.pgconn.finish()


def wait_for(which: socket.socket | int, event: int, seconds: float) -> int:
    """Wait for one of the events; 0 if none came."""
    poll = select.poll()
    poll.register(which, event)
    return next((came for _, came in poll.poll(seconds * 1000)), 0)


def idle(vigil: Vigil | None, passed: Passed, until: Deadline | None = None) -> None:
    """Nothing came or went for a moment: ask whether to go on, and whether it will."""
    passed(0)
    if vigil:
        vigil.check()
    if until:
        until.check()


def begin(target: Connection, into: bytes, passed: Passed) -> None:
    """Begin COPY `into` at the target."""
    target.pgconn.send_query(into)
    expect(target.pgconn, answer(target, passed), pq.ExecStatus.COPY_IN)


def end(target: Connection, passed: Passed) -> int:
    """End the COPY at the target, and give the rows that it took."""
    target.pgconn.put_copy_end()
    rows = expect(target.pgconn, answer(target, passed), pq.ExecStatus.COMMAND_OK).command_tuples
    while answer(target, passed) is not None:
        pass
    return rows or 0


def flush(connection: Connection, passed: Passed) -> None:
    """Send what libpq holds for the server. Raises DeadlineError if it takes nothing at all."""
    pgconn, vigil = connection.pgconn, connection.vigil
    until = Deadline(STUCK_SECONDS, TAKING)
    if vigil:
        vigil.heard()
    while pgconn.flush():
        came = wait_for(pgconn.socket, select.POLLIN | select.POLLOUT, LOOK_SECONDS)
        if not came:
            idle(vigil, passed, until)
        elif vigil:
            vigil.heard()
        # A server that has much to say takes nothing until it is heard.
        if came & select.POLLIN:
            pgconn.consume_input()


def answer(connection: Connection, passed: Passed) -> pq.abc.PGresult | None:
    """The next result, however long the server works for it."""
    flush(connection, passed)
    while connection.pgconn.is_busy():
        hear(connection, passed)
    return connection.pgconn.get_result()


def hear(connection: Connection, passed: Passed) -> None:
    """Wait a moment for the server, and take in what it has said."""
    if wait_for(connection.pgconn.socket, select.POLLIN, LOOK_SECONDS):
        connection.pgconn.consume_input()
        if connection.vigil:
            connection.vigil.heard()
    else:
        idle(connection.vigil, passed)


def expect(
    pgconn: pq.abc.PGconn, result: pq.abc.PGresult | None, status: pq.ExecStatus
) -> pq.abc.PGresult:
    """The same result. Raises psycopg.Error with the server's words if it is another one."""
    if result is not None and result.status == status:
        return result
    if result is None or not result.error_message:
        raise psycopg.OperationalError(pgconn.get_error_message())
    raise psycopg.errors.error_from_result(result)
