"""Did the promise hold? Decided from frozen facts alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from naru.drill.gaps import Gap
from naru.drill.ledger import LedgerVerdict


@dataclass(frozen=True)
class Promise:
    """What must hold when the fault strikes."""

    seconds: float
    """Writes are acknowledged again within this."""

    def __str__(self) -> str:
        return f"writes again within {self.seconds:g} s, nothing lost, nothing duplicated"


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
    """None when the ledger could not be read."""

    @property
    def seconds(self) -> float | None:
        """From the fault until writes worked again."""
        return None if self.first_commit is None else self.first_commit - self.struck_at


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
        seconds=_rounded(facts.seconds),
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
    )


def _broken(promise: Promise, facts: FaultFacts) -> list[str]:
    found = []
    if facts.commits_before == 0:
        found.append("no commit was acknowledged just before the fault: nothing was measured")
    if facts.seconds is None:
        found.append("writes did not work again while the drill waited")
    elif facts.seconds > promise.seconds:
        found.append(f"writes took {facts.seconds:.2f} s to work again, not {promise.seconds:g} s")
    if facts.whole_at is None:
        found.append("the service did not get all its members back while the drill waited")
    if facts.ledger is None:
        return [*found, "the ledger could not be read"]
    for count, what in (
        (facts.ledger.lost, "acknowledged transactions were lost"),
        (facts.ledger.duplicated, "transactions are there more than once"),
        (facts.ledger.phantom, "transactions are there that were told to have failed"),
    ):
        if count:
            found.append(f"{count} {what}")
    return found


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
