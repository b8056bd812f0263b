"""Building the schema on the target: what rows need before them, what comes after them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from naru.errors import StoppedError
from naru.migrate import schema
from naru.migrate.archive import (
    SchemaDump,
    choose_programs,
    dump_schema,
    is_whole,
    open_dump,
    server_major,
)
from naru.migrate.copy import Task
from naru.migrate.names import Relation
from naru.migrate.record import Record
from naru.migrate.statements import Phase, Statement
from naru.migrate.transfer import Worker
from naru.postgres import Installation, find_installations
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


class Builder:
    """Builds on the target from the schema's archive, each thing once, whenever it is asked."""

    def __init__(self, record: Record, bounds: Bounds, observer: Observer = SILENT) -> None:
        self._record = record
        self._bounds = bounds
        self._observer = observer
        self._dump: SchemaDump | None = None
        self._to_build: list[Statement] | None = None

    def programs(self) -> Installation:
        return choose_programs(
            find_installations(self._bounds.programs),
            server_major(self._record.source.dsn),
            server_major(self._record.target.dsn),
        )

    @property
    def has_archive(self) -> bool:
        """True if the schema's archive is there, made under whatever snapshot."""
        return is_whole(self._record.folder / "schema")

    def before_rows(self, snapshot: str, facts: Callable[[], dict[str, Any]]) -> None:
        """Make what rows need; the archive is made under `snapshot` if it is not there.

        `facts` are those of `archive.facts_of` under that snapshot, asked for when needed.
        """
        folder, programs = self._record.folder / "schema", self.programs()
        if self.has_archive:
            dump = open_dump(folder, programs)
        else:
            dump = dump_schema(
                self._record.source.dsn,
                folder,
                programs,
                snapshot=snapshot,
                lock_seconds=self._record.source.lock_seconds,
                facts=facts,
            )
        self._dump = dump
        target = self._record.target.dsn
        with ThreadPoolExecutor(1, thread_name_prefix="naru-schema") as pool:
            # What comes after the rows is read while the target is busy with what comes before.
            ahead = pool.submit(schema.post_data_ahead, dump, target)
            schema.pre_data(dump, target, jobs=self._bounds.jobs, observer=self._observer)
            self._to_build = ahead.result()

    def eagerly(self, sizes: dict[Relation, int]) -> Eager:
        """Builds what large ones of these tables have, as soon as they are copied."""
        statements: dict[Relation, list[Statement]] = {}
        large = {one for one, size in sizes.items() if size >= _EAGER_BYTES}
        dump, everything = self._after_rows()
        # Extended statistics come later, and ANALYZE after them.
        may_analyze = all(one.kind != "STATISTICS" for one in everything)
        phases = {Phase.KEYS_AND_INDEXES, *([Phase.ANALYZE] if may_analyze else [])}
        for one in everything:
            if one.table in large and one.phase in phases:
                statements.setdefault(one.table, []).append(one)
        return Eager(dump, statements, self._record, self._bounds)

    def build(self, phase: Phase) -> None:
        """Do all of one phase that is not done; what is put up with is noted."""
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
            self._record.run.event("schema.problem", f"{problem.statement}: {problem.reason}")

    def _after_rows(self) -> tuple[SchemaDump, list[Statement]]:
        """The archive, and what is built from it when rows are there; read once."""
        if self._dump is None:
            self._dump = open_dump(self._record.folder / "schema", self.programs())
        if self._to_build is None:
            self._to_build = schema.post_data(self._dump, self._record.target.dsn)
        return self._dump, self._to_build


class Eager:
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
                worker.let_go()  # an index may take long, and needs nothing of the source
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
