"""Comparing the rows of one table: totals of buckets first, rows only where these differ."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from typing import Any

from naru.postgres import Connection
from naru.verify.descent import (
    Refine,
    Totals,
    add,
    differing,
    first_bits,
    next_step,
)
from naru.verify.memory import Memory
from naru.verify.relations import Part
from naru.verify.side import Side, Workers
from naru.verify.statements import Buckets, Key, Statements
from naru.verify.types import INTEGERS
from naru.verify.verdict import RowDifference, RowKind

CHUNK = 200
"""How many rows are looked up by one query."""


@dataclass(frozen=True)
class Suspect:
    """A row that differs in the snapshots: its place (or hash) and its key, if it has one."""

    kind: RowKind
    place: int
    key: Key
    count: int = 1


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
        self, into: Totals, bits: int, within: Buckets | None, counted: Callable[[int], None]
    ) -> list[Future[None]]:
        """Begin to add up the totals of all parts, all at once.

        A part is added as it is read, so that few totals are held however many parts there are.
        """
        name = self.statements.relation.name
        parts = self.statements.relation.parts(self.by_page, self.part_bytes)
        memory = self.memory if within is None else None
        if memory:
            parts = memory.begin(bits, parts, into)
            counted(sum(rows for rows, _ in into.values()))
        lock = threading.Lock()

        def read(part: Part) -> Callable[[Connection], None]:
            def work(connection: Connection) -> None:
                found = connection.execute(self.statements.totals(part, bits, within))
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

    def rows(self, connection: Connection, within: Buckets) -> Iterator[tuple[Any, ...]]:
        """Stream the rows of some buckets in the order of their places."""
        self.side.gate.enter(self.side)
        seen = 0
        for row in self.side.stream(connection, "rows", self.statements.rows(within)):
            seen += 1
            yield row
        self.side.gate.spend(self.side, seen, self.statements.relation.size)


def sift(
    source: Half, target: Half, counted: Callable[[int], None]
) -> tuple[int, int, Buckets | None]:
    """Rows of both sides, and the buckets within which rows differ (None: the same)."""
    bits = first_bits(source.statements.relation.estimate)
    ours, theirs = _both(source, target, bits, None, counted)
    rows = sum(n for n, _ in ours.values()), sum(n for n, _ in theirs.values())
    while wrong := differing(ours, theirs):
        within = Buckets(bits, tuple(wrong))
        step = next_step(bits, ours, theirs)
        if not isinstance(step, Refine):
            return *rows, within
        bits = step.bits
        ours, theirs = _both(source, target, bits, within, lambda _: None)
    return *rows, None


def _both(
    source: Half, target: Half, bits: int, within: Buckets | None, counted: Callable[[int], None]
) -> tuple[Totals, Totals]:
    sums: tuple[Totals, Totals] = ({}, {})
    futures = (
        source.totals(sums[0], bits, within, counted),
        target.totals(sums[1], bits, within, counted),
    )
    for parts in futures:
        for part in parts:
            part.result()
    return sums


def suspects(
    source: Half, target: Half, connections: tuple[Connection, Connection], within: Buckets
) -> Iterator[Suspect]:
    """Every row of these buckets that differs, one by one."""
    with source.side.reading(connections[0], "reading rows", source.snapshot):
        with target.side.reading(connections[1], "reading rows", target.snapshot):
            ours = _groups(source.rows(connections[0], within))
            theirs = _groups(target.rows(connections[1], within))
            keyed = bool(source.statements.key)
            for place, left, right in _by_place(ours, theirs):
                yield from (_keyed if keyed else _counted)(place, left, right)


_Rows = list[tuple[Any, ...]]


def _groups(rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[int, _Rows]]:
    """Rows that stand at the same place; nearly always one."""
    place: int | None = None
    group: _Rows = []
    for row in rows:
        if row[0] != place:
            if place is not None:
                yield place, group
            place, group = row[0], []
        group.append(row[1:])
    if place is not None:
        yield place, group


def _by_place(
    source: Iterator[tuple[int, _Rows]], target: Iterator[tuple[int, _Rows]]
) -> Iterator[tuple[int, _Rows, _Rows]]:
    """Pair two streams in the order of places; only what is not the same."""
    ours, theirs = next(source, None), next(target, None)
    while ours is not None or theirs is not None:
        if theirs is None or (ours is not None and ours[0] < theirs[0]):
            assert ours is not None
            yield ours[0], ours[1], []
            ours = next(source, None)
        elif ours is None or theirs[0] < ours[0]:
            yield theirs[0], [], theirs[1]
            theirs = next(target, None)
        else:
            if ours[1] != theirs[1]:
                yield ours[0], ours[1], theirs[1]
            ours, theirs = next(source, None), next(target, None)


def _keyed(place: int, source: _Rows, target: _Rows) -> Iterator[Suspect]:
    ours, theirs = ({row[1:]: row[0] for row in rows} for rows in (source, target))
    for key in ours.keys() | theirs.keys():
        if key not in theirs:
            yield Suspect("missing", place, key)
        elif key not in ours:
            yield Suspect("extra", place, key)
        elif ours[key] != theirs[key]:
            yield Suspect("changed", place, key)


def _counted(place: int, source: _Rows, target: _Rows) -> Iterator[Suspect]:
    surplus = (source[0][0] if source else 0) - (target[0][0] if target else 0)
    yield Suspect("missing" if surplus > 0 else "extra", place, (), abs(surplus))


def name(
    source: Half, target: Half, connections: tuple[Connection, Connection], found: list[Suspect]
) -> list[RowDifference]:
    """Name rows by key and the columns that differ, or by their columns without a key."""
    halves = ((source, connections[0]), (target, connections[1]))
    return [
        difference
        for chunk in _chunks(found)
        for difference in (_named if source.statements.key else _described)(halves, chunk)
    ]


def _chunks(items: list[Suspect]) -> Iterator[list[Suspect]]:
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


_Halves = tuple[tuple[Half, Connection], tuple[Half, Connection]]


def _named(halves: _Halves, chunk: list[Suspect]) -> Iterator[RowDifference]:
    changed = [suspect.key for suspect in chunk if suspect.kind == "changed"]
    hashes: list[dict[Key, list[int]]] = [{}, {}]
    for into, (half, connection) in zip(hashes, halves, strict=True):
        if changed:
            query = half.statements.states(changed, columns=True)
            with half.side.reading(connection, "naming columns", half.snapshot):
                into.update({tuple(r[0]): r[3] for r in connection.execute(query)})
    columns = [column for column, _ in halves[0][0].statements.forms]
    for suspect in chunk:
        ours, theirs = (side.get(suspect.key, []) for side in hashes)
        different = [c for c, a, b in zip(columns, ours, theirs, strict=False) if a != b]
        shown = shown_key(halves[0][0].statements, suspect.key)
        yield RowDifference(suspect.kind, shown, tuple(different))


def _described(halves: _Halves, chunk: list[Suspect]) -> Iterator[RowDifference]:
    texts: dict[int, list[str | None]] = {}
    for half, connection in halves:
        query = half.statements.multiset(suspect.place for suspect in chunk)
        with half.side.reading(connection, "naming rows", half.snapshot):
            texts.update({row[0]: row[3] for row in connection.execute(query)})
    columns = [column for column, _ in halves[0][0].statements.forms]
    for suspect in chunk:
        values = texts.get(suspect.place, [])
        shown = dict(zip(columns, values, strict=False))
        yield RowDifference(suspect.kind, shown, (), suspect.count)


def shown_key(statements: Statements, key: Key) -> dict[str, Any]:
    """A key as people and programs read it: whole numbers as numbers, the rest as text."""
    kinds = (statements.relation.column(name).type.base.name for name in statements.key)
    return {
        name: int(value) if kind in INTEGERS else value
        for name, value, kind in zip(statements.key, key, kinds, strict=True)
    }
