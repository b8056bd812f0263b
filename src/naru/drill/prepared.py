"""Drills whose fault needs a primary that was prepared for it: a disk, or a clock, of its own."""

from __future__ import annotations

from collections.abc import Callable

from naru.drill.drills import Run, Strike, struck_by
from naru.drill.planned import PAUSE_SECONDS
from naru.drill.stage import Stage
from naru.drill.standbys import others
from naru.drill.strike import is_whole
from naru.drill.verdict import DrillVerdict, Promise
from naru.service import plan_switchover, switch_over
from naru.service.restart import settled
from naru.system import wait_until

_PATIENCE = 90.0


def prepared(wound: str, prepare: Callable[[Stage, str], None], strike: Strike) -> Run:
    """A run in which a standby is prepared (which restarts it) and made the primary first.

    The preparation is noted as a `wound` with the member's name, and undone at the end.
    """

    def run(name: str, promise: Promise, stage: Stage) -> DrillVerdict:
        service = stage.service
        wait_until(lambda: is_whole(service.status()), "the service to be whole", _PATIENCE)
        chosen = others(stage, service.primary())[0].name
        stage.wounds.note(wound, chosen)
        try:
            prepare(stage, chosen)
            _lead(stage, chosen)
            return struck_by(strike)(name, promise, stage)
        finally:
            stage.wounds.heal()
            _follow(stage)

    return run


def _lead(stage: Stage, name: str) -> None:
    """Have a member lead."""
    service = stage.service
    _follow(stage)
    stage.pool.up()
    plan = plan_switchover(service.status(), name)
    switch_over(service, plan, stage.pool.hold(service, PAUSE_SECONDS))
    _follow(stage)


def _follow(stage: Stage) -> None:
    wait_until(lambda: settled(stage.service.status()), "every member to follow", _PATIENCE)
