"""Comparing the rows of all tables: several at a time, big ones shared by all workers."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import replace

from naru.errors import NaruError
from naru.postgres import Connection
from naru.system import Deadline, Observer
from naru.verify.agenda import Agenda, Item
from naru.verify.following import find_slots, follow, still_copied
from naru.verify.half import Half
from naru.verify.hashing import Agreement
from naru.verify.memory import Memory
from naru.verify.naming_rows import name
from naru.verify.options import Options
from naru.verify.preparing import prepare
from naru.verify.progress import RowsProgress, TableProgress
from naru.verify.repair import Repair
from naru.verify.rows import Found, Suspect, sift, suspects
from naru.verify.side import Side, Workers
from naru.verify.statements import Statements
from naru.verify.verdict import RowDifference, RowKind, TableVerdict

Pair = tuple[Connection, Connection]
_MOST_FOLLOWED = 20_000
_UNNAMED = (
    "the sums of its rows differ, and no row that an index finds does:"
    " REINDEX it on both sides, and compare again"
)


class TableComparison:
    """Compares tables of two sides; one coordinator a table, `options.jobs` workers a side."""

    def __init__(
        self,
        sides: tuple[Side, Side],
        agenda: Agenda,
        agreement: Agreement,
        options: Options,
        observer: Observer,
        repair: Repair | None = None,
    ) -> None:
        self._sides = sides
        self._agenda = agenda
        self._agreement = agreement
        self._options = options
        self._repair = repair
        self.progress = RowsProgress(observer, agenda.rows, len(agenda.entries))
        self._workers = (
            Workers(sides[0], options.jobs),
            Workers(sides[1], options.jobs),
        )
        self._coordinators = ThreadPoolExecutor(options.jobs, thread_name_prefix="verify-table")
        self._local = threading.local()
        self._slots: tuple[str, ...] = ()
        self._copied: frozenset[str] = frozenset()
        at_most = options.at_most_seconds
        self._deadline = Deadline(at_most, "tables") if at_most is not None else None

    @property
    def over(self) -> str | None:
        """Why snapshots had to be given back before all tables were compared, if so."""
        return next((side.over for side in self._sides if side.over), None)

    def verdicts(self, connections: Pair) -> Iterator[TableVerdict]:
        """One verdict for each table that was compared, in the order of the agenda."""
        if self._options.live:
            with self._sides[0].explained("looking for the slot"):
                self._slots = find_slots(*connections, self._options.slot)
            with self._sides[1].explained("looking for tables that are still copied"):
                self._copied = still_copied(connections[1], self._slots)
        running: deque[Future[TableVerdict | None]] = deque()
        try:
            for item in self._agenda.items():
                running.append(self._coordinators.submit(self._item, item))
                while running and (running[0].done() or len(running) > 8 * self._options.jobs):
                    yield from _next(running)
        except NaruError:
            if not self.over:
                raise
        while running:
            yield from _next(running)
        self.progress.end()

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

    def _item(self, item: Item) -> TableVerdict | None:
        """Compare one table and keep the result; None if it has to be left."""
        if self._deadline and self._deadline.passed:
            return None
        progress = self.progress.table(item.entry.estimate)
        # What a given snapshot shows is older, and nobody here knows by how much.
        began = None if any(side.snapshot for side in self._sides) else time.time()
        memories = self._agenda.memories(item)
        try:
            verdict = self._table(item, progress, memories)
        except NaruError:
            if self.over:
                return None
            raise
        progress.end()
        if memories:
            began = min(memory.at for memory in memories)
        verdict = replace(verdict, compared_at=began)
        self._agenda.note(verdict, memories)
        return verdict

    def _table(
        self, item: Item, progress: TableProgress, memories: Sequence[Memory]
    ) -> TableVerdict:
        table, source, target = item.entry.name, item.source, item.target
        if source is None or target is None:
            lacking = "source" if source is None else "target"
            return TableVerdict(table, reason=f"the {lacking} has no such table")
        if table in self._copied:
            return TableVerdict(table, reason="the subscription has not copied it yet")
        statements = prepare(source, target, self._agreement, self._options)
        connections = self._connections()
        with ExitStack() as stack:
            snapshots = [
                stack.enter_context(side.shared_snapshot(holder))
                for side, holder in zip(self._sides, connections[0], strict=True)
            ]
            halves = [
                Half(*parts[:4], self._options.restraint.part_bytes, parts[4])
                for parts in zip(
                    self._sides,
                    self._workers,
                    statements,
                    snapshots,
                    memories or (None, None),
                    strict=True,
                )
            ]
            verdict = self._verdict(table, halves[0], halves[1], connections[1], progress)
        return replace(verdict, loosened=_loosened(statements[0]))

    def _verdict(
        self, table: str, source: Half, target: Half, readers: Pair, progress: TableProgress
    ) -> TableVerdict:
        sifted = sift(source, target, progress.count)
        verdict = TableVerdict(table, sifted.source_rows, sifted.target_rows)
        if sifted.within is None:
            return verdict
        with progress.looking(table):
            return self._differing(verdict, source, target, readers, sifted)

    def _differing(
        self, verdict: TableVerdict, source: Half, target: Half, readers: Pair, sifted: Found
    ) -> TableVerdict:
        """Look at rows one by one where totals differ."""
        most = _MOST_FOLLOWED if self._slots else self._options.max_differences
        kinds: Counter[RowKind] = Counter()
        kept: list[Suspect] = []
        mending = self._repair.table(source, target) if self._repair else None
        for suspect in suspects(source, target, readers, sifted):
            kinds[suspect.kind] += 1
            if mending:
                mending.take(suspect)
            if len(kept) < most:
                kept.append(suspect)
        if mending:
            mending.flush()
        found = kinds.total()
        if not found:
            return replace(verdict, reason=_UNNAMED)
        if self._slots:
            return self._settled(verdict, source, target, readers, found, kept)
        named = name(source, target, readers, kept, values=self._options.values)
        return replace(verdict, found=found, differences=named, kinds=kinds)

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
        settled = follow(source, target, readers, self._slots, kept, deadline)
        most = self._options.max_differences
        live = [Half(h.side, h.workers, h.statements, "") for h in (source, target)]

        def named(rows: list[Suspect]) -> tuple[RowDifference, ...]:
            return name(live[0], live[1], readers, rows[:most], values=self._options.values)

        return TableVerdict(
            verdict.table,
            verdict.rows,
            verdict.target_rows,
            found=len(settled.different),
            differences=named(settled.different),
            kinds=Counter(suspect.kind for suspect in settled.different),
            pending=named(settled.pending),
            pending_found=len(settled.pending) + found - len(kept),
            looked_again=len(kept),
        )

    def _connections(self) -> tuple[Pair, Pair]:
        """This coordinator's connections: two that hold snapshots, two that read rows."""
        known: tuple[Pair, Pair] | None = getattr(self._local, "connections", None)
        if known is None:
            source, target = self._sides
            known = ((source.connect(), target.connect()), (source.connect(), target.connect()))
            self._local.connections = known
        return known


def _next(running: deque[Future[TableVerdict | None]]) -> Iterator[TableVerdict]:
    """The verdict of the first of them, which is taken away; fails as soon as any has failed."""
    while not running[0].done():
        wait([one for one in running if not one.done()], return_when=FIRST_COMPLETED)
        for one in running:
            if one.done():
                one.result()
    verdict = running.popleft().result()
    if verdict is not None:
        yield verdict


def _loosened(statements: Statements) -> tuple[str, ...]:
    """Which columns were compared under a rule, as `column: rule`."""
    return tuple(
        f"{column}: {rule}" for column, rules in statements.rules.items() for rule in rules
    )
