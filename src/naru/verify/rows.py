"""Comparing the rows of one table: totals of buckets first, rows only where these differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from naru.postgres import Connection
from naru.verify.descent import Grain, Refine, Totals, differing, first_grain, next_step
from naru.verify.half import Half
from naru.verify.statements import Buckets, Key, Statements
from naru.verify.types import INTEGERS
from naru.verify.verdict import RowKind

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
class Found:
    """The rows of both sides, and the buckets within which some differ (None: the same).

    `few`: these hold so few rows that they can be kept in memory.
    """

    source_rows: int
    target_rows: int
    within: Buckets | None = None
    few: bool = False


def sift(source: Half, target: Half, counted: Callable[[int], None]) -> Found:
    """Find the buckets within which rows differ, by ever smaller ones."""
    statements = source.statements
    grain = first_grain(statements.relation.estimate, numbered=statements.numbered)
    ours, theirs = _both(source, target, grain, None, counted)
    rows = sum(n for n, _ in ours.values()), sum(n for n, _ in theirs.values())
    while wrong := differing(ours, theirs):
        within = Buckets(grain, tuple(wrong))
        step = next_step(grain, ours, theirs)
        if not isinstance(step, Refine):
            return Found(*rows, within, step.few)
        grain = step.grain
        ours, theirs = _both(source, target, grain, within, lambda _: None)
    return Found(*rows)


def _both(
    source: Half,
    target: Half,
    grain: Grain,
    within: Buckets | None,
    counted: Callable[[int], None],
) -> tuple[Totals, Totals]:
    sums: tuple[Totals, Totals] = ({}, {})
    futures = (
        source.totals(sums[0], grain, within, counted),
        target.totals(sums[1], grain, within, counted),
    )
    for parts in futures:
        for part in parts:
            part.result()
    return sums


def suspects(
    source: Half, target: Half, connections: tuple[Connection, Connection], found: Found
) -> Iterator[Suspect]:
    """Every row of the buckets that differ which differs itself, one by one."""
    within = found.within
    if within is None:
        return
    keyed = bool(source.statements.key)
    if found.few:
        both = [half.few(within) for half in (source, target)]
        ours, theirs = (_in_order(row for part in one for row in part.result()) for one in both)
        yield from _different(ours, theirs, keyed)
        return
    with source.side.reading(connections[0], "reading rows", source.snapshot):
        with target.side.reading(connections[1], "reading rows", target.snapshot):
            streams = source.rows(connections[0], within), target.rows(connections[1], within)
            yield from _different(*streams, keyed)


_Row = tuple[Any, ...]
_Stream = Iterator[_Row]


def _in_order(rows: _Stream) -> _Stream:
    return iter(sorted(rows, key=lambda row: int(row[0])))


def _different(source: _Stream, target: _Stream, keyed: bool) -> Iterator[Suspect]:
    for place, ours, theirs in _by_place(_groups(source), _groups(target)):
        yield from (_keyed if keyed else _counted)(place, ours, theirs)


_Rows = list[tuple[Any, ...]]


def _groups(rows: _Stream) -> Iterator[tuple[int, _Rows]]:
    """Rows that stand at the same place; nearly always one."""
    for place, group in groupby(rows, key=lambda row: int(row[0])):
        yield place, [row[1:] for row in group]


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
    surplus = sum(row[0] for row in source) - sum(row[0] for row in target)
    if surplus == 0:
        return
    yield Suspect("missing" if surplus > 0 else "extra", place, (), abs(surplus))


def shown_key(statements: Statements, key: Key) -> dict[str, Any]:
    """A key as people and programs read it: whole numbers as numbers, the rest as text."""
    kinds = (statements.relation.column(name).type.base.name for name in statements.key)
    return {
        name: int(value) if kind in INTEGERS else value
        for name, value, kind in zip(statements.key, key, kinds, strict=True)
    }
