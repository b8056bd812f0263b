"""The ledger in the database, and the judgement: was every word to a client kept?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from time import time
from typing import Any

import psycopg
from psycopg import sql

from naru.drill.records import IDS_PER_CLIENT, Outcome, Record, read_by_id
from naru.errors import NotPermittedError, UsageError
from naru.postgres import Connection, Dsn, connect, explain, fetch_value

SCHEMA = "naru_ledger"

# Without a unique constraint, so that a row that came twice can be seen.
_PREPARE = """
    CREATE SCHEMA IF NOT EXISTS naru_ledger;
    CREATE TABLE IF NOT EXISTS naru_ledger.entry (
        run text NOT NULL, id int8 NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
    CREATE INDEX IF NOT EXISTS entry_run_id ON naru_ledger.entry (run, id);
"""
_GRANT = """
    GRANT USAGE ON SCHEMA naru_ledger TO {role};
    GRANT SELECT, INSERT ON naru_ledger.entry TO {role};
"""
INSERT = "INSERT INTO naru_ledger.entry (run, id) VALUES (%(run)s, %(id)s)"
_ENTRIES = "SELECT id, count(*) FROM naru_ledger.entry WHERE run = %s GROUP BY id ORDER BY id"
_FETCH = 5000
_SHOWN = 20


def prepare(owner: Dsn, role: str) -> bool:
    """Make the ledger where it is missing, and let `role` write to it; True if it was missing."""
    with _doing(owner, "preparing the ledger") as connection:
        missing = fetch_value(connection, "SELECT to_regclass('naru_ledger.entry') IS NULL")
        connection.execute(_PREPARE)
        connection.execute(sql.SQL(_GRANT).format(role=sql.Identifier(role)))
        return bool(missing)


def clean(owner: Dsn) -> None:
    """Take the ledger away with all its rows."""
    with _doing(owner, "removing the ledger") as connection:
        connection.execute("DROP SCHEMA IF EXISTS naru_ledger CASCADE")


@dataclass(frozen=True)
class LedgerVerdict:
    """What clients were told against what the database holds."""

    acknowledged: int = 0
    failed: int = 0
    """Told, or certain, that it was not committed."""
    unknown: int = 0
    """The connection broke during COMMIT; the ledger told afterwards:"""
    unknown_committed: int = 0
    lost: int = 0
    """Acknowledged, and not there."""
    duplicated: int = 0
    """There more than once."""
    phantom: int = 0
    """There, though it failed or was never tried."""
    unrecorded: int = 0
    """There, and the workload was stopped before it could note the answer."""
    examples: dict[str, list[int]] = field(default_factory=dict)
    """Some ids of each kind that must not be."""

    @property
    def kept(self) -> bool:
        """True if nothing was lost, doubled, or there without having been committed."""
        return not (self.lost or self.duplicated or self.phantom)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"kept": self.kept}


def judge(
    server: Dsn, folder: Path, run: str, *, start: float = 0.0, end: float | None = None
) -> LedgerVerdict:
    """Compare the ledger of `run` at `server` with the records in `folder`, streaming.

    `start` and `end` (since the epoch) judge only transactions that ended in between. The
    workload may still run: what ended after the call began is left out.
    """
    horizon = min(end if end is not None else time(), time())
    whole = start == 0.0 and end is None
    with _doing(server, "reading the ledger", autocommit=False) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        with connection.cursor(name="naru_ledger") as cursor:
            cursor.itersize = _FETCH
            cursor.execute(_ENTRIES, [run])
            rows = ((int(row[0]), int(row[1])) for row in cursor)
            return reconcile(read_by_id(folder), rows, start=start, end=horizon, strays=whole)


def reconcile(
    records: Iterable[Record],
    rows: Iterable[tuple[int, int]],
    *,
    start: float = 0.0,
    end: float = float("inf"),
    strays: bool = True,
) -> LedgerVerdict:
    """Merge records and ledger rows (id, how often), both ascending by id.

    `strays`: judge also rows that no client has a record of.
    """
    tally = _Tally()
    entries = chain(rows, [(_END, 0)])
    number, copies = next(entries)
    last = 0
    for record in records:
        while number < record.id:
            tally.stray(number, copies, last, judged=strays)
            number, copies = next(entries)
        found = copies if number == record.id else 0
        if start <= record.done <= end:
            tally.judge(record, found)
        if found:
            number, copies = next(entries)
        last = record.id
    while number < _END:
        tally.stray(number, copies, last, judged=strays)
        number, copies = next(entries)
    return tally.verdict()


_END = 2**63


class _Tally:
    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._examples: dict[str, list[int]] = {}

    def _count(self, kind: str, number: int, *, show: bool = False) -> None:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        if show and len(shown := self._examples.setdefault(kind, [])) < _SHOWN:
            shown.append(number)

    def judge(self, record: Record, found: int) -> None:
        if found > 1:
            self._count("duplicated", record.id, show=True)
        if record.outcome is Outcome.ACKNOWLEDGED:
            self._count("acknowledged", record.id)
            if not found:
                self._count("lost", record.id, show=True)
        elif record.outcome is Outcome.NOT_COMMITTED:
            self._count("failed", record.id)
            if found:
                self._count("phantom", record.id, show=True)
        else:
            self._count("unknown", record.id)
            if found:
                self._count("unknown_committed", record.id)

    def stray(self, number: int, copies: int, last: int, *, judged: bool) -> None:
        """A row without a record: the one transaction that a client had under way, or a ghost."""
        if not judged:
            return
        under_way = number == last + 1 or number % IDS_PER_CLIENT == 1
        self._count("unrecorded" if under_way else "phantom", number, show=not under_way)
        if copies > 1:
            self._count("duplicated", number, show=True)

    def verdict(self) -> LedgerVerdict:
        return LedgerVerdict(**self._counts, examples=self._examples)


@contextmanager
def _doing(server: Dsn, doing: str, *, autocommit: bool = True) -> Iterator[Connection]:
    with connect(server, purpose="ledger", autocommit=autocommit) as connection:
        try:
            yield connection
        except psycopg.errors.UndefinedTable as error:
            raise UsageError(
                f"{server}: there is no ledger ({SCHEMA}.entry)",
                remedy="name the database that the workload wrote to",
                sqlstate=error.sqlstate,
            ) from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise NotPermittedError(
                f"{server}: not permitted while {doing}: {error.diag.message_primary}",
                remedy="use the ledger's owner or a superuser",
                sqlstate=error.sqlstate,
            ) from error
        except psycopg.Error as error:
            raise explain(error, server, doing) from error
