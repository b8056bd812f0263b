"""Moving the rows of one part, in large blocks; no row passes through Python by itself.

A large part goes from socket to socket where nothing is encrypted (see `wire`), else it is
read by psql (see `reading`) and written through libpq; small tables go together (see
`bundle`). The target's transaction is ours, so a part is there whole, and noted in the
ledger, or not at all.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence

import psycopg
from psycopg import sql

from naru.errors import DeadlineError, NaruError, ServerError, StoppedError, UnreachableError
from naru.migrate import ledger, locks
from naru.migrate.bundle import Bundle
from naru.migrate.dialogue import Passed, feed
from naru.migrate.ledger import Done
from naru.migrate.parts import Part
from naru.migrate.reading import BEGIN, TEXT_SETTINGS, Reader, through_psql
from naru.migrate.sides import Side, explained
from naru.migrate.wire import SAVEPOINT, carry, is_plain
from naru.postgres import Connection, explain, fetch_value


class Worker:
    """One pair of connections that copies parts, one after the other."""

    def __init__(self, reader: Reader, target: Side, number: int) -> None:
        self._reader = reader
        self._target_side = target
        self._purpose = f"copy {number}"
        self._source: Connection | None = None
        self._target: Connection | None = None
        self._plain: bool | None = None

    def close(self) -> None:
        self.let_go()
        if self._target is not None:
            with contextlib.suppress(psycopg.Error):
                self._target.close()

    def let_go(self) -> None:
        """See the snapshot no longer, until the next part; not while one is being copied."""
        source, self._source = self._source, None
        if source is not None:
            with contextlib.suppress(psycopg.Error):
                source.close()

    def copy(
        self,
        parts: Sequence[Part],
        batch: int,
        moved: Passed,
        stop: threading.Event,
    ) -> list[int]:
        """Copy parts in one transaction; `moved` hears of every block's bytes.

        Gives the rows written of each. Raises StoppedError when `stop` was set meanwhile,
        or when the snapshot is gone.
        """
        target = self._open_target()

        def passed(count: int) -> None:
            self._reader.pace.take(count, stop)
            self._reader.must_last()
            moved(count)

        try:
            with target.transaction():
                if all(part.is_small for part in parts):
                    done = self._copy_together(parts, target, passed)
                else:
                    done = [self._copy_part(part, target, passed) for part in parts]
                ledger.note(target, batch, done)
        except psycopg.Error as error:
            raise explain(error, self._target_side.dsn, "noting what was copied") from error
        return [one.rows for one in done]

    def _copy_together(
        self, parts: Sequence[Part], target: Connection, passed: Passed
    ) -> list[Done]:
        source = self._open_source()
        bundle = Bundle(source, target, passed)
        try:
            moved = bundle.carry(
                [part.query().as_bytes(source) for part in parts],
                [part.into().as_bytes(target) for part in parts],
            )
        except psycopg.Error as error:
            copying = f"copying {parts[bundle.writing].table.relation}"
            raise explain(error, self._target_side.dsn, copying) from error
        except (DeadlineError, UnreachableError, ServerError) as error:
            raise self._cut_off(parts[bundle.reading], error) from error
        return [Done(part, one.rows, one.bytes) for part, one in zip(parts, moved, strict=True)]

    def _copy_part(self, part: Part, target: Connection, passed: Passed) -> Done:
        size = 0

        def counted(count: int) -> None:
            nonlocal size
            size += count
            passed(count)

        try:
            if part.is_frozen:
                # In the transaction that empties a table its rows may be frozen at once,
                # which spares the target a vacuum and the indexes' builds a write.
                relation = part.table.relation.identifier
                target.execute(sql.SQL("TRUNCATE ONLY {}").format(relation))
            rows = self._move(part, target, counted)
            if part.of > 1:
                self._must_lie_still(part)
        except psycopg.Error as error:
            raise explain(error, self._target_side.dsn, f"copying {part.table.relation}") from error
        return Done(part, rows, size)

    def _move(self, part: Part, target: Connection, passed: Passed) -> int:
        into = part.into().as_bytes(target)
        if not self._both_are_plain(target):
            return feed(
                through_psql(self._reader, part, self._purpose, passed), target, into, passed
            )
        source = self._open_source()
        try:
            return carry(source, part.query().as_bytes(source), target, into, passed)
        except (DeadlineError, UnreachableError, ServerError) as error:
            raise self._cut_off(part, error) from error

    def _must_lie_still(self, part: Part) -> None:
        """Raise StoppedError if the table's rows lie in other places than when it was cut."""
        relation = part.table.relation
        query = "SELECT pg_catalog.pg_relation_filenode(pg_catalog.to_regclass(%s))"
        source = self._open_source()
        if fetch_value(source, query, [relation.identifier.as_string()]) != part.table.filenode:
            raise StoppedError(
                f"{self._reader.source}: {relation} was written anew while it was copied"
                " (VACUUM FULL, CLUSTER, TRUNCATE)",
                remedy="run `naru migrate start` again: this table is copied anew",
            )

    def _cut_off(self, part: Part, error: NaruError) -> NaruError:
        """The same error with the names of servers and table, and how to go on."""
        copying = f"copying {part.table.relation} from {self._reader.source} to {self._target_side}"
        if error.sqlstate == "55P03":
            with self._reader.source.connect("who holds it") as asking:
                who, pid = locks.holders(asking, [part.table.relation], locks.AGAINST_READING)
            return StoppedError(f"{copying}: {who}", remedy=locks.remedy_for(pid), sqlstate="55P03")
        again = "run `naru migrate start` again: finished parts stay"
        remedy = f"when both servers answer, {again}"
        if error.sqlstate == "53100":
            remedy = f"make room on the source's disk; then {again}"
        lost = error.sqlstate is None or error.sqlstate.startswith(("08", "57P", "53100"))
        kind = StoppedError if lost else ServerError
        return kind(f"{copying}: {error.message}", remedy=remedy, sqlstate=error.sqlstate)

    def _both_are_plain(self, target: Connection) -> bool:
        if self._plain is None:
            source = self._open_source()
            with explained(self._reader.source, "asking whether it is encrypted"):
                self._plain = is_plain(source)
            self._plain = self._plain and is_plain(target)
        return self._plain

    def _open_source(self) -> Connection:
        if self._source is None:
            source = self._reader.source.connect(self._purpose)
            with explained(self._reader.source, "setting up a session"):
                self._prepare(source)
                source.execute(BEGIN)
            try:
                source.execute(self._reader.set_snapshot())
                source.execute(sql.SQL("SAVEPOINT {}").format(sql.Identifier(SAVEPOINT)))
            except psycopg.Error as error:
                if source.closed:
                    raise explain(error, self._reader.source.dsn, "taking the snapshot") from error
                source.close()
                raise self._reader.gone() from error
            self._source = source
        return self._source

    def _open_target(self) -> Connection:
        if self._target is None:
            target = self._target_side.connect(self._purpose)
            with explained(self._target_side, "setting up a session"):
                self._prepare(target)
                # Waiting for each small part to be flushed would only cost time: the copy
                # settles at its end.
                target.execute("SET synchronous_commit = off")
            self._target = target
        return self._target

    def _prepare(self, connection: Connection) -> None:
        connection.execute(
            "SELECT pg_catalog.set_config('client_encoding', %s, false)", [self._reader.encoding]
        )
        for key, value in TEXT_SETTINGS.items():
            connection.execute("SELECT pg_catalog.set_config(%s, %s, false)", [key, value])
