"""When a comparison has to wait for the servers' sake: limits, and pure decisions on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from naru.errors import UsageError
from naru.system.units import human_bytes, human_seconds, parse_bytes, parse_seconds

Measure = Literal["lag bytes", "lag seconds", "active", "latency"]

CALM_LOOKS = 3
"""After so many looks in a row below the lower bounds a comparison goes on."""
_LOWER = 0.8
PART_BYTES = 8 << 20
"""A part this big is soon at its end, so that a pause begins soon."""
_SMALLEST = 1 << 19


@dataclass(frozen=True)
class Limit:
    """A bound on one measure: bytes, seconds (also of latency) or a number of sessions."""

    measure: Measure
    most: float

    @property
    def low(self) -> float:
        """What must be reached to go on: less than the bound, so that nothing flutters."""
        return self.most if self.measure == "active" else _LOWER * self.most

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Read `lag>100MB`, `lag>10s`, `active>20` or `latency>50ms`.

        Raises UsageError for anything else.
        """
        name, given, value = (part.strip() for part in text.partition(">"))
        if not given or name not in {"lag", "active", "latency"}:
            raise UsageError(
                f"--pause-when {text!r} is not understood",
                remedy="write lag>100MB, lag>10s, active>20 or latency>50ms",
            )
        if name == "active":
            if not value.isdigit():
                raise UsageError(f"--pause-when {text!r}: a number of sessions is needed")
            return cls("active", int(value))
        if name == "latency":
            return cls("latency", parse_seconds(value))
        if value.endswith("B"):
            return cls("lag bytes", parse_bytes(value))
        return cls("lag seconds", parse_seconds(value))


@dataclass(frozen=True)
class Load:
    """One look at one server. None: nobody follows it, so that there is no lag."""

    lag_bytes: float | None
    lag_seconds: float | None
    active: int
    latency: float

    def of(self, measure: Measure) -> float:
        found = {
            "lag bytes": self.lag_bytes, "lag seconds": self.lag_seconds,
            "active": self.active, "latency": self.latency,
        }[measure]  # fmt: skip
        return found or 0.0


@dataclass(frozen=True)
class Weather:
    """Whether a comparison waits: since when, why, and how many calm looks there were since."""

    since: float | None = None
    reason: str = ""
    calm: int = 0

    @property
    def waits(self) -> bool:
        return self.since is not None


def judge(
    weather: Weather, loads: Mapping[str, Load], limits: Sequence[Limit], now: float
) -> Weather:
    """What a look at all servers (by name) means. A bound passed once is enough to wait."""
    over = _over(loads, limits)
    if over:
        since = now if weather.since is None else weather.since
        return Weather(since, over)
    if not weather.waits:
        return weather
    if any(load.of(limit.measure) > limit.low for load in loads.values() for limit in limits):
        return replace(weather, calm=0)
    calm = weather.calm + 1
    return Weather() if calm >= CALM_LOOKS else replace(weather, calm=calm)


def _over(loads: Mapping[str, Load], limits: Sequence[Limit]) -> str:
    return "; ".join(
        f"{name}: {_words(limit.measure, load.of(limit.measure))} >"
        f" {_figure(limit.measure, limit.most)}"
        for name, load in loads.items()
        for limit in limits
        if load.of(limit.measure) > limit.most
    )


def _words(measure: Measure, value: float) -> str:
    figure = _figure(measure, value)
    return {
        "active": f"{figure} active sessions",
        "latency": f"a query takes {figure}",
    }.get(measure, f"replication lag {figure}")


def _figure(measure: Measure, value: float) -> str:
    if measure == "active":
        return f"{value:.0f}"
    return human_bytes(value) if measure == "lag bytes" else human_seconds(value)


@dataclass(frozen=True)
class Rate:
    """How much of a table may be read in a second, on each side: rows or bytes."""

    amount: float
    unit: Literal["rows", "bytes"]

    @classmethod
    def parse(cls, text: str) -> Rate:
        """Read `50000` (rows a second) or `20MB`. Raises UsageError for anything else."""
        found = cls(int(text), "rows") if text.isdigit() else cls(parse_bytes(text), "bytes")
        if found.amount <= 0:
            raise UsageError(f"--rate {text}: it must be more than nothing")
        return found


@dataclass(frozen=True)
class Restraint:
    """How much of the servers a comparison may take, on each side.

    While one of `limits` is passed on either side nothing further is read; after
    `at_most_seconds` of that (None: never) the comparison is given up, to go on another time.
    """

    rate: Rate | None = None
    limits: tuple[Limit, ...] = ()
    at_most_seconds: float | None = 3600.0

    @property
    def part_bytes(self) -> int | None:
        """Into parts of which size tables are to be divided; None: of the usual one."""
        if self.rate and self.rate.unit == "bytes":
            return max(_SMALLEST, min(PART_BYTES, round(self.rate.amount / 2)))
        return PART_BYTES if self.rate or self.limits else None


FREE = Restraint()


class Debt:
    """Paces work whose cost is known only afterwards: each waits until earlier ones are paid.

    Over time not more than the rate; a single piece may be read as fast as it goes.
    """

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._free_at = 0.0

    def spend(self, rows: int, size: float, now: float) -> None:
        """So much was read."""
        amount = rows if self._rate.unit == "rows" else size
        self._free_at = max(self._free_at, now) + amount / self._rate.amount

    def wait(self, now: float) -> float:
        """Seconds until more may be read."""
        return max(0.0, self._free_at - now)
