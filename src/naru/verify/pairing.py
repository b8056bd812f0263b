"""Two ordered streams of rows, held against each other many rows at a time.

Most rows are the same on both sides, and looking at each by itself is what takes a client's
time. So both streams are cut at the same places, and whole stretches compared; only where a
stretch is not the same are its rows told apart.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Any

Row = tuple[Any, ...]
"""Its place, which is a number, before all else."""

_place = itemgetter(0)


class _Reader:
    """One stream: what has come of it and was not taken yet."""

    def __init__(self, batches: Iterable[list[Row]]) -> None:
        self._batches = filter(None, batches)
        self.rows: list[Row] = []
        self.ended = False
        self.more()

    @property
    def last(self) -> int:
        return int(self.rows[-1][0])

    def more(self) -> None:
        """Read on: afterwards there is one row more, or the stream has ended."""
        batch = next(self._batches, None)
        if batch is None:
            self.ended = True
        else:
            self.rows = self.rows + batch if self.rows else batch

    def take(self, before: int | None) -> list[Row]:
        """Take the rows whose places are smaller; None: all."""
        count = len(self.rows) if before is None else bisect_left(self.rows, before, key=_place)
        taken, self.rows = self.rows[:count], self.rows[count:]
        return taken


def stretches(
    source: Iterable[list[Row]], target: Iterable[list[Row]]
) -> Iterator[tuple[list[Row], list[Row]]]:
    """What two streams have between the same places, wherever it is not the same.

    Both come in lists, ordered by place. Rows of one place stay together. Never holds
    more of a stream than two lists, and those rows that stand at one place.
    """
    both = _Reader(source), _Reader(target)
    while True:
        last = min((one.last for one in both if not one.ended), default=None)
        ours, theirs = (one.take(last) for one in both)
        if ours != theirs:
            yield ours, theirs
        if last is None:
            return
        for one in both:
            if not one.ended and one.last == last:
                one.more()


def unmatched(ours: list[Row], theirs: list[Row]) -> tuple[list[Row], list[Row]]:
    """The rows that only one side has, or has more often, in the order of their places."""
    if (paired := _paired(ours, theirs)) is not None:
        return paired
    here, there = set(ours), set(theirs)
    if len(here) == len(ours) and len(there) == len(theirs):
        return _in_order(here - there), _in_order(there - here)
    more, fewer = Counter(ours), Counter(theirs)
    return _in_order((more - fewer).elements()), _in_order((fewer - more).elements())


def _paired(ours: list[Row], theirs: list[Row]) -> tuple[list[Row], list[Row]] | None:
    """The same for sides that have rows at the same places, each place once; else None.

    So it is where rows were changed and none is missing: the cheapest way for many of them.
    """
    if len(ours) != len(theirs):
        return None
    pairs = [(here, there) for here, there in zip(ours, theirs, strict=True) if here != there]
    if any(here[0] != there[0] for here, there in pairs):
        return None
    if len({here[0] for here, _ in pairs}) != len(pairs):
        return None
    return [here for here, _ in pairs], [there for _, there in pairs]


def _in_order(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows)
