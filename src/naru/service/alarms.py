"""What `naru status` and `naru service status` warn of: each by a word that has a runbook.

A word is for programs and for finding the page; the text says what it is this time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from naru.ground import GroundStatus
from naru.service.fencing import Fenced
from naru.service.host_programs import GUARDIAN
from naru.service.status import ServiceStatus
from naru.service.storage import Storage

RUNBOOKS = "docs/how-to/runbooks.md"

SERIOUS = "serious"
"""Clients cannot write, or will not be able to once something else happens that must not."""
NOTICE = "notice"

ALARMS: Mapping[str, str] = {
    "environment-down": SERIOUS,
    "supervisor-dead": SERIOUS,
    "program-down": SERIOUS,
    "guardian-down": SERIOUS,
    "writes-wait": SERIOUS,
    "two-primaries": SERIOUS,
    "no-failover": SERIOUS,
    "cluster-paused": SERIOUS,
    "next-fault-stops-writes": NOTICE,
    "member-away": NOTICE,
    "etcd-down": NOTICE,
    "scale-open": NOTICE,
    "member-fenced": NOTICE,
    "damaged-pages": SERIOUS,
    "endpoint-down": SERIOUS,
    "pool-silent": SERIOUS,
    "pool-paused": SERIOUS,
    "clients-wait": NOTICE,
    "pools-too-large": NOTICE,
    "data-filling": NOTICE,
    "data-read-only": SERIOUS,
    "data-unwatched": SERIOUS,
    "certificate-ends": NOTICE,
    "certificate-expired": SERIOUS,
    "outsiders-connected": NOTICE,
    "restart-due": NOTICE,
    "backup-gap": SERIOUS,
    "backup-failed": SERIOUS,
    "backup-silent": SERIOUS,
    "upgrade-open": NOTICE,
}
"""Every word there is, and how bad it is at the least."""


@dataclass(frozen=True)
class Alarm:
    """One thing that somebody should look at."""

    word: str
    text: str

    @property
    def level(self) -> str:
        return ALARMS[self.word]

    def to_json(self) -> dict[str, Any]:
        """One entry of `alarms` in `naru status --json` and `naru service status --json`."""
        return {**asdict(self), "level": self.level, "runbook": f"{RUNBOOKS}#{self.word}"}


@dataclass(frozen=True)
class PoolState:
    """How the pool serves one database."""

    database: str
    paused: bool
    waiting: int


@dataclass(frozen=True)
class AlarmFacts:
    """What was seen of the service and of what belongs to it."""

    status: ServiceStatus
    ground: GroundStatus
    storage: Storage | None = None
    damaged: Mapping[str, int] = field(default_factory=dict)
    fenced: Sequence[Fenced] = ()
    pools: Sequence[PoolState] | None = ()
    """None when the pool does not answer."""
    too_large: str | None = None
    """Why the pools do not fit into the server, in a sentence."""
    unfinished: Sequence[str] = ()
    """What of the members and of the election is not as naru.toml asks for."""
    certificates: str | None = None
    """What is wrong with them, in a sentence."""
    outsiders: int = 0
    backup: Mapping[str, Any] | None = None
    """The part of the status about backups; None where they are off."""
    upgrade: str | None = None
    waiting: Sequence[str] = ()
    """Settings that wait for a restart."""


def alarms_of_ground(found: GroundStatus, storage: Storage | None) -> tuple[Alarm, ...]:
    """What to look at in a whole environment, whether it is up or not."""
    return (*_of_environment(found), *_of_storage(storage if found.up else None))


def alarms_of_service(facts: AlarmFacts) -> tuple[Alarm, ...]:
    """What to look at in a service that is up; nothing when all is well."""
    return (
        *_of_protection(facts.status),
        *_of_parts(facts),
        *_of_environment(facts.ground),
        *_of_storage(facts.storage),
        *_of_pools(facts.pools, facts.too_large),
        *_of_backups(facts.backup),
        *_of_the_rest(facts),
    )


def _of_environment(found: GroundStatus) -> Iterator[Alarm]:
    if found.orphaned:
        yield Alarm("supervisor-dead", "programs go on without their supervisor")
    elif not found.up:
        yield Alarm("environment-down", f"environment {found.environment} is down")
    for one in found.programs:
        if one.state in {"backoff", "fatal", "exited", "stopped"}:
            word = "guardian-down" if one.name == GUARDIAN else "program-down"
            yield Alarm(word, f"{one.name} is {one.state}; see {one.log}")


def _of_protection(found: ServiceStatus) -> Iterator[Alarm]:
    primaries = [one.name for one in found.members if one.role == "primary"]
    healthy = sum(one.healthy for one in found.etcd)
    away = [one.name for one in found.etcd if not one.healthy]
    if len(primaries) > 1:
        yield Alarm("two-primaries", f"{' and '.join(primaries)} both answer as primary")
    if found.protection.level == "none":
        yield Alarm("writes-wait", found.protection.sentence)
    elif healthy * 2 <= len(found.etcd):
        yield Alarm("no-failover", found.protection.sentence)
    elif found.paused:
        yield Alarm("cluster-paused", found.protection.sentence)
    elif found.protection.level == "reduced" and len(primaries) == 1:
        word = "member-away" if found.protection.survives else "next-fault-stops-writes"
        yield Alarm(word, found.protection.sentence)
    if away:
        yield Alarm("etcd-down", f"no answer from {', '.join(away)}")


def _of_parts(facts: AlarmFacts) -> Iterator[Alarm]:
    for sentence in facts.unfinished:
        yield Alarm("scale-open", sentence)
    for one in facts.status.endpoints:
        if not one.up:
            yield Alarm("endpoint-down", f"{one.purpose}, {one.address}:{one.port}, lead nowhere")
    for fenced in facts.fenced:
        at = time.strftime("%H:%M:%S", time.localtime(fenced.at))
        yield Alarm("member-fenced", f"{fenced.member} was fenced at {at} by {fenced.by}")
    for name, failures in facts.damaged.items():
        yield Alarm("damaged-pages", f"{name} met {failures} with a wrong checksum")


def _of_storage(found: Storage | None) -> Iterator[Alarm]:
    if found is None or found.level == "fine":
        return
    words = {"unknown": "data-unwatched", "read-only": "data-read-only"}
    word = "data-read-only" if found.read_only else words.get(found.level, "data-filling")
    yield Alarm(word, found.sentence)


def _of_pools(found: Sequence[PoolState] | None, too_large: str | None) -> Iterator[Alarm]:
    if too_large is not None:
        yield Alarm("pools-too-large", too_large)
    if found is None:
        yield Alarm("pool-silent", "the pool does not answer")
        return
    for one in found:
        if one.paused:
            yield Alarm("pool-paused", f"clients of {one.database} are held")
        elif one.waiting:
            yield Alarm("clients-wait", f"{one.waiting} clients of {one.database} wait")


def _of_backups(found: Mapping[str, Any] | None) -> Iterator[Alarm]:
    if found is None:
        return
    if "gap" not in found:
        yield Alarm("backup-silent", str(found.get("trouble")))
        return
    if not found["gap"]["closed"]:
        yield Alarm("backup-gap", str(found["sentence"]))
    if found.get("trouble"):
        yield Alarm("backup-failed", str(found["trouble"]))
    elif found.get("limits") is None:
        yield Alarm("backup-failed", str(found["sentence"]))


def _of_the_rest(facts: AlarmFacts) -> Iterator[Alarm]:
    if facts.certificates is not None:
        expired = "has expired" in facts.certificates
        yield Alarm("certificate-expired" if expired else "certificate-ends", facts.certificates)
    if facts.outsiders:
        many = "1 session is" if facts.outsiders == 1 else f"{facts.outsiders} sessions are"
        yield Alarm("outsiders-connected", f"{many} open from addresses that are not let in")
    pending = [one.name for one in facts.status.members if one.pending_restart]
    if pending:
        what = f" for {', '.join(facts.waiting)}" if facts.waiting else ""
        yield Alarm("restart-due", f"{', '.join(pending)}{what}")
    if facts.upgrade is not None:
        yield Alarm("upgrade-open", f"{facts.upgrade} is under way")
