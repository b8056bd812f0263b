"""One database of a dump into its target: the steps, each safe to run again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from naru.journal import Journal, Run, Step, perform
from naru.migrate.archive import SchemaDump, with_facts
from naru.migrate.database import is_missing, make_database
from naru.migrate.dump_manifest import Content, Contents, DumpedDatabase, Manifest
from naru.migrate.globals import apply_database_settings, make_roles
from naru.migrate.leftovers import end_leftovers
from naru.migrate.restore_keys import broken_keys
from naru.migrate.restore_marker import (
    Marker,
    drop_marker,
    hold_alone,
    read_marker,
    write_marker,
)
from naru.migrate.restore_proof import RestoredDatabase, misplaced_sequences, prove_rows
from naru.migrate.restore_rows import Rows, load_others, load_tables
from naru.migrate.roles import RoleFacts
from naru.migrate.schema import build, of_phase, post_data, pre_data
from naru.migrate.sides import PLAIN, stay
from naru.migrate.statements import Phase, Statement, refresh_and_analyze
from naru.postgres import Connection, Dsn, Installation, connect, explain
from naru.system import SILENT, Observer, private_folder, step
from naru.verify import DigestVerdict, Options, Verdict, compare

KIND = "restore"


@dataclass(frozen=True)
class RestoreTask:
    """What of a dump goes where, and how."""

    manifest: Manifest
    database: DumpedDatabase
    contents: Contents
    archive: Path
    target: Dsn
    content: Content
    programs: Installation
    jobs: int
    roles: RoleFacts | None
    """The roles to make; None to make none."""
    owner: bool
    privileges: bool
    source: Dsn | None
    """To compare with at the end."""

    @property
    def name(self) -> str:
        """What the journal calls it."""
        return f"{self.database.name} to {self.target}"

    @property
    def options(self) -> tuple[str, ...]:
        """What pg_restore is told to leave out."""
        return (
            *(() if self.owner else ("--no-owner",)),
            *(() if self.privileges else ("--no-privileges",)),
        )


class RestoreRun:
    """The steps of one database."""

    def __init__(self, task: RestoreTask, journal: Journal, observer: Observer = SILENT) -> None:
        self._task, self._observer = task, observer
        self._run = _open(task, journal)
        self._work = journal.path.parent.absolute() / "restores" / str(self._run.number)
        self._statements: list[Statement] | None = None

    def perform(self) -> RestoredDatabase:
        """Do what is not done yet, and prove it; `close` is still to come."""
        private_folder(self._work)
        self._perform([Step("database", "database", self._database)])
        with self._alone() as connection:
            end_leftovers(self._work)
            self._perform(self._steps(connection))
            return self._prove()

    def close(self, restored: RestoredDatabase) -> None:
        """Leave nothing of ours in the target: from here on nothing goes on."""
        with self._alone() as connection:
            drop_marker(connection)
        self._run.end("restored" if restored.proven else "differs")
        shutil.rmtree(self._work, ignore_errors=True)

    def _steps(self, connection: Connection) -> list[Step]:
        rows = [
            Step("rows", "rows", lambda: self._rows(connection)),
            Step("others", "large objects, sequences", lambda: self._others(connection)),
        ]
        if self._task.content == "data":
            return [
                *rows,
                Step("keys", "foreign keys", lambda: self._foreign_keys(connection)),
                Step("rest", "views", lambda: self._build(Phase.REST)),
                Step("analyze", "statistics", lambda: self._build(Phase.ANALYZE)),
            ]
        return [
            Step("roles", "roles and settings", self._roles),
            Step("schema", "schema", self._schema),
            *(rows if self._task.content == "all" else ()),
            Step("indexes", "keys and indexes", lambda: self._build(Phase.KEYS_AND_INDEXES)),
            Step("constraints", "constraints", lambda: self._build(Phase.CONSTRAINTS)),
            Step("rest", "triggers, views, rules", lambda: self._build(Phase.REST)),
            Step("analyze", "statistics", lambda: self._build(Phase.ANALYZE)),
        ]

    def _perform(self, steps: list[Step]) -> None:
        def tell(step: Step, state: str) -> None:
            self._observer.step(f"{self._task.target.database}: {step.title}", state)

        perform(self._run, steps, tell=tell)

    @contextmanager
    def _alone(self) -> Iterator[Connection]:
        target = self._task.target
        connection = connect(target, purpose="restore", settings={**PLAIN, "search_path": ""})
        with connection:
            try:
                stay(connection)
                hold_alone(connection)
                yield connection
            except psycopg.Error as error:
                raise explain(error, target, "restoring") from error

    def _database(self) -> None:
        task = self._task
        if task.content != "data" and make_database(task.database.made_as(), task.target):
            self._run.remember("created", True)
        with connect(task.target, purpose="restore", settings=PLAIN) as connection:
            write_marker(connection, Marker(task.manifest.identity, task.content))

    def _roles(self) -> None:
        task = self._task
        notices: list[str] = []
        if task.roles is not None:
            made = make_roles(task.roles, task.target)
            notices += made.notices
            notices += (f"role {name} needs a new password" for name in made.need_password)
        if task.owner and task.privileges:
            created = bool(self._run.recall("created"))
            notices += apply_database_settings(task.contents.globals, task.target, created=created)
        for line in notices:
            self._observer.note(line)

    def _schema(self) -> None:
        task = self._task
        pre_data(self._dump(), task.target, jobs=task.jobs, observer=self._observer)

    def _rows(self, connection: Connection) -> None:
        load_tables(self._content(), connection, self._observer)

    def _others(self, connection: Connection) -> None:
        load_others(self._content(), connection, self._observer)

    def _foreign_keys(self, connection: Connection) -> None:
        self._keep_problems(list(broken_keys(connection)))

    def _build(self, phase: Phase) -> None:
        if self._statements is None:
            self._statements = list(self._to_build())
        report = build(
            self._dump(), of_phase(self._statements, phase), self._task.target,
            jobs=self._task.jobs, observer=self._observer,
            title=f"{self._task.target.database}: {phase.name.lower().replace('_', ' ')}",
        )  # fmt: skip
        self._keep_problems([f"{one.statement}: {one.reason}" for one in report.problems])

    def _to_build(self) -> Iterator[Statement]:
        dump = self._dump()
        if self._task.content == "data":
            yield from refresh_and_analyze(dump.matviews, dump.analyzed)
            return
        # Without rows, views have nothing to show and statistics nothing to count.
        late = () if self._task.content == "all" else ("REFRESH", "ANALYZE")
        yield from (one for one in post_data(dump, self._task.target) if one.kind not in late)

    def _keep_problems(self, found: list[str]) -> None:
        known = self._run.recall("problems", [])
        self._run.remember("problems", [*known, *(one for one in found if one not in known)])

    def _dump(self) -> SchemaDump:
        task = self._task
        identity = f"{task.manifest.identity} {task.database.name} {task.content}"
        return with_facts(
            identity, task.archive, self._work, task.programs, dict(task.contents.facts),
            task.options,
        )  # fmt: skip

    def _content(self) -> Rows:
        task = self._task
        return Rows(
            programs=task.programs, archive=task.archive, contents=task.contents,
            target=task.target, work=self._work, jobs=task.jobs, options=task.options,
            silently=task.content == "data",
        )  # fmt: skip

    def _prove(self) -> RestoredDatabase:
        task, observer = self._task, self._observer
        with_rows = task.content != "schema"
        rows: DigestVerdict | None = None
        sequences: tuple[str, ...] = ()
        if with_rows:
            with step(observer, f"{task.target.database}: compare with the dump"):
                rows = prove_rows(task.contents, task.target, jobs=task.jobs, observer=observer)
                sequences = misplaced_sequences(task.contents, task.target)
        return RestoredDatabase(
            name=task.database.name,
            target=str(task.target),
            created=bool(self._run.recall("created", False)),
            rows=rows,
            sequences=sequences,
            problems=tuple(self._run.recall("problems", [])),
            source=self._compare(with_rows) if task.source else None,
        )

    def _compare(self, with_rows: bool) -> Verdict:
        assert self._task.source is not None
        options = Options(
            jobs=self._task.jobs, rows=with_rows, sequences=with_rows, large_objects=with_rows
        )
        return compare(
            self._task.source, self._task.target, options=options, observer=self._observer
        )


def _open(task: RestoreTask, journal: Journal) -> Run:
    """The run that goes on, or a new one: what is done counts while the target has our mark."""
    run = journal.latest(KIND, task.name, open_only=True)
    if run is not None:
        if _has_begun(task):
            return run
        run.end("given up")
    return journal.begin(KIND, task.name)


def _has_begun(task: RestoreTask) -> bool:
    if is_missing(task.target):
        return False
    with connect(task.target, purpose="restore", settings=PLAIN) as connection:
        marker = read_marker(connection)
    return marker is not None and marker.is_of(task.manifest.identity, task.content)
