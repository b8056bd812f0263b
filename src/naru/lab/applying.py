"""A changed spec, carried out: restarts in their time, what moved, and the note of it all."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime

from naru.errors import DeadlineError
from naru.ground import Ground
from naru.lab.alone import alone_at_work
from naru.service import (
    Applied,
    AppliedFile,
    ChangePlan,
    Hold,
    Service,
    Wanted,
    plan_restart,
    restart,
    window_of,
)
from naru.spec import Spec
from naru.system import Observer, wait_until
from naru.traffic import Pool

_NOTICE_SECONDS = 15.0
"""Patroni looks once a second whether its settings changed."""
_PAUSE_SECONDS = 5.0
_OTHER_SECONDS = 300.0


def restarts_now(spec: Spec, plan: ChangePlan, *, now: bool) -> bool:
    """Whether the plan's restarts are done at once: no window, an open one, or told so."""
    window = window_of(spec)
    return bool(plan.restarts) and (now or window is None or window.is_open(datetime.now(UTC)))


def carry_out_restarts(ground: Ground, service: Service, pool: Pool, observer: Observer) -> None:
    """Restart every member that a setting waits for, one by one, while the pool holds clients.

    One at a time on an environment: `naru up`, or the program of the maintenance window.
    """
    with alone_at_work(ground, "restarts for changed settings", seconds=_OTHER_SECONDS):
        _restart_pending(service, pool, observer)


def _restart_pending(service: Service, pool: Pool, observer: Observer) -> None:
    with contextlib.suppress(DeadlineError):
        wait_until(lambda: _pending(service), "members to notice the settings", _NOTICE_SECONDS)
    # Every member has to have noticed, not the first alone.
    with contextlib.suppress(DeadlineError):
        wait_until(lambda: _all_pending(service), "every member to notice", 3)
    plan = plan_restart(service.status(), pending=True)
    if not plan.members:
        observer.note("no member needs a restart for these settings")
        return
    hold: Callable[[], Hold] = lambda: pool.hold(service, _PAUSE_SECONDS)  # noqa: E731
    restart(service, plan, hold, observer=observer)


def _pending(service: Service) -> bool:
    return any(one.pending_restart for one in service.status().members)


def _all_pending(service: Service) -> bool:
    return all(one.pending_restart for one in service.status().members)


def follow_what_moved(spec: Spec, ground: Ground, pool: Pool, plan: ChangePlan) -> None:
    """Point the pool's databases, where they led to an address that moved, at the new one."""
    moved = {one.key: one.old for one in plan.changes}
    for name, host, port in (
        ("source", spec.source.host, spec.source.port),
        ("service", spec.service.host, spec.service.port),
    ):
        before = (
            ground.address(moved.get(f"{name}.host", host)),
            int(moved.get(f"{name}.port", port)),
        )
        after = (ground.address(host), port)
        if before != after:
            for database in pool.leading_to(before):
                pool.pooler.point(database, *after)


def note_applied(ground: Ground, wanted: Wanted, waiting: tuple[str, ...]) -> None:
    """Write down what holds now, and what waits for a restart."""
    parameters = {name: one.value for name, one in wanted.parameters.items()}
    AppliedFile(ground).write(Applied(wanted.values, parameters, waiting))
