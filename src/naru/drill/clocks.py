"""The primary's clock jumps, forward and back."""

from __future__ import annotations

import time

from naru.drill import clock
from naru.drill.prepared import prepared
from naru.drill.stage import Stage
from naru.drill.strike import Struck
from naru.errors import NaruError
from naru.postgres import connect, fetch_value
from naru.service import Member

JUMP_SECONDS = 600
WRONG_SECONDS = 26.0
"""How long the clock stays wrong in each direction: longer than a lease, which would have ended."""


def strike(stage: Stage, primary: Member) -> Struck:
    """Ten minutes forward, and then as many back behind the true time."""
    seen: list[float] = []
    for offset in (JUMP_SECONDS, -JUMP_SECONDS):
        clock.jump(stage.ground, primary.name, offset)
        time.sleep(WRONG_SECONDS)
        seen.append(_offset_at(stage, primary))
    behind = _patroni_behind_by(stage, primary)
    clock.jump(stage.ground, primary.name, 0)
    wrong = [round(one) for one in seen]
    jumped = min(seen[0], -seen[1], behind) > JUMP_SECONDS / 2
    return Struck(
        f"the clock of {primary.name} {JUMP_SECONDS} s forward, and then {JUMP_SECONDS} s behind",
        findings=lambda: () if jumped else (f"the clock did not jump: {wrong}, {behind:g}",),
        details={"server_was_wrong_by": wrong, "patroni_was_behind_by": behind},
        healed_at=time.time(),
    )


def _offset_at(stage: Stage, member: Member) -> float:
    """By how many seconds a member's server is ahead of this machine."""
    try:
        with connect(stage.service.member(member.name, "postgres"), purpose="drill") as connection:
            query = "SELECT extract(epoch FROM clock_timestamp())::float8"
            return float(fetch_value(connection, query)) - time.time()
    except NaruError:
        return 0.0


def _patroni_behind_by(stage: Stage, member: Member) -> float:
    """How many seconds ago its Patroni saw the election, as it says by its own clock."""
    ages = {one.name: one.election_age for one in stage.service.status().members}
    return ages.get(member.name) or 0.0


RUN = prepared(
    "clock",
    lambda stage, name: clock.put_off(stage.ground, stage.service.layout, name),
    strike,
)
