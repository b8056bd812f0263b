"""Many small tables in one go: either side is asked once, for all of them.

Each server gets one message with a COPY for every table, and answers one after the other.
While the target takes a table, the next one is read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg import pq

from naru.errors import ServerError, UnreachableError
from naru.migrate.dialogue import Passed, answer, expect, flush, give_up, hear
from naru.postgres import Connection

_AT_ONCE: Final = 64 * 1024
"""Rows are handed over in pieces of about so many bytes."""


@dataclass(frozen=True)
class Moved:
    """What came of one table."""

    rows: int
    bytes: int


class Bundle:
    """The way of some tables from `source` to `target`, both in a transaction; serves once.

    `passed` hears of bytes as `dialogue.Passed` says.
    """

    def __init__(self, source: Connection, target: Connection, passed: Passed) -> None:
        self._source, self._target, self._passed = source, target, passed
        self._read: list[Moved] = []
        self._written = self._last = 0
        self._takes = False
        """Whether the target takes rows of the table that is being read."""
        self._unsaid = 0
        """Bytes that `passed` has not heard of."""

    @property
    def reading(self) -> int:
        """Which table is being read, from 0 on; the last one at the end."""
        return min(len(self._read), self._last)

    @property
    def writing(self) -> int:
        """Which table is being written, from 0 on; the last one at the end."""
        return min(self._written, self._last)

    def carry(self, queries: Sequence[bytes], into: Sequence[bytes]) -> list[Moved]:
        """Run each COPY of `queries` on the source, and that of `into` on the target.

        After an error neither connection is of use, and both are closed. Raises psycopg.Error
        with the target's words; ServerError with the source's, or UnreachableError when it
        was lost.
        """
        self._last = len(queries) - 1
        try:
            self._ask(queries, into)
            for _ in queries:
                self._pass_one()
            with _of_source():
                _hear_the_end(self._source, self._passed)
            self._see_it_written()
            _hear_the_end(self._target, self._passed)
            self._say()
            return self._read
        except BaseException:
            give_up(self._source, self._target)
            raise

    def _ask(self, queries: Sequence[bytes], into: Sequence[bytes]) -> None:
        self._target.pgconn.send_query(b";".join(into))
        flush(self._target, self._passed)
        with _of_source():
            self._source.pgconn.send_query(b";".join(queries))
            flush(self._source, self._passed)

    def _pass_one(self) -> None:
        """Pass a table on, up to its last row; whether it was taken is asked at the next one."""
        self._expect_of_source(pq.ExecStatus.COPY_OUT)
        self._takes = False
        size, is_last = 0, False
        while not is_last:
            block, is_last = self._next_rows()
            self._put(block)
            size += len(block)
        count = self._expect_of_source(pq.ExecStatus.COMMAND_OK).command_tuples
        self._target.pgconn.put_copy_end()
        flush(self._target, self._passed)
        self._read.append(Moved(count or 0, size))

    def _expect_of_source(self, status: pq.ExecStatus) -> pq.abc.PGresult:
        with _of_source():
            return expect(self._source.pgconn, answer(self._source, self._passed), status)

    def _next_rows(self) -> tuple[bytes, bool]:
        """Some rows in one piece, and whether there are no more."""
        rows: list[memoryview] = []
        held = 0
        with _of_source():
            while held < _AT_ONCE:
                size, row = self._source.pgconn.get_copy_data(1)
                if size < 0:
                    return b"".join(rows), True
                if size == 0:
                    hear(self._source, self._passed)
                    continue
                rows.append(row)
                held += size
        return b"".join(rows), False

    def _put(self, block: bytes) -> None:
        if not self._takes:
            self._see_it_written()
            result = answer(self._target, self._passed)
            expect(self._target.pgconn, result, pq.ExecStatus.COPY_IN)
            self._takes = True
        if block:
            self._target.pgconn.put_copy_data(block)
            self._unsaid += len(block)
            if self._unsaid >= _AT_ONCE:
                flush(self._target, self._passed)
                self._say()

    def _say(self) -> None:
        self._passed(self._unsaid)
        self._unsaid = 0

    def _see_it_written(self) -> None:
        """Hear how the table before was taken, if there was one."""
        if self._written == len(self._read):
            return
        result = answer(self._target, self._passed)
        count = expect(self._target.pgconn, result, pq.ExecStatus.COMMAND_OK).command_tuples
        read = self._read[self._written].rows
        if count != read:
            raise ServerError(f"{read} rows were read, but {count} written")
        self._written += 1


def _hear_the_end(connection: Connection, passed: Passed) -> None:
    while (result := answer(connection, passed)) is not None:
        expect(connection.pgconn, result, pq.ExecStatus.COMMAND_OK)


@contextlib.contextmanager
def _of_source() -> Iterator[None]:
    """Turn the driver's errors, which are the target's elsewhere, into the source's."""
    try:
        yield
    except psycopg.Error as error:
        if error.sqlstate is None:
            why = str(error).strip().partition("\n")[0] or "it was closed"
            raise UnreachableError(f"the source's connection was lost: {why}") from error
        said = error.diag.message_primary or str(error)
        raise ServerError(f"the source refused: {said}", sqlstate=error.sqlstate) from error
