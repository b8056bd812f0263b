"""Naming rows that differ: by key and column, or by all columns where there is no key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from naru.postgres import Connection
from naru.verify.excerpts import Excerpts
from naru.verify.half import Half
from naru.verify.rows import CHUNK, Suspect, shown_key
from naru.verify.statements import Key
from naru.verify.verdict import RowDifference, ValuePair

_Halves = tuple[tuple[Half, Connection], tuple[Half, Connection]]
_Values = dict[Key, tuple[ValuePair, ...]]


def name(
    source: Half,
    target: Half,
    connections: tuple[Connection, Connection],
    found: Sequence[Suspect],
    *,
    values: bool = False,
) -> tuple[RowDifference, ...]:
    """Name rows by key and the columns that differ, or by their columns without a key.

    With `values` what differs comes along, cut short.
    """
    halves = ((source, connections[0]), (target, connections[1]))
    if not source.statements.key:
        return tuple(one for chunk in _chunks(found) for one in _described(halves, chunk))
    excerpts = Excerpts(halves) if values else None
    return tuple(one for chunk in _chunks(found) for one in _named(halves, chunk, excerpts))


def _chunks(items: Sequence[Suspect]) -> Iterator[list[Suspect]]:
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def _named(
    halves: _Halves, chunk: list[Suspect], excerpts: Excerpts | None
) -> Iterator[RowDifference]:
    columns = _columns(halves, [one.key for one in chunk if one.kind == "changed"])
    values = _values(excerpts, chunk, columns) if excerpts else {}
    for suspect in chunk:
        shown = shown_key(halves[0][0].statements, suspect.key)
        yield RowDifference(
            suspect.kind, shown, columns.get(suspect.key, ()), values=values.get(suspect.key, ())
        )


def _columns(halves: _Halves, changed: list[Key]) -> dict[Key, tuple[str, ...]]:
    """The columns that differ in rows with these keys."""
    if not changed:
        return {}
    hashes: list[dict[Key, list[int]]] = [{}, {}]
    for into, (half, connection) in zip(hashes, halves, strict=True):
        query = half.statements.states(changed, columns=True)
        with half.side.reading(connection, "naming columns", half.snapshot):
            into.update({tuple(r[0]): r[3] for r in connection.execute(query)})
    names = [name for name, _ in halves[0][0].statements.forms]
    return {
        key: tuple(
            name
            for name, ours, theirs in zip(
                names, hashes[0].get(key, ()), hashes[1].get(key, ()), strict=False
            )
            if ours != theirs
        )
        for key in changed
    }


def _values(
    excerpts: Excerpts, chunk: list[Suspect], columns: dict[Key, tuple[str, ...]]
) -> _Values:
    values = excerpts.pairs(columns)
    for side, kind in enumerate(("missing", "extra")):
        keys = [suspect.key for suspect in chunk if suspect.kind == kind]
        if keys:
            values |= excerpts.whole_rows(side, keys)
    return values


def _described(halves: _Halves, chunk: list[Suspect]) -> Iterator[RowDifference]:
    texts: dict[int, list[str | None]] = {}
    for half, connection in halves:
        query = half.statements.multiset(suspect.place for suspect in chunk)
        with half.side.reading(connection, "naming rows", half.snapshot):
            texts.update({row[0]: row[3] for row in connection.execute(query)})
    columns = [column for column, _ in halves[0][0].statements.forms]
    for suspect in chunk:
        shown = dict(zip(columns, texts.get(suspect.place, []), strict=False))
        yield RowDifference(suspect.kind, shown, (), suspect.count)
