"""Everything that the page shows, as frozen facts. What was not run is None, never zero.

Times (`at`, `started`, `began`) are seconds since the epoch; `ms` and `_ms` are milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Targets:
    """What is promised: the verdict measures against these."""

    write_pause_ms: float = 1000.0
    failover_seconds: float = 5.0


@dataclass(frozen=True)
class Copy:
    """The first copy of all data."""

    tables: int
    rows: int
    bytes: int
    seconds: float


@dataclass(frozen=True)
class PauseStep:
    """One step inside the write pause."""

    name: str
    ms: float


@dataclass(frozen=True)
class Commit:
    """One acknowledged transaction; `client` and its duration where they are known."""

    at: float
    client: int | None = None
    ms: float | None = None


@dataclass(frozen=True)
class Cutover:
    """Writes moved to the new side.

    `write_pause_ms` is what clients saw: the longest time between two acknowledged commits
    of all clients together. `pause_ms` is what Naru measured from pause to resume.
    """

    at: float | None = None
    write_pause_ms: float | None = None
    pause_ms: float | None = None
    client_errors: int | None = None
    acknowledged: int | None = None
    lost: int | None = None
    duplicated: int | None = None
    steps: tuple[PauseStep, ...] = ()
    commits: tuple[Commit, ...] = ()


@dataclass(frozen=True)
class TableVerdict:
    """One table compared; `seconds` None when it was not timed alone."""

    name: str
    rows: int
    same: bool
    differences: int
    seconds: float | None = None


@dataclass(frozen=True)
class Verification:
    """The comparison of both sides; exact only when it stands at one position of the log."""

    tables: int
    rows: int
    differences: int
    seconds: float
    exact_at_lsn: str | None = None
    details: tuple[TableVerdict, ...] = ()
    not_reached: int = 0
    """Tables that were not compared, since snapshots had to be given back."""


@dataclass(frozen=True)
class Failover:
    """The primary was killed; `seconds` until writes were acknowledged again."""

    seconds: float | None
    client_errors: int | None = None
    acknowledged: int | None = None
    lost: int | None = None
    duplicated: int | None = None
    at: float | None = None
    commits: tuple[Commit, ...] = ()


@dataclass(frozen=True)
class Ledger:
    """What clients were told against what the database holds, for one stretch of the run."""

    scope: str
    acknowledged: int | None = None
    failed: int | None = None
    unknown: int | None = None
    lost: int | None = None
    duplicated: int | None = None


@dataclass(frozen=True)
class Event:
    """Something that happened; one with a `label` is marked on the time line."""

    at: float
    kind: str
    text: str
    label: str = ""


@dataclass(frozen=True)
class Phase:
    """A stretch of the run, drawn as a band over the time line."""

    name: str
    began: float
    ended: float


@dataclass(frozen=True)
class Story:
    """One run from beginning to end."""

    title: str
    started: float
    ended: float | None = None
    copy: Copy | None = None
    cutover: Cutover | None = None
    verification: Verification | None = None
    failover: Failover | None = None
    ledger: tuple[Ledger, ...] = ()
    events: tuple[Event, ...] = ()
    phases: tuple[Phase, ...] = ()
    workload: tuple[WorkloadPoint, ...] = ()
    lag: tuple[LagPoint, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    targets: Targets = field(default_factory=Targets)
    expects: tuple[str, ...] = ("copy", "cutover", "verification")
    """Parts without which it is not whole: `copy`, `cutover`, `verification`, `failover`."""
    failure: str | None = None
    """Why the run stopped before its end, in a sentence; None if it did not."""

    def to_json(self) -> dict[str, Any]:
        """The stable document: parts that were not run are null."""
        from naru.report._document import document

        return document(self)


@dataclass(frozen=True)
class WorkloadPoint:
    """Commits and latencies of a stretch of `seconds` that begins at `at`.

    A point may stand for many samples: then `commits` and `errors` are sums, `p50_ms` is
    weighted by commits, `p95_ms` and `max_ms` are the worst, `lowest` and `highest` the
    extremes of commits a second.
    """

    at: float
    seconds: float
    commits: int
    errors: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    max_ms: float | None = None
    lowest: float | None = None
    highest: float | None = None

    @property
    def rate(self) -> float:
        """Commits a second."""
        return self.commits / self.seconds if self.seconds > 0 else 0.0

    def merge(self, other: WorkloadPoint) -> WorkloadPoint:
        """This stretch and a later one as one point."""
        end = max(self.at + self.seconds, other.at + other.seconds)
        return WorkloadPoint(
            at=self.at,
            seconds=end - self.at,
            commits=self.commits + other.commits,
            errors=self.errors + other.errors,
            p50_ms=_weighted(self.p50_ms, self.commits, other.p50_ms, other.commits),
            p95_ms=_worst(self.p95_ms, other.p95_ms),
            max_ms=_worst(self.max_ms, other.max_ms),
            lowest=min(self._low, other._low),
            highest=max(self._high, other._high),
        )

    @property
    def _low(self) -> float:
        return self.rate if self.lowest is None else self.lowest

    @property
    def _high(self) -> float:
        return self.rate if self.highest is None else self.highest


@dataclass(frozen=True)
class LagPoint:
    """How far the new side is behind; a point that stands for many holds the worst."""

    at: float
    bytes: int | None = None
    seconds: float | None = None

    def merge(self, other: LagPoint) -> LagPoint:
        """The worst of both, at the earlier time."""
        size = _worst(self.bytes, other.bytes)
        return LagPoint(
            self.at, None if size is None else int(size), _worst(self.seconds, other.seconds)
        )


def environment_of(facts: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Facts about what was run, as pairs of name and text, in their order."""
    return tuple((str(name), str(value)) for name, value in facts.items())


def _worst(one: float | None, other: float | None) -> float | None:
    known = [value for value in (one, other) if value is not None]
    return max(known) if known else None


def _weighted(
    one: float | None, weight: int, other: float | None, other_weight: int
) -> float | None:
    if one is None or other is None or weight + other_weight == 0:
        return one if other is None else other
    return (one * weight + other * other_weight) / (weight + other_weight)
