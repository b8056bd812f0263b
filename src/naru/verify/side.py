"""One of the two databases: its connections, its snapshots, its workers."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

import psycopg
from psycopg import IsolationLevel, sql
from psycopg.pq import TransactionStatus

from naru.errors import StoppedError
from naru.postgres import Connection, Dsn, connect, explain, fetch_value

T = TypeVar("T")

BATCH = 5000
"""How many rows are read at once where all of many are looked at."""

_CANCEL_SECONDS = 5

_PINNED = {
    "search_path": "",
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "xmloption": "content",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "quote_all_identifiers": "off",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "row_security": "off",
    "default_transaction_read_only": "on",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
    "lock_timeout": "30s",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "cursor_tuple_fraction": "1",
}
"""What text output, deparsing and deadlines depend on; unknown ones are passed over.

Row security is off so that a policy which would hide rows is an error. Parallel query is
off because the number of workers is ours to keep.
"""

_PIN = (
    "SELECT pg_catalog.set_config(name, wanted, false) FROM pg_catalog.pg_settings"
    " JOIN ROWS FROM (pg_catalog.unnest(%s::text[]), pg_catalog.unnest(%s::text[]))"
    " AS pinned (setting_name, wanted) ON name = pg_catalog.lower(setting_name)"
)


class Gate(Protocol):
    """Lets work on a side pass, or has it wait."""

    def enter(self, side: Side) -> None:
        """Wait until more may be read on this side."""

    def spend(self, side: Side, rows: int, size: float) -> None:
        """So many rows and bytes were read on this side."""


class _Open:
    """A gate that is always open."""

    def enter(self, side: Side) -> None: ...

    def spend(self, side: Side, rows: int, size: float) -> None: ...


class Side:
    """`source` or `target`: opens pinned connections and ends them all."""

    def __init__(self, name: str, dsn: Dsn, snapshot: str | None = None) -> None:
        self.name = name
        self.dsn = dsn
        self.snapshot = snapshot
        self.gate: Gate = _Open()
        self.over: str | None = None
        """Why no more rows are to be read at the snapshots that are held; see `give_back`."""
        self._open: list[Connection] = []
        self._at_work: set[Connection] = set()
        self._doomed: frozenset[Connection] = frozenset()
        self._lock = threading.Lock()
        self._stopped = False

    def connect(self) -> Connection:
        """A connection in which text, deparsing and visibility do not depend on anybody."""
        self._go_on()
        connection = connect(self.dsn, purpose="verify", prepare=False)
        with self._lock:
            self._open.append(connection)
        with self.explained("preparing the session"):
            # pg_settings spells some names with capitals, such as TimeZone.
            for name in ("timezone", "datestyle", "intervalstyle"):
                connection.execute(
                    "SELECT pg_catalog.set_config(%s, %s, false)", [name, _PINNED[name]]
                )
            connection.execute(_PIN, [list(_PINNED), list(_PINNED.values())])
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        return connection

    @contextlib.contextmanager
    def explained(self, doing: str) -> Iterator[None]:
        """Turn the driver's errors into ours, naming this side's database."""
        try:
            yield
        except psycopg.Error as error:
            raise explain(error, self.dsn, doing) from error

    @contextlib.contextmanager
    def reading(
        self, connection: Connection, doing: str, snapshot: str | None = None
    ) -> Iterator[Connection]:
        """A repeatable read transaction, on `snapshot` or on the one this side was given."""
        self._go_on()
        chosen = snapshot or self.snapshot
        with self.explained(doing), self._working(connection), connection.transaction():
            if chosen:
                command = sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(chosen))
                connection.execute(command)
            yield connection

    @contextlib.contextmanager
    def _working(self, connection: Connection) -> Iterator[None]:
        with self._lock:
            self._at_work.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._at_work.discard(connection)

    @contextlib.contextmanager
    def shared_snapshot(self, connection: Connection) -> Iterator[str]:
        """A snapshot that other connections of this side can read on, until the end."""
        if self.snapshot:
            yield self.snapshot
            return
        self.must_not_be_over()
        with self.reading(connection, "taking a snapshot"):
            yield str(fetch_value(connection, "SELECT pg_catalog.pg_export_snapshot()"))

    def stream(
        self,
        connection: Connection,
        name: str,
        query: sql.SQL | sql.Composed,
        *,
        batch: int = 1000,
        hold: bool = False,
    ) -> Iterator[tuple[Any, ...]]:
        """The rows of `query` by a cursor in the server; needs an open transaction.

        With `hold` it needs none: the server keeps the result, and no snapshot.
        """
        cursors = connection.cursor(f"naru_{name}", withhold=hold)
        with self.explained(f"reading {name}"), cursors as cursor:
            cursor.itersize = batch
            cursor.execute(query)
            yield from cursor

    @contextlib.contextmanager
    def ahead(
        self,
        connection: Connection,
        name: str,
        query: sql.SQL | sql.Composed,
        *,
        doing: str = "",
        batch: int | None = None,
        binary: bool = False,
    ) -> Iterator[Iterator[list[tuple[Any, ...]]]]:
        """The rows of `query` in lists; the next is read while the caller looks at one.

        It begins at once, so that both sides work at the same time. Needs an open transaction.
        """
        doing = doing or f"reading {name}"
        with (
            self.explained(doing),
            connection.cursor(f"naru_{name}", binary=binary) as cursor,
            ThreadPoolExecutor(1, thread_name_prefix=f"verify-{self.name}-ahead") as reader,
        ):
            size = batch or BATCH
            coming = reader.submit(lambda: cursor.execute(query).fetchmany(size))

            def batches() -> Iterator[list[tuple[Any, ...]]]:
                nonlocal coming
                with self.explained(doing):
                    while rows := coming.result():
                        self.must_not_be_over()
                        coming = reader.submit(cursor.fetchmany, size)
                        yield rows

            try:
                yield batches()
            except BaseException:
                # Sorting may take hours, and nobody waits for what comes of it any more.
                if not coming.done():
                    self._cancel(connection)
                raise

    def _cancel(self, connection: Connection) -> None:
        with contextlib.suppress(psycopg.Error):
            if connection.info.transaction_status == TransactionStatus.ACTIVE:
                connection.cancel_safe(timeout=_CANCEL_SECONDS)

    def _go_on(self) -> None:
        if self._stopped:
            raise StoppedError(f"the comparison of {self.dsn} was stopped")

    def pids_at_work(self) -> list[int]:
        """The server's processes that have a transaction of ours open."""
        with self._lock:
            return [one.info.backend_pid for one in self._at_work if not one.closed]

    def give_back(self, reason: str) -> None:
        """Read no more rows, and cancel what was reading when this was first called.

        What is short and has no snapshot that is old, as reading a position, still goes.
        """
        with self._lock:
            if self.over is None:
                self.over, self._doomed = reason, frozenset(self._at_work)
            doomed = self._doomed & self._at_work
        for connection in doomed:
            self._cancel(connection)

    def must_not_be_over(self) -> None:
        """Raise StoppedError once snapshots are to be given back."""
        if self.over is not None:
            raise stopped(self.over)

    def stop(self) -> None:
        """Begin nothing new, and cancel whatever runs in the server."""
        self._stopped = True
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            self._cancel(connection)

    def close(self) -> None:
        """End every connection; nothing may be using them any more."""
        with self._lock:
            connections, self._open = self._open, []
        for connection in connections:
            connection.close()


def results(futures: Iterable[Future[T]]) -> list[T]:
    """What all of them give, in their order; raises as soon as any of them has failed."""
    every = list(futures)
    done: SimpleQueue[Future[T]] = SimpleQueue()
    for future in every:
        # Called for those that are cancelled too, of which concurrent.futures.wait hears nothing.
        future.add_done_callback(done.put)
    for _ in every:
        done.get().result()
    return [future.result() for future in every]


def stopped(why: str) -> StoppedError:
    """The error of a comparison that has given its snapshots back."""
    return StoppedError(
        f"{why}: the comparison was stopped",
        remedy="the same command with --resume goes on; --stop-when sets another bound",
    )


class Workers:
    """A fixed number of threads, each with its own connection to one side."""

    def __init__(self, side: Side, count: int) -> None:
        self.side = side
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=f"verify-{side.name}")
        self._local = threading.local()

    def submit(
        self, snapshot: str | None, doing: str, work: Callable[[Connection], T]
    ) -> Future[T]:
        """Run `work` on a connection that reads `snapshot` (None: one of its own)."""

        def run() -> T:
            self.side.gate.enter(self.side)
            self.side.must_not_be_over()
            connection: Connection | None = getattr(self._local, "connection", None)
            if connection is None:
                connection = self._local.connection = self.side.connect()
            with self.side.reading(connection, doing, snapshot):
                return work(connection)

        return self._pool.submit(run)

    def shutdown(self, *, wait: bool = True) -> None:
        """Drop what has not begun, and wait for the threads to end."""
        self._pool.shutdown(wait=wait, cancel_futures=True)
