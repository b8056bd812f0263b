"""What protects the data at this moment, in one sentence, decided from facts alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

LAGS_BYTES = 16 * 1024 * 1024
"""A standby whose replay is further behind has to replay before it could lead."""

_NUMBERS = ("no", "one", "two", "three", "four", "five")


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
    away: Mapping[str, str] = field(default_factory=dict)
    """Nodes that neither lead nor stream, with what they do instead, as Patroni says it."""
    lagging: tuple[str, ...] = ()
    """Standbys that stream, but whose replay is far behind."""
    paused: bool = False
    """Patroni was told to leave the cluster as it is: nobody takes over by himself."""


@dataclass(frozen=True)
class Protection:
    """`full`: everybody who belongs is there, and any one may be lost while writes go on;
    `reduced`: nothing is lost, but somebody or something is missing; `none`: writes stand still
    now."""

    level: str
    sentence: str
    survives: int = 0
    """How many members may be lost, one after the other, while writes go on."""


def judge(facts: ProtectionFacts) -> Protection:
    """Say what a client can rely on now, and what of the election."""
    found = _judge_data(facts)
    more = " ".join(_of_election(facts)) if found.level != "none" else ""
    return replace(found, sentence=f"{found.sentence} {more}".strip())


def _judge_data(facts: ProtectionFacts) -> Protection:
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
            f"Writes wait: no synchronous standby follows {primary}{_doing(facts)}; nothing is "
            "acknowledged that one failure could lose.",
        )
    if not _majority(facts) or facts.paused:
        why = "the cluster is paused" if _majority(facts) else "the election (etcd) has no majority"
        return Protection(
            "reduced",
            f"Every commit is on two nodes before it is acknowledged, but {why}: writes go on "
            f"while {primary} and a standby do, and no failover can happen{_doing(facts)}.",
        )
    return _judge_failures(facts, primary)


def _judge_failures(facts: ProtectionFacts, primary: str) -> Protection:
    """Every commit is on the primary and on one standby, whichever; so one node may be lost at a
    time, and as many one after the other as leave two."""
    promise = "every commit is on two nodes before it is acknowledged"
    spare = len(facts.synchronous) - 1
    if spare == 0:
        only = facts.synchronous[0]
        return Protection(
            "reduced",
            f"No failure survivable without a wait: {promise}, but {only} is the only synchronous "
            f"standby{_doing(facts)}; losing it, or {primary}, loses no commit but makes writes "
            "wait until another node is back.",
        )
    failures = "One failure" if spare == 1 else f"{_NUMBERS[spare].capitalize()} failures"
    order = "" if spare == 1 else ", one after the other"
    whole = not facts.away and len(facts.synchronous) == facts.members - 1
    return Protection(
        "full" if whole else "reduced",
        f"{failures} survivable{order}: {promise}, and writes go on when any one of "
        f"{len(facts.synchronous) + 1} nodes is lost{_doing(facts)}.",
        survives=spare,
    )


def _doing(facts: ProtectionFacts) -> str:
    """Who is away and what it does, and who lags: the end of a clause, or nothing."""
    known = [f"{name} {_word(state)}" for name, state in sorted(facts.away.items())]
    known += [f"{name} streams but lags in replay" for name in facts.lagging]
    waiting = [name for name in facts.streaming if name not in facts.synchronous]
    known += [f"{name} streams but is not synchronous yet" for name in waiting]
    return f" ({'; '.join(known)})" if known else ""


def _word(state: str) -> str:
    return {
        "silent": "does not answer",
        "creating replica": "is being copied",
        "starting": "is starting",
        "stopping": "is stopping",
        "stopped": "is stopped",
        "crashed": "has crashed",
        "running": "runs but does not stream",
        "in archive recovery": "replays WAL but does not stream",
    }.get(state, f"is {state}")


def _of_election(facts: ProtectionFacts) -> Iterator[str]:
    if facts.etcd_members == 1 and facts.etcd_healthy == 1:
        yield "The election (etcd) has one node: its loss freezes failover, and writes go on."
    elif _majority(facts) and facts.etcd_healthy < facts.etcd_members:
        lost = facts.etcd_members - facts.etcd_healthy
        spare = facts.etcd_healthy - facts.etcd_members // 2 - 1
        if spare == 0:
            yield (
                f"The election (etcd) misses {lost} of {facts.etcd_members} nodes: the loss of"
                " another freezes failover."
            )


def _majority(facts: ProtectionFacts) -> bool:
    return facts.etcd_healthy * 2 > facts.etcd_members


def _why_no_primary(facts: ProtectionFacts) -> str:
    if not _majority(facts):
        return "The election (etcd) has no majority."
    if facts.paused:
        return "The cluster is paused: nobody takes over by himself."
    return f"An election is under way, or no node that has every commit is up{_doing(facts)}."
