"""Restart members one by one, so that clients never meet a service that is away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from naru.errors import RefusedError, ServerError, UsageError
from naru.service.status import SYNCHRONOUS, MemberStatus, ServiceStatus
from naru.service.switchover import (
    Hold,
    Switchable,
    Switchover,
    plan_switchover,
    switch_over,
)
from naru.system import SILENT, Observer, step, wait_until

RESTART_SECONDS = 90
REJOIN_SECONDS = 90


@dataclass(frozen=True)
class RestartPlan:
    """Who is restarted: standbys in this order, then the primary, which leaves the lead first."""

    standbys: tuple[str, ...]
    primary: str | None

    @property
    def members(self) -> tuple[str, ...]:
        return self.standbys if self.primary is None else (*self.standbys, self.primary)


def plan_restart(
    status: ServiceStatus, member: str | None = None, *, pending: bool = False
) -> RestartPlan:
    """Decide who is restarted: `member`, or all; `pending`: only those that need it for a setting.

    Raises UsageError for a member that there is not; RefusedError while one is away, or when the
    primary is to be restarted and could not leave the lead now.
    """
    names = [one.name for one in status.members]
    if member is not None and member not in names:
        raise UsageError(f"no member {member!r}", remedy=f"there are {', '.join(names)}")
    primary = status.primary
    if primary is None or not settled(status):
        raise RefusedError(
            f"cluster {status.cluster}: no restart now: {status.protection.sentence}",
            remedy="see `naru service status`; `naru up` starts who does not run, `naru service"
            " scale` ends one that was cut off; wait until every member follows",
        )
    chosen = [one for one in status.members if member in (None, one.name)]
    if pending:
        chosen = [one for one in chosen if one.pending_restart]
    if primary in chosen and len(names) > 1:
        plan_switchover(status)
    standbys = tuple(one.name for one in chosen if one is not primary)
    return RestartPlan(standbys, primary.name if primary in chosen else None)


def settled(status: ServiceStatus) -> bool:
    """True if there is one primary, and every other member is a synchronous standby."""
    primary = status.primary
    return primary is not None and all(one is primary or _confirms(one) for one in status.members)


def _confirms(member: MemberStatus) -> bool:
    return member.state == "streaming" and member.role in SYNCHRONOUS


class Restartable(Switchable, Protocol):
    """What is restarted; `naru.service.Service` is one."""

    def status(self) -> ServiceStatus: ...


@dataclass(frozen=True)
class Restarted:
    """What was done. `in_place`: the primary once more, for a setting that was lowered."""

    members: tuple[str, ...]
    switchover: Switchover | None
    in_place: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The stable document of `naru service restart --json`."""
        return {
            "members": list(self.members),
            "switchover": self.switchover.to_json() if self.switchover else None,
            "in_place": self.in_place,
        }


def restart(
    service: Restartable,
    plan: RestartPlan,
    hold: Callable[[], Hold],
    *,
    observer: Observer = SILENT,
) -> Restarted:
    """Carry out `plan`; `hold` makes what keeps clients waiting while the lead changes hands.

    Goes on only when every member follows again. What standbys cannot take over before the
    primary has (a lowered `max_connections`) needs the primary restarted where it is, and so
    does a member that is alone.
    """
    for name in plan.standbys:
        _restart_standby(service, name, observer)
    done = None
    alone = len(service.status().members) == 1
    if plan.primary is not None and not alone:
        done = switch_over(service, plan_switchover(service.status()), hold(), observer=observer)
        _settle(service)
        _restart_standby(service, plan.primary, observer)
    in_place = _in_place(service, plan, hold, observer, alone=alone)
    return Restarted(plan.members, done, in_place)


def _in_place(
    service: Restartable,
    plan: RestartPlan,
    hold: Callable[[], Hold],
    observer: Observer,
    *,
    alone: bool,
) -> str | None:
    status = service.status()
    primary = status.primary
    if primary is None or plan.primary is None or not (alone or primary.pending_restart):
        return None
    with step(observer, f"restart {primary.name} in its place"):
        with hold() as held:
            held.pause()
            service.command(primary.name, "POST", "/restart", {}, seconds=RESTART_SECONDS)
            wait_until(
                lambda: service.write_nodes() == (primary.name,),
                f"the write endpoint to lead to {primary.name} again",
                REJOIN_SECONDS,
            )
        _settle(service)
    for one in service.status().members:
        if one.pending_restart and one.name != primary.name:
            _restart_standby(service, one.name, observer)
    return primary.name


def _restart_standby(service: Restartable, name: str, observer: Observer) -> None:
    with step(observer, f"restart {name}"):
        wait_until(lambda: _accepted(service, name), f"{name} to restart", RESTART_SECONDS)
        _settle(service)


def _accepted(service: Restartable, name: str) -> bool:
    """False while Patroni is still at work there, as some seconds after a switchover."""
    try:
        service.command(name, "POST", "/restart", {}, seconds=RESTART_SECONDS)
    except ServerError as error:
        if "in progress" in error.message:
            return False
        raise
    return True


def _settle(service: Restartable) -> None:
    wait_until(lambda: settled(service.status()), "every member to follow again", REJOIN_SECONDS)
