"""Sessions on the server that is dumped, which do not wait for locks in silence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from naru.errors import DeadlineError, NaruError
from naru.migrate.dump_facts import lockers
from naru.migrate.sides import PLAIN, stay
from naru.postgres import Connection, Dsn, connect, explain

# pg_dump's limit on waiting is a statement timeout, and its workers do not wait at all.
_WAITED = re.compile(r"(lock|statement) timeout|could not obtain lock")


@dataclass(frozen=True)
class Server:
    """The source's server, by a database of it."""

    source: Dsn
    lock_seconds: float

    def dsn(self, database: str) -> Dsn:
        return self.source.with_(dbname=database)

    @contextmanager
    def session(self, database: str) -> Iterator[Connection]:
        """A connection, and errors of the block told as what they are.

        A lock that the block, or a program that it ran, has given up waiting for becomes a
        DeadlineError that names who holds it.
        """
        dsn = self.dsn(database)
        with self._connect(dsn) as connection:
            try:
                yield connection
            except psycopg.Error as error:
                said = explain(error, dsn, "reading")
                raise self._locked(said, dsn) or said from error
            except NaruError as error:
                if locked := self._locked(error, dsn):
                    raise locked from error
                raise

    def _locked(self, error: NaruError, dsn: Dsn) -> DeadlineError | None:
        if not _WAITED.search(error.message):
            return None
        with self._connect(dsn) as connection:
            held = lockers(connection)
        return DeadlineError(
            f"{dsn}: a table is locked: {held or 'nobody holds it any more'}",
            remedy="wait until that transaction has ended, or end it; or --lock-wait SECONDS",
        )

    def _connect(self, dsn: Dsn) -> Connection:
        timeout = f"{int(self.lock_seconds * 1000)}ms"
        connection = connect(
            dsn, purpose="dump", settings={**PLAIN, "lock_timeout": timeout, "search_path": ""}
        )
        stay(connection)
        return connection
