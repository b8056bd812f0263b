"""PgBouncer's admin console: it speaks the simple protocol only, one command at a time."""

from __future__ import annotations

import select
from typing import Any

import psycopg
from psycopg.pq import ExecStatus

from naru.errors import NaruError, ServerError, UnreachableError, UsageError
from naru.postgres import Connection, Dsn, connect
from naru.system import Deadline

CONSOLE = "pgbouncer"
"""The console's own database name; no real database can have it."""

CONSOLE_SECONDS = 5
"""How long the console may take for any command that does not wait for clients."""


class Console:
    """One connection to the console. Use as a context manager."""

    def __init__(self, dsn: Dsn) -> None:
        self._dsn = dsn.with_(dbname=CONSOLE)
        self.name = f"{dsn.host}:{dsn.port}"
        self._connection = self._open()

    def _open(self) -> Connection:
        try:
            return connect(self._dsn, purpose="pooler", seconds=CONSOLE_SECONDS, prepare=False)
        except UnreachableError as error:
            raise UnreachableError(
                f"pooler {self.name}: nobody answers on PgBouncer's admin console",
                remedy="check that PgBouncer runs and listens there; see its log",
            ) from error
        except NaruError as error:
            raise type(error)(
                f"pooler {self.name}: the admin console refused {self._dsn.user}: {error.message}",
                remedy="log in as one of PgBouncer's admin_users",
                sqlstate=error.sqlstate,
            ) from error

    def show(self, what: str) -> list[dict[str, Any]]:
        """The rows of `SHOW what`, by the names of their columns."""
        self.send(f"SHOW {what}")
        result = self.finish(Deadline(CONSOLE_SECONDS, f"SHOW {what} on pooler {self.name}"))
        if result is None or result.status != ExecStatus.TUPLES_OK:
            raise ServerError(f"pooler {self.name}: SHOW {what} gave no rows")
        columns = [(result.fname(i) or b"").decode() for i in range(result.nfields)]
        return [
            {name: _text(result.get_value(row, i)) for i, name in enumerate(columns)}
            for row in range(result.ntuples)
        ]

    def answers(self) -> bool:
        """False once the connection is of no use any more."""
        try:
            return bool(self.show("VERSION"))
        except NaruError:
            return False

    def command(self, text: str) -> None:
        """Run a command that answers at once. Raises ServerError with the console's words."""
        self.send(text)
        self.finish(Deadline(CONSOLE_SECONDS, f"{text} on pooler {self.name}"))

    def send(self, text: str) -> None:
        """Send a command without waiting for its answer."""
        try:
            self._connection.pgconn.send_query(text.encode())
        except psycopg.Error as error:
            raise self._lost(text) from error

    def finish(self, deadline: Deadline) -> psycopg.pq.abc.PGresult | None:
        """Wait for the answer to what was sent. Raises DeadlineError, or ServerError on a no."""
        last: psycopg.pq.abc.PGresult | None = None
        while True:
            self._wait(deadline)
            result = self._connection.pgconn.get_result()
            if result is None:
                return last
            if result.status == ExecStatus.FATAL_ERROR:
                self._refuse(result)
            last = result

    def _wait(self, deadline: Deadline) -> None:
        pgconn = self._connection.pgconn
        try:
            pgconn.consume_input()
            while pgconn.is_busy():
                if not select.select([pgconn.socket], [], [], deadline.left)[0]:
                    deadline.check()
                pgconn.consume_input()
        except psycopg.Error as error:
            raise self._lost(deadline.what) from error

    def _refuse(self, result: psycopg.pq.abc.PGresult) -> None:
        state = result.error_field(psycopg.pq.DiagnosticField.SQLSTATE)
        said = result.error_field(psycopg.pq.DiagnosticField.MESSAGE_PRIMARY)
        if said is None:
            raise self._lost("an answer")
        raise ServerError(
            f"pooler {self.name}: the admin console refused: {said.decode(errors='replace')}",
            sqlstate=state.decode() if state else None,
        )

    def _lost(self, what: str) -> UnreachableError:
        return UnreachableError(
            f"pooler {self.name}: the admin console hung up during {what}",
            remedy="PgBouncer may have been restarted; see its log, then run the command again",
        )

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def word(database: str) -> str:
    """A database's name as an argument of a console command. Raises UsageError if it cannot be."""
    if not database or '"' in database or database == CONSOLE:
        raise UsageError(f"PgBouncer cannot be told to pause a database named {database!r}")
    return f'"{database}"'


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")
