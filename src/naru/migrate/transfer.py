"""Moving the rows of one part, in large blocks; no row passes through Python by itself.

From socket to socket where nothing is encrypted (see `wire`), else read by psql (see
`reading`) and written through libpq. The target's transaction is ours, so a part is there
whole, and noted in the ledger, or not at all.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence

import psycopg
from psycopg import sql

from naru.errors import DeadlineError, NaruError, ServerError, StoppedError, UnreachableError
from naru.migrate import ledger, locks
from naru.migrate.parts import Part
from naru.migrate.reading import BEGIN, TEXT_SETTINGS, Reader, through_psql
from naru.migrate.sides import Side, explained
from naru.migrate.wire import SAVEPOINT, Passed, carry, feed, is_plain
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
        try:
            with target.transaction():
                return [self._copy_part(part, target, batch, moved, stop) for part in parts]
        except psycopg.Error as error:
            raise explain(error, self._target_side.dsn, "noting what was copied") from error

    def _copy_part(
        self,
        part: Part,
        target: Connection,
        batch: int,
        moved: Passed,
        stop: threading.Event,
    ) -> int:
        size = 0

        def passed(count: int) -> None:
            nonlocal size
            self._reader.pace.take(count, stop)
            self._reader.must_last()
            size += count
            moved(count)

        try:
            if _is_frozen(part):
                # In the transaction that empties a table its rows may be frozen at once,
                # which spares the target a vacuum and the indexes' builds a write.
                relation = part.table.relation.identifier
                target.execute(sql.SQL("TRUNCATE ONLY {}").format(relation))
            rows = self._move(part, target, passed)
            if part.of > 1:
                self._must_lie_still(part)
            ledger.note(target, part, batch, rows, size)
        except psycopg.Error as error:
            raise explain(error, self._target_side.dsn, f"copying {part.table.relation}") from error
        return rows

    def _move(self, part: Part, target: Connection, passed: Passed) -> int:
        if not part.is_small and self._both_are_plain(target):
            source = self._open_source()
            query, into = part.query().as_bytes(source), self._into(part).as_bytes(target)
            try:
                return carry(source, query, target, into, passed)
            except (DeadlineError, UnreachableError, ServerError) as error:
                raise self._cut_off(part, error) from error
        return feed(self._blocks(part, passed), target, self._into(part).as_bytes(target), passed)

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

    def _into(self, part: Part) -> sql.Composed:
        columns = sql.SQL(", ").join(sql.Identifier(name) for name in part.table.columns)
        options = ["FORMAT binary" if part.table.binary else "FORMAT text"]
        if _is_frozen(part):
            options.append("FREEZE")
        return sql.SQL("COPY {} {} FROM STDIN ({})").format(
            part.table.relation.identifier,
            sql.SQL("({})").format(columns) if part.table.columns else sql.SQL(""),
            sql.SQL(", ".join(options)),
        )

    def _blocks(self, part: Part, passed: Passed) -> Iterator[bytes | bytearray | memoryview]:
        if part.is_small:
            return self._through_connection(part)
        return through_psql(self._reader, part, self._purpose, passed)

    def _through_connection(self, part: Part) -> Iterator[bytes | bytearray | memoryview]:
        source = self._open_source()
        try:
            with source.cursor() as cursor, cursor.copy(part.query()) as copy:
                yield from copy
        except psycopg.Error as error:
            raise explain(
                error, self._reader.source.dsn, f"reading {part.table.relation}"
            ) from error

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


def _is_frozen(part: Part) -> bool:
    return part.of == 1 and not part.is_small
