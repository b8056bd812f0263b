"""Comparing the rows of one table: totals of buckets first, rows only where these differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from naru.postgres import Connection
from naru.verify.descent import Grain, Refine, Totals, differing, first_grain, next_step
from naru.verify.half import Half
from naru.verify.pairing import Row, stretches, unmatched
from naru.verify.side import results
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
    results(part for parts in futures for part in parts)
    return sums


def suspects(
    source: Half, target: Half, connections: tuple[Connection, Connection], found: Found
) -> Iterator[Suspect]:
    """Every row of the buckets that differ which differs itself, in the order of places."""
    within = found.within
    if within is None:
        return
    keyed = bool(source.statements.key)
    if found.few:
        both = [half.few(within) for half in (source, target)]
        results(part for one in both for part in one)
        ours, theirs = ([row for part in results(one) for row in part] for one in both)
        yield from _different([sorted(ours)], [sorted(theirs)], keyed)
        return
    with (
        source.side.reading(connections[0], "reading rows", source.snapshot),
        target.side.reading(connections[1], "reading rows", target.snapshot),
        source.rows(connections[0], within) as here,
        target.rows(connections[1], within) as there,
    ):
        yield from _different(here, there, keyed)


def _different(
    source: Iterable[list[Row]], target: Iterable[list[Row]], keyed: bool
) -> Iterator[Suspect]:
    for ours, theirs in stretches(source, target):
        yield from (_keyed if keyed else _counted)(ours, theirs)


def _keyed(ours: list[Row], theirs: list[Row]) -> Iterator[Suspect]:
    """Rows are a place, a hash and a key; where the place is the key it is not said again.

    A key may stand there twice, for all that its index says: then its rows are paired.
    """
    here, there = (_by_key(rows) for rows in unmatched(ours, theirs))
    for place, *key in sorted(here.keys() | there.keys()):
        identity = (place, *key)
        name = tuple(key) or (str(place),)
        lacking, surplus = here.get(identity, 0), there.get(identity, 0)
        both = min(lacking, surplus)
        yield from repeat(Suspect("changed", place, name), both)
        yield from repeat(Suspect("missing", place, name), lacking - both)
        yield from repeat(Suspect("extra", place, name), surplus - both)


def _by_key(rows: list[Row]) -> Counter[Row]:
    return Counter(row[:1] + row[2:] for row in rows)


def _counted(ours: list[Row], theirs: list[Row]) -> Iterator[Suspect]:
    """Rows are a hash and how often it was found, maybe in several parts of a table."""
    surplus: Counter[int] = Counter()
    for rows, sign in ((ours, 1), (theirs, -1)):
        for place, count in rows:
            surplus[place] += sign * count
    for place, count in sorted(surplus.items()):
        if count:
            yield Suspect("missing" if count > 0 else "extra", place, (), abs(count))


def shown_key(statements: Statements, key: Key) -> dict[str, Any]:
    """A key as people and programs read it: whole numbers as numbers, the rest as text."""
    kinds = (statements.relation.column(name).type.base.name for name in statements.key)
    return {
        name: int(value) if kind in INTEGERS else value
        for name, value, kind in zip(statements.key, key, kinds, strict=True)
    }
