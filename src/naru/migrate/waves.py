"""Which entries of the pre-data section may be made side by side.

Ten thousand tables make most of a schema, and they keep one server process busy for seconds.
They stand together in the archive, and it says which of them need others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from naru.migrate.entries import Entry

BATCH = 200
"""So many entries are made in one message, and so in one transaction."""

_INDEPENDENT = frozenset({"TABLE", "SEQUENCE", "SEQUENCE OWNED BY", "DEFAULT", "COMMENT"})
"""What changes nothing but a table or sequence of its own."""

Wave = list[list[Entry]]
"""Batches that need nothing of each other."""


def waves(entries: Sequence[Entry]) -> Iterator[Wave]:
    """The entries in batches, in an order in which each comes after what it depends on."""
    for independent, group in groupby(entries, lambda entry: entry.type in _INDEPENDENT):
        together = list(group)
        if independent and len(together) > 2 * BATCH:
            for level in _levels(together):
                yield _batches(level)
        else:
            yield from ([batch] for batch in _batches(together))


def _levels(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The entries by how many others of them each has to wait for, one after the other."""
    levels: list[list[Entry]] = []
    place: dict[int, int] = {}
    for entry in entries:
        level = max((place[one] + 1 for one in entry.dependencies if one in place), default=0)
        place[entry.number] = level
        if level == len(levels):
            levels.append([])
        levels[level].append(entry)
    return levels


def _batches(entries: Sequence[Entry]) -> Wave:
    return [list(entries[start : start + BATCH]) for start in range(0, len(entries), BATCH)]
