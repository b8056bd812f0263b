"""What clients were told, one line for each transaction, outside the database.

A line is written when the transaction has ended for its client, in one write to a file
opened for appending: whatever dies, at most the transaction under way has no line.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from naru.errors import UsageError

IDS_PER_CLIENT = 10**12
"""Ids of client n begin at n times this: sorted by id means by client, then by order."""


class Outcome(StrEnum):
    """What a client knows of its transaction."""

    ACKNOWLEDGED = "A"
    NOT_COMMITTED = "N"
    UNKNOWN = "U"


@dataclass(frozen=True, slots=True)
class Record:
    """One transaction of one client; times in seconds since the epoch."""

    id: int
    outcome: Outcome
    scheduled: float
    """When its client's schedule wanted it to begin."""
    began: float
    done: float
    reason: str = ""
    """SQLSTATE, or the kind of error, when it was not acknowledged."""

    @property
    def latency_ms(self) -> float:
        """From the schedule, not from the late begin: a stall is seen by all it delayed."""
        return (self.done - self.scheduled) * 1000

    def to_line(self) -> str:
        times = (round(t * 1e6) for t in (self.scheduled, self.began, self.done))
        words = (self.outcome.value, str(self.id), *(str(t) for t in times), self.reason)
        return " ".join(words).rstrip() + "\n"

    @classmethod
    def from_line(cls, line: str) -> Record:
        outcome, number, scheduled, began, done, *reason = line.split()
        due, start, end = (int(word) / 1e6 for word in (scheduled, began, done))
        return cls(int(number), Outcome(outcome), due, start, end, reason[0] if reason else "")


class RecordFile:
    """One client's file, for appending."""

    def __init__(self, folder: Path, client: int) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
        self._file = os.open(path_of(folder, client), flags, 0o600)

    def append(self, record: Record) -> None:
        os.write(self._file, record.to_line().encode())

    def close(self) -> None:
        os.close(self._file)


def path_of(folder: Path, client: int) -> Path:
    return folder / f"client-{client:04d}.txt"


def read_by_id(folder: Path) -> Iterator[Record]:
    """All records, ascending by id. Raises UsageError where no workload ever ran."""
    for path in _paths(folder):
        yield from _read(path)


def read_by_time(folder: Path) -> Iterator[Record]:
    """All records of all clients together, in the order in which they ended."""
    yield from heapq.merge(*(_read(p) for p in _paths(folder)), key=lambda record: record.done)


def _paths(folder: Path) -> list[Path]:
    paths = sorted(folder.glob("client-*.txt"))
    if not paths:
        raise UsageError(f"{folder} holds no records of a workload")
    return paths


def _read(path: Path) -> Iterator[Record]:
    with path.open() as file:
        for line in file:
            if line.endswith("\n"):  # a line that a crash cut off says nothing
                yield Record.from_line(line)
