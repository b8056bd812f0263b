"""Did the promise hold? Decided from frozen facts alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from naru.drill.gaps import Gap
from naru.drill.leads import Lead, overlap_seconds
from naru.drill.ledger import LedgerVerdict
from naru.drill.reads import READS, WRITES, ReadFigures


@dataclass(frozen=True)
class Promise:
    """What must hold when the fault strikes; None promises nothing. Always: nothing
    acknowledged is lost, nothing is there twice, and the service is whole again."""

    seconds: float | None = None
    """Writes are acknowledged again within this."""
    stall: float | None = None
    """The longest time without an acknowledged commit, in seconds."""
    errors: int | None = None
    """How many transactions of clients may fail."""
    failover: bool | None = None
    """Whether another member leads afterwards."""
    returned: float | None = None
    """Seconds from the end of the fault until every member is in its place."""
    resumed: float | None = None
    """Seconds from the end of the fault until writes are acknowledged again."""
    also: tuple[str, ...] = ()
    """What else is promised, in words; the drill's findings tell what of it did not hold."""

    def __str__(self) -> str:
        parts = []
        if self.seconds is not None:
            parts.append(f"writes again within {self.seconds:g} s")
        if self.errors is not None:
            parts.append(f"{self.errors or 'no'} client errors")
        if self.stall is not None:
            parts.append(f"no silence over {self.stall:g} s")
        if self.failover is not None:
            parts.append("another primary" if self.failover else "no failover")
        if self.returned is not None:
            parts.append(f"all members back {self.returned:g} s after the fault ends")
        if self.resumed is not None:
            parts.append(f"writes again within {self.resumed:g} s of the fault's end")
        return ", ".join([*parts, *self.also, "nothing lost, nothing duplicated"])


@dataclass(frozen=True)
class FaultFacts:
    """What was observed around one fault; times in seconds since the epoch."""

    struck_at: float
    commits_before: int
    """Acknowledged within the second before the fault: proof that the workload was at work."""
    silence: Gap | None
    """The longest time without an acknowledged commit from the fault on."""
    first_commit: float | None
    """When a commit that began after the fault was acknowledged, with the silence over."""
    client_errors: int
    primary_before: str
    primary_after: str | None
    whole_at: float | None
    """When all members were in their places again; None if not within the time given."""
    ledger: LedgerVerdict | None
    """None when the ledger could not be read, for the reason in `ledger_trouble`."""
    ledger_trouble: str = field(default="", kw_only=True)
    healed_at: float | None = None
    """When the fault itself was ended; None for one that has no length."""
    findings: tuple[str, ...] = ()
    """What else did not hold, in words."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Figures of this drill alone."""
    reads: Mapping[str, ReadFigures] = field(default_factory=dict)
    """By endpoint; empty when nothing was read."""
    leads: tuple[Lead, ...] = ()

    @property
    def seconds(self) -> float | None:
        """From the fault until writes worked again."""
        return None if self.first_commit is None else self.first_commit - self.struck_at

    @property
    def returned_after(self) -> float | None:
        """From the end of the fault until every member was in its place."""
        if self.whole_at is None or self.healed_at is None:
            return None
        return max(0.0, self.whole_at - self.healed_at)

    @property
    def resumed_after(self) -> float | None:
        """From the end of the fault until writes worked again."""
        if self.first_commit is None or self.healed_at is None:
            return None
        return max(0.0, self.first_commit - self.healed_at)


@dataclass(frozen=True)
class DrillVerdict:
    """The outcome of a drill, with its figures. `broken` says in words what did not hold."""

    drill: str
    promise: str
    kept: bool
    broken: tuple[str, ...]
    struck_at: float
    seconds: float | None
    """Until writes were acknowledged again."""
    longest_silence_ms: float | None
    """Between two acknowledged commits, over all clients."""
    whole_after_seconds: float | None
    client_errors: int
    acknowledged: int | None
    failed: int | None
    unknown: int | None
    unknown_committed: int | None
    lost: int | None
    duplicated: int | None
    phantom: int | None
    primary_before: str
    primary_after: str | None
    examples: dict[str, list[int]] = field(default_factory=dict)
    """Ids in the ledger of what was lost, duplicated or phantom."""
    returned_after_seconds: float | None = None
    """From the end of the fault until every member was in its place."""
    resumed_after_seconds: float | None = None
    """From the end of the fault until writes were acknowledged again, where that is promised."""
    reads: Mapping[str, Any] = field(default_factory=dict)
    """By endpoint, `writes` and `reads`: answered, failed, missed, again_seconds …"""
    stale_reads: int | None = None
    """Answers of the endpoint for writes that lacked an acknowledged row; None: not read."""
    leads: tuple[Mapping[str, Any], ...] = ()
    """Who answered as primary, from when to when, in seconds from the fault."""
    two_primaries_seconds: float | None = None
    """For how long two answered so at once. Only one of them can have acknowledged anything."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Figures of this drill alone."""
    took_seconds: float | None = None
    """The whole drill, with what it prepares and clears away."""

    def to_json(self) -> dict[str, Any]:
        """The stable document of `naru drill run --json`."""
        return asdict(self)


def decide(drill: str, promise: Promise, facts: FaultFacts) -> DrillVerdict:
    """Hold the facts against the promise. What was not measured was not kept."""
    broken = tuple(_broken(promise, facts))
    ledger = facts.ledger
    return DrillVerdict(
        drill=drill,
        promise=str(promise),
        kept=not broken,
        broken=broken,
        struck_at=facts.struck_at,
        seconds=None if promise.seconds is None else _rounded(facts.seconds),
        longest_silence_ms=None if facts.silence is None else round(facts.silence.ms, 1),
        whole_after_seconds=_rounded(
            None if facts.whole_at is None else facts.whole_at - facts.struck_at
        ),
        client_errors=facts.client_errors,
        acknowledged=ledger.acknowledged if ledger else None,
        failed=ledger.failed if ledger else None,
        unknown=ledger.unknown if ledger else None,
        unknown_committed=ledger.unknown_committed if ledger else None,
        lost=ledger.lost if ledger else None,
        duplicated=ledger.duplicated if ledger else None,
        phantom=ledger.phantom if ledger else None,
        primary_before=facts.primary_before,
        primary_after=facts.primary_after,
        examples=ledger.examples if ledger else {},
        returned_after_seconds=_rounded(facts.returned_after),
        resumed_after_seconds=_rounded(facts.resumed_after) if promise.resumed else None,
        reads={name: one.to_json() for name, one in facts.reads.items()},
        stale_reads=facts.reads[WRITES].missed if WRITES in facts.reads else None,
        leads=tuple(one.to_json(facts.struck_at) for one in facts.leads),
        two_primaries_seconds=overlap_seconds(facts.leads) if facts.leads else None,
        details=facts.details,
    )


def not_run(drill: str, promise: Promise, why: str) -> DrillVerdict:
    """The outcome of a drill that was stopped by an error: nothing was measured."""
    nothing = FaultFacts(0.0, 0, None, None, 0, "", None, None, None)
    return replace(decide(drill, promise, nothing), broken=(f"it could not be run: {why}",))


def _broken(promise: Promise, facts: FaultFacts) -> list[str]:
    found = []
    if facts.commits_before == 0:
        found.append("no commit was acknowledged just before the fault: nothing was measured")
    found += _slow(promise, facts)
    if facts.whole_at is None:
        found.append("the service did not get all its members back while the drill waited")
    if promise.errors is not None and facts.client_errors > promise.errors:
        found.append(f"{facts.client_errors} transactions of clients failed")
    if promise.failover is not None:
        found += _wrong_lead(facts, moved=promise.failover)
    found += facts.findings
    found += _unread(facts)
    if facts.ledger is None:
        why = f": {facts.ledger_trouble}" if facts.ledger_trouble else ""
        return [*found, f"the ledger could not be read{why}"]
    for count, what in (
        (facts.ledger.lost, "acknowledged transactions were lost"),
        (facts.ledger.duplicated, "transactions are there more than once"),
        (facts.ledger.phantom, "transactions are there that were told to have failed"),
    ):
        if count:
            found.append(f"{count} {what}")
    return found


def _slow(promise: Promise, facts: FaultFacts) -> list[str]:
    found = []
    if promise.seconds is not None:
        if facts.seconds is None:
            found.append("writes did not work again while the drill waited")
        elif facts.seconds > promise.seconds:
            found.append(
                f"writes took {facts.seconds:.2f} s to work again, not {promise.seconds:g} s"
            )
    if promise.stall is not None:
        if facts.silence is None or not facts.silence.closed:
            found.append("no commit was acknowledged any more while the drill waited")
        elif facts.silence.ms > promise.stall * 1000:
            found.append(
                f"nothing was acknowledged for {facts.silence.ms / 1000:.2f} s,"
                f" not {promise.stall:g} s"
            )
    if promise.resumed is not None and (
        facts.resumed_after is None or facts.resumed_after > promise.resumed
    ):
        took = "did not work again" if facts.resumed_after is None else "worked again"
        after = "" if facts.resumed_after is None else f" {facts.resumed_after:.1f} s after it"
        found.append(f"once the fault was over, writes {took}{after}, not {promise.resumed:g} s")
    if promise.returned is not None and facts.whole_at is not None:
        back = facts.returned_after
        if back is None or back > promise.returned:
            found.append(f"members were back after {back or 0:.1f} s, not {promise.returned:g} s")
    return found


def _unread(facts: FaultFacts) -> list[str]:
    found = [
        f"reads at the endpoint for {name} were not answered again while the drill waited"
        for name in (WRITES, READS)
        if name in facts.reads and facts.reads[name].again_seconds is None
    ]
    if WRITES in facts.reads and (stale := facts.reads[WRITES].missed):
        found.append(f"{stale} reads of the primary lacked an acknowledged row")
    return found


def _wrong_lead(facts: FaultFacts, *, moved: bool) -> list[str]:
    if facts.primary_after is None:
        return ["there is no single primary afterwards"]
    if moved == (facts.primary_after != facts.primary_before):
        return []
    return ["no other member took the lead" if moved else f"{facts.primary_after} took the lead"]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
