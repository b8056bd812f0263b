"""Commits, errors and latency in intervals of 100 ms, written while the workload runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

WIDTH = 0.1
"""Seconds that an interval lasts."""

FILE = "series.csv"
_HEADER = "at,commits,errors,p50_ms,p95_ms,max_ms\n"


@dataclass(frozen=True)
class Interval:
    """What ended within 100 ms from `at`; latencies of commits, None when there was none."""

    at: float
    commits: int
    errors: int
    p50_ms: float | None
    p95_ms: float | None
    max_ms: float | None

    def to_line(self) -> str:
        times = (
            "" if ms is None else f"{ms:.2f}" for ms in (self.p50_ms, self.p95_ms, self.max_ms)
        )
        return f"{self.at:.1f},{self.commits},{self.errors},{','.join(times)}\n"


def percentile(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of values in ascending order."""
    return ordered[max(0, -(-len(ordered) * int(share * 100) // 100) - 1)]


@dataclass
class _Bucket:
    errors: int = 0
    latencies: list[float] = field(default_factory=list)

    def interval(self, at: float) -> Interval:
        ordered = sorted(self.latencies)
        if not ordered:
            return Interval(at, 0, self.errors, None, None, None)
        return Interval(
            at, len(ordered), self.errors, percentile(ordered, 0.5), percentile(ordered, 0.95),
            ordered[-1],
        )  # fmt: skip


class Gauge:
    """Collects what ends, from several threads, and gives it out interval by interval."""

    def __init__(self, start: float) -> None:
        self._lock = threading.Lock()
        self._next = int(start / WIDTH)
        self._buckets: dict[int, _Bucket] = {}

    def add(self, done: float, latency_ms: float | None) -> None:
        """Count a commit with its latency, or an error (None)."""
        with self._lock:
            # What comes late for its interval still counts, in the first one still open.
            bucket = self._buckets.setdefault(max(int(done / WIDTH), self._next), _Bucket())
            if latency_ms is None:
                bucket.errors += 1
            else:
                bucket.latencies.append(latency_ms)

    def closed(self, now: float) -> list[Interval]:
        """The intervals that ended before `now` and were not given out yet, empty ones too."""
        end = int(now / WIDTH)
        with self._lock:
            numbers = range(self._next, end)
            self._next = max(self._next, end)
            buckets = [(n, self._buckets.pop(n, _Bucket())) for n in numbers]
        return [bucket.interval(round(number * WIDTH, 1)) for number, bucket in buckets]


class SeriesFile:
    """The file that a running workload appends to and others read."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / FILE).open("w")
        self._file.write(_HEADER)

    def append(self, intervals: Sequence[Interval]) -> None:
        self._file.writelines(interval.to_line() for interval in intervals)
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read_series(
    folder: Path, start: float | None = None, end: float | None = None
) -> Iterator[Interval]:
    """The intervals that begin within [start, end], as far as they are written."""
    with (folder / FILE).open() as file:
        next(file, None)
        for line in file:
            if not line.endswith("\n"):
                return
            interval = _parse(line)
            if end is not None and interval.at > end:
                return
            if start is None or interval.at >= start:
                yield interval


def _parse(line: str) -> Interval:
    at, commits, errors, *times = line.rstrip("\n").split(",")
    p50, p95, longest = (float(ms) if ms else None for ms in times)
    return Interval(float(at), int(commits), int(errors), p50, p95, longest)
