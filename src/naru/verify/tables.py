"""Comparing the rows of all tables: several at a time, big ones shared by all workers."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

from naru.postgres import Connection
from naru.system import Deadline, Observer
from naru.verify.following import find_slot, follow
from naru.verify.hashing import Agreement
from naru.verify.merging import merge
from naru.verify.options import Options
from naru.verify.preparing import prepare
from naru.verify.relations import Relation, Types, relations
from naru.verify.repair import Repair
from naru.verify.rows import Half, Suspect, name, sift, suspects
from naru.verify.side import Side, Workers
from naru.verify.statements import Statements
from naru.verify.verdict import TableVerdict

Pair = tuple[Connection, Connection]
_MOST_FOLLOWED = 20_000


class Progress:
    """Counts the source's rows as they are compared, against an estimate."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._lock = threading.Lock()
        self._done = 0
        self._total = 0

    def expect(self, rows: int) -> None:
        with self._lock:
            self._total += rows

    def count(self, rows: int) -> None:
        with self._lock:
            self._done += rows
            done, total = self._done, self._total
        self._observer.progress("rows compared", done, max(total, done + 1), "rows")

    def end(self) -> None:
        self._observer.progress("rows compared", self._done, self._done, "rows")


class TableComparison:
    """Compares tables of two sides; one coordinator a table, `options.jobs` workers a side."""

    def __init__(
        self,
        sides: tuple[Side, Side],
        agreement: Agreement,
        options: Options,
        observer: Observer,
        repair: Repair | None = None,
    ) -> None:
        self._sides = sides
        self._agreement = agreement
        self._options = options
        self._repair = repair
        self._progress = Progress(observer)
        self._workers = (
            Workers(sides[0], options.jobs),
            Workers(sides[1], options.jobs),
        )
        self._coordinators = ThreadPoolExecutor(options.jobs, thread_name_prefix="verify-table")
        self._local = threading.local()
        self._slot: str | None = None

    def verdicts(self, connections: Pair) -> Iterator[TableVerdict]:
        """One verdict a table, in the order of names."""
        if self._options.live:
            with self._sides[0].explained("looking for the slot"):
                self._slot = find_slot(connections[0], self._options.slot)
        running: deque[Future[TableVerdict]] = deque()
        for table, source, target in self._tables(connections):
            running.append(self._coordinators.submit(self._table, table, source, target))
            while running and (running[0].done() or len(running) > 8 * self._options.jobs):
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
        self._progress.end()

    def abort(self) -> None:
        """Drop what has not begun, cancel what has."""
        self._coordinators.shutdown(wait=False, cancel_futures=True)
        for workers in self._workers:
            workers.shutdown(wait=False)
        for side in self._sides:
            side.stop()

    def shutdown(self) -> None:
        """Wait until every thread has ended."""
        for workers in self._workers:
            workers.shutdown()
        self._coordinators.shutdown(wait=True)

    def _tables(self, connections: Pair) -> Iterator[tuple[str, Relation | None, Relation | None]]:
        streams = [
            relations(side, connection, Types(connection))
            for side, connection in zip(self._sides, connections, strict=True)
        ]
        for table, source, target in merge(*streams):
            is_view = "m" in {source.kind if source else "", target.kind if target else ""}
            if self._options.covers(table) and (self._options.materialized_rows or not is_view):
                if source and target:
                    self._progress.expect(source.estimate)
                yield table, source, target

    def _table(self, table: str, source: Relation | None, target: Relation | None) -> TableVerdict:
        if source is None or target is None:
            lacking = "source" if source is None else "target"
            return TableVerdict(table, reason=f"the {lacking} has no such table")
        statements = prepare(source, target, self._agreement, self._options)
        connections = self._connections()
        with ExitStack() as stack:
            snapshots = [
                stack.enter_context(side.shared_snapshot(holder))
                for side, holder in zip(self._sides, connections[0], strict=True)
            ]
            halves = [
                Half(*parts)
                for parts in zip(self._sides, self._workers, statements, snapshots, strict=True)
            ]
            verdict = self._verdict(table, halves[0], halves[1], connections[1])
        return replace(verdict, loosened=_loosened(statements[0]))

    def _verdict(self, table: str, source: Half, target: Half, readers: Pair) -> TableVerdict:
        rows, target_rows, within = sift(source, target, self._progress.count)
        verdict = TableVerdict(table, rows, target_rows)
        if within is None:
            return verdict
        most = _MOST_FOLLOWED if self._slot else self._options.max_differences
        found = 0
        kept: list[Suspect] = []
        mending = self._repair.table(source, target) if self._repair else None
        for suspect in suspects(source, target, readers, within):
            found += 1
            if mending:
                mending.take(suspect)
            if len(kept) < most:
                kept.append(suspect)
        if mending:
            mending.flush()
        if self._slot:
            return self._settled(verdict, source, target, readers, found, kept)
        named = tuple(name(source, target, readers, kept))
        return TableVerdict(table, rows, target_rows, found, named)

    def _settled(
        self,
        verdict: TableVerdict,
        source: Half,
        target: Half,
        readers: Pair,
        found: int,
        kept: list[Suspect],
    ) -> TableVerdict:
        """The verdict of a live comparison, once every suspect is decided or given up."""
        deadline = Deadline(self._options.live_seconds, f"rows of {verdict.table} to settle")
        settled = follow(source, target, readers, self._slot or "", kept, deadline)
        most = self._options.max_differences
        live = [Half(h.side, h.workers, h.statements, "") for h in (source, target)]
        return TableVerdict(
            verdict.table,
            verdict.rows,
            verdict.target_rows,
            found=len(settled.different),
            differences=tuple(name(live[0], live[1], readers, settled.different[:most])),
            pending=tuple(name(live[0], live[1], readers, settled.pending[:most])),
            pending_found=len(settled.pending) + found - len(kept),
        )

    def _connections(self) -> tuple[Pair, Pair]:
        """This coordinator's connections: two that hold snapshots, two that read rows."""
        known: tuple[Pair, Pair] | None = getattr(self._local, "connections", None)
        if known is None:
            source, target = self._sides
            known = ((source.connect(), target.connect()), (source.connect(), target.connect()))
            self._local.connections = known
        return known


def _loosened(statements: Statements) -> tuple[str, ...]:
    """Which columns were compared under a rule, as `column: rule`."""
    return tuple(
        f"{column}: {rule}" for column, rules in statements.rules.items() for rule in rules
    )
