"""Moving the rows of one part: read by psql, written through libpq, in large blocks.

No row passes through Python by itself. The source is read by psql, whose output is taken
in blocks and handed to the target's COPY. The target's transaction is ours, so a part is
there whole, and noted in the ledger, or not at all.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from naru.errors import DeadlineError, NaruError, ServerError, StoppedError, UnreachableError
from naru.migrate import ledger, locks
from naru.migrate.pace import Pace
from naru.migrate.parts import Part
from naru.migrate.sides import Side, explained
from naru.migrate.wire import SAVEPOINT, Passed, carry, feed, is_plain
from naru.postgres import KEEPALIVES, Connection, Vigil, explain
from naru.system import spawn

_BLOCK = 512 * 1024
_PIPE_BYTES = 1024 * 1024
_F_SETPIPE_SZ = 1031
_LOOK_SECONDS = 0.2
_PSQL_ENDS_SECONDS = 2.0

# Text must mean the same on both sides, whatever the databases' own settings are.
TEXT_SETTINGS = {
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "timezone": "UTC",
    "row_security": "off",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    # A notice would stand among the rows.
    "client_min_messages": "error",
}

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"


@dataclass(frozen=True)
class Reader:
    """How parts are read at the source: in one exported snapshot, in the target's encoding."""

    source: Side
    psql: Path
    snapshot: str
    encoding: str
    pace: Pace = field(default_factory=Pace)


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
        for connection in (self._source, self._target):
            if connection is not None:
                with contextlib.suppress(psycopg.Error):
                    connection.close()

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
            size += count
            moved(count)

        try:
            if _is_frozen(part):
                # In the transaction that empties a table its rows may be frozen at once,
                # which spares the target a vacuum and the indexes' builds a write.
                relation = part.table.relation.identifier
                target.execute(sql.SQL("TRUNCATE ONLY {}").format(relation))
            rows = self._move(part, target, passed)
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

    def _cut_off(self, part: Part, error: NaruError) -> NaruError:
        """The same error with the names of servers and table, and how to go on."""
        copying = f"copying {part.table.relation} from {self._reader.source} to {self._target_side}"
        if error.sqlstate == "55P03":
            with self._reader.source.connect("who holds it") as asking:
                who, pid = locks.holders(asking, [part.table.relation], locks.AGAINST_READING)
            return StoppedError(f"{copying}: {who}", remedy=locks.remedy_for(pid), sqlstate="55P03")
        lost = error.sqlstate is None or error.sqlstate.startswith(("08", "57P"))
        kind = StoppedError if lost else ServerError
        return kind(
            f"{copying}: {error.message}",
            remedy="when both servers answer, run `naru migrate start` again: finished tables stay",
            sqlstate=error.sqlstate,
        )

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
        return self._through_psql(part, passed)

    def _through_connection(self, part: Part) -> Iterator[bytes | bytearray | memoryview]:
        source = self._open_source()
        try:
            with source.cursor() as cursor, cursor.copy(part.query()) as copy:
                yield from copy
        except psycopg.Error as error:
            raise explain(
                error, self._reader.source.dsn, f"reading {part.table.relation}"
            ) from error

    def _through_psql(self, part: Part, passed: Passed) -> Iterator[bytes]:
        """Blocks of COPY output from a psql of its own."""
        words = [
            str(self._reader.psql), f"--dbname={make_conninfo('', **KEEPALIVES)}",
            "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1",
            "--command", _BEGIN,
            "--command", self._set_snapshot().as_string(None),
            "--command", part.query().as_string(None),
        ]  # fmt: skip
        with tempfile.TemporaryFile() as said:
            process = spawn(words, env=self._environment(), stderr=said)
            try:
                yield from _read_all(process, passed, self._vigil())
                code = process.wait()
            except psycopg.OperationalError as error:
                doing = f"reading {part.table.relation}"
                raise explain(error, self._reader.source.dsn, doing) from error
            finally:
                _end_early(process)
            if code != 0:
                said.seek(0)
                raise _explain_psql(said.read().decode(errors="replace"), part, self._reader.source)

    def _vigil(self) -> Vigil:
        """Over psql's session, which bears the same name as our own, and alone is busy."""
        return Vigil.of_program(self._reader.source.dsn.conninfo(), f"naru: {self._purpose}")

    def _environment(self) -> dict[str, str]:
        options = " ".join(
            f"-c {key}={value.replace(' ', chr(92) + ' ')}" for key, value in TEXT_SETTINGS.items()
        )
        dsn = self._reader.source.dsn.with_(
            options=options, application_name=f"naru: {self._purpose}"
        )
        return {**dsn.environment(), "PGCLIENTENCODING": self._reader.encoding}

    def _set_snapshot(self) -> sql.Composed:
        return sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(self._reader.snapshot))

    def _open_source(self) -> Connection:
        if self._source is None:
            source = self._reader.source.connect(self._purpose)
            with explained(self._reader.source, "setting up a session"):
                self._prepare(source)
                source.execute(_BEGIN)
            try:
                source.execute(self._set_snapshot())
                source.execute(sql.SQL("SAVEPOINT {}").format(sql.Identifier(SAVEPOINT)))
            except psycopg.Error as error:
                if source.closed:
                    raise explain(error, self._reader.source.dsn, "taking the snapshot") from error
                source.close()
                raise _snapshot_gone(self._reader.source) from error
            self._source = source
        return self._source

    def _open_target(self) -> Connection:
        if self._target is None:
            self._target = self._target_side.connect(self._purpose)
            self._prepare(self._target)
            # Waiting for each small part to be flushed would only cost time: the copy
            # settles at its end.
            self._target.execute("SET synchronous_commit = off")
        return self._target

    def _prepare(self, connection: Connection) -> None:
        connection.execute(
            "SELECT pg_catalog.set_config('client_encoding', %s, false)", [self._reader.encoding]
        )
        for key, value in TEXT_SETTINGS.items():
            connection.execute("SELECT pg_catalog.set_config(%s, %s, false)", [key, value])


def _is_frozen(part: Part) -> bool:
    return part.of == 1 and not part.is_small


def _read_all(process: subprocess.Popen[bytes], passed: Passed, vigil: Vigil) -> Iterator[bytes]:
    if process.stdout is None:
        return
    descriptor = process.stdout.fileno()
    with contextlib.suppress(OSError):
        fcntl.fcntl(descriptor, _F_SETPIPE_SZ, _PIPE_BYTES)
    while True:
        while not select.select([descriptor], [], [], _LOOK_SECONDS)[0]:
            passed(0)
            vigil.check()
        vigil.heard()
        if not (block := os.read(descriptor, _BLOCK)):
            return
        yield block


def _end_early(process: subprocess.Popen[bytes]) -> None:
    """End psql if it still runs, which then cancels what it asked of the server."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    if process.stdout:
        process.stdout.close()
    try:
        process.wait(_PSQL_ENDS_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _snapshot_gone(source: Side) -> StoppedError:
    return StoppedError(
        f"{source}: the snapshot of the copy is gone (its connection was lost)",
        remedy="run `naru migrate start` again: finished tables stay, the rest is copied anew",
    )


def _explain_psql(said: str, part: Part, source: Side) -> NaruError:
    line = next((line for line in said.splitlines() if line.strip()), "no message")
    line = line.removeprefix("psql: ").removeprefix("error: ")
    if "snapshot" in said:
        return _snapshot_gone(source)
    return ServerError(f"{source}: reading {part.table.relation} failed: {line}")
