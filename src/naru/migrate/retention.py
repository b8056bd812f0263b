"""How much WAL our slots hold back on the side that takes writes, and whether that is too much.

A pure decision. At one bound it warns; at the next the slots have to go, so that the disk of
the server in production does not fill. Which bound: the user's; else, where the disk is known,
a tenth of it stays free. `max_slot_wal_keep_size` is the server's own, and acts by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from naru.migrate.disk import Disk
from naru.system.units import human_bytes

Level = Literal["ok", "warning", "critical", "lost"]

ANEW = "naru migrate start --anew: what was copied is dropped, and copied again"

_STAYS_FREE = 10
"""One part in so many of a disk is left to others."""

_OURS = 20
"""Below one part in so many of a disk our slots are not what fills it."""


@dataclass(frozen=True)
class RetentionFacts:
    """What is known of the slots' origin."""

    retained: int
    """Bytes from the oldest slot's restart position to the end of the WAL."""
    wal_status: str
    """The worst of pg_replication_slots.wal_status; `missing` if a slot is not there."""
    keep_size: int | None
    """max_slot_wal_keep_size in bytes; None if it is unlimited, or unknown (before 13)."""
    disk: Disk | None
    bound: int | None
    """The user's --retain-at-most."""


@dataclass(frozen=True)
class Retention:
    """The judgement. `critical` means: drop the slots now; `lost`: the server has."""

    level: Level
    retained: int
    bound: int | None
    """The bytes at which something acts, whoever it is; None if nothing is known."""
    text: str
    remedy: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "level": self.level,
            "retained_bytes": self.retained,
            "bound_bytes": self.bound,
            "text": self.text,
        }


def decide(facts: RetentionFacts) -> Retention:
    """Judge. From half of a bound on it is a warning."""
    ours, why = _our_bound(facts)
    bounds = [one for one in (ours, facts.keep_size) if one is not None]
    bound = min(bounds, default=None)
    held = f"the slots hold back {human_bytes(facts.retained)} of WAL"

    def judged(level: Level, text: str, remedy: str | None = None) -> Retention:
        return Retention(level, facts.retained, bound, text, remedy)

    if facts.wal_status in {"lost", "missing"}:
        return judged("lost", _gone(facts), ANEW)
    if ours is not None and facts.retained >= ours:
        return judged("critical", f"{held}: {why}", ANEW)
    if facts.wal_status == "unreserved":
        text = f"{held}, more than max_slot_wal_keep_size: the server drops it at a checkpoint"
        return judged("warning", text, "raise max_slot_wal_keep_size now, and reload")
    if facts.disk is not None and _nearly_full(facts.disk):
        text = f"{held}, and its disk has only {human_bytes(facts.disk.free)} left"
        return judged("warning", text, "make room on it: it is not our slots that fill it")
    if bound is not None and facts.retained >= bound // 2:
        text = f"{held}, of {human_bytes(bound)} at most"
        return judged("warning", text, "see what holds the target up: naru migrate status")
    limit = f" of {human_bytes(bound)} at most" if bound is not None else ", no bound is known"
    return judged("ok", f"{held}{limit}")


def _our_bound(facts: RetentionFacts) -> tuple[int | None, str]:
    """The bytes at which we act, and why then."""
    if facts.bound is not None:
        return facts.bound, f"--retain-at-most is {human_bytes(facts.bound)}"
    if facts.disk is None or facts.retained < facts.disk.total // _OURS:
        return None, ""
    leave = facts.disk.total // _STAYS_FREE
    return facts.retained + facts.disk.free - leave, (
        f"its disk has {human_bytes(facts.disk.free)} left of {human_bytes(facts.disk.total)}"
    )


def _nearly_full(disk: Disk) -> bool:
    return disk.free < disk.total // _STAYS_FREE


def _gone(facts: RetentionFacts) -> str:
    if facts.wal_status == "missing":
        return "a slot of the migration is gone: the changes since then cannot be followed"
    limit = f" ({human_bytes(facts.keep_size)})" if facts.keep_size is not None else ""
    return f"the server has dropped WAL that a slot needed: max_slot_wal_keep_size{limit}"
