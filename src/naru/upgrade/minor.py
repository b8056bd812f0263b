"""A new minor version: the same data under other programs, member by member."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from naru.errors import NaruError, UsageError
from naru.ground import Ground
from naru.postgres import Dsn, connect, fetch_value
from naru.service import (
    Restarted,
    RestartPlan,
    Service,
    ServiceStatus,
    plan_restart,
    restart,
)
from naru.service.switchover import Hold
from naru.system import SILENT, Observer, wait_until

START_SECONDS = 90


@dataclass(frozen=True)
class MinorPlan:
    """Who gets other programs, in which order; empty when all run them already."""

    version: str
    """Of the programs to be run, such as 18.6."""
    behind: Mapping[str, str]
    """The members that run something else, and what."""
    order: RestartPlan


def running_versions(service: Service) -> dict[str, str]:
    """What each member runs, such as 18.4; one that does not answer is left out."""
    found = {}
    for one in service.members():
        with contextlib.suppress(NaruError):
            with connect(service.member(one.name, "postgres"), purpose="upgrade") as connection:
                number = int(fetch_value(connection, "SHOW server_version_num"))
                found[one.name] = f"{number // 10000}.{number % 10000}"
    return found


def plan_minor(
    status: ServiceStatus, running: Mapping[str, str], installed: tuple[int, int]
) -> MinorPlan:
    """Decide who is behind `installed`, the version of the programs on this machine.

    Raises UsageError when that is another major version; RefusedError while a member is away.
    """
    version = f"{installed[0]}.{installed[1]}"
    behind = {name: one for name, one in running.items() if one != version}
    majors = {one.partition(".")[0] for one in running.values()}
    if majors - {str(installed[0])}:
        raise UsageError(
            f"the members run PostgreSQL {', '.join(sorted(majors))}, and the programs are"
            f" {version}: that is a major upgrade",
            remedy=f"naru service upgrade --to {installed[0]}",
        )
    every = plan_restart(status)
    order = RestartPlan(
        tuple(name for name in every.standbys if name in behind),
        every.primary if every.primary in behind else None,
    )
    return MinorPlan(version, behind, order)


class _Renewing:
    """The service, with members that are started anew as programs where it would restart the
    server inside: Patroni reads where PostgreSQL's programs are only when it starts."""

    def __init__(self, service: Service, ground: Ground) -> None:
        self._service = service
        self._ground = ground

    def member(self, name: str, database: str | None = None) -> Dsn:
        return self._service.member(name, database)

    def write_nodes(self) -> tuple[str, ...]:
        return self._service.write_nodes()

    def status(self) -> ServiceStatus:
        return self._service.status()

    def command(self, name: str, method: str, path: str, document: Any, *, seconds: float) -> None:
        if path != "/restart":
            self._service.command(name, method, path, document, seconds=seconds)
            return
        self._ground.restart(name)
        wait_until(lambda: self._answers(name), f"{name} to start", START_SECONDS)

    def _answers(self, name: str) -> bool:
        with contextlib.suppress(NaruError):
            connect(self._service.member(name, "postgres"), purpose="upgrade", seconds=2).close()
            return True
        return False


def renew(
    service: Service,
    ground: Ground,
    plan: MinorPlan,
    hold: Callable[[], Hold],
    *,
    observer: Observer = SILENT,
) -> Restarted:
    """Carry out `plan`: standbys first, then the primary after another took over its lead."""
    service.up_members(observer)
    return restart(_Renewing(service, ground), plan.order, hold, observer=observer)
