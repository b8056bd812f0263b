"""Rows from one server's socket to another's, as they come, without a look at them.

The source sends each row as one message, and the target's COPY takes just such messages. So
between two connections without encryption the bytes are passed on as they are, in large
blocks. Where the rows end is told by what follows them (see `ending`). Both sessions must
have `client_min_messages = error`: a notice would stand among the rows.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import socket
import struct
from collections.abc import Callable, Iterable
from typing import Final

import psycopg
from psycopg import pq

from naru.errors import ServerError, UnreachableError
from naru.migrate import ending
from naru.postgres import Connection, Vigil, fetch_value
from naru.system import Deadline

_BLOCK: Final = 1024 * 1024
_ENOUGH: Final = 64 * 1024
"""Fewer bytes than this are waited for a moment, which spares both sides many wake-ups."""

_MOMENT: Final = 0.02
_LOOK_SECONDS: Final = 0.2
"""While nothing moves, the caller is asked so often whether to go on."""

_CANCEL_SECONDS: Final = 2.0
_STUCK_SECONDS: Final = 600.0
_TAKING: Final = "a server to take bytes of the copy"
_TAIL: Final = 4096
"""More than what the server sends after the last row."""

SAVEPOINT: Final = "naru_copy"

Passed = Callable[[int], None]


def is_plain(connection: Connection) -> bool:
    """True if what is on the connection's socket is the protocol itself, not encrypted."""
    if connection.pgconn.ssl_in_use:
        return False
    if connection.info.server_version < 120000:
        return True
    query = "SELECT encrypted FROM pg_catalog.pg_stat_gssapi WHERE pid = pg_backend_pid()"
    return not fetch_value(connection, query)


def carry(source: Connection, query: bytes, target: Connection, into: bytes, passed: Passed) -> int:
    """Run COPY `query` on `source` and COPY `into` on `target`; give the rows written.

    Both must be plain and in a transaction, the source's with a SAVEPOINT. `passed` hears
    of the bytes of every block, and of none while nothing comes or goes; what it raises
    ends the copy, as does a side that has gone silent (see `postgres.vigil`). After an error
    neither connection is of use, and both are closed.
    Raises psycopg.Error with the target's words; ServerError with the source's, or
    UnreachableError when it was lost.
    """
    try:
        _begin(target, into, passed)
        with _Socket(source) as here, _Socket(target) as there:
            read = _Passing(here, there, passed).run(query)
        written = _end(target, passed)
        if read is not None and read != written:
            raise ServerError(f"{read} rows were read, but {written} written")
        return written
    except BaseException:
        _give_up(source, target)
        raise


def feed(blocks: Iterable[bytes | bytearray | memoryview], target: Connection, into: bytes,
         passed: Passed) -> int:  # fmt: skip
    """Write `blocks` into COPY `into` on `target`; as `carry`, for rows that come otherwise."""
    pgconn = target.pgconn
    try:
        _begin(target, into, passed)
        for block in blocks:
            pgconn.put_copy_data(block)
            _flush(target, passed)
            passed(len(block))
        return _end(target, passed)
    except BaseException:
        _give_up(target)
        raise


def _give_up(*connections: Connection) -> None:
    for connection in connections:
        # A server that waits for a lock, or reads on for nobody, would not notice the end.
        with contextlib.suppress(psycopg.Error):
            connection.cancel_safe(timeout=_CANCEL_SECONDS)
        # Not in the middle of a message, where the server would wait for its rest.
        with contextlib.suppress(psycopg.Error):
            connection.pgconn.finish()


class _Socket(socket.socket):
    """The socket of a connection; its own end leaves the connection's open."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(fileno=os.dup(connection.pgconn.socket))
        self.setblocking(False)
        self.vigil = connection.vigil
        if self.vigil:
            self.vigil.heard()


class _Passing:
    """One COPY's way from one socket to the other."""

    def __init__(self, source: _Socket, target: _Socket, passed: Passed) -> None:
        self._source, self._target, self._passed = source, target, passed
        self._buffer = memoryview(bytearray(_TAIL + _BLOCK))
        self._held = 0
        """Bytes at the buffer's begin that came and were not passed on."""

    def run(self, query: bytes) -> int | None:
        """Pass all rows on; give their number, or None when the target refused some."""
        mark = secrets.token_hex(16).encode()
        asked = _message(query) + _message(ending.statements(SAVEPOINT, mark))
        try:
            _send(self._source, memoryview(asked), self._passed)
        except (OSError, psycopg.OperationalError) as error:
            raise self._source_lost(error) from error
        with _EnoughAtOnce(self._source):
            rows = self._skip_opening()
            while not ending.may_be_whole(self._tail(), mark):
                if rows and not self._pass(self._held - _TAIL):
                    return None
                self._receive()
        ended = ending.read(self._tail(self._held), mark)
        if isinstance(ended, ending.Words):
            raise ServerError(f"the source refused: {ended.text}", sqlstate=ended.sqlstate)
        return ended.count if self._pass(ended.end) else None

    def _skip_opening(self) -> bool:
        """Take away what comes before the rows; false if an error comes instead of them."""
        while True:
            while self._held < 5 or self._held < 1 + self._length():
                self._receive()
            kind = self._buffer[:1].tobytes()
            if kind == b"E":
                return False
            self._drop(1 + self._length())
            if kind == b"H":
                return True

    def _length(self) -> int:
        return int(struct.unpack_from("!I", self._buffer, 1)[0])

    def _tail(self, size: int = _TAIL) -> bytes:
        return bytes(self._buffer[max(0, self._held - size) : self._held])

    def _receive(self) -> None:
        _wait(self._source, select.POLLIN, _MOMENT)
        try:
            count = self._source.recv_into(self._buffer[self._held :])
        except BlockingIOError:
            self._passed(0)
            self._must_be_there()
            return
        except OSError as error:
            raise self._source_lost(error) from error
        if count == 0:
            raise self._source_lost(None)
        if self._source.vigil:
            self._source.vigil.heard()
        self._held += count

    def _must_be_there(self) -> None:
        try:
            if self._source.vigil:
                self._source.vigil.check()
        except psycopg.OperationalError as error:
            raise self._source_lost(error) from error

    def _source_lost(self, error: Exception | None) -> UnreachableError:
        if words := ending.last_words(self._tail()):
            return UnreachableError(f"the source ended: {words.text}", sqlstate=words.sqlstate)
        why = getattr(error, "strerror", None) or error or "it was closed"
        return UnreachableError(f"the source's connection was lost: {why}")

    def _pass(self, count: int) -> bool:
        """Pass so many bytes on; false if the target has failed, which it says at the end."""
        if self._target_has_failed():
            return False
        if count > 0:
            try:
                _send(self._target, self._buffer[:count], self._passed)
            except OSError:
                return False
            self._drop(count)
            self._passed(count)
        return True

    def _drop(self, count: int) -> None:
        rest = bytes(self._buffer[count : self._held])
        self._buffer[: len(rest)] = rest
        self._held = len(rest)

    def _target_has_failed(self) -> bool:
        try:
            return self._target.recv(1, socket.MSG_PEEK) in (b"E", b"")
        except BlockingIOError:
            return False
        except OSError:
            return True


def _wait(which: socket.socket | int, event: int, seconds: float) -> int:
    """Wait for one of the events; 0 if none came."""
    poll = select.poll()
    poll.register(which, event)
    return next((came for _, came in poll.poll(seconds * 1000)), 0)


def _send(which: _Socket, block: memoryview, passed: Passed) -> None:
    until = Deadline(_STUCK_SECONDS, _TAKING)
    while block:
        with contextlib.suppress(BlockingIOError):
            block = block[which.send(block) :]
            until = Deadline(_STUCK_SECONDS, _TAKING)
            continue
        if not _wait(which, select.POLLOUT, _LOOK_SECONDS):
            _idle(which.vigil, passed, until)
        elif which.vigil:
            which.vigil.heard()


def _idle(vigil: Vigil | None, passed: Passed, until: Deadline | None = None) -> None:
    """Nothing came or went for a moment: ask whether to go on, and whether it will."""
    passed(0)
    if vigil:
        vigil.check()
    if until:
        until.check()


class _EnoughAtOnce:
    """Within it, reading waits for `_ENOUGH` bytes, but not longer than a moment."""

    def __init__(self, source: socket.socket) -> None:
        self._source = source

    def __enter__(self) -> None:
        self._set(_ENOUGH)

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._set(1)

    def _set(self, size: int) -> None:
        self._source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)


def _message(query: bytes) -> bytes:
    return b"Q" + struct.pack("!I", len(query) + 5) + query + b"\x00"


def _begin(target: Connection, into: bytes, passed: Passed) -> None:
    target.pgconn.send_query(into)
    _expect(target.pgconn, _answer(target, passed), pq.ExecStatus.COPY_IN)


def _end(target: Connection, passed: Passed) -> int:
    """End the COPY at the target, and give the rows that it took."""
    target.pgconn.put_copy_end()
    result = _answer(target, passed)
    _expect(target.pgconn, result, pq.ExecStatus.COMMAND_OK)
    rows = result.command_tuples if result is not None else None
    while _answer(target, passed) is not None:
        pass
    return rows or 0


def _flush(target: Connection, passed: Passed) -> None:
    pgconn, vigil = target.pgconn, target.vigil
    until = Deadline(_STUCK_SECONDS, _TAKING)
    if vigil:
        vigil.heard()
    while pgconn.flush():
        came = _wait(pgconn.socket, select.POLLIN | select.POLLOUT, _LOOK_SECONDS)
        if not came:
            _idle(vigil, passed, until)
        elif vigil:
            vigil.heard()
        # A server that has much to say takes nothing until it is heard.
        if came & select.POLLIN:
            pgconn.consume_input()


def _answer(target: Connection, passed: Passed) -> pq.abc.PGresult | None:
    """The next result, however long the server works for it."""
    _flush(target, passed)
    while target.pgconn.is_busy():
        if _wait(target.pgconn.socket, select.POLLIN, _LOOK_SECONDS):
            target.pgconn.consume_input()
        else:
            _idle(target.vigil, passed)
    return target.pgconn.get_result()


def _expect(pgconn: pq.abc.PGconn, result: pq.abc.PGresult | None, status: pq.ExecStatus) -> None:
    if result is None or result.status != status:
        if result is None or not result.error_message:
            raise psycopg.OperationalError(pgconn.get_error_message())
        raise psycopg.errors.error_from_result(result)
