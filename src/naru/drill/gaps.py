"""What clients saw of an interruption: the longest silence, and the errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from naru.drill.records import Outcome, Record, read_by_time


@dataclass(frozen=True)
class Gap:
    """A time without an acknowledged commit, over all clients; seconds since the epoch."""

    start: float
    end: float
    closed: bool = True
    """False if no commit followed within what was recorded: it may have lasted longer."""

    @property
    def ms(self) -> float:
        return (self.end - self.start) * 1000


def longest_gap(folder: Path, start: float, end: float) -> Gap | None:
    """The longest time between two acknowledged commits that reaches into [start, end].

    Over all clients together: this is the write pause that clients saw. None when nothing
    was ever acknowledged before `end`.
    """
    return find_gap((r.done for r in read_by_time(folder) if _acknowledged(r)), start, end)


def find_gap(commits: Iterable[float], start: float, end: float) -> Gap | None:
    """The same on ascending times of commits."""
    longest: Gap | None = None
    before: float | None = None
    for at in commits:
        if before is not None and at >= start:
            longest = _longer(longest, Gap(before, at))
        before = at
        if at > end:
            return longest
    if before is not None:
        longest = _longer(longest, Gap(before, max(end, before), closed=False))
    return longest


def _longer(one: Gap | None, other: Gap) -> Gap:
    return other if one is None or other.ms > one.ms else one


def errors_within(folder: Path, start: float, end: float) -> int:
    """How many transactions ended in an error within [start, end]."""
    return sum(not _acknowledged(r) for r in _ended_within(read_by_time(folder), start, end))


def commits_within(folder: Path, start: float, end: float) -> Iterator[Record]:
    """The acknowledged transactions that ended within [start, end], in that order."""
    return (r for r in _ended_within(read_by_time(folder), start, end) if _acknowledged(r))


def _ended_within(records: Iterable[Record], start: float, end: float) -> Iterator[Record]:
    for record in records:
        if record.done > end:
            return
        if record.done >= start:
            yield record


def _acknowledged(record: Record) -> bool:
    return record.outcome is Outcome.ACKNOWLEDGED
