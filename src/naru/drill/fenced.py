"""Faults that fencing answers: a Patroni or a guardian away for good, and a supervisor killed."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from signal import Signals

from naru.drill.crash import watched
from naru.drill.nodes import another_leads, keep_away, strike_node
from naru.drill.stage import Stage
from naru.drill.strike import Struck, has_returned
from naru.drill.witness import Witness, stale_answers
from naru.errors import UsageError
from naru.service import GUARDIAN, Member

ALONE_SECONDS = 5.0
"""How long programs are left without their supervisor."""


def leave_patroni_dead(stage: Stage, primary: Member) -> Struck:
    """kill -9 of the primary's Patroni, which nobody starts again until another member leads."""
    name, postmaster = primary.name, primary.pid or 0
    witness = _witness(stage)
    stage.wounds.note("away", name)
    stage.ground.kill(name)
    # The one that the supervisor has begun meanwhile must not stop the server in good order.
    with contextlib.suppress(ProcessLookupError, UsageError):
        stage.ground.kill(name)
    keep_away(stage, name)
    return Struck(
        f"kill -9 of Patroni of {name}, not started again",
        until=another_leads(stage, name),
        heal=stage.wounds.heal,
        passed=lambda status: has_returned(status, name, postmaster),
        findings=lambda: stale_reads(witness),
    )


def freeze_patroni(stage: Stage, primary: Member) -> Struck:
    """SIGSTOP of the primary's Patroni for good: nothing here lets it go on."""
    name, postmaster = primary.name, primary.pid or 0
    witness = _witness(stage)
    frozen = stage.ground.kill(name, Signals.SIGSTOP)
    return Struck(
        f"SIGSTOP of Patroni of {name}, process {frozen}",
        until=another_leads(stage, name),
        passed=lambda status: has_returned(status, name, postmaster),
        findings=lambda: stale_reads(witness),
    )


def lose_node_by_lease(stage: Stage, primary: Member) -> Struck:
    """As `strike_node`, with a guardian that is frozen: its death is proven by nobody."""
    stage.wounds.note("frozen")
    stage.ground.kill(GUARDIAN, Signals.SIGSTOP)
    struck = strike_node(stage, primary)
    return replace(struck, what=f"{struck.what}, guardian frozen")


def freeze_patroni_and_guardian(stage: Stage, primary: Member) -> Struck:
    """SIGSTOP of the primary's Patroni and of the guardian until another leads: the member's
    own watchdog is all that is left."""
    name, postmaster = primary.name, primary.pid or 0
    witness = _witness(stage)
    stage.wounds.note("frozen")
    stage.ground.kill(GUARDIAN, Signals.SIGSTOP)
    stage.ground.kill(name, Signals.SIGSTOP)
    return Struck(
        f"SIGSTOP of Patroni of {name} and of the guardian",
        until=another_leads(stage, name),
        heal=stage.wounds.heal,
        passed=lambda status: has_returned(status, name, postmaster),
        findings=lambda: stale_reads(witness),
    )


def kill_supervisor(stage: Stage, primary: Member) -> Struck:
    """kill -9 of the supervisor, and another one that takes its programs over."""
    before = {one.name: one.pid for one in stage.ground.status().programs}
    pid = stage.ground.status().supervisor_pid
    if pid is None:
        raise UsageError("no supervisor runs", remedy="run `naru up`")
    os.kill(pid, Signals.SIGKILL)
    after: dict[str, int | None] = {}

    def heal() -> None:
        stage.ground.up()
        after.update({one.name: one.pid for one in stage.ground.status().programs})

    def changed() -> tuple[str, ...]:
        others = [name for name, one in before.items() if after.get(name) != one]
        return (f"{', '.join(others)} did not go on as they were",) if others else ()

    return Struck(
        f"kill -9 of the supervisor, process {pid}",
        until=watched(ALONE_SECONDS),
        heal=heal,
        findings=changed,
    )


def stale_reads(witness: Witness) -> tuple[str, ...]:
    """What the witness has against the members: none may answer as primary after the next."""
    answers = witness.stop()
    stale = stale_answers(answers)
    if len({one.member for one in answers}) < 2:
        return ("the witness did not see two primaries, one after the other",)
    if not stale:
        return ()
    lasted = max(one.asked for one in stale) - min(one.asked for one in stale)
    return (
        f"{stale[0].member} answered as primary {len(stale)} times within {lasted:.2f} s after"
        " another one had",
    )


def _witness(stage: Stage) -> Witness:
    service = stage.service
    return Witness((one.name, service.member(one.name, "postgres")) for one in service.members())
