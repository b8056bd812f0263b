"""How to get from a table that differs to its rows: pure decisions.

Rows fall into buckets by the low bits of their key's hash (of the row's own where no key
can name it). A bucket needs no index and no order, is the same under any collation, and
its sum can be added up from parts read in any way on either side. Where buckets differ,
more bits split them, until few enough rows are left to be looked at one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Totals = dict[int, tuple[int, int]]
"""For each bucket how many rows it has, and the sum of their hashes."""

FIRST_BITS = 12
MOST_BITS = 40
_CROWDED_FROM = 10
_MOST_BUCKETS = 1 << 16
_ROWS_TO_STREAM = 20_000
_ROWS_PER_BUCKET = 2_000


@dataclass(frozen=True)
class Refine:
    """Read the totals again, of `bits` bits, within the buckets that differ."""

    bits: int


@dataclass(frozen=True)
class Stream:
    """Look at each row within the buckets that differ; `few`: they are not too many to hold."""

    few: bool = False


def first_bits(rows: int) -> int:
    """How many bits of the hash split a table of about `rows` rows at first."""
    return min(FIRST_BITS, max(0, (rows // _ROWS_PER_BUCKET).bit_length()))


def add(totals: Totals, more: Mapping[int, tuple[int, int]]) -> None:
    """Add the totals of one part to those of the table."""
    for bucket, (rows, hashes) in more.items():
        had = totals.get(bucket, (0, 0))
        totals[bucket] = (had[0] + rows, had[1] + hashes)


def differing(source: Totals, target: Totals) -> list[int]:
    """The buckets whose totals are not the same."""
    return sorted(b for b in source.keys() | target.keys() if source.get(b) != target.get(b))


def next_step(bits: int, source: Totals, target: Totals) -> Refine | Stream:
    """What to do about buckets of `bits` bits that differ.

    Splitting stops when few rows are left, when no more buckets can be held, or when so
    many buckets differ that smaller ones would differ as well.
    """
    wrong = differing(source, target)
    suspects = sum(max(source.get(b, (0, 0))[0], target.get(b, (0, 0))[0]) for b in wrong)
    room = (_MOST_BUCKETS // max(1, len(wrong))).bit_length() - 1
    wanted = (suspects // max(1, len(wrong))).bit_length()
    more = min(room, wanted, FIRST_BITS, MOST_BITS - bits)
    crowded = bits >= _CROWDED_FROM and len(wrong) * 2 > len(source.keys() | target.keys())
    if suspects <= _ROWS_TO_STREAM:
        return Stream(few=True)
    if more < 1 or crowded:
        return Stream()
    return Refine(bits + more)


def choose_key(
    source: tuple[tuple[str, ...], ...], target: tuple[tuple[str, ...], ...]
) -> tuple[str, ...]:
    """The first key of the source that the target has as well, in any order of columns.

    Keys are unique, complete and without NULL; a primary key stands first. Empty if
    there is none: then rows are a multiset, named by all their columns.
    """
    known = {frozenset(key) for key in target}
    return next((key for key in source if frozenset(key) in known), ())
