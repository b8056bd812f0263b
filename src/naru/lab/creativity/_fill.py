"""The stages in which an empty database becomes the complete one, and their SQL."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from importlib import resources

from psycopg import sql

from naru.lab.creativity._crew import Crew, Job
from naru.lab.creativity.plan import Chunk, chunks, paragraphs, rounds
from naru.postgres import Connection, Dsn, connect, fetch_all
from naru.system import Observer, step

HANDS = 3
"""Sessions side by side: one more than two cores, for while one waits for its disk."""

_LONGEST_STATEMENT = 900
"""Seconds; grows with the scale."""


def fill(
    building: Dsn, rows: Mapping[str, int], seed: int, scale: float, observer: Observer
) -> int:
    """Make everything in the empty database `building`; gives the rows that were written.

    `rows` has the size of each content file, as `plan.sizes` gives it.
    """
    with Crew(building, HANDS, _settings(scale)) as crew:
        return _stages(crew, building, rows, seed, observer)


def _stages(
    crew: Crew, building: Dsn, rows: Mapping[str, int], seed: int, observer: Observer
) -> int:
    def stage(title: str, jobs: Sequence[Job], unit: str) -> int:
        with step(observer, title):
            total = sum(rows.values()) if unit == "rows" else len(jobs)
            return crew.run(jobs, _Progress(observer, title, total, unit).add)

    with step(observer, "types and tables"):
        crew.run([Job("making the generator", _generator(rows, seed))])
        crew.run([Job("making tables", _text("types.sql") + _text("tables.sql"))])
    content = [_content(chunk) for chunk in chunks(rows)]
    content.append(Job("filling the small tables", _text("content/small_tables.sql")))
    written = stage("content", content, "rows")
    stage("keys and indexes", _jobs("indexing", paragraphs(_text("keys.sql"))), "items")
    with connect(building, purpose="creativity") as session:
        stage("statistics", _jobs("analyzing", _made(session, _ANALYZE)), "items")
        at_once, *long = paragraphs(_text("foreign_keys.sql"))
        crew.run([Job("adding foreign keys", at_once)])
        validations = [*long, *_made(session, _VALIDATE)]
        stage("foreign keys", _jobs("validating", validations), "items")
    with step(observer, "behaviour and access"):
        for part in ("behaviour.sql", "access.sql", "sequences.sql"):
            crew.run([Job(f"running {part}", _text(part))])
        crew.run([Job("removing the generator", _CLEAR)])
    return written


_CLEAR = "DROP SCHEMA gen CASCADE; ANALYZE analytics.project_popularity"
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
