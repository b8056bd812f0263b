"""How fast something goes and how long it still takes: arithmetic on observations."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from naru.system.units import human_bytes, human_count, human_seconds, short_count

_WINDOW = 10.0


@dataclass(frozen=True)
class Reading:
    """What is known of one line of progress; `rate` in units a second, `left` in seconds."""

    what: str
    done: int
    total: int | None
    unit: str
    detail: str
    rate: float | None
    left: float | None

    @property
    def share(self) -> float | None:
        """From 0 to 1; None while the total is unknown."""
        if self.total is None:
            return None
        return 1.0 if self.total <= 0 else min(1.0, max(0.0, self.done / self.total))

    @property
    def ended(self) -> bool:
        return self.total is not None and self.done >= self.total


class Meter:
    """Follows one thing. The rate is that of the last ten seconds, so that it tells of now."""

    def __init__(self, what: str, now: float) -> None:
        self.what = what
        self.began = now
        self.done = 0
        self.total: int | None = None
        self.unit = ""
        self.detail = ""
        self._seen: deque[tuple[float, int]] = deque()

    def observe(self, now: float, done: int, total: int | None, unit: str, detail: str) -> None:
        """Take in one report of progress."""
        self.done, self.total, self.unit, self.detail = done, total, unit, detail
        if self._seen and done < self._seen[-1][1]:
            self._seen.clear()
        if len(self._seen) > 1 and now - self._seen[-2][0] < 0.1:
            self._seen[-1] = (now, done)
        else:
            self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[1][0] >= _WINDOW:
            self._seen.popleft()

    def read(self, now: float) -> Reading:
        """What can be said at `now`; a thing that stands still is seen to slow down."""
        rate = self._rate(now)
        left = None
        if self.total is not None and rate:
            left = max(0, self.total - self.done) / rate
        return Reading(self.what, self.done, self.total, self.unit, self.detail, rate, left)

    def _rate(self, now: float) -> float | None:
        if not self._seen:
            return None
        since, first = self._seen[0]
        ended = self.total is not None and self.done >= self.total
        seconds = (self._seen[-1][0] if ended else now) - since
        return (self.done - first) / seconds if seconds >= 0.2 else None


def amount(value: float, unit: str) -> str:
    """A quantity with its unit, exact for rows and items: `2,041,332 rows`, `512 MB`."""
    return human_bytes(value) if unit == "bytes" else f"{human_count(value)} {unit}".rstrip()


def pace(rate: float, unit: str) -> str:
    """A rate: `12.4k rows/s`, `48.0 MB/s`."""
    return f"{human_bytes(rate)}/s" if unit == "bytes" else f"{short_count(rate)} {unit}/s"


def of_total(reading: Reading) -> str:
    """`1,200 of 5,000 rows`, or only `1,200 rows` while the total is unknown."""
    if reading.total is None:
        return amount(reading.done, reading.unit)
    total = amount(reading.total, reading.unit)
    if reading.ended:
        return total
    done = human_bytes if reading.unit == "bytes" else human_count
    return f"{done(reading.done)} of {total}"


def outlook(reading: Reading) -> str:
    """Rate and time left as far as they are known: `48.0 MB/s, 12 s left`."""
    parts = []
    if reading.rate is not None:
        parts.append(pace(reading.rate, reading.unit))
    if reading.left is not None and not reading.ended:
        parts.append(f"{human_seconds(max(1.0, reading.left))} left")
    return ", ".join(parts)
