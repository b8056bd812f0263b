"""The two ends of a switch: clients go on at the side entered, or all is as it was before."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg

from naru.errors import NaruError
from naru.journal import Run
from naru.migrate import channel as channels
from naru.migrate.fence import FenceState, lower_fence
from naru.migrate.patience import through_a_failover
from naru.migrate.plan import SWITCH, SwitchPlan, fence_key, point_all, resume_all
from naru.migrate.sides import Side, explained, observe_server
from naru.migrate.switch import disarm


def let_go(plan: SwitchPlan, run: Run) -> float:
    """Let clients go on, at the side that was entered. Gives the milliseconds it took.

    That side's own fence, from an earlier switch, goes only now: the switch is committed,
    so no undoing would need it again.
    """
    began = time.perf_counter()
    try:
        through_a_failover(lambda: open_side(plan.enter, run), "the side entered to answer")
    finally:
        resume_all(plan.poolers)
    run.event("cutover.resume", "clients go on", number=plan.number)
    return (time.perf_counter() - began) * 1000


def settle(plan: SwitchPlan, run: Run) -> None:
    """After the clients: start the way back, and drop what brought the data here."""
    with plan.leave.connect("settle") as leave, plan.enter.connect("settle") as enter:
        with explained(plan.leave, "starting the way back"):
            if observe_server(leave).has_synchronous_standbys:
                channels.make_durable(plan.back, leave)
            channels.enable(plan.back, leave)
        for one in plan.forward:
            with explained(plan.enter, f"dropping subscription {one.name}"):
                channels.drop_destination(one, enter)
            with explained(plan.leave, f"dropping slot {one.name}"):
                channels.drop_origin(one, leave)
    run.remember("switches", plan.number)
    run.remember("at", plan.enter.role)
    run.remember("durable", True)
    run.forget(SWITCH)


def undo(plan: SwitchPlan, run: Run) -> None:
    """Let everything be as before the switch: the side to leave takes writes, clients go on.

    Each part is tried even if another fails; the first failure is raised at the end.
    """
    record = run.recall(SWITCH) or {}
    state = record.get("fence")
    acts: list[Callable[[], None]] = []
    if state is not None:
        acts.append(lambda: _open_again(plan, FenceState(**state)))
    if record.get("entrance"):
        acts.append(lambda: open_side(plan.enter, run))
    # Clients first: the side that was not entered may be silent.
    acts += [
        lambda: point_all(plan.poolers, plan.leave),
        lambda: resume_all(plan.poolers),
        lambda: _follow_again(plan),
        lambda: disarm(plan),
    ]
    failures: list[Exception] = []
    for act in acts:
        try:
            act()
        except (NaruError, psycopg.Error) as error:
            failures.append(error)
    if failures:
        raise failures[0]
    run.forget(fence_key(plan.leave))
    run.forget(SWITCH)
    run.event("cutover.undone", "clients go on where they were", number=plan.number)


def complete(plan: SwitchPlan, run: Run) -> None:
    """Finish a committed switch whose process died: clients go on, then the rest."""
    point_all(plan.poolers, plan.enter)
    let_go(plan, run)
    settle(plan, run)


def open_side(side: Side, run: Run) -> None:
    """Take away the fence that an earlier switch has left around `side`, if there is one."""
    state = run.recall(fence_key(side))
    if state is None:
        return
    with side.connect("open") as connection, explained(side, "taking the fence away"):
        lower_fence(connection, side, FenceState(**state))
    run.forget(fence_key(side))


def _open_again(plan: SwitchPlan, state: FenceState) -> None:
    with plan.leave.connect("undo") as leave, explained(plan.leave, "taking the fence away"):
        lower_fence(leave, plan.leave, state)


def _follow_again(plan: SwitchPlan) -> None:
    with plan.enter.connect("undo") as enter, explained(plan.enter, "following again"):
        for one in plan.forward:
            channels.enable(one, enter)
