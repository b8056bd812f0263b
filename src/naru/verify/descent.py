"""How to get from a table that differs to its rows: pure decisions.

Rows fall into buckets by some bits of their key, where that is one whole number, else of its
hash (of the row's own where no key can name it). A bucket needs no index and no order, is the
same under any collation, and its sum can be added up from parts read in any way on either
side. Where buckets differ, more bits split them, until few enough rows are left to be looked
at one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Totals = dict[int, tuple[int, int]]
"""For each bucket how many rows it has, and the sum of their hashes."""

FIRST_BITS = 12
NEIGHBOURS = 10
"""So many low bits of a whole number do not count at first: rows that lie together mostly have
keys that lie together, and a bucket that was just added to is at hand."""
MOST_BITS = 40
_CROWDED_FROM = 10
_MOST_BUCKETS = 1 << 16
_ROWS_TO_STREAM = 20_000
_ROWS_PER_BUCKET = 2_000


@dataclass(frozen=True)
class Grain:
    """Which bits of a row's place make its bucket: `bits` of them, without the lowest `shift`."""

    bits: int
    shift: int = 0

    def finer(self, more: int) -> Grain:
        """Each bucket split by `more` bits: by lower ones as long as there are any."""
        return Grain(self.bits + more, max(0, self.shift - more))


@dataclass(frozen=True)
class Refine:
    """Read the totals again, by `grain`, within the buckets that differ."""

    grain: Grain


@dataclass(frozen=True)
class Stream:
    """Look at each row within the buckets that differ; `few`: they are not too many to hold."""

    few: bool = False


def first_grain(rows: int, *, numbered: bool) -> Grain:
    """What splits a table of about `rows` rows at first; `numbered`: its key is a whole number."""
    bits = min(FIRST_BITS, max(0, (rows // _ROWS_PER_BUCKET).bit_length()))
    return Grain(bits, NEIGHBOURS if numbered and bits else 0)


def add(totals: Totals, more: Mapping[int, tuple[int, int]]) -> None:
    """Add the totals of one part to those of the table."""
    for bucket, (rows, hashes) in more.items():
        had = totals.get(bucket, (0, 0))
        totals[bucket] = (had[0] + rows, had[1] + hashes)


def differing(source: Totals, target: Totals) -> list[int]:
    """The buckets whose totals are not the same."""
    return sorted(b for b in source.keys() | target.keys() if source.get(b) != target.get(b))


def next_step(grain: Grain, source: Totals, target: Totals) -> Refine | Stream:
    """What to do about buckets of `grain` that differ.

    Splitting stops when few rows are left, when no more buckets can be held, or when so
    many buckets differ that smaller ones would differ as well.
    """
    wrong = differing(source, target)
    suspects = sum(max(source.get(b, (0, 0))[0], target.get(b, (0, 0))[0]) for b in wrong)
    room = (_MOST_BUCKETS // max(1, len(wrong))).bit_length() - 1
    wanted = (suspects // max(1, len(wrong))).bit_length()
    more = min(room, wanted, FIRST_BITS, MOST_BITS - grain.bits)
    crowded = grain.bits >= _CROWDED_FROM and len(wrong) * 2 > len(source.keys() | target.keys())
    if suspects <= _ROWS_TO_STREAM:
        return Stream(few=True)
    if more < 1 or crowded:
        return Stream()
    return Refine(grain.finer(more))


def choose_key(
    source: tuple[tuple[str, ...], ...], target: tuple[tuple[str, ...], ...]
) -> tuple[str, ...]:
    """The first key of the source that the target has as well, in any order of columns.

    Keys are unique, complete and without NULL; a primary key stands first. Empty if
    there is none: then rows are a multiset, named by all their columns.
    """
    known = {frozenset(key) for key in target}
    return next((key for key in source if frozenset(key) in known), ())
