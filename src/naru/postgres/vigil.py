"""Telling a server that works from one that will never answer.

TCP notices a host that is gone; it does not notice a path on which somebody takes the bytes
and passes none on. So a session that hears nothing for a while asks the server over another
connection what its backend does. A long statement is waited for as long as it takes.
"""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg

from naru.errors import DeadlineError
from naru.system import Deadline

if TYPE_CHECKING:
    from psycopg.abc import PQGen

T = TypeVar("T")

SILENT_SECONDS: Final = 20.0
"""Without a byte for this long the server is asked whether it works for us."""

AGAIN_SECONDS: Final = 5.0
"""An answer may just be on its way: silence counts when it is seen twice."""

_END_SECONDS: Final = 0.5
"""How long after a server's last words its end may take to arrive."""

ANSWER_SECONDS: Final = 10
"""How long the server may take to let us in, and to say what the backend does."""

_WORKS = """
SELECT coalesce(bool_or(state = 'active'
                        AND wait_event IS DISTINCT FROM 'ClientRead'
                        AND wait_event IS DISTINCT FROM 'ClientWrite'), false)
FROM pg_catalog.pg_stat_activity WHERE {} = %s AND pid <> pg_catalog.pg_backend_pid()
"""


class SilentError(psycopg.OperationalError):
    """The connection is of no more use: the server does not answer on it."""


class Vigil:
    """Watches over one session's silence; `conninfo` reaches the same server again."""

    until: Deadline | None = None
    """When set, no statement is waited for any longer, whatever the server does."""

    def __init__(self, conninfo: str, *, column: str, value: str | int) -> None:
        self._conninfo = conninfo
        self._query = _WORKS.format(column)
        self._value = value
        self._ask_at = 0.0
        self._suspect = False
        self.heard()

    @classmethod
    def of_backend(cls, conninfo: str, pid: int) -> Vigil:
        return cls(conninfo, column="pid", value=pid)

    @classmethod
    def of_program(cls, conninfo: str, application_name: str) -> Vigil:
        """For a session that another program holds."""
        return cls(conninfo, column="application_name", value=application_name)

    def heard(self) -> None:
        """Something came, or went, just now."""
        self._ask_at = time.monotonic() + SILENT_SECONDS
        self._suspect = False

    def check(self) -> None:
        """To be called again and again while nothing moves.

        Raises SilentError when the server cannot be asked any more, or says twice that it
        does not work for us but waits, or knows nothing of the session. Raises DeadlineError
        when `until` has passed.
        """
        if self.until is not None:
            self.until.check()
        if time.monotonic() < self._ask_at:
            return
        try:
            works = _ask(self._conninfo, self._query, self._value)
        except psycopg.OperationalError as error:
            said = str(error).strip().splitlines() or ["no answer"]
            raise SilentError(
                f"the server has gone silent, and cannot be asked: {said[0]}"
            ) from error
        if works:
            self.heard()
        elif self._suspect:
            raise SilentError("the connection has gone silent: the server waits, nothing arrives")
        else:
            self._suspect = True
            self._ask_at = time.monotonic() + AGAIN_SECONDS

    def over(self, waiting: PQGen[T]) -> PQGen[T]:
        """`waiting`, a generator of the driver, with `check` while nothing is ready."""
        self.heard()
        return _each_tick(waiting, self.check, self.heard)


def _ask(conninfo: str, query: str, value: str | int) -> bool:
    with _Impatient.connect(conninfo, connect_timeout=ANSWER_SECONDS) as asking:
        row = asking.execute(query, [value]).fetchone()
        return bool(row and row[0])


class _Impatient(psycopg.Connection[tuple[Any, ...]]):
    """A connection on which no wait lasts longer than `ANSWER_SECONDS`."""

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        end = time.monotonic() + ANSWER_SECONDS

        def look() -> None:
            if time.monotonic() > end:
                raise SilentError(f"no answer within {ANSWER_SECONDS} s")

        return super().wait(_each_tick(gen, look, lambda: None), interval, timeout)


class WatchedConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection whose waits end when its `vigil` says that nobody will answer.

    As a context manager it says which server was lost, should it be lost in the block.
    """

    vigil: Vigil | None = None
    lost: Callable[[psycopg.Error], Exception] | None = None
    """Turns the driver's error into one that names the server."""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        is_lost = isinstance(exc_val, psycopg.Error) and self._is_broken(exc_val)
        super().__exit__(exc_type, exc_val, exc_tb)
        if is_lost and self.lost is not None and isinstance(exc_val, psycopg.Error):
            raise self.lost(exc_val) from exc_val

    def _is_broken(self, error: psycopg.Error) -> bool:
        """True if the server has ended this session; its last words may come before its end."""
        if self.pgconn.status == psycopg.pq.ConnStatus.OK:
            with contextlib.suppress(psycopg.Error, OSError):
                seconds = _END_SECONDS if (error.sqlstate or "").startswith("57P") else 0
                select.select([self.pgconn.socket], [], [], seconds)
                self.pgconn.consume_input()
        return self.pgconn.status == psycopg.pq.ConnStatus.BAD

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        if self.vigil is None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(self.vigil.over(gen), interval, timeout)
        except (SilentError, DeadlineError):
            # Nobody is there to be told good-bye.
            self.pgconn.finish()
            raise


def _each_tick(
    waiting: PQGen[T], idle: Callable[[], None], moved: Callable[[], None]
) -> Generator[Any, Any, T]:
    try:
        wanted = next(waiting)
        while True:
            ready = yield wanted
            if ready:
                moved()
            else:
                idle()
            wanted = waiting.send(ready)
    except StopIteration as end:
        result: T = end.value
        return result
