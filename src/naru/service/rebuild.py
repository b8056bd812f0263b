"""A member copied anew: when that is safe, decided from the status, and done."""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict, dataclass
from typing import Any

from naru.errors import NaruError, RefusedError, UsageError
from naru.service.cluster import Service
from naru.service.copying import watch_copy
from naru.service.status import SYNCHRONOUS, ServiceStatus
from naru.system import SILENT, Observer, discard, step, wait_until

BEGIN_SECONDS = 60
CONFIRM_SECONDS = 60


@dataclass(frozen=True)
class RebuildPlan:
    """Who is copied anew, what to ask before, and what to know."""

    member: str
    question: str
    notes: tuple[str, ...] = ()


def plan_rebuild(status: ServiceStatus, member: str) -> RebuildPlan:
    """Decide whether `member` may be copied anew, and what that means for writes.

    Raises UsageError for a member that there is not, RefusedError for the primary, and
    when there is nobody to copy from.
    """
    names = [one.name for one in status.members]
    if member not in names:
        raise UsageError(f"no member {member!r}", remedy=f"there are {', '.join(names)}")
    primary = status.primary
    if primary is None:
        raise RefusedError(
            f"cluster {status.cluster}: {member} is not rebuilt: there is no single primary to"
            " copy from",
            remedy="see `naru service status`",
        )
    if primary.name == member:
        raise RefusedError(
            f"{member} is the primary: it is what the others are copied from",
            remedy="make another one the primary first: `naru service switchover`",
        )
    others = [
        one.name
        for one in status.members
        if one.name != member and one.role in SYNCHRONOUS and one.state == "streaming"
    ]
    delete = f"delete the data of {member} and copy them anew from {primary.name}"
    if not others:
        return RebuildPlan(
            member,
            f"{delete}, while all writes wait",
            (
                f"no other synchronous standby follows {primary.name}: writes wait until {member}"
                " is copied, and until then only one node has the data",
            ),
        )
    return RebuildPlan(member, delete)


@dataclass(frozen=True)
class Rebuilt:
    """Who was copied anew, and how long until it confirmed commits again."""

    member: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The stable document of `naru service rebuild --json`."""
        return asdict(self)


def rebuild(service: Service, plan: RebuildPlan, *, observer: Observer = SILENT) -> Rebuilt:
    """Carry out `plan`, until the member follows and confirms commits.

    By its Patroni where that answers; else its data are deleted and it is started anew.
    Raises DeadlineError for a copy that stands still.
    """
    began = time.monotonic()
    before = _pid(service, plan.member)
    with step(observer, f"rebuild {plan.member}"):
        if not _told(service, plan.member):
            _start_anew(service, plan.member)
        if before is not None:
            wait_until(
                lambda: _pid(service, plan.member) != before,
                f"{plan.member} to give up its data",
                BEGIN_SECONDS,
            )
        watch_copy(service, plan.member, observer)
        wait_until(
            lambda: _confirms(service, plan.member),
            f"{plan.member} to confirm commits",
            CONFIRM_SECONDS,
        )
    return Rebuilt(plan.member, round(time.monotonic() - began, 1))


def _told(service: Service, member: str) -> bool:
    with contextlib.suppress(NaruError):
        document = {"force": True, "from_leader": True}
        service.command(member, "POST", "/reinitialize", document, seconds=20)
        return True
    return False


def _start_anew(service: Service, member: str) -> None:
    node = next(one for one in service.members() if one.name == member)
    if service.primary().name == member:
        raise RefusedError(
            f"{member} leads by now: nothing was done",
            remedy="look at `naru service status`, and start over",
        )
    service.ground.stop(member)
    discard(node.data)
    service.ground.start(member)


def _pid(service: Service, member: str) -> int | None:
    return next((one.pid for one in service.members() if one.name == member), None)


def _confirms(service: Service, member: str) -> bool:
    return any(
        one.name == member and one.role in SYNCHRONOUS and one.state == "streaming"
        for one in service.status().members
    )
