"""One side of a table under comparison: what is read of it, by which workers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg import sql

from naru.postgres import Connection, fetch_all, fetch_one
from naru.verify.descent import Grain, Totals, add
from naru.verify.memory import Memory
from naru.verify.pairing import Row
from naru.verify.relations import Part
from naru.verify.side import Side, Workers
from naru.verify.statements import Buckets, Statements

_MOST_LOOKED_UP = 200_000


@dataclass(frozen=True)
class Half:
    """One side of a table under comparison, reading one snapshot."""

    side: Side
    workers: Workers
    statements: Statements
    snapshot: str
    part_bytes: int | None = None
    memory: Memory | None = None

    @property
    def by_page(self) -> bool:
        """Whether ranges of pages are read without the rest of the table (14 and newer)."""
        return self.statements.agreement.method == "record"

    def totals(
        self, into: Totals, grain: Grain, within: Buckets | None, counted: Callable[[int], None]
    ) -> list[Future[None]]:
        """Begin to add up the totals of all parts, all at once.

        A part is added as it is read, so that few totals are held however many parts there are.
        """
        name = self.statements.relation.name
        parts = self.statements.relation.parts(self.by_page, self.part_bytes)
        memory = self.memory if within is None else None
        if memory:
            parts = memory.begin(grain, parts, into)
            counted(sum(rows for rows, _ in into.values()))
        lock = threading.Lock()

        def read(part: Part) -> Callable[[Connection], None]:
            def work(connection: Connection) -> None:
                found = connection.execute(self.statements.totals(part, grain, within))
                totals = {place: (rows, int(hashes)) for place, rows, hashes in found}
                rows = sum(rows for rows, _ in totals.values())
                self.side.gate.spend(self.side, rows, part.size)
                counted(rows)
                with lock:
                    add(into, totals)
                    if memory:
                        memory.keep(part, into)

            return work

        return [self.workers.submit(self.snapshot, f"reading {name}", read(part)) for part in parts]

    @contextmanager
    def rows(self, connection: Connection, within: Buckets) -> Iterator[Iterator[list[Row]]]:
        """The rows of some buckets in the order of their places, many at a time."""
        self.side.gate.enter(self.side)
        seen = 0

        def counted(batches: Iterator[list[Row]]) -> Iterator[list[Row]]:
            nonlocal seen
            for rows in batches:
                seen += len(rows)
                yield rows

        query = self.statements.rows(within)
        doing = f"reading {self.statements.relation.name}"
        with self.side.ahead(connection, "rows", query, doing=doing, binary=True) as batches:
            yield counted(batches)
        self.side.gate.spend(self.side, seen, self.statements.relation.size)

    def few(self, within: Buckets) -> list[Future[list[Row]]]:
        """Begin to read the rows of some buckets that hold few, in no order, by all workers.

        Where the key is a whole number whose values lie close enough to be counted through,
        they are looked up by it; else every part of the table is read.
        """
        name = self.statements.relation.name

        def read(query: sql.Composed, size: float) -> Future[list[Row]]:
            def work(connection: Connection) -> list[Row]:
                rows = fetch_all(connection, query)
                self.side.gate.spend(self.side, len(rows), size)
                return rows

            return self.workers.submit(self.snapshot, f"reading {name}", work)

        span = self._span()
        if span and within.numbers(*span) <= _MOST_LOOKED_UP:
            return [read(self.statements.numbered_rows(within, *span), 0.0)]
        return [
            read(self.statements.rows(within, part), part.size)
            for part in self.statements.relation.parts(self.by_page, self.part_bytes)
        ]

    def _span(self) -> tuple[int, int] | None:
        """The least and the greatest value of a key that is a whole number."""
        if not self.statements.numbered:
            return None
        query = self.statements.span()
        doing = f"reading {self.statements.relation.name}"
        low, high = self.workers.submit(
            self.snapshot, doing, lambda connection: fetch_one(connection, query)
        ).result()
        return None if low is None else (low, high)
