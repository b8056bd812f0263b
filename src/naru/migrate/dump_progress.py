"""How far pg_dump or pg_restore is: tables it has begun, and rows of those it is at."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from naru.errors import NaruError
from naru.migrate.sides import PLAIN
from naru.postgres import Connection, Dsn, connect, fetch_all
from naru.system import Observer

_BEGUN = re.compile(r'pg_\w+: (?:dumping contents of|processing data for) table "(.*)"')
_EVERY = 1.0

_ACTIVE = """
SELECT n.nspname || '.' || c.relname, p.tuples_processed
FROM pg_catalog.pg_stat_progress_copy p
JOIN pg_catalog.pg_class c ON c.oid = p.relid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE p.datname = pg_catalog.current_database()
"""


def rows_done(
    expected: Mapping[str, int], begun: set[str], active: Mapping[str, int]
) -> tuple[int, int]:
    """Rows and tables that are through: those begun, of the active ones only what they did."""
    ended = begun - active.keys()
    rows = sum(expected.get(name, 0) for name in ended)
    rows += sum(min(count, expected.get(name, count)) for name, count in active.items())
    return rows, len(ended)


class CopyProgress:
    """Hears a program's lines, looks at the server, and tells an observer.

    `expected` are rows by `schema.table`, as the program names tables. Servers before 14
    do not show the tables being copied; there each counts once it has begun.
    """

    def __init__(
        self,
        what: str,
        dsn: Dsn,
        expected: Mapping[str, int],
        observer: Observer,
        *,
        written: Callable[[], str] = str,
    ) -> None:
        self._what, self._dsn, self._observer = what, dsn, observer
        self._expected = expected
        self._total = max(1, sum(expected.values()))
        self._written = written
        self._begun: set[str] = set()
        self._connection: Connection | None = None
        self._looked = 0.0

    def hear(self, line: str) -> None:
        """A line that pg_dump or pg_restore said, being verbose."""
        if match := _BEGUN.fullmatch(line):
            self._begun.add(match[1])

    def look(self) -> None:
        """Tell how far it is; at most once a second."""
        if not self._expected or time.monotonic() - self._looked < _EVERY:
            return
        self._looked = time.monotonic()
        rows, tables = rows_done(self._expected, self._begun, self._active())
        more = self._written()
        detail = f"{tables:,} of {len(self._expected):,} tables" + (f", {more}" if more else "")
        done = min(rows, self._total - 1)
        self._observer.progress(self._what, done, self._total, "rows", detail=detail)

    def _active(self) -> dict[str, int]:
        """What the server shows. A look that fails is no reason to stop what is looked at."""
        if self._connection is None:
            return {}
        try:
            return dict(fetch_all(self._connection, _ACTIVE))
        except psycopg.Error:
            return {}

    def __enter__(self) -> Self:
        with contextlib.suppress(NaruError):
            self._connection = connect(self._dsn, purpose="progress", settings=PLAIN)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._connection is not None:
            self._connection.close()
        if kind is None and self._expected:
            self._observer.progress(self._what, self._total, self._total, "rows")


def size_of(folder: Path) -> int:
    """Bytes of the files in `folder` at this moment; it may be written to meanwhile."""
    total = 0
    for one in folder.glob("*"):
        with contextlib.suppress(OSError):
            total += one.stat().st_size
    return total
