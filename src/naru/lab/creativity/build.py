"""Build the database under a temporary name, and give it its own when it is complete."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import psycopg
from psycopg import sql

from naru.errors import NotPermittedError, RefusedError
from naru.lab.creativity._crew import Crew, Job
from naru.lab.creativity.plan import Chunk, chunks, paragraphs, rounds, sizes
from naru.lab.creativity.roles import check_passwords, make_roles
from naru.postgres import Connection, Dsn, connect, explain, fetch_all, fetch_value
from naru.system import SILENT, Observer

HANDS = 3
"""Sessions side by side: one more than two cores, for while one waits for its disk."""

_LONGEST_STATEMENT = 900
"""Seconds; grows with the scale."""


@dataclass(frozen=True)
class Summary:
    """What was made: tables (partitions not counted), rows, bytes of the database, seconds."""

    tables: int
    rows: int
    bytes: int
    seconds: float


def exists(server: Dsn, database: str) -> bool:
    """True if `server` has a complete database of this name, with something in it."""
    with connect(server, purpose="creativity") as control:
        return _present(control, database) and not _is_empty(server, database)


def create(
    server: Dsn,
    database: str,
    *,
    scale: float,
    seed: int,
    passwords: Mapping[str, str],
    observer: Observer = SILENT,
) -> Summary:
    """Make the database with its content, and the roles that use it.

    `server` is the superuser's way to a maintenance database; `passwords` has one for each
    of LOGIN_ROLES. The same seed and scale give the same content, row by row. It is built
    as `<database>_building` and renamed at the end; one that was interrupted is begun again.
    Raises RefusedError if the database exists and is not empty, or is being built now.
    """
    rows = sizes(scale)
    check_passwords(passwords)
    building = f"{database}_building"
    began = time.monotonic()
    with connect(server, purpose="creativity") as control, _explained(server):
        _check_superuser(control, server)
        _reserve(control, server, building)
        replaces = _present(control, database)
        if replaces and not _is_empty(server, database):
            raise RefusedError(
                f"database {database} on {server} exists and is not empty",
                remedy="drop it, or name another one (source.database in naru.toml)",
            )
        make_roles(control, passwords)
        _drop(control, building)
        _create_empty(control, building)
        settings = _settings(scale)
        with Crew(server.with_(dbname=building), HANDS, settings) as crew:
            written = _fill(crew, server.with_(dbname=building), rows, seed, observer)
        if replaces:
            control.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(database)))
        control.execute(
            sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                sql.Identifier(building), sql.Identifier(database)
            )
        )
        size = int(fetch_value(control, "SELECT pg_database_size(%s::name)", (database,)))
    with connect(server.with_(dbname=database), purpose="creativity") as finished:
        tables = int(fetch_value(finished, _COUNT_TABLES))
    return Summary(tables, written, size, time.monotonic() - began)


_COUNT_TABLES = """
SELECT count(*) FROM pg_class
WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace::regnamespace::text
      IN ('public', 'analytics')
"""


def _fill(crew: Crew, building: Dsn, rows: Mapping[str, int], seed: int, observer: Observer) -> int:
    def stage(title: str, jobs: Sequence[Job], unit: str) -> int:
        with _step(observer, title):
            total = sum(rows.values()) if unit == "rows" else len(jobs)
            return crew.run(jobs, _Progress(observer, title, total, unit).add)

    with _step(observer, "types and tables"):
        crew.run([Job("making the generator", _generator(rows, seed))])
        crew.run([Job("making tables", _text("types.sql") + _text("tables.sql"))])
    content = [_content(chunk) for chunk in chunks(rows)]
    content.append(Job("filling the small tables", _text("content/small_tables.sql")))
    written = stage("content", content, "rows")
    stage("keys and indexes", _jobs("indexing", paragraphs(_text("keys.sql"))), "items")
    with connect(building, purpose="creativity") as session:
        stage("statistics", _jobs("analyzing", _made(session, _ANALYZE)), "items")
        crew.run([Job("adding foreign keys", _text("foreign_keys.sql"))])
        stage("foreign keys", _jobs("validating", _made(session, _VALIDATE)), "items")
    with _step(observer, "behaviour and access"):
        for part in ("behaviour.sql", "access.sql", "sequences.sql"):
            crew.run([Job(f"running {part}", _text(part))])
        crew.run(
            [
                Job(
                    "removing the generator",
                    "DROP SCHEMA gen CASCADE; ANALYZE analytics.project_popularity",
                )
            ]
        )
    return written


_ANALYZE = """
SELECT format('ANALYZE %s', oid::regclass) FROM pg_class
WHERE relkind IN ('r', 'p') AND NOT relispartition AND oid >= 16384
ORDER BY pg_relation_size(oid) DESC
"""
_VALIDATE = """
SELECT format('ALTER TABLE %s VALIDATE CONSTRAINT %I', conrelid::regclass, conname)
FROM pg_constraint WHERE NOT convalidated
ORDER BY pg_relation_size(conrelid) DESC, conname
"""


def _made(session: Connection, query: str) -> list[str]:
    return [text for (text,) in fetch_all(session, query)]


def _jobs(doing: str, texts: Sequence[str]) -> list[Job]:
    return [Job(f"{doing} ({text.splitlines()[0][:60]})", text) for text in texts]


def _content(chunk: Chunk) -> Job:
    return Job(
        f"filling {chunk.table}",
        _text(f"content/{chunk.table}.sql"),
        (("gen.first", str(chunk.first)), ("gen.last", str(chunk.last))),
    )


def _generator(rows: Mapping[str, int], seed: int) -> str:
    """The schema gen: the seed and the sizes as functions, then what is made of them."""
    constants = {"seed": seed, "rounds": rounds(rows), **rows}
    parts = [sql.SQL("CREATE SCHEMA gen")]
    made = [
        sql.SQL(
            "CREATE FUNCTION gen.{}() RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT {}::bigint'"
        ).format(sql.Identifier(name), sql.Literal(value))
        for name, value in constants.items()
    ]
    head = sql.SQL(";\n").join([*parts, *made]).as_string(None)
    return f"{head};\n{_text('generator.sql')}{_text('vocabulary.sql')}"


def _text(name: str) -> str:
    return resources.files(__package__).joinpath("sql", name).read_text(encoding="utf-8")


def _settings(scale: float) -> dict[str, str]:
    return {
        "synchronous_commit": "off",
        "maintenance_work_mem": "128MB",
        "work_mem": "64MB",
        "timezone": "Asia/Seoul",
        "datestyle": "ISO, YMD",
        "jit": "off",
        "client_min_messages": "warning",
        "check_function_bodies": "on",
        "statement_timeout": f"{int(_LONGEST_STATEMENT * max(1.0, scale))}s",
    }


def _check_superuser(control: Connection, server: Dsn) -> None:
    if fetch_value(control, "SHOW is_superuser") != "on":
        raise NotPermittedError(
            f"{server.user} is no superuser at {server}",
            remedy="log in as the superuser of the old side",
        )


def _reserve(control: Connection, server: Dsn, building: str) -> None:
    """Hold the name while this session lives, so that nobody drops what is being built."""
    if not fetch_value(control, "SELECT pg_try_advisory_lock(hashtext(%s))", (building,)):
        raise RefusedError(
            f"another naru is building {building} on {server}",
            remedy="wait until it has ended, or end it",
        )


def _present(control: Connection, database: str) -> bool:
    query = "SELECT true FROM pg_database WHERE datname = %s"
    return bool(fetch_value(control, query, (database,)))


def _is_empty(server: Dsn, database: str) -> bool:
    with connect(server.with_(dbname=database), purpose="creativity") as session:
        return not fetch_value(session, _HOLDS_ANYTHING)


# 16384 is the first number that PostgreSQL gives to what users make.
_HOLDS_ANYTHING = """
SELECT EXISTS (SELECT FROM pg_class WHERE oid >= 16384)
    OR EXISTS (SELECT FROM pg_proc WHERE oid >= 16384)
    OR EXISTS (SELECT FROM pg_type WHERE oid >= 16384)
    OR EXISTS (SELECT FROM pg_namespace WHERE oid >= 16384 AND nspname !~ '^pg_')
    OR EXISTS (SELECT FROM pg_largeobject_metadata)
"""


def _drop(control: Connection, building: str) -> None:
    control.execute(
        sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(building))
    )


def _create_empty(control: Connection, building: str) -> None:
    control.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'").format(
            sql.Identifier(building)
        )
    )


@contextlib.contextmanager
def _explained(server: Dsn) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise explain(error, server, "making the database") from error


@contextlib.contextmanager
def _step(observer: Observer, title: str) -> Iterator[None]:
    observer.step(title, "running")
    try:
        yield
    except BaseException:
        observer.step(title, "failed")
        raise
    observer.step(title, "done")


class _Progress:
    """Adds up what the sessions have done, and tells the observer."""

    def __init__(self, observer: Observer, what: str, total: int, unit: str) -> None:
        self._observer, self._what, self._total, self._unit = observer, what, total, unit
        self._done = 0
        self._lock = threading.Lock()

    def add(self, rows: int) -> None:
        with self._lock:
            self._done += rows if self._unit == "rows" else 1
            done = min(self._done, self._total)
        self._observer.progress(self._what, done, self._total, self._unit)
