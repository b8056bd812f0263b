"""The keeper: a second process that holds the copy's snapshot open should the first one die.

A copy that was killed or stopped can only go on with the parts that are left if it reads
them from the very snapshot of the finished ones, and a snapshot lives no longer than a
session that holds it. So this session is not naru's own. The keeper ends when its note in
the journal is gone or the run has ended, when its session is lost, and at the bounds that
the note sets; and if the keeper itself hangs or its machine is lost, the server ends the
session for it.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import psycopg

from naru.errors import NaruError, ProcessError, ServerError
from naru.journal import Journal, Run
from naru.migrate import channel as channels
from naru.migrate import holders, snapshot
from naru.migrate.channel import Channel
from naru.migrate.names import Relation
from naru.migrate.record import Record
from naru.migrate.sides import Side, explained
from naru.migrate.snapshot import Held
from naru.postgres import Connection, fetch_value
from naru.system import Companion, companion, is_locked

_LOOK_SECONDS: Final = 1.0
_PULSE_SECONDS: Final = 20.0
_SILENCE: Final = "5min"
"""Without a pulse for so long the source ends the session itself."""


@contextlib.contextmanager
def begin(record: Record, batch: int, tables: Sequence[Relation]) -> Iterator[str]:
    """Publish `tables`, make the batch's slot, and let a keeper take its snapshot over.

    The block is given the snapshot's name, and holds it itself; when the block ends, the
    keeper holds it, by the name that it has noted. Raises ServerError if it cannot; then
    nothing of it is left.
    """
    channel = record.batch_channel(batch)
    with Companion(watch) as process:
        with record.source.connect("publish") as source:
            with explained(record.source, "publishing tables"):
                channels.publish(channel, tables, source)
        with record.source.replication("snapshot") as replication:
            name, point = channels.create_slot_with_snapshot(channel, replication)
            record.run.event("copy.snapshot", f"snapshot {name} at {point}", lsn=str(point))
            process.tell(_document(record, batch, name))
            try:
                yield name
            except BaseException:
                process.leave()  # the next start goes on under the same snapshot
                raise
            _must_be_ready(process, record)
        process.leave()


def _must_be_ready(process: Companion, record: Record) -> None:
    try:
        process.await_ready()
    except ProcessError as error:
        raise ServerError(
            f"{record.source}: the copy's snapshot cannot be kept: {error.message}",
            remedy="run `naru migrate start` again; see `naru doctor`",
        ) from error


def _document(record: Record, batch: int, name: str) -> dict[str, Any]:
    return {
        "source": record.source.to_json(),
        "channel": record.batch_channel(batch).name,
        "batch": batch,
        "name": name,
        "journal": str(record.run.journal.path),
        "run": record.run.number,
        "attendance": str(snapshot.attendance(record)),
    }


def watch() -> None:
    """The keeper's whole life."""
    document = companion.told()
    source = Side.from_json(document["source"])
    try:
        connection, name = _take_over(source, document["channel"], document["name"])
    except (NaruError, psycopg.Error) as error:
        companion.failed(str(error))
        return
    path = Path(document["journal"])
    with contextlib.closing(connection), Journal(path) as journal:
        run = Run(journal, document["run"])
        snapshot.note(run, document["batch"], name, time.time(), os.getpid())
        companion.ready()
        keeper = _Keeper(connection, run, Path(document["attendance"]))
        reason = keeper.hold()
        if reason is not None:
            snapshot.note_over(run, reason)


def _take_over(source: Side, channel: str, name: str) -> tuple[Connection, str]:
    """A session that sees the exported snapshot, and has exported it in its own name."""
    connection = source.connect(holders.purpose(Channel(channel, source, source)))
    try:
        connection.execute(f"SET idle_in_transaction_session_timeout = '{_SILENCE}'")
        holders.adopt(connection, name)
        return connection, str(fetch_value(connection, "SELECT pg_catalog.pg_export_snapshot()"))
    except BaseException:
        connection.close()
        raise


class _Keeper:
    """Waits, and looks every second whether the snapshot is still to be held."""

    def __init__(self, connection: Connection, run: Run, attendance: Path) -> None:
        self._connection, self._run, self._attendance = connection, run, attendance
        self._journal = _identity(run.journal.path)
        self._pulse = time.monotonic()
        self._alone: float | None = None

    def hold(self) -> str | None:
        """Wait until it is not to be held; give why, or None if it is not asked for any more."""
        while True:
            lost, held = self._is_lost(), self._wanted()
            if held is None:
                return None
            if lost:
                return "the keeper's connection to the source was lost"
            alone = self._alone_for()
            if reason := snapshot.too_long(held.keeping, age=time.time() - held.since, alone=alone):
                return reason

    def _is_lost(self) -> bool:
        """Wait for a look's time, or until the server says something; true if it has gone."""
        try:
            if select.select([self._connection], [], [], _LOOK_SECONDS)[0]:
                self._connection.pgconn.consume_input()
            if time.monotonic() - self._pulse > _PULSE_SECONDS:
                self._connection.execute("SELECT 1")
                self._pulse = time.monotonic()
        except psycopg.Error:
            return True
        return self._connection.closed

    def _wanted(self) -> Held | None:
        """The note, while it is ours and of a migration that is under way."""
        # A journal that is removed can still be read by those who have opened it.
        if self._journal is None or _identity(self._run.journal.path) != self._journal:
            return None
        held = snapshot.recall(self._run)
        ours = held is not None and held.process == os.getpid() and self._run.ended is None
        return held if ours else None

    def _alone_for(self) -> float | None:
        """For how long no naru has worked on the copy; None if one does."""
        if is_locked(self._attendance):
            if self._alone is not None:
                snapshot.note_alone(self._run, None)
            self._alone = None
            return None
        if self._alone is None:
            self._alone = time.monotonic()
            snapshot.note_alone(self._run, time.time())
        return time.monotonic() - self._alone


def _identity(path: Path) -> Any:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
