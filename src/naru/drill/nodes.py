"""Faults of a whole node: lost, frozen, coming back; and of its Patroni alone."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path

from naru.drill.crash import watched
from naru.drill.stage import Stage
from naru.drill.strike import Struck, has_returned
from naru.errors import UsageError
from naru.service import Member
from naru.system import wait_until

LEASE_SECONDS = 25.0
"""Longer than the lease of a primary (Patroni's ttl of 20 s): a failover would have begun."""

_STOP_SECONDS = 30.0


def strike_node(stage: Stage, primary: Member) -> Struck:
    """kill -9 of Patroni and PostgreSQL together; both stay away until another member leads."""
    name, postmaster = primary.name, primary.pid or 0
    lose(stage, name)
    return Struck(
        f"kill -9 of Patroni and PostgreSQL of {name}",
        until=another_leads(stage, name),
        heal=stage.wounds.heal,
        passed=lambda status: has_returned(status, name, postmaster),
    )


def strike_patroni(stage: Stage, primary: Member) -> Struck:
    """kill -9 of the primary's Patroni, which its supervisor starts again."""
    killed = stage.ground.kill(primary.name)
    return Struck(
        f"kill -9 of Patroni of {primary.name}, process {killed}",
        until=watched(LEASE_SECONDS),
        passed=lambda status: stage.ground.pid(primary.name) not in {None, killed},
    )


def freeze_primary(stage: Stage, primary: Member) -> Struck:
    """SIGSTOP of all PostgreSQL processes of the primary, until another member leads."""
    frozen = postgres_processes(primary)
    stage.wounds.note("frozen")
    signal_all(frozen, signal.SIGSTOP)
    return Struck(
        f"SIGSTOP of {len(frozen)} processes of PostgreSQL at {primary.name}",
        until=another_leads(stage, primary.name),
        heal=stage.wounds.heal,
        passed=lambda status: status.primary is not None and status.primary.name != primary.name,
    )


def lose(stage: Stage, name: str) -> None:
    """kill -9 of a member's Patroni and PostgreSQL together; it stays away until it is healed."""
    stage.wounds.note("away", name)
    stage.ground.kill(name)
    stage.service.kill_postmaster(name)
    keep_away(stage, name)


def another_leads(stage: Stage, name: str) -> Callable[[], bool]:
    """True once a member other than `name` is where writes go."""

    def leads() -> bool:
        nodes = stage.service.write_nodes()
        return bool(nodes) and name not in nodes

    return leads


def postgres_processes(member: Member) -> list[int]:
    """The postmaster of `member` and all its children. Raises UsageError if it does not run."""
    if member.pid is None:
        raise UsageError(f"no postmaster runs for {member.name}")
    children = [pid for pid in _all() if _parent(pid) == member.pid]
    return [member.pid, *children]


def keep_away(stage: Stage, name: str) -> None:
    """The supervisor would start it again at once, as it should: stop it, whatever state it
    is in just now."""

    def stopped() -> bool:
        stage.ground.stop(name)
        states = {one.name: one.state for one in stage.ground.status().programs}
        return states.get(name) == "stopped"

    wait_until(stopped, f"{name} to stay away", _STOP_SECONDS, every=0.05)


def signal_all(processes: Iterable[int], how: signal.Signals) -> None:
    """Send a signal to each that still is there."""
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)


def _all() -> Iterable[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _parent(pid: int) -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        stat = Path(f"/proc/{pid}/stat").read_text()
        return int(stat.rpartition(")")[2].split()[1])
    return None
