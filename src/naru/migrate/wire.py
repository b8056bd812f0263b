"""Rows from one server's socket to another's, as they come, without a look at them.

The source sends each row as one message, and the target's COPY takes just such messages. So
between two connections without encryption the bytes are passed on as they are, in large
blocks. Where the rows end is told by what follows them: a second query, sent right behind
the COPY, answers with a random text that no row can hold. The server says nothing after it,
so only the end of what has come is ever compared.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import select
import socket
import struct
from collections.abc import Callable
from typing import Final

import psycopg
from psycopg import pq

from naru.errors import DeadlineError, ServerError, UnreachableError
from naru.postgres import Connection, fetch_value

_BLOCK: Final = 1024 * 1024
_ENOUGH: Final = 64 * 1024
"""Fewer bytes than this are waited for a moment, which spares both sides many wake-ups."""

_MOMENT: Final = 0.02
_STUCK_SECONDS: Final = 600.0
_TAIL: Final = 4096
"""More than what the server sends after the last row."""

SAVEPOINT: Final = "naru_copy"
_ROWS_END: Final = re.compile(
    rb"c\x00\x00\x00\x04C\x00\x00\x00.COPY (\d+)\x00Z\x00\x00\x00\x05T", re.DOTALL
)
_ERROR: Final = re.compile(rb"S[A-Z]+\x00.*?C([0-9A-Z]{5})\x00M([^\x00]*)\x00", re.DOTALL)


def is_plain(connection: Connection) -> bool:
    """True if what is on the connection's socket is the protocol itself, not encrypted."""
    if connection.pgconn.ssl_in_use:
        return False
    query = "SELECT encrypted FROM pg_catalog.pg_stat_gssapi WHERE pid = pg_backend_pid()"
    return not fetch_value(connection, query)


def carry(
    source: Connection, query: bytes, target: Connection, into: bytes, passed: Callable[[int], None]
) -> int:
    """Run COPY `query` on `source` and COPY `into` on `target`; give the rows written.

    Both must be plain and in a transaction, the source's with a SAVEPOINT. `passed` hears
    of the bytes of every block, and of none while nothing comes; what it raises ends the
    copy. After an error neither connection is of use, and both are closed.
    Raises psycopg.Error with the target's words, ServerError with the source's.
    """
    try:
        _expect(target.pgconn, target.pgconn.exec_(into), pq.ExecStatus.COPY_IN)
        with _Socket(source) as here, _Socket(target) as there:
            read = _Passing(here, there, passed).run(query)
        written = _end(target.pgconn)
        if read is not None and read != written:
            raise ServerError(f"{read} rows were read, but {written} written")
        return written
    except BaseException:
        for connection in (source, target):
            # Not in the middle of a message, where the server would wait for its rest.
            with contextlib.suppress(psycopg.Error):
                connection.pgconn.finish()
        raise


class _Socket(socket.socket):
    """The socket of a connection; its own end leaves the connection's open."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(fileno=os.dup(connection.pgconn.socket))
        self.setblocking(False)


class _Passing:
    """One COPY's way from one socket to the other."""

    def __init__(
        self, source: socket.socket, target: socket.socket, passed: Callable[[int], None]
    ) -> None:
        self._source, self._target, self._passed = source, target, passed
        self._buffer = memoryview(bytearray(_TAIL + _BLOCK))
        self._held = 0
        """Bytes at the buffer's begin that came and were not passed on."""

    def run(self, query: bytes) -> int | None:
        """Pass all rows on; give their number, or None when the target refused some."""
        mark = secrets.token_hex(16).encode()
        asked = _message(query) + _message(
            f"ROLLBACK TO SAVEPOINT {SAVEPOINT}; SELECT '".encode() + mark + b"'"
        )
        last = mark + b"C\x00\x00\x00\x0dSELECT 1\x00Z\x00\x00\x00\x05T"
        _send(self._source, memoryview(asked))
        with _EnoughAtOnce(self._source):
            rows = self._skip_opening()
            while not self._ends_with(last):
                if rows:
                    self._pass(self._held - _TAIL)
                    if self._target_has_failed():
                        return None
                self._receive()
        return self._finish(rows)

    def _finish(self, rows: bool) -> int:
        tail = bytes(self._buffer[: self._held])
        found = list(_ROWS_END.finditer(tail)) if rows else []
        if not found:
            said = _ERROR.search(tail)
            words = said[2].decode(errors="replace") if said else "no message"
            state = said[1].decode() if said else None
            raise ServerError(f"the source refused: {words}", sqlstate=state)
        self._pass(found[-1].start())
        return int(found[-1][1])

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

    def _ends_with(self, last: bytes) -> bool:
        return bytes(self._buffer[max(0, self._held - len(last)) : self._held]) == last

    def _receive(self) -> None:
        _wait(self._source, select.POLLIN, _MOMENT)
        try:
            count = self._source.recv_into(self._buffer[self._held :])
        except BlockingIOError:
            self._passed(0)
            return
        except OSError as error:
            raise UnreachableError(f"the source's connection was lost: {error.strerror}") from error
        if count == 0:
            raise UnreachableError("the source closed the connection")
        self._held += count

    def _pass(self, count: int) -> None:
        if count <= 0:
            return
        try:
            _send(self._target, self._buffer[:count])
        except OSError as error:
            raise UnreachableError(f"the target's connection was lost: {error.strerror}") from error
        self._drop(count)
        self._passed(count)

    def _drop(self, count: int) -> None:
        rest = bytes(self._buffer[count : self._held])
        self._buffer[: len(rest)] = rest
        self._held = len(rest)

    def _target_has_failed(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            return self._target.recv(1, socket.MSG_PEEK) in (b"E", b"")
        return False


def _wait(which: socket.socket, event: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(which, event)
    return bool(poll.poll(seconds * 1000))


def _send(which: socket.socket, block: memoryview) -> None:
    while block:
        with contextlib.suppress(BlockingIOError):
            block = block[which.send(block) :]
            continue
        if not _wait(which, select.POLLOUT, _STUCK_SECONDS):
            raise DeadlineError(f"a server took no bytes for {_STUCK_SECONDS:g} s during a copy")


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


def _end(pgconn: pq.abc.PGconn) -> int:
    """End the COPY at the target, and give the rows that it took."""
    while pgconn.put_copy_end() == 0:
        pgconn.flush()
    result = pgconn.get_result()
    _expect(pgconn, result, pq.ExecStatus.COMMAND_OK)
    rows = result.command_tuples if result is not None else None
    while pgconn.get_result() is not None:
        pass
    return rows or 0


def _expect(pgconn: pq.abc.PGconn, result: pq.abc.PGresult | None, status: pq.ExecStatus) -> None:
    if result is None or result.status != status:
        if result is None or not result.error_message:
            raise psycopg.OperationalError(pgconn.get_error_message())
        raise psycopg.errors.error_from_result(result)
