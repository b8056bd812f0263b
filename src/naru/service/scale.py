"""How many members, how many nodes of the election: what has to be done, decided from facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from naru.errors import RefusedError, UsageError

FEWEST, MOST = 2, 5
"""Members that a service may have."""

ROOM = 1.3
"""How much more than the databases a new member may need: for WAL that arrives meanwhile."""


@dataclass(frozen=True)
class ScaleFacts:
    """Who belongs to the service now, and how they are; all by name."""

    cluster: str
    members: tuple[str, ...]
    """Everybody who belongs to it, also one that is not whole yet."""
    unfinished: tuple[str, ...] = ()
    """Those of them that were about to come or to leave."""
    primary: str | None = None
    confirming: tuple[str, ...] = ()
    """Synchronous standbys that stream."""
    etcd: tuple[str, ...] = ("etcd1",)
    """Nodes of the election that have a vote."""
    etcd_unfinished: tuple[str, ...] = ()
    """Nodes that were about to come or to leave."""
    etcd_healthy: tuple[str, ...] = ("etcd1",)
    paused: bool = False
    """Patroni was told to leave the cluster as it is."""
    copy_bytes: int = 0
    """What a new member copies."""
    free_bytes: int | None = None
    """Where members that come have their data; None when nobody knows."""


@dataclass(frozen=True)
class WantedMembers:
    """Who should belong to it, by name."""

    members: tuple[str, ...]
    etcd: tuple[str, ...]


@dataclass(frozen=True)
class ScalePlan:
    """What is done, in this order: the election grows, members come, the lead changes hands,
    members leave, the election shrinks."""

    etcd_add: tuple[str, ...] = ()
    add: tuple[str, ...] = ()
    leave: str | None = None
    """The primary, if it is to go; `enter` takes over from it first."""
    enter: str | None = None
    remove: tuple[str, ...] = ()
    etcd_remove: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())
    """What to know before: what protects the data meanwhile and afterwards."""

    @property
    def empty(self) -> bool:
        return not (self.etcd_add or self.add or self.remove or self.etcd_remove)

    def does_as(self, other: ScalePlan) -> bool:
        """Whether both do the same, whatever they have to note."""
        return replace(self, notes=()) == replace(other, notes=())

    def sentences(self) -> tuple[str, ...]:
        """The plan for people, a line a step."""
        return tuple(self._sentences())

    def _sentences(self) -> Iterator[str]:
        for name in self.etcd_add:
            yield f"{name} joins the election"
        for name in self.add:
            yield f"{name} is copied from the primary and follows it"
        if self.enter is not None:
            yield f"{self.enter} takes over from {self.leave}, while clients of the pool wait"
        for name in self.remove:
            yield f"{name} leaves, and its data are deleted"
        for name in self.etcd_remove:
            yield f"{name} leaves the election"

    def to_json(self) -> dict[str, Any]:
        """The stable document of `naru service scale --json`."""
        return {
            "etcd_add": list(self.etcd_add),
            "add": list(self.add),
            "switchover": {"from": self.leave, "to": self.enter} if self.enter else None,
            "remove": list(self.remove),
            "etcd_remove": list(self.etcd_remove),
            "notes": list(self.notes),
        }


def plan_scale(facts: ScaleFacts, wanted: WantedMembers) -> ScalePlan:
    """Decide how the service gets from `facts` to `wanted`; an empty plan when it is there.

    Raises UsageError for a number of members that cannot be, RefusedError with the reason
    when it could not be done now without making writes wait, or not be done safely.
    """
    if not FEWEST <= len(wanted.members) <= MOST:
        raise UsageError(
            f"{len(wanted.members)} members are not possible",
            remedy=f"a service has {FEWEST} to {MOST}",
        )
    if len(facts.members) == 1:
        raise RefusedError(
            f"cluster {facts.cluster} has one member, made without standbys (ha = false)",
            remedy="make an environment with ha = true, and migrate into it",
        )
    add = tuple(n for n in wanted.members if n not in facts.members or n in facts.unfinished)
    remove = tuple(n for n in facts.members if n not in wanted.members)
    etcd_add = tuple(n for n in wanted.etcd if n not in facts.etcd)
    there = sorted({*facts.etcd, *facts.etcd_unfinished}, reverse=True)
    # Who does not answer first: the others are a majority without it.
    there.sort(key=lambda name: name in facts.etcd_healthy)
    etcd_remove = tuple(n for n in there if n not in wanted.etcd)
    plan = ScalePlan(etcd_add, add, remove=remove, etcd_remove=etcd_remove)
    if plan.empty:
        return plan
    _must_elect(facts, wanted, plan)
    if add or remove:
        plan = _with_members(facts, wanted, plan)
    return plan


def _must_elect(facts: ScaleFacts, wanted: WantedMembers, plan: ScalePlan) -> None:
    """The election must be able to decide, and what is kept of it to go on without the rest."""
    if len(facts.etcd_healthy) * 2 <= len(facts.etcd):
        raise _refused(facts, "the election (etcd) has no majority")
    if not (plan.etcd_add or plan.etcd_remove):
        return
    kept = [name for name in wanted.etcd if name in facts.etcd]
    ill = [name for name in kept if name not in facts.etcd_healthy]
    if ill:
        raise _refused(facts, f"{', '.join(ill)} of the election does not answer")


def _with_members(facts: ScaleFacts, wanted: WantedMembers, plan: ScalePlan) -> ScalePlan:
    if facts.primary is None:
        raise _refused(facts, "there is no single primary")
    if facts.paused:
        raise _refused(facts, "the cluster is paused")
    new = [name for name in plan.add if name not in facts.members]
    needed = int(facts.copy_bytes * ROOM * len(new))
    if facts.free_bytes is not None and needed > facts.free_bytes:
        raise RefusedError(
            f"cluster {facts.cluster}: {', '.join(new)} need about {needed:,} bytes, and"
            f" {facts.free_bytes:,} are free",
            remedy="make room on the disk that holds the state",
        )
    kept = [n for n in wanted.members if n in facts.members and n not in facts.unfinished]
    following = [n for n in kept if n in facts.confirming]
    enter = None
    if facts.primary in plan.remove:
        enter = next(iter(following), next(iter(plan.add), None))
        if enter is None:
            raise _refused(facts, f"nobody who stays can take over from {facts.primary}")
    lead = enter or facts.primary
    confirm = [n for n in (*following, *plan.add) if n != lead]
    if plan.remove and not confirm:
        gone = ", ".join(plan.remove)
        raise _refused(
            facts,
            f"without {gone} no synchronous standby would be left: writes would wait",
        )
    away = [n for n in kept if n not in facts.confirming and n != facts.primary]
    return ScalePlan(
        plan.etcd_add, plan.add, facts.primary if enter else None, enter, plan.remove,
        plan.etcd_remove, tuple(_notes(wanted.members, away, confirm, lead, plan)),
    )  # fmt: skip


def _notes(
    members: Sequence[str],
    away: Sequence[str],
    confirm: Sequence[str],
    lead: str,
    plan: ScalePlan,
) -> Iterator[str]:
    if away:
        yield f"{', '.join(away)} does not follow now, and does not count for protection"
    if plan.remove and len(confirm) == 1:
        yield (
            f"afterwards {confirm[0]} is the only synchronous standby: nothing acknowledged can"
            f" be lost, but while it or {lead} is away, writes wait"
        )


def _refused(facts: ScaleFacts, why: str) -> RefusedError:
    return RefusedError(
        f"cluster {facts.cluster}: not now: {why}",
        remedy="see `naru service status`; once the service is well, start over",
    )
