"""What protects the data at this moment, in one sentence, decided from facts alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ProtectionFacts:
    """What counts for protection, as observed."""

    members: int
    """How many nodes there should be."""
    primaries: tuple[str, ...]
    """Nodes that answer as primary."""
    synchronous: tuple[str, ...]
    """Standbys that stream and that commits may wait for."""
    streaming: tuple[str, ...]
    """All standbys that stream."""
    etcd_healthy: int
    etcd_members: int


@dataclass(frozen=True)
class Protection:
    """`full`: any one node may be lost and writes go on; `reduced`: nothing is lost, but the
    next fault stops writes; `none`: writes stand still now."""

    level: str
    sentence: str


def judge(facts: ProtectionFacts) -> Protection:
    """Say what a client can rely on now."""
    if len(facts.primaries) > 1:
        names = " and ".join(facts.primaries)
        return Protection(
            "reduced",
            f"{names} both answer as primary: only the one with a synchronous standby can "
            "acknowledge writes, but reads of the other may be stale.",
        )
    if not facts.primaries:
        return Protection("none", f"There is no primary: writes wait. {_why_no_primary(facts)}")
    primary = facts.primaries[0]
    if facts.members == 1:
        return Protection(
            "reduced",
            f"{primary} is alone (ha = false): a crash loses no commit, but losing its disk loses"
            " all since the last backup, and there is no failover.",
        )
    if not facts.synchronous:
        return Protection(
            "none",
            f"No synchronous standby follows {primary}: writes wait until one does, "
            "so that nothing is acknowledged that one failure could lose.",
        )
    promise = "Every commit is on two nodes before it is acknowledged"
    if facts.etcd_healthy * 2 <= facts.etcd_members:
        return Protection(
            "reduced",
            f"{promise}, but the election (etcd) has no majority: writes go on while all "
            "nodes see each other, and no failover can happen.",
        )
    missing = facts.members - 1 - len(facts.streaming)
    if missing > 0 or len(facts.synchronous) < 2:
        return Protection("reduced", f"{promise}; {_what_next(facts, primary, missing)}.")
    return Protection(
        "full",
        f"{promise}; any one of the {facts.members} nodes may be lost without losing a commit, "
        "and writes go on.",
    )


def _why_no_primary(facts: ProtectionFacts) -> str:
    if facts.etcd_healthy * 2 <= facts.etcd_members:
        return "The election (etcd) has no majority."
    return "An election is under way, or no node that has every commit is up."


def _what_next(facts: ProtectionFacts, primary: str, missing: int) -> str:
    only = facts.synchronous[0]
    if len(facts.synchronous) == 1:
        away = f"{missing} of {facts.members} nodes away, and " if missing > 0 else ""
        return (
            f"{away}{only} is the only synchronous standby: losing it, or {primary}, "
            "loses no commit but makes writes wait until another node is back"
        )
    return f"{missing} of {facts.members} nodes away"
