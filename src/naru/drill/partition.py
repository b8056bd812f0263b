"""Lines cut between hosts: by filters on the sockets at both ends, so that packets are lost.

Each host of the ground speaks from its own address, so a listener can tell who calls.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from naru.drill import deaf
from naru.drill.gaps import commits_within
from naru.drill.nodes import another_leads, lose, postgres_processes
from naru.drill.stage import Stage
from naru.drill.standbys import SETTLED_SECONDS, STILL_SECONDS, others
from naru.drill.strike import Struck, has_returned
from naru.drill.workload import Workload
from naru.ground import REST_PORT, processes_of
from naru.service import Member
from naru.system import arguments_of

CUT_SECONDS = 30.0
"""Longer than a lease: whoever may take over from one that is cut off would have done so."""


def from_etcd(stage: Stage, primary: Member) -> Struck:
    """Nothing passes between the primary's host and the election's."""
    stage.wounds.note("cut")
    etcd = {one.address for one in stage.service.layout.etcd}
    _cut(stage, primary, etcd, _etcd_pids(stage), _etcd_port(stage))
    end = time.monotonic() + CUT_SECONDS
    return Struck(
        f"all lines cut between {primary.name} and {', '.join(_etcd_names(stage))}",
        until=lambda: time.monotonic() > end,
        heal=stage.wounds.heal,
    )


def half_deaf(stage: Stage, primary: Member) -> Struck:
    """What the primary's host says is heard; what it is told, by the election's hosts and by
    the other members, never arrives."""
    stage.wounds.note("cut")
    etcd = {one.address for one in stage.service.layout.etcd}
    members = {(one.address, REST_PORT) for one in others(stage, primary)}
    speaks = _patroni_pids(stage, primary.name)
    deaf.deafen(
        speaks,
        lambda line: line.peer is not None and (line.peer[0] in etcd or line.peer in members),
    )
    # A new line would be heard at both ends: there is to be none.
    deaf.refuse(_etcd_pids(stage), _etcd_port(stage), [primary.address])
    for one in others(stage, primary):
        deaf.refuse(_patroni_pids(stage, one.name), REST_PORT, [primary.address])
    end = time.monotonic() + CUT_SECONDS
    return Struck(
        f"{primary.name} is heard by the election and the other members, and hears neither",
        until=lambda: time.monotonic() > end,
        heal=stage.wounds.heal,
    )


def from_replicas(stage: Stage, primary: Member, workload: Workload) -> Struck:
    """Nothing passes between the primary's server and its standbys; then the primary dies."""
    stage.wounds.note("cut")
    standbys = others(stage, primary)
    server = (primary.address, primary.port)
    theirs = [pid for one in standbys for pid in postgres_processes(one)]
    ends = {line.here for line in deaf.lines_of(theirs) if line.peer == server}
    own = postgres_processes(primary)
    # Sessions of clients come from the endpoint's address; standbys from none in particular.
    deaf.refuse(own, primary.port, ["127.0.0.1"])
    deaf.deafen(own, lambda line: line.peer in ends)
    deaf.deafen(theirs, lambda line: line.peer == server)
    cut_at = time.time() + SETTLED_SECONDS
    time.sleep(SETTLED_SECONDS + STILL_SECONDS)
    told = sum(1 for _ in commits_within(workload.folder, cut_at, time.time()))
    killed = primary.pid or 0
    lose(stage, primary.name)
    stage.wounds.heal("cut")
    return Struck(
        f"all lines cut between {primary.name} and its standbys; then it is killed",
        until=another_leads(stage, primary.name),
        heal=stage.wounds.heal,
        passed=lambda status: has_returned(status, primary.name, killed),
        findings=lambda: (f"{told} commits were told as done that no standby had",) if told else (),
        details={"cut_connections": len(ends)},
    )


def _cut(
    stage: Stage, member: Member, there: set[str], their_pids: Iterable[int], port: int
) -> None:
    """Both directions, old connections and new ones, between a member's Patroni and others."""
    pids = list(their_pids)
    deaf.refuse(pids, port, [member.address])
    deaf.deafen(pids, lambda line: line.peer is not None and line.peer[0] == member.address)
    deaf.deafen(
        _patroni_pids(stage, member.name),
        lambda line: line.peer is not None and line.peer[0] in there,
    )


def _patroni_pids(stage: Stage, name: str) -> list[int]:
    """What speaks for a member: its Patroni, and nothing of its server."""
    own = {pid for pid in (stage.ground.pid(name),) if pid is not None}
    config = str(next(one.config for one in stage.service.layout.nodes if one.name == name))
    for pid in processes_of(stage.ground.folder):
        if config in arguments_of(pid):
            own.add(pid)
    return sorted(own)


def _etcd_pids(stage: Stage) -> list[int]:
    found = (stage.ground.pid(name) for name in _etcd_names(stage))
    return [pid for pid in found if pid is not None]


def _etcd_names(stage: Stage) -> list[str]:
    return [one.name for one in stage.service.layout.etcd]


def _etcd_port(stage: Stage) -> int:
    return stage.service.layout.etcd[0].client_port
