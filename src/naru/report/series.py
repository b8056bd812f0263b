"""Long series made small: neighbours are merged so that extremes stay visible."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Protocol, Self, TypeVar

from naru.report.story import Commit


class _Mergeable(Protocol):
    @property
    def at(self) -> float: ...

    def merge(self, other: Self) -> Self: ...


P = TypeVar("P", bound=_Mergeable)


def condense(points: Iterable[P], limit: int) -> list[P]:
    """At most `limit` points over the same time, in one pass and little memory.

    Points of one interval are merged; whenever there are too many, the interval doubles.
    """
    kept: list[P] = []
    width = 0.0
    first = 0.0
    for point in points:
        if not kept:
            first = point.at
        if width and kept and _slot(kept[-1].at, first, width) == _slot(point.at, first, width):
            kept[-1] = kept[-1].merge(point)
            continue
        kept.append(point)
        if len(kept) > limit:
            span = kept[-1].at - first
            width = max(width * 2, 2 * span / limit, 1e-6)
            kept = _regroup(kept, first, width)
    return kept


def _regroup(points: list[P], first: float, width: float) -> list[P]:
    kept: list[P] = []
    for point in points:
        if kept and _slot(kept[-1].at, first, width) == _slot(point.at, first, width):
            kept[-1] = kept[-1].merge(point)
        else:
            kept.append(point)
    return kept


def _slot(at: float, first: float, width: float) -> int:
    return int((at - first) / width)


def longest_gap(commits: Iterable[Commit]) -> tuple[float, float] | None:
    """Beginning and end of the longest time between two acknowledged commits, or None."""
    times = sorted(commit.at for commit in commits)
    return max(pairwise(times), key=lambda pair: pair[1] - pair[0], default=None)
