"""Faults of the election: etcd that does not answer, is lost in part, or comes back empty."""

from __future__ import annotations

import shutil
import signal
import time

from naru.drill.crash import watched
from naru.drill.gaps import commits_within
from naru.drill.nodes import keep_away, lose
from naru.drill.stage import Stage
from naru.drill.standbys import others
from naru.drill.strike import Struck
from naru.drill.workload import Workload
from naru.postgres import connect, fetch_value
from naru.service import Member, ServiceStatus, read_keys, rejoin_election
from naru.service.switchover import DEAF_SECONDS

FREEZE_SECONDS = 18.0
AWAY_SECONDS = 8.0
BLIND_SECONDS = 20.0
GIVE_UP_SECONDS = 12.0
"""By then a primary that hears of neither the election nor all members has given up."""


def freeze_etcd(stage: Stage, primary: Member) -> Struck:
    """SIGSTOP of every etcd for 18 s: with the failsafe the primary stays, as all members
    tell it that they see it."""
    names = [one.name for one in stage.service.layout.etcd]
    stage.wounds.note("frozen")
    for name in names:
        stage.ground.kill(name, signal.SIGSTOP)
    return Struck(
        f"SIGSTOP of {', '.join(names)} for {FREEZE_SECONDS:g} s",
        until=watched(FREEZE_SECONDS),
        heal=stage.wounds.heal,
        passed=_hear_the_election,
    )


def _hear_the_election(status: ServiceStatus) -> bool:
    """All members have heard of it, and none goes by the failsafe any more: before that nobody
    could take over."""
    return not any(one.failsafe or (one.election_age or 0) > DEAF_SECONDS for one in status.members)


def lose_one(stage: Stage, primary: Member) -> Struck:
    """kill -9 of one etcd of three, which stays away for some seconds."""
    name = stage.service.layout.etcd[0].name
    stage.wounds.note("away", name)
    stage.ground.kill(name)
    keep_away(stage, name)
    return Struck(
        f"kill -9 of {name}, away for {AWAY_SECONDS:g} s",
        until=watched(AWAY_SECONDS),
        heal=stage.wounds.heal,
        passed=lambda status: all(one.healthy for one in status.etcd),
    )


def freeze_with_a_replica(stage: Stage, primary: Member, workload: Workload) -> Struck:
    """SIGSTOP of every etcd, and a standby lost: the failsafe cannot hear from all members."""
    frozen_at = time.time()
    stage.wounds.note("frozen")
    for one in stage.service.layout.etcd:
        stage.ground.kill(one.name, signal.SIGSTOP)
    lost = others(stage, primary)[0].name
    lose(stage, lost)
    over = watched(BLIND_SECONDS)

    def findings() -> tuple[str, ...]:
        late = frozen_at + GIVE_UP_SECONDS
        told = sum(1 for _ in commits_within(workload.folder, late, frozen_at + BLIND_SECONDS))
        return (f"{told} commits were told as done by a primary on its own",) if told else ()

    return Struck(
        f"SIGSTOP of every etcd for {BLIND_SECONDS:g} s, and {lost} killed",
        until=over,
        heal=stage.wounds.heal,
        passed=_hear_the_election,
        findings=findings,
    )


def wipe(stage: Stage, primary: Member) -> Struck:
    """Every etcd comes back with nothing in it, while the members run."""
    layout = stage.service.layout
    before, known = read_keys(layout), _systems(stage)
    for one in layout.etcd:
        stage.wounds.note("away", one.name)
        stage.ground.stop(one.name)
    for one in layout.etcd:
        shutil.rmtree(one.data / "member")
    # Not as they were placed: who joined an election that there was cannot begin one.
    stage.service.parts(layout).election.place()
    stage.wounds.heal()
    time.sleep(AWAY_SECONDS)
    rejoin_election(stage.ground, layout, primary.name)
    healed_at = time.time()

    def findings() -> tuple[str, ...]:
        after = read_keys(layout)
        lost = [
            key.rpartition("/")[2]
            for key in before
            if key.endswith(("/initialize", "/config")) and after.get(key) != before[key]
        ]
        return (
            *(() if _systems(stage) == known else ("a member has another system identifier",)),
            *((f"not as before in the election's store: {', '.join(lost)}",) if lost else ()),
        )

    return Struck(
        f"{', '.join(one.name for one in layout.etcd)} emptied",
        passed=lambda status: all(one.healthy for one in status.etcd) and _is_written_anew(stage),
        findings=findings,
        healed_at=healed_at,
    )


def _is_written_anew(stage: Stage) -> bool:
    keys = {key.rpartition("/")[2] for key in read_keys(stage.service.layout)}
    return {"initialize", "leader", "config"} <= keys


def _systems(stage: Stage) -> dict[str, str]:
    """Every member's system identifier: initdb makes a new one each time."""
    found = {}
    for one in stage.service.members():
        with connect(stage.service.member(one.name, "postgres"), purpose="drill") as connection:
            query = "SELECT system_identifier::text FROM pg_control_system()"
            found[one.name] = str(fetch_value(connection, query))
    return found
