"""Workers that run statements on the target, each on a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from naru.errors import NaruError, NotPermittedError, ServerError
from naru.migrate.names import OWN_SCHEMA
from naru.migrate.sides import stay
from naru.migrate.statements import Statement
from naru.postgres import Connection, Dsn, connect, explain


@dataclass(frozen=True)
class Problem:
    """A statement that the target refused, and its reason; the work went on without it."""

    statement: Statement
    reason: str


def note_done(archive: str, ids: Sequence[str]) -> str:
    """The statement that notes statements of an archive as done; runs in their transaction."""
    return (
        sql.SQL("INSERT INTO {}.schema_done SELECT {}, * FROM unnest({}::text[])")
        .format(sql.Identifier(OWN_SCHEMA), sql.Literal(archive), sql.Literal(list(ids)))
        .as_string()
    )


def is_noted(connection: Connection, archive: str, one: str) -> bool:
    """True if a statement is done after all.

    A process that was killed leaves backends behind that end what they were doing; what
    they complete after we looked is refused to us, and noted.
    """
    text = sql.SQL("SELECT true FROM {}.schema_done WHERE archive = {} AND id = {}").format(
        sql.Identifier(OWN_SCHEMA), sql.Literal(archive), sql.Literal(one)
    )
    return not connection.closed and connection.execute(text).fetchone() is not None


class Crew:
    """`jobs` workers on `target`; each statement commits together with its note."""

    def __init__(self, target: Dsn, identity: str, settings: dict[str, str], jobs: int) -> None:
        self.problems: list[Problem] = []
        self._target, self._identity, self._settings = target, identity, settings
        self._local = threading.local()
        self._lock = threading.Lock()
        self._connections: list[Connection] = []
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(max(1, jobs), thread_name_prefix="naru-build")

    def run(
        self,
        tasks: Sequence[Sequence[Statement]],
        *,
        serial: bool,
        tolerant: bool,
        on_done: Callable[[Sequence[Statement]], None],
    ) -> None:
        """Run every task to its end, or stop all at the first error and raise it.

        The statements of a task are done together; serial tasks one after the other.
        """

        def work(statements: Sequence[Statement]) -> None:
            if self._stop.is_set():
                return
            done = self._carry_out(statements, tolerant)
            if done:
                with self._lock:
                    on_done(done)

        def in_order() -> None:
            for task in tasks:
                work(task)

        if serial:
            futures = [self._pool.submit(in_order)]
        else:
            futures = [self._pool.submit(work, task) for task in tasks]
        try:
            self._await(futures)
        except BaseException:
            self._stop.set()
            self._cancel(futures)
            raise

    def _await(self, futures: Sequence[Future[None]]) -> None:
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()

    def _cancel(self, futures: Sequence[Future[None]]) -> None:
        for future in futures:
            future.cancel()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            connection.cancel_safe(timeout=5)
        wait(futures, timeout=30)

    def _carry_out(self, statements: Sequence[Statement], tolerant: bool) -> Sequence[Statement]:
        """Run a task's statements in one transaction, or one by one if that is refused.

        Gives those that are done. One message is one transaction, and one round trip.
        """
        if len(statements) == 1:
            return statements if self._carry_out_alone(statements[0], tolerant) else []
        connection = self._connection()
        try:
            connection.execute(self._message(statements))
        except psycopg.Error as error:
            if connection.closed or self._stop.is_set():
                raise explain(error, self._target, f"making {statements[0]}") from error
            return [one for one in statements if self._carry_out_alone(one, tolerant)]
        return statements

    def _carry_out_alone(self, statement: Statement, tolerant: bool) -> bool:
        connection = self._connection()
        try:
            connection.execute(self._message([statement]))
        except psycopg.Error as error:
            said = explain(error, self._target, f"making {statement}")
            if isinstance(said, ServerError) and is_noted(connection, self._identity, statement.id):
                return True
            if tolerant and isinstance(said, (ServerError, NotPermittedError)):
                self._put_up_with(statement, said)
                return False
            raise said from error
        return True

    def _message(self, statements: Sequence[Statement]) -> bytes:
        texts = [one.sql for one in statements]
        texts.append(note_done(self._identity, [one.id for one in statements]))
        return "\n;\n".join(texts).encode()

    def _put_up_with(self, statement: Statement, said: NaruError) -> None:
        with self._lock:
            self.problems.append(Problem(statement, said.message))

    def _connection(self) -> Connection:
        found: Connection | None = getattr(self._local, "connection", None)
        if found is None or found.closed:
            found = connect(self._target, purpose="schema", settings=self._settings)
            try:
                stay(found)
            except psycopg.Error as error:
                raise explain(error, self._target, "setting up a session") from error
            self._local.connection = found
            with self._lock:
                self._connections.append(found)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        for connection in self._connections:
            connection.close()
