"""Which WAL the backup host holds: segments by timeline, and how far they reach unbroken."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from naru.postgres import Lsn

T = TypeVar("T")

_SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(\.partial)?")
_HISTORY = re.compile(r"([0-9A-F]{8})\.history")
_FORK = re.compile(r"^\s*(\d+)\s+([0-9A-F]+/[0-9A-F]+)", re.MULTILINE)


@dataclass(frozen=True, order=True)
class Segment:
    """A piece of WAL: its timeline, and its number from the beginning of all WAL."""

    timeline: int
    number: int

    def name(self, size: int) -> str:
        """As PostgreSQL names its file."""
        per_id = 2**32 // size
        return f"{self.timeline:08X}{self.number // per_id:08X}{self.number % per_id:08X}"


@dataclass(frozen=True)
class Fork:
    """Where a timeline ends in the history of a later one."""

    timeline: int
    at: Lsn


@dataclass(frozen=True)
class Stretch:
    """A timeline's segments, both ends included; `last` is None for one that goes on."""

    timeline: int
    first: int
    last: int | None

    def has(self, number: int) -> bool:
        return self.first <= number and (self.last is None or number <= self.last)


@dataclass(frozen=True)
class Reach:
    """An unbroken run of segments, and what is missing after it."""

    segments: tuple[Segment, ...]
    missing: Segment


@dataclass(frozen=True)
class Inventory:
    """What lies on the backup host. `size` is that of a segment, in bytes."""

    paths: Mapping[Segment, Path]
    histories: Mapping[int, tuple[Fork, ...]] = field(default_factory=dict)
    size: int = 16 * 2**20

    @property
    def newest(self) -> Segment | None:
        """Where WAL arrives now: the last segment of the latest timeline."""
        return max(self.paths, default=None)

    def lineage(self, timeline: int) -> tuple[Stretch, ...]:
        """The timelines that lead to `timeline`, newest first, with the segments of each."""
        begin, found = 0, []
        for fork in self.histories.get(timeline, ()):
            end = fork.at // self.size
            found.append(Stretch(fork.timeline, begin, end))
            begin = end
        return (Stretch(timeline, begin, None), *reversed(found))

    def reach(self, timeline: int, start: Lsn) -> Reach:
        """How far recovery gets from `start` along the history of `timeline`."""
        lineage, number = self.lineage(timeline), start // self.size
        found: list[Segment] = []
        while True:
            # Where a timeline was left in the middle of a segment, both have that segment.
            both = [Segment(one.timeline, number) for one in lineage if one.has(number)]
            held = next((segment for segment in both if segment in self.paths), None)
            if held is None:
                return Reach(tuple(found), both[0])
            found.append(held)
            number += 1

    def descends(self, timeline: int, from_timeline: int, at: Lsn) -> bool:
        """True if a backup that ended at `at` of `from_timeline` leads to `timeline`."""
        if from_timeline == timeline:
            return True
        forks = self.histories.get(timeline, ())
        return any(fork.timeline == from_timeline and at <= fork.at for fork in forks)


def take_inventory(folders: Sequence[Path], size: int = 16 * 2**20) -> Inventory:
    """Look into `folders`; where one segment lies in two, the earlier folder counts."""
    paths: dict[Segment, Path] = {}
    histories: dict[int, tuple[Fork, ...]] = {}
    for partial in (False, True):  # a whole segment counts before an unfinished one
        for path in _files(folders):
            if match := _SEGMENT.fullmatch(path.name):
                if bool(match[4]) == partial:
                    paths.setdefault(_segment(match, size), path)
            elif (match := _HISTORY.fullmatch(path.name)) and not partial:
                histories.setdefault(int(match[1], 16), parse_history(path.read_text()))
    return Inventory(paths, histories, size)


def _files(folders: Sequence[Path]) -> Iterable[Path]:
    for folder in folders:
        yield from sorted(path for path in folder.rglob("*") if path.is_file())


def _segment(match: re.Match[str], size: int) -> Segment:
    timeline, high, low = (int(match[group], 16) for group in (1, 2, 3))
    return Segment(timeline, high * (2**32 // size) + low)


def looking_again(look: Callable[[], T], times: int = 5) -> T:
    """What `look` gives; once more when a file was moved into the archive under its eyes."""
    for _ in range(times - 1):
        with contextlib.suppress(FileNotFoundError):
            return look()
    return look()


def parse_history(text: str) -> tuple[Fork, ...]:
    """Read a timeline's history file: its ancestors, and where each was left."""
    return tuple(Fork(int(found[1]), Lsn.parse(found[2])) for found in _FORK.finditer(text))
