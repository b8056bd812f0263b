"""What differing values look like: their beginning, or where they first differ, never all of them.

A value is looked at as bytes: a bytea as it is, anything else as its text in UTF-8. The first
difference of two long values is found by hashes of their pieces, which the servers compute, so
that a value of a gigabyte costs the client nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from naru.postgres import Connection, fetch_all, fetch_one
from naru.verify.half import Half
from naru.verify.statements import Key
from naru.verify.values import Values
from naru.verify.verdict import Excerpt, ValuePair

LENGTH = 400
"""How many bytes of a value are shown."""

_BEFORE = 60
_PIECES = 1024
_MOST_SEARCHED = 4 << 30

_Halves = Sequence[tuple[Half, Connection]]
_Head = tuple[int, bytes] | None
Heads = Mapping[Key, Mapping[str, _Head]]


@dataclass
class Excerpts:
    """Reads values of one table on both sides; `searched` bounds what is spent on long ones."""

    halves: _Halves
    searched: int = 0
    _binary: dict[str, bool] = field(default_factory=dict)

    def whole_rows(self, side: int, keys: Sequence[Key]) -> dict[Key, tuple[ValuePair, ...]]:
        """The beginnings of all values of rows that only one side (0: the source) has."""
        columns = [name for name, _ in self.halves[0][0].statements.forms]
        found = {}
        for key, heads in self._heads(side, keys, columns).items():
            shown = ((name, self._excerpt(name, head)) for name, head in heads.items())
            found[key] = tuple(
                ValuePair(name, one, None) if side == 0 else ValuePair(name, None, one)
                for name, one in shown
            )
        return found

    def pairs(self, columns: Mapping[Key, Sequence[str]]) -> dict[Key, tuple[ValuePair, ...]]:
        """Both values of the columns that differ in some rows."""
        known = [name for name, _ in self.halves[0][0].statements.forms]
        wanted = [name for name in known if any(name in one for one in columns.values())]
        if not wanted:
            return {}
        ours, theirs = (self._heads(side, list(columns), wanted) for side in (0, 1))
        return {
            key: tuple(self._pair(key, name, ours[key][name], theirs[key][name]) for name in names)
            for key, names in columns.items()
            if key in ours and key in theirs
        }

    def _pair(self, key: Key, name: str, ours: _Head, theirs: _Head) -> ValuePair:
        shown = self._excerpt(name, ours), self._excerpt(name, theirs)
        if ours is None or theirs is None or ours[1] != theirs[1]:
            return ValuePair(name, *shown)
        size = max(ours[0], theirs[0])
        if size <= LENGTH:
            return ValuePair(name, *shown)
        if self.searched > _MOST_SEARCHED:
            return ValuePair(name, *shown, False)
        self.searched += ours[0] + theirs[0]
        start = max(0, self._first_difference(key, name, size) - _BEFORE)
        ours, theirs = (
            (size, self._one(side, key, name, start))
            for side, (size, _) in enumerate((ours, theirs))
        )
        return ValuePair(name, self._excerpt(name, ours, start), self._excerpt(name, theirs, start))

    def _first_difference(self, key: Key, name: str, size: int) -> int:
        """Where two values first differ, to within a piece of `LENGTH` bytes less what is shown."""
        start, length = 0, size
        while length > LENGTH // 2:
            piece = -(-length // _PIECES)
            hashes = [self._pieces(side, key, name, start, piece) for side in (0, 1)]
            wrong = [n for n, (one, other) in enumerate(zip(*hashes, strict=True)) if one != other]
            if not wrong:
                break
            start, length = start + wrong[0] * piece, piece
        return start

    def _heads(self, side: int, keys: Sequence[Key], columns: Sequence[str]) -> Heads:
        half, connection = self.halves[side]
        query = Values(half.statements).heads(keys, columns, LENGTH)
        with half.side.reading(connection, "reading values", half.snapshot):
            rows = fetch_all(connection, query)
        return {
            tuple(key): {
                name: None if size is None else (size, bytes(head))
                for name, size, head in zip(columns, sizes, heads, strict=True)
            }
            for key, sizes, heads in rows
        }

    def _pieces(self, side: int, key: Key, name: str, start: int, piece: int) -> list[int]:
        half, connection = self.halves[side]
        query = Values(half.statements).pieces(key, name, start, piece, _PIECES)
        with half.side.reading(connection, "looking for a difference", half.snapshot):
            return list(fetch_one(connection, query)[0])

    def _one(self, side: int, key: Key, name: str, start: int) -> bytes:
        half, connection = self.halves[side]
        query = Values(half.statements).stretch(key, name, start, LENGTH)
        with half.side.reading(connection, "reading values", half.snapshot):
            return bytes(fetch_one(connection, query)[0])

    def _excerpt(self, name: str, head: _Head, start: int = 0) -> Excerpt | None:
        if head is None:
            return None
        size, shown = head
        if self._is_binary(name):
            return Excerpt(start, size, len(shown), shown.hex(), True)
        return Excerpt(start, size, len(shown), shown.decode("utf-8", "ignore"))

    def _is_binary(self, name: str) -> bool:
        if name not in self._binary:
            sides = (Values(half.statements) for half, _ in self.halves)
            self._binary[name] = all(one.is_binary(name) for one in sides)
        return self._binary[name]
