"""From what there is and what is wanted to a plan: which backup, and whether WAL reaches there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from naru.backup.catalogue import Backup, chain_of, find_backup
from naru.backup.segments import Inventory, Reach, Segment
from naru.backup.target import LATEST, Target
from naru.errors import RefusedError
from naru.postgres import Lsn


@dataclass(frozen=True)
class Moment:
    """A moment that can be restored: its time and its position."""

    at: datetime
    lsn: Lsn


@dataclass(frozen=True)
class Limits:
    """The first and the last moment that can be restored, of one timeline's history."""

    first: Moment
    last: Moment
    timeline: int

    def sentence(self, zone: tzinfo | None = None) -> str:
        first, last = (one.at.astimezone(zone) for one in (self.first, self.last))
        return (
            f"from {first:%Y-%m-%d %H:%M:%S.%f%z} ({self.first.lsn})"
            f" to {last:%Y-%m-%d %H:%M:%S.%f%z} ({self.last.lsn}), timeline {self.timeline}"
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "timeline": self.timeline,
            "first": {"at": self.first.at.isoformat(), "lsn": str(self.first.lsn)},
            "last": {"at": self.last.at.isoformat(), "lsn": str(self.last.lsn)},
        }


@dataclass(frozen=True)
class RestorePlan:
    """What will be done: the backup to begin with, and where recovery stops."""

    backup: Backup
    target: Target
    timeline: int
    limits: Limits
    size: int
    """Bytes of the backups to read."""
    replay: int
    """Bytes of WAL to replay, at most."""


@dataclass(frozen=True)
class Facts:
    """What a plan rests on."""

    backups: tuple[Backup, ...]
    inventory: Inventory
    timeline: int
    """Along which history to go: normally that of the service."""
    last: Moment
    """The last end of a transaction on the backup host, along that history."""
    zone: tzinfo | None = None
    """In which limits are told."""


Located = Callable[[Target, Sequence[Segment]], Lsn | None]
"""Where recovery with this target stops in a run of segments; None if it goes through."""


def usable(facts: Facts) -> tuple[Backup, ...]:
    """Whole backups, with all that they build on, that lead to the facts' timeline."""
    ids = {one.id for one in facts.backups if one.whole}
    return tuple(
        one
        for one in facts.backups
        if one.whole
        and one.end_lsn is not None
        and chain_of(facts.backups, one)[-1].kind == "full"
        and {part.id for part in chain_of(facts.backups, one)} <= ids
        and facts.inventory.descends(facts.timeline, one.timeline, one.end_lsn)
    )


def limits_of(facts: Facts) -> Limits:
    """The limits. Raises RefusedError when there is no backup that leads there."""
    found = usable(facts)
    if not found:
        raise RefusedError(
            f"no whole backup leads to timeline {facts.timeline}: nothing can be restored",
            remedy="take one: `naru service backup`",
        )
    first = min(map(_end_of, found), key=lambda one: one.lsn)
    return Limits(first, facts.last, facts.timeline)


def _end_of(backup: Backup) -> Moment:
    assert backup.end is not None and backup.end_lsn is not None
    return Moment(backup.end, backup.end_lsn)


def plan_restore(
    target: Target, facts: Facts, located: Located, *, from_backup: str | None = None
) -> RestorePlan:
    """Decide from which backup to begin: the newest before the target, or `from_backup`.

    Raises RefusedError for a target outside the limits, which it names, or behind a gap in the
    WAL, which it names too; UsageError for a backup that there is not.
    """
    limits = limits_of(facts)
    _must_be_within(target, limits, facts)
    chosen = [one for one in usable(facts) if _is_before(one, target)]
    if from_backup is not None:
        named = find_backup(facts.backups, from_backup)
        chosen = [one for one in chosen if one.id == named.id]
        if not chosen:
            raise RefusedError(
                f"backup {named.id} does not lead to {target.sentence}",
                remedy="leave --backup out, and the right one is found",
            )
    gap: Reach | None = None
    for backup in reversed(chosen):
        reach = _reach(facts, backup)
        position = _position(target, facts, backup, reach, located)
        if position is not None:
            return _plan(facts, backup, target, limits, position)
        # The nearest one is in the way; behind it there may be others, from long ago.
        gap = gap or (reach if _is_broken(reach, facts) else None)
    raise _unreachable(target, facts, limits, gap)


def _must_be_within(target: Target, limits: Limits, facts: Facts) -> None:
    first, last = limits.first, limits.last
    early = (target.kind == "time" and target.at < first.at) or (
        target.kind == "lsn" and target.lsn < first.lsn
    )
    late = (target.kind == "time" and target.at > last.at) or (
        target.kind == "lsn" and target.lsn > last.lsn
    )
    if early or late:
        raise RefusedError(
            f"{target.value} is {'before the first' if early else 'after the last'} moment that"
            " can be restored",
            remedy=f"what can be restored: {limits.sentence(facts.zone)}",
        )


def _is_before(backup: Backup, target: Target) -> bool:
    end = _end_of(backup)
    if target.kind == "time":
        return end.at <= target.at
    return end.lsn <= target.lsn if target.kind == "lsn" else True


def _reach(facts: Facts, backup: Backup) -> Reach:
    assert backup.begin_lsn is not None
    return facts.inventory.reach(facts.timeline, backup.begin_lsn)


def _is_broken(reach: Reach, facts: Facts) -> bool:
    """True if WAL is missing that something newer follows on."""
    lineage = facts.inventory.lineage(facts.timeline)
    return any(
        segment.number > reach.missing.number
        and any(one.timeline == segment.timeline and one.has(segment.number) for one in lineage)
        for segment in facts.inventory.paths
    )


def _position(
    target: Target, facts: Facts, backup: Backup, reach: Reach, located: Located
) -> Lsn | None:
    """Where recovery would stop at the latest; None if it does not get there from `backup`."""
    if not reach.segments:
        return None
    whole = not _is_broken(reach, facts)
    if target.kind == "lsn":
        end = facts.last.lsn if whole else Lsn(reach.missing.number * facts.inventory.size)
        return target.lsn if target.lsn <= end else None
    if whole and target.kind in ("time", "latest"):
        return facts.last.lsn
    if target.kind == "latest":
        return None
    found = located(target, reach.segments)
    assert backup.end_lsn is not None
    return found if found is not None and found >= backup.end_lsn else None


def _plan(
    facts: Facts, backup: Backup, target: Target, limits: Limits, position: Lsn
) -> RestorePlan:
    assert backup.begin_lsn is not None
    return RestorePlan(
        backup=backup,
        target=LATEST if _is_the_end(target, limits) else target,
        timeline=facts.timeline,
        limits=limits,
        size=sum(one.size for one in chain_of(facts.backups, backup)),
        replay=max(0, position - backup.begin_lsn),
    )


def _is_the_end(target: Target, limits: Limits) -> bool:
    """True if nothing follows the target: PostgreSQL stops at what comes after it, or fails."""
    if target.kind == "time":
        return target.inclusive and target.at == limits.last.at
    return target.kind == "lsn" and target.lsn == limits.last.lsn


def _unreachable(target: Target, facts: Facts, limits: Limits, gap: Reach | None) -> RefusedError:
    if gap is not None:
        return RefusedError(
            f"WAL segment {gap.missing.name(facts.inventory.size)} is missing: what was written"
            " after it cannot be restored from a backup taken before it",
            remedy="name a target before it, or after the next backup; see `naru service backups`",
        )
    what = {"name": "restore point", "xid": "end of transaction"}.get(target.kind, "target")
    return RefusedError(
        f"no {what} {target.value} in the WAL since the first backup",
        remedy=f"what can be restored: {limits.sentence(facts.zone)}",
    )
