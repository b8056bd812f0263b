"""Planned work under load: a switchover, a rolling restart, and a naru that dies in one."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

from naru.drill.crash import watched
from naru.drill.stage import Stage
from naru.drill.strike import Struck
from naru.ground import open_ground
from naru.service import Member, Service, plan_restart, plan_switchover, restart, switch_over
from naru.spec import Spec
from naru.system import wait_until
from naru.traffic import Pool

PAUSE_SECONDS = 5.0
_CHILD_SECONDS = 30.0


def switch(stage: Stage, primary: Member) -> Struck:
    """A switchover to the closest standby, with the pool held meanwhile."""
    service = stage.service
    plan = plan_switchover(service.status())
    done = switch_over(service, plan, stage.pool.hold(service, PAUSE_SECONDS))
    return Struck(f"switchover from {done.leave} to {done.enter}", details=done.to_json())


def restart_all(stage: Stage, primary: Member) -> Struck:
    """A restart of every member, one by one."""
    service = stage.service
    done = restart(
        service,
        plan_restart(service.status()),
        lambda: stage.pool.hold(service, PAUSE_SECONDS),
        observer=stage.observer,
    )
    return Struck(f"restart of {', '.join(done.members)}", details=done.to_json())


def die_in_a_switchover(stage: Stage, primary: Member) -> Struck:
    """kill -9 of a naru that has just paused the pool for a switchover."""
    database = stage.spec.service.database
    child = multiprocessing.get_context("spawn").Process(
        target=_switch_in_a_process, args=(stage.spec, stage.ground.folder)
    )
    child.start()
    try:
        wait_until(
            lambda: stage.pool.pooler.observe(database).paused,
            "the pause of the switchover",
            _CHILD_SECONDS,
            every=0.005,
        )
    finally:
        child.kill()
        child.join()

    over = watched()

    def resumed() -> bool:
        return not stage.pool.pooler.observe(database).paused

    return Struck(
        f"kill -9 of a naru in the middle of a switchover, process {child.pid}",
        until=lambda: over() and resumed(),
        findings=lambda: () if resumed() else ("the pool was left paused",),
    )


def _switch_in_a_process(spec: Spec, folder: Path) -> None:
    ground = open_ground(spec, folder)
    service, pool = Service(spec, ground), Pool(spec, ground)
    switch_over(service, plan_switchover(service.status()), pool.hold(service, PAUSE_SECONDS))
