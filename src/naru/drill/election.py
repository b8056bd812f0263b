"""Faults of the election: etcd that does not answer."""

from __future__ import annotations

import signal

from naru.drill.crash import watched
from naru.drill.stage import Stage
from naru.drill.strike import Struck
from naru.service import Member
from naru.service.switchover import DEAF_SECONDS

FREEZE_SECONDS = 18.0


def freeze_etcd(stage: Stage, primary: Member) -> Struck:
    """SIGSTOP of every etcd for 18 s: with the failsafe the primary stays, as all members
    tell it that they see it."""
    names = [one.name for one in stage.service.layout.etcd]
    for name in names:
        stage.ground.kill(name, signal.SIGSTOP)

    def thaw() -> None:
        for name in names:
            stage.ground.kill(name, signal.SIGCONT)

    return Struck(
        f"SIGSTOP of {', '.join(names)} for {FREEZE_SECONDS:g} s",
        until=watched(FREEZE_SECONDS),
        heal=thaw,
        passed=lambda status: all(
            (one.election_age or 0) <= DEAF_SECONDS for one in status.members
        ),
    )
