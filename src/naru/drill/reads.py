"""Reads beside the ledger's writes: are they answered, and do they show what was acknowledged?

A reader keeps one session at one endpoint. Again and again it picks a transaction whose
commit a client has been told of, and looks for its row. At the endpoint for writes a row
that is missing makes the read stale; at the one for reads it is only behind.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import psycopg

from naru.drill.gaps import find_gap
from naru.errors import NaruError
from naru.postgres import Connection, Dsn, connect, fetch_value

WRITES, READS = "writes", "reads"
"""What the endpoints are called."""

EVERY = 0.05
"""Seconds from one read of an endpoint to the next."""

INTERRUPTED = 1.0
"""Reads count as interrupted once none was answered for so many seconds."""

_CONNECT_SECONDS = 2
_LOOK = "SELECT EXISTS (SELECT FROM naru_ledger.entry WHERE run = %s AND id = %s)"


class Sight(StrEnum):
    """What a read showed of a transaction that was acknowledged before it began."""

    SEEN = "S"
    MISSED = "M"
    FAILED = "F"


@dataclass(frozen=True, slots=True)
class Look:
    """One read; times in seconds since the epoch."""

    sight: Sight
    began: float
    done: float
    reason: str = ""

    def to_line(self) -> str:
        words = f"{self.sight.value} {self.began:.6f} {self.done:.6f} {self.reason}"
        return words.rstrip() + "\n"

    @classmethod
    def from_line(cls, line: str) -> Look:
        sight, began, done, *reason = line.split()
        return cls(Sight(sight), float(began), float(done), reason[0] if reason else "")


@dataclass(frozen=True)
class Reading:
    """What a reader needs of the workload that it belongs to."""

    run: str
    now: Callable[[], float]
    acknowledged: Callable[[random.Random], int | None]
    """Any transaction of those that clients were told of last; None before the first."""
    stopping: threading.Event


class Reader:
    """Reads at one endpoint until the workload stops; outlives every error."""

    def __init__(self, folder: Path, endpoint: str, dsn: Dsn, reading: Reading) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
        self._file = os.open(_path(folder, endpoint), flags, 0o600)
        self._dsn = dsn
        self._reading = reading
        # Drawing which row to look for, not secrets.
        self._chance = random.Random(endpoint)  # noqa: S311
        self._connection: Connection | None = None

    def run(self) -> None:
        while not self._reading.stopping.wait(EVERY):
            wanted = self._reading.acknowledged(self._chance)
            if wanted is not None:
                os.write(self._file, self._look(wanted).to_line().encode())
        self._disconnect()

    def _look(self, wanted: int) -> Look:
        began, reason = self._reading.now(), ""
        try:
            seen = fetch_value(self._connected(), _LOOK, [self._reading.run, wanted])
            sight = Sight.SEEN if seen else Sight.MISSED
        except (psycopg.Error, NaruError) as error:
            self._disconnect()
            sight, reason = Sight.FAILED, error.sqlstate or type(error).__name__
        return Look(sight, began, self._reading.now(), reason)

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = connect(
                self._dsn, purpose="workload", prepare=False, seconds=_CONNECT_SECONDS
            )
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@dataclass(frozen=True)
class ReadFigures:
    """How reads at one endpoint fared."""

    answered: int
    failed: int
    missed: int
    """Answered without a row that had been acknowledged before."""
    silence_seconds: float | None
    """The longest time without an answer; None when there never was one."""
    again_seconds: float | None
    """From the fault until reads were answered again: 0 when they were not interrupted,
    None when they were not answered again."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def read_figures(folder: Path, start: float, end: float) -> Mapping[str, ReadFigures]:
    """By endpoint, from `start` (the fault) to `end`; empty where nothing was read."""
    endpoints = [one for one in (WRITES, READS) if _path(folder, one).exists()]
    return {one: figures_of(_looks(_path(folder, one)), start, end) for one in endpoints}


def figures_of(looks: Iterator[Look], start: float, end: float) -> ReadFigures:
    """The same from one endpoint's reads, in the order in which they ended."""
    known = [one for one in looks if one.done <= end]
    answered = [one for one in known if one.sight is not Sight.FAILED]
    within = [one for one in known if one.done >= start]
    silence = find_gap((one.done for one in answered), start, end)
    again: float | None = None
    if silence is not None and silence.end - silence.start <= INTERRUPTED:
        again = 0.0
    elif silence is not None and silence.closed:
        after = (one.done for one in answered if one.done >= silence.end and one.began > start)
        again = next((done - start for done in after), None)
    return ReadFigures(
        answered=sum(one.sight is not Sight.FAILED for one in within),
        failed=sum(one.sight is Sight.FAILED for one in within),
        missed=sum(one.sight is Sight.MISSED for one in within),
        silence_seconds=None if silence is None else round(silence.end - silence.start, 3),
        again_seconds=None if again is None else round(max(0.0, again), 3),
    )


def _path(folder: Path, endpoint: str) -> Path:
    return folder / f"looks-{endpoint}.txt"


def _looks(path: Path) -> Iterator[Look]:
    with path.open() as file:
        for line in file:
            if line.endswith("\n"):  # a line that a crash cut off says nothing
                yield Look.from_line(line)
