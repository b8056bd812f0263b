"""Two ordered streams, side by side, neither ever held whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def merge(
    source: Iterable[tuple[str, S]], target: Iterable[tuple[str, T]]
) -> Iterator[tuple[str, S | None, T | None]]:
    """Pair what two streams hold under the same name; None where a side lacks it.

    Both must be ordered by the bytes of their names in UTF-8, each name once.
    """
    left, right = iter(source), iter(target)
    ours, theirs = next(left, None), next(right, None)
    while ours is not None or theirs is not None:
        if theirs is None or (ours is not None and ours[0] < theirs[0]):
            assert ours is not None
            yield ours[0], ours[1], None
            ours = next(left, None)
        elif ours is None or theirs[0] < ours[0]:
            yield theirs[0], None, theirs[1]
            theirs = next(right, None)
        else:
            yield ours[0], ours[1], theirs[1]
            ours, theirs = next(left, None), next(right, None)
