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
from typing import Final

import psycopg

from naru.errors import ServerError, UnreachableError
from naru.migrate import ending
from naru.migrate.dialogue import (
    LOOK_SECONDS,
    STUCK_SECONDS,
    TAKING,
    Passed,
    begin,
    end,
    give_up,
    idle,
    wait_for,
)
from naru.postgres import Connection, fetch_value
from naru.system import Deadline

_BLOCK: Final = 1024 * 1024
_ENOUGH: Final = 64 * 1024
"""Fewer bytes than this are waited for a moment, which spares both sides many wake-ups."""

_MOMENT: Final = 0.02
_TAIL: Final = 4096
"""More than what the server sends after the last row."""

SAVEPOINT: Final = "naru_copy"


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
        begin(target, into, passed)
        with _Socket(source) as here, _Socket(target) as there:
            read = _Passing(here, there, passed).run(query)
        written = end(target, passed)
        if read is not None and read != written:
            raise ServerError(f"{read} rows were read, but {written} written")
        return written
    except BaseException:
        give_up(source, target)
        raise


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
        wait_for(self._source, select.POLLIN, _MOMENT)
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


def _send(which: _Socket, block: memoryview, passed: Passed) -> None:
    until = Deadline(STUCK_SECONDS, TAKING)
    while block:
        with contextlib.suppress(BlockingIOError):
            block = block[which.send(block) :]
            until = Deadline(STUCK_SECONDS, TAKING)
            continue
        if not wait_for(which, select.POLLOUT, LOOK_SECONDS):
            idle(which.vigil, passed, until)
        elif which.vigil:
            which.vigil.heard()


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
