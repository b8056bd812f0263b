"""The copy as a step: under the snapshot that is still held, or under a new one.

What is copied under one snapshot is a batch, with a publication and a slot of its own that
carry the changes since. A copy that goes on under the same snapshot copies the parts that
are missing. Under a new one only whole tables are of use: the parts of the others would not
fit those of another moment.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import psycopg

from naru.errors import StoppedError
from naru.migrate import channel as channels
from naru.migrate import holders, identity, keeper, ledger, snapshot
from naru.migrate.archive import facts_of
from naru.migrate.building import Bounds, Builder
from naru.migrate.copy import Plan, can_split, copy_tables, what_is_left
from naru.migrate.fingerprint import schema_fingerprint
from naru.migrate.ledger import Copied
from naru.migrate.names import Relation
from naru.migrate.pace import Pace
from naru.migrate.parts import Table, read_publishable, read_tables
from naru.migrate.reading import Reader, snapshot_gone
from naru.migrate.record import Record
from naru.migrate.settle import settle
from naru.migrate.sides import explained, observe_server
from naru.migrate.snapshot import Found, Held
from naru.migrate.worked import Ticking, Worked
from naru.postgres import Connection, fetch_all
from naru.system import SILENT, Observer, locked, wait_until
from naru.system.units import human_seconds

_WORKED = "copy.worked"
_TURN_SECONDS = 30.0
_LEFTOVERS_SECONDS = 30.0


@dataclass(frozen=True)
class _Sides:
    """A connection to each side, for what is not rows."""

    source: Connection
    target: Connection


@dataclass(frozen=True)
class _Seen:
    """What the snapshot has, beside rows."""

    facts: dict[str, Any]
    fingerprint: dict[str, str]
    tables: list[Table]


class RowCopy:
    """Brings all rows across, as far as they are not there."""

    def __init__(
        self, record: Record, builder: Builder, bounds: Bounds, observer: Observer = SILENT
    ) -> None:
        self._record = record
        self._run = record.run
        self._builder = builder
        self._bounds = bounds
        self._observer = observer

    def perform(self) -> Copied:
        """Copy what is missing; give what is there in the end."""
        attendance = snapshot.attendance(self._record)
        with (
            locked(attendance, "another naru that works on the copy", _TURN_SECONDS),
            self._connections() as sides,
        ):
            self._copy(sides)
            self._run.figure("copy.seconds", round(self._run.recall(_WORKED, 0.0), 3), "s")
            with explained(self._record.target, "making the copy durable"):
                settle(sides.target)
                return ledger.totals(sides.target)

    @contextlib.contextmanager
    def _connections(self) -> Iterator[_Sides]:
        record = self._record
        with record.target.connect("copy") as target, record.source.connect("copy") as source:
            yield _Sides(source, target)

    def _copy(self, sides: _Sides) -> None:
        with explained(self._record.target, "ending what an earlier copy has left"):
            ledger.claim(sides.target, self._record.mark)
            end_leftovers(sides.target)
        held = self._still_held(sides.source)
        if held is None:
            self._forget_parts(sides)
        complete = ledger.complete_tables(sides.target)
        self._keep_useful_batches(sides.source, complete, held)
        left = [one for one in read_publishable(sides.source) if one not in complete]
        if held is None and complete and not left:
            return
        if held is None:
            with explained(self._record.source, "setting replica identities"):
                identity.give(sides.source, self._run)
        try:
            if held is not None:
                work = self._planned(held.name, sides, complete)
            else:
                # The keeper needs a moment to begin; the schema takes longer.
                with keeper.begin(self._record, self._record.new_batch(), left) as name:
                    work = self._planned(name, sides, complete)
            self._copy_parts(work, sides)
        except BaseException:
            self._say_what_is_kept()
            raise

    def _still_held(self, source: Connection) -> Held | None:
        """The snapshot of the copy that stopped, if it can be seen; else say why it cannot."""
        held = snapshot.recall(self._run)
        if held is None:
            return None
        with explained(self._record.source, "looking for the copy's snapshot"):
            found = Found(
                is_there=holders.is_there(source, held.name),
                has_slot=channels.slot_exists(self._record.batch_channel(held.batch), source),
                age=time.time() - held.since,
            )
        reason = snapshot.why_lost(held, found)
        if reason is None:
            return held
        self._observer.note(
            f"the copy's snapshot is no longer held: {reason}; a new one is made for what is left"
        )
        return None

    def _forget_parts(self, sides: _Sides) -> None:
        with explained(self._record.source, "ending the hold on the copy's snapshot"):
            holders.end(self._run, self._record.names, sides.source)
        for relation in ledger.begun_tables(sides.target):
            ledger.empty(sides.target, relation)
            self._observer.note(f"{relation} was copied in part; it is copied anew")

    def _keep_useful_batches(
        self, source: Connection, complete: dict[Relation, int], held: Held | None
    ) -> None:
        """Let channels of dead batches carry what they completed; drop those with nothing.

        Tables that were completed from a batch go on with its slot; the others need a new
        snapshot and slot.
        """
        kept = []
        for number in self._record.batches:
            channel = self._record.batch_channel(number)
            tables = [relation for relation, batch in complete.items() if batch == number]
            if held is not None and number == held.batch:
                kept.append(number)
            elif tables and channels.slot_exists(channel, source):
                channels.republish(channel, tables, source)
                kept.append(number)
            elif tables:
                raise StoppedError(
                    f"{self._record.source}: slot {channel.name} is gone, and with it the changes"
                    f" of {len(tables)} tables that were copied",
                    remedy="naru migrate abort, then start again",
                )
            else:
                channels.drop_origin(channel, source)
        self._record.keep_batches(kept)

    def _copy_parts(self, work: Plan, sides: _Sides) -> None:
        held = snapshot.recall(self._run)
        if held is None:
            raise StoppedError(
                f"{self._record.source}: the keeper of the copy's snapshot has ended",
                remedy="run `naru migrate start` again",
            )
        reader = Reader(
            self._record.source,
            self._builder.programs().tool("psql"),
            held.name,
            observe_server(sides.target).encoding,
            Pace(self._bounds.rate),
            until=held.since + (held.keeping.longest or math.inf),
        )
        self._run.event(
            "copy.begin", f"copying {len(work.parts)} parts",
            bytes=work.total_bytes, parts=len(work.parts), kept=work.kept, batch=held.batch,
        )  # fmt: skip
        with Worked(self._run, _WORKED) as worked:
            rows = copy_tables(
                reader,
                self._record.target,
                work,
                batch=held.batch,
                jobs=self._bounds.jobs,
                table_done=self._builder.eagerly(
                    {part.table.relation: part.table.bytes for part in work.parts}
                ),
                rows_done=lambda: self._give_back(sides.target),
                observer=Ticking(self._observer, worked),
            )
        self._run.event("copy.end", "rows are copied", rows=rows, batch=held.batch)

    def _planned(self, name: str, sides: _Sides, complete: dict[Relation, int]) -> Plan:
        """The schema made, and what is left to copy, both as the snapshot has it."""
        with (
            self._record.source.connect("plan") as seeing,
            ThreadPoolExecutor(1, thread_name_prefix="naru-plan") as pool,
        ):
            try:
                holders.adopt(seeing, name)
            except psycopg.DatabaseError as error:
                if seeing.broken:
                    raise
                raise snapshot_gone(self._record.source) from error
            # While pg_dump is at its work.
            looking = pool.submit(self._look, seeing)
            self._builder.before_rows(name, lambda: looking.result().facts)
            seen = looking.result()
        if self._run.recall("fingerprint") is None:
            self._run.remember("fingerprint", seen.fingerprint)
        begun = ledger.begun_tables(sides.target)
        work = what_is_left(
            seen.tables, complete, begun, self._bounds.jobs, can_split=can_split(sides.source)
        )
        if work.kept:
            self._observer.note(f"{work.kept} finished parts are not copied again")
        for relation in work.anew:
            ledger.empty(sides.target, relation)
            self._observer.note(f"{relation} was written anew at the source; it is copied anew")
        return work

    def _look(self, seeing: Connection) -> _Seen:
        """Read what there is in the snapshot that `seeing` has adopted, and let it go."""
        with explained(self._record.source, "reading the catalogs"):
            seen = _Seen(
                facts={} if self._builder.has_archive else facts_of(seeing),
                fingerprint=schema_fingerprint(seeing),
                tables=list(read_tables(seeing)),
            )
            seeing.execute("COMMIT")
            return seen

    def _give_back(self, target: Connection) -> None:
        """Let the snapshot go, once the target's disk has all that was read under it."""
        with explained(self._record.target, "making the copy durable"):
            settle(target)
        snapshot.forget(self._run)

    def _say_what_is_kept(self) -> None:
        held = snapshot.recall(self._run)
        if held is None or held.over is not None or not held.keeping.alone:
            return
        if snapshot.too_long(held.keeping, age=time.time() - held.since, alone=None) is None:
            self._observer.note(
                f"the copy's snapshot stays for {human_seconds(held.keeping.alone)}: until then"
                " the same command goes on without copying finished parts again"
            )


def end_leftovers(target: Connection) -> None:
    """End sessions of a copy that was killed: one may be about to commit its part.

    What they did commit is in the ledger when this returns. Raises psycopg.Error.
    """
    what = "sessions of an earlier copy to end"
    wait_until(lambda: not fetch_all(target, _END_LEFTOVERS), what, _LEFTOVERS_SECONDS)


_END_LEFTOVERS = """
SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
WHERE datname = pg_catalog.current_database() AND usename = current_user
  AND application_name ~ '^naru: copy [0-9]+$'
"""
