"""Start: from nothing to a target that follows the source, in steps that survive a crash."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from naru.errors import StoppedError
from naru.journal import Step, perform
from naru.migrate import channel as channels
from naru.migrate import identity, ledger, schema
from naru.migrate.archive import (
    SchemaDump,
    choose_programs,
    dump_schema,
    is_whole,
    open_dump,
    server_major,
)
from naru.migrate.channel import Channel
from naru.migrate.copy import Task, copy_tables, plan
from naru.migrate.durable import make_durable, note_timeline
from naru.migrate.fingerprint import schema_fingerprint
from naru.migrate.follow import catch_up
from naru.migrate.globals import transfer_globals
from naru.migrate.largeobjects import Notes, synchronise
from naru.migrate.names import Relation
from naru.migrate.pace import Pace
from naru.migrate.parts import read_publishable
from naru.migrate.record import Record
from naru.migrate.sequences import read_sequences, set_sequences
from naru.migrate.settle import settle
from naru.migrate.sides import explained, observe_server
from naru.migrate.statements import Phase, Statement
from naru.migrate.transfer import Reader, Worker
from naru.postgres import Connection, Installation, find_installations
from naru.system import SILENT, Observer

_EAGER_BYTES = 8 * 1024 * 1024
"""Indexes of tables from this size on are built while other tables are still copied."""


@dataclass(frozen=True)
class Bounds:
    """How much of two servers the start may use."""

    jobs: int = 2
    maintenance_memory: str = "256MB"
    programs: tuple[Path, ...] = ()
    """More folders with PostgreSQL programs to choose pg_dump from."""
    rate: float | None = None
    """Bytes a second that rows are copied at, over all workers; None: as fast as it goes."""


class Start:
    """The steps of one start; run again after a crash they go on where it was."""

    def __init__(self, record: Record, bounds: Bounds, observer: Observer = SILENT) -> None:
        self._record = record
        self._run = record.run
        self._bounds = bounds
        self._observer = observer
        self._to_build: tuple[SchemaDump, list[Statement]] | None = None

    def perform(self) -> None:
        """Do what is not done yet; returns when the target has caught up."""
        steps = [
            Step("roles", "roles and database", self._globals),
            Step("identity", "replica identities", self._identity),
            Step("copy", "schema and rows", self._copy),
            Step("indexes", "keys and indexes", lambda: self._build(Phase.KEYS_AND_INDEXES)),
            Step("constraints", "constraints", lambda: self._build(Phase.CONSTRAINTS)),
            Step("rest", "triggers, views, rules", lambda: self._build(Phase.REST)),
            Step("analyze", "statistics", lambda: self._build(Phase.ANALYZE)),
            Step("large objects", "large objects", self._large_objects),
            Step("sequences", "sequences", self._sequences),
            Step("subscribe", "subscription", self._subscribe),
            Step("follow", "catching up", self._follow),
            Step("durable", "safe from a failover", self._durable),
        ]
        perform(self._run, steps, tell=lambda step, state: self._observer.step(step.title, state))

    def _globals(self) -> None:
        record = self._record
        report = transfer_globals(record.source.dsn, record.target.dsn)
        for line in report.notices:
            self._observer.note(line)
        if report.database_created:
            self._run.remember("made database", True)

    def _identity(self) -> None:
        with self._record.source.connect("replica identity") as source:
            with explained(self._record.source, "setting replica identities"):
                changes = identity.plan(identity.observe(source))
                # Remembered before anything is changed: abort must find it in any case.
                known = self._run.recall("identity")
                if known is None:
                    self._run.remember("identity", [one.to_json() for one in changes])
                    known = [one.to_json() for one in changes]
                identity.apply(source, [identity.Change.from_json(one) for one in known])

    def _copy(self) -> None:
        record = self._record
        with record.target.connect("copy") as target, record.source.connect("copy") as source:
            ledger.create(target)
            for relation in ledger.forget_incomplete(target):
                self._observer.note(f"{relation} was copied in part; it is copied anew")
            complete = ledger.complete_tables(target)
            self._keep_useful_batches(source, complete)
            everything = read_publishable(source)
            left = [one for one in everything if one not in complete]
            if left or not complete:
                self._copy_batch(source, target, left, complete)
            copied = ledger.totals(target)
            settle(target)
        seconds = self._copy_seconds()
        self._run.figure("copy.tables", copied.tables)
        self._run.figure("copy.rows", copied.rows, "rows")
        self._run.figure("copy.bytes", copied.bytes, "bytes")
        self._run.figure("copy.seconds", round(seconds, 3), "s")

    def _copy_seconds(self) -> float:
        events = self._run.events("copy.begin")
        return time.time() - events[0].at if events else 0.0

    def _keep_useful_batches(self, source: Connection, complete: dict[Relation, int]) -> None:
        """Let channels of dead batches carry what they completed; drop those with nothing.

        The snapshot of a batch dies with the process that held it. Tables that were
        completed from it go on with its slot; the others need a new snapshot and slot.
        """
        kept = []
        for number in self._record.batches:
            channel = self._record.batch_channel(number)
            tables = [relation for relation, batch in complete.items() if batch == number]
            if tables and channels.slot_exists(channel, source):
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

    def _copy_batch(
        self,
        source: Connection,
        target: Connection,
        tables: list[Relation],
        complete: dict[Relation, int],
    ) -> None:
        number = self._record.new_batch()
        channel = self._record.batch_channel(number)
        with explained(self._record.source, "publishing tables"):
            channels.publish(channel, tables, source)
        with self._snapshot(channel) as snapshot, self._record.source.connect("plan") as seeing:
            seeing.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            seeing.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
            programs = self._programs()
            self._schema(programs, snapshot)
            if number == 1 or self._run.recall("fingerprint") is None:
                self._run.remember("fingerprint", schema_fingerprint(seeing))
            work = plan(seeing, complete, self._bounds.jobs)
            seeing.execute("COMMIT")
            encoding = observe_server(target).encoding
            self._run.event("copy.begin", f"copying {len(tables)} tables", bytes=work.total_bytes)
            copy_tables(
                Reader(
                    self._record.source,
                    programs.tool("psql"),
                    snapshot,
                    encoding,
                    Pace(self._bounds.rate),
                ),
                self._record.target,
                work,
                batch=number,
                jobs=self._bounds.jobs,
                table_done=self._index_eagerly(
                    {p.table.relation: p.table.bytes for p in work.parts}
                ),
                observer=self._observer,
            )
            self._run.event("copy.end", "rows are copied")

    @contextlib.contextmanager
    def _snapshot(self, channel: Channel) -> Iterator[str]:
        """The slot, and its snapshot for as long as the block runs."""
        with self._record.source.replication("snapshot") as replication:
            name, point = channels.create_slot_with_snapshot(channel, replication)
            self._run.event("copy.snapshot", f"snapshot {name} at {point}", lsn=str(point))
            yield name

    def _programs(self) -> Installation:
        return choose_programs(
            find_installations(self._bounds.programs),
            server_major(self._record.source.dsn),
            server_major(self._record.target.dsn),
        )

    def _schema(self, programs: Installation, snapshot: str | None) -> None:
        folder = self._record.folder / "schema"
        if is_whole(folder):
            dump = open_dump(folder, programs)
        else:
            dump = dump_schema(
                self._record.source.dsn,
                folder,
                programs,
                snapshot=snapshot,
                lock_seconds=self._record.source.lock_seconds,
            )
        schema.pre_data(
            dump, self._record.target.dsn, jobs=self._bounds.jobs, observer=self._observer
        )

    def _index_eagerly(self, sizes: dict[Relation, int]) -> _Eager:
        statements: dict[Relation, list[Statement]] = {}
        large = {one for one, size in sizes.items() if size >= _EAGER_BYTES}
        dump, everything = self._after_rows()
        # Extended statistics come later, and ANALYZE after them.
        may_analyze = all(one.kind != "STATISTICS" for one in everything)
        phases = {Phase.KEYS_AND_INDEXES, *([Phase.ANALYZE] if may_analyze else [])}
        for one in everything:
            if one.table in large and one.phase in phases:
                statements.setdefault(one.table, []).append(one)
        return _Eager(dump, statements, self._record, self._bounds)

    def _after_rows(self) -> tuple[SchemaDump, list[Statement]]:
        """The archive, and what is built from it when rows are there; read once."""
        if self._to_build is None:
            dump = open_dump(self._record.folder / "schema", self._programs())
            self._to_build = dump, schema.post_data(dump, self._record.target.dsn)
        return self._to_build

    def _build(self, phase: Phase) -> None:
        dump, statements = self._after_rows()
        report = schema.build(
            dump,
            schema.of_phase(statements, phase),
            self._record.target.dsn,
            jobs=self._bounds.jobs,
            maintenance_memory=self._bounds.maintenance_memory,
            observer=self._observer,
            title=phase.name.lower().replace("_", " "),
        )
        for problem in report.problems:
            self._observer.note(f"{problem.statement}: {problem.reason}")
            self._run.event("schema.problem", f"{problem.statement}: {problem.reason}")

    def _large_objects(self) -> None:
        record = self._record
        with record.source.connect("large objects") as source:
            with record.target.connect("large objects") as target:
                with explained(record.target, "copying large objects"):
                    notes = Notes(target, "source")
                    done = synchronise(source, target, notes, self._observer)
        self._run.figure("copy.large_objects", done.copied)

    def _sequences(self) -> None:
        record = self._record
        with record.source.connect("sequences") as source:
            with record.target.connect("sequences") as target:
                with explained(record.target, "setting sequences"):
                    set_sequences(target, read_sequences(source))

    def _subscribe(self) -> None:
        record = self._record
        with record.source.connect("subscribe") as source:
            with record.target.connect("subscribe") as target:
                if record.run.recall("timeline") is None:
                    note_timeline(record, target)
                for one in record.channels:
                    with explained(record.target, f"subscribing to {one.name}"):
                        channels.subscribe(one, source, target)
                        channels.enable(one, target)

    def _follow(self) -> None:
        catch_up(self._record, self._observer)

    def _durable(self) -> None:
        with explained(self._record.target, "making what is applied durable"):
            make_durable(self._record, self._observer)


class _Eager:
    """Builds a large table's keys and indexes as soon as its rows are there."""

    def __init__(
        self,
        dump: SchemaDump,
        statements: dict[Relation, list[Statement]],
        record: Record,
        bounds: Bounds,
    ) -> None:
        self._dump, self._statements = dump, statements
        self._record, self._bounds = record, bounds
        self._lock = threading.Lock()

    def __call__(self, relation: Relation) -> list[Task]:
        with self._lock:
            mine = self._statements.pop(relation, [])
        return self._stage(mine)

    def _stage(self, left: list[Statement]) -> list[Task]:
        """The statements of the first stage side by side; the last one's end brings the next."""
        if not left:
            return []
        stage = min((one.phase, one.stage) for one in left)
        now = [one for one in left if (one.phase, one.stage) == stage]
        later = [one for one in left if (one.phase, one.stage) != stage]
        missing = [len(now)]
        # As many processes as there are jobs: more would only keep copies from a processor.
        parallel = max(0, self._bounds.jobs // len(now) - 1)

        def building(statement: Statement) -> Task:
            def task(worker: Worker) -> list[Task]:
                self._build(statement, parallel)
                with self._lock:
                    missing[0] -= 1
                    is_last = missing[0] == 0
                return self._stage(later) if is_last else []

            return task

        return [building(one) for one in now]

    def _build(self, statement: Statement, parallel: int) -> None:
        try:
            schema.build(
                self._dump,
                [statement],
                self._record.target.dsn,
                jobs=1,
                maintenance_memory=self._bounds.maintenance_memory,
                parallel=parallel,
                title=f"{statement}",
            )
        except psycopg.Error as error:
            raise StoppedError(f"{statement} failed: {error}") from error
