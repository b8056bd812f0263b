"""Getting a schema across: what rows need before them, and what is built after them.

Every statement runs on the target in one transaction with a note that it is done, in
`naru_migration.schema_done`. So a statement is done if and only if it is noted, wherever a
process dies, and a second run goes on with what is left; nothing is dropped and begun again.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from naru.errors import ServerError
from naru.migrate.archive import LARGE_TABLE_BYTES, SchemaDump, restore_text
from naru.migrate.crew import Crew, Problem, is_noted, note_done
from naru.migrate.entries import Entry, contents, is_content, split
from naru.migrate.landing import Landing, adapt, observe_landing
from naru.migrate.names import OWN_SCHEMA
from naru.migrate.settle import settle
from naru.migrate.sides import stay
from naru.migrate.statements import (
    SERIAL,
    TOLERANT,
    Phase,
    Stage,
    Statement,
    plan,
    refresh_and_analyze,
)
from naru.migrate.waves import Wave, waves
from naru.postgres import Connection, Dsn, connect, explain
from naru.system import SILENT, Observer, run

_BY_THEMSELVES = 100
_TOGETHER = 50

_DONE = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {schema}.schema_done (
    archive text, id text, PRIMARY KEY (archive, id));
"""

# As pg_restore sets them; the last two because a crash loses statement and note together.
_SETTINGS = {
    "statement_timeout": "0",
    "lock_timeout": "60s",
    "idle_in_transaction_session_timeout": "0",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "search_path": "",
    "check_function_bodies": "off",
    "xmloption": "content",
    "client_min_messages": "warning",
    "row_security": "off",
    "default_tablespace": "",
    "default_transaction_read_only": "off",
    "synchronous_commit": "off",
}


@dataclass(frozen=True)
class BuildReport:
    """What a build did: statements done now, done before, and what was refused."""

    done: int
    skipped: int
    problems: tuple[Problem, ...]
    """Foreign keys that the data break (they stay NOT VALID), views that do not refresh."""


def pre_data(
    dump: SchemaDump,
    target: Dsn,
    *,
    jobs: int = 1,
    on_done: Callable[[str], None] | None = None,
    observer: Observer = SILENT,
) -> int:
    """Make everything that must stand before rows come; give how many entries were made now.

    Many tables are made by `jobs` connections. Safe to run again after a crash at any
    point: it completes what is missing. `on_done` hears each batch's last entry. Raises
    ServerError naming the entry that was refused.
    """
    with _session(target, "schema") as connection:
        done = _done(connection, dump)
        entries = adapt(_entries(dump, "pre-data"), observe_landing(connection))
        todo = [one for one in entries if one.sql and str(one.number) not in done]
        made = _Made(len(todo), observer, on_done)
        for wave in waves(todo):
            for batch in _run_side_by_side(wave, dump, target, jobs, made):
                _run_entries(connection, dump, batch, target)
                made(batch)
        settle(connection)
        return len(todo)


def post_data(dump: SchemaDump, target: Dsn | None = None) -> list[Statement]:
    """Everything that is built after the rows, in order of the archive, then statistics.

    Without what the login at `target` cannot make; all of it if none is named.
    """
    return _planned(dump, Landing(superuser=True) if target is None else _landing(target))


def post_data_ahead(dump: SchemaDump, target: Dsn) -> list[Statement] | None:
    """As `post_data`, before `pre_data` has ended; None where that depends on what it makes.

    A superuser can make everything. What another login can depends on the schemas there are.
    """
    landing = _landing(target)
    return _planned(dump, landing) if landing.superuser else None


def _landing(target: Dsn) -> Landing:
    with _session(target, "schema") as connection:
        return observe_landing(connection)


def _planned(dump: SchemaDump, landing: Landing) -> list[Statement]:
    possible = (one for one in adapt(_entries(dump, "post-data"), landing) if one.sql)
    statements = list(plan(possible, dump.keys, dump.indexes, LARGE_TABLE_BYTES))
    statements.extend(refresh_and_analyze(dump.matviews, dump.analyzed))
    return statements


def build(
    dump: SchemaDump,
    statements: Sequence[Statement],
    target: Dsn,
    *,
    jobs: int = 2,
    maintenance_memory: str = "256MB",
    parallel: int | None = None,
    on_done: Callable[[Statement], None] | None = None,
    observer: Observer = SILENT,
    title: str = "keys and indexes",
) -> BuildReport:
    """Run `statements` (a phase, or one table's) with `jobs` connections; skip what is done.

    `on_done` hears each statement that was committed, maybe from several threads. `parallel`
    is how many workers more one index build may take; by default the target's own. Raises
    the first error, except in stages that are tolerant, whose refusals are in the report.
    """
    settings = {**_SETTINGS, "maintenance_work_mem": maintenance_memory}
    if parallel is not None:
        settings["max_parallel_maintenance_workers"] = str(parallel)
    with _session(target, "schema") as connection:
        done = _done(connection, dump)
        todo = [one for one in statements if one.id not in done]
        total = len(statements)
        skipped = total - len(todo)
        with Crew(target, dump.identity, settings, jobs) as crew:
            counter = _Counter(observer, title, skipped, total, on_done)
            for phase, stage in sorted({(one.phase, one.stage) for one in todo}):
                part = [one for one in todo if (one.phase, one.stage) == (phase, stage)]
                crew.run(
                    _tasks(part, stage), serial=stage in SERIAL, tolerant=stage in TOLERANT,
                    on_done=counter,
                )  # fmt: skip
        settle(connection)
        return BuildReport(counter.count - skipped, skipped, tuple(crew.problems))


def of_phase(statements: Iterable[Statement], phase: Phase) -> list[Statement]:
    """The statements of one phase."""
    return [one for one in statements if one.phase is phase]


class _Counter:
    def __init__(
        self,
        observer: Observer,
        title: str,
        count: int,
        total: int,
        on_done: Callable[[Statement], None] | None,
    ) -> None:
        self.count = count
        self._observer, self._title, self._total, self._on_done = observer, title, total, on_done

    def __call__(self, done: Sequence[Statement]) -> None:
        self.count += len(done)
        self._observer.progress(self._title, self.count, self._total, "items", detail=str(done[-1]))
        if self._on_done is not None:
            for statement in done:
                self._on_done(statement)


def _tasks(statements: Sequence[Statement], stage: Stage) -> list[list[Statement]]:
    """What goes into one transaction each: a small table's statements, or many small tables'.

    The largest come first and by themselves. A transaction for every index of ten thousand
    tables would cost more than the indexes.
    """
    groups: dict[object, list[Statement]] = {}
    for one in statements:
        key = one.id if one.alone or one.table is None or stage in SERIAL else one.table
        groups.setdefault(key, []).append(one)
    tasks = list(groups.values())
    if stage not in SERIAL:
        tasks.sort(key=lambda group: -group[0].size)
    if stage in TOLERANT or len(tasks) < 2 * _BY_THEMSELVES:
        return tasks
    rest = tasks[_BY_THEMSELVES:]
    most = min(_TOGETHER, len(tasks) // _BY_THEMSELVES)
    return tasks[:_BY_THEMSELVES] + [
        [one for task in rest[start : start + most] for one in task]
        for start in range(0, len(rest), most)
    ]


def _entries(dump: SchemaDump, section: str) -> Iterator[Entry]:
    listing = run(
        [
            dump.programs.tool("pg_restore"), "--list", f"--section={section}", *dump.options,
            dump.file,
        ],
        seconds=600,
    ).stdout  # fmt: skip
    path = restore_text(dump, section)
    try:
        with path.open(encoding="utf-8", newline="\n") as lines:
            for entry in split(lines, contents(listing)):
                if entry.sql and not is_content(entry):
                    yield entry
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _session(target: Dsn, purpose: str) -> Iterator[Connection]:
    try:
        with connect(target, purpose=purpose, settings=_SETTINGS) as connection:
            stay(connection)
            yield connection
    except psycopg.Error as error:
        raise explain(error, target, "making the schema") from error


def _done(connection: Connection, dump: SchemaDump) -> set[str]:
    schema = sql.Identifier(OWN_SCHEMA)
    connection.execute(sql.SQL(_DONE).format(schema=schema))
    rows = connection.execute(
        sql.SQL("SELECT id FROM {}.schema_done WHERE archive = %s").format(schema),
        [dump.identity],
    )
    return {row[0] for row in rows}


class _Made:
    """Counts the entries that are made, by several threads."""

    def __init__(
        self, total: int, observer: Observer, on_done: Callable[[str], None] | None
    ) -> None:
        self._count, self._total = 0, total
        self._observer, self._on_done = observer, on_done
        self._lock = threading.Lock()

    def __call__(self, batch: Sequence[Entry]) -> None:
        with self._lock:
            self._count += len(batch)
            self._observer.progress("schema", self._count, self._total, "items")
            if self._on_done is not None:
                self._on_done(batch[-1].name)


def _run_side_by_side(
    wave: Wave, dump: SchemaDump, target: Dsn, jobs: int, made: Callable[[Sequence[Entry]], None]
) -> Wave:
    """Make the batches of a wave on `jobs` connections; give those that are left.

    A batch that is refused here, because it needs another after all or locks what another
    locks, is left to be made in its turn.
    """
    if len(wave) < 2 or jobs < 2:
        return wave
    todo = deque(enumerate(wave))
    left: list[int] = []

    def work() -> None:
        with _session(target, "schema") as connection:
            while True:
                try:
                    number, batch = todo.popleft()
                except IndexError:
                    return
                try:
                    _run_together(connection, dump, batch)
                except psycopg.Error as error:
                    if connection.closed:
                        todo.clear()
                        raise explain(error, target, "making the schema") from error
                    left.append(number)
                else:
                    made(batch)

    with ThreadPoolExecutor(jobs, thread_name_prefix="naru-schema") as pool:
        for worker in [pool.submit(work) for _ in range(jobs)]:
            worker.result()
    return [wave[number] for number in sorted(left)]


def _run_entries(
    connection: Connection, dump: SchemaDump, batch: Sequence[Entry], target: Dsn
) -> None:
    """A batch at once; if that is refused, one by one, to name the entry that is to blame."""
    try:
        _run_together(connection, dump, batch)
        return
    except psycopg.Error as error:
        if connection.closed:
            raise explain(error, target, "making the schema") from error
    for entry in batch:
        try:
            _run_together(connection, dump, [entry])
        except psycopg.Error as error:
            what = f"making {entry.type.lower()} {entry.schema}.{entry.name}"
            said = explain(error, target, what)
            late = isinstance(said, ServerError) and is_noted(
                connection, dump.identity, str(entry.number)
            )
            if not late:
                raise said from error


def _run_together(connection: Connection, dump: SchemaDump, batch: Sequence[Entry]) -> None:
    """One message to the server, and so one transaction, however many entries."""
    texts = [f"{entry.state}\n{entry.sql}" for entry in batch]
    texts.append(note_done(dump.identity, [str(entry.number) for entry in batch]))
    connection.execute("\n;\n".join(texts).encode())
