"""Crashes of PostgreSQL processes: the primary's, a standby's, a single backend's."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Protocol

from naru.drill.stage import Stage
from naru.drill.strike import Scene, Struck, Watched, has_returned, measure
from naru.drill.verdict import DrillVerdict, Promise
from naru.drill.workload import Workload
from naru.errors import RefusedError
from naru.journal import Run
from naru.postgres import Dsn, connect, fetch_value
from naru.service import Member
from naru.system import SILENT, Observer

NAME = "kill-primary"
PROMISE = Promise(seconds=5.0)

WATCH_SECONDS = 5.0
"""How long a fault without an end of its own is watched: a failover would begin within this."""

_BACKEND = """
SELECT pid FROM pg_stat_activity
WHERE backend_type = 'client backend' AND usename = %s LIMIT 1
"""


class Victim(Watched, Protocol):
    """What is struck; `naru.service.Service` is one."""

    def kill_postmaster(self, name: str) -> int: ...


def kill_primary(
    victim: Victim,
    workload: Workload,
    ledger: Dsn,
    *,
    promise: Promise = PROMISE,
    run: Run | None = None,
    observer: Observer = SILENT,
) -> DrillVerdict:
    """Kill the primary while `workload` runs against it, and judge what its clients saw."""
    scene = Scene(victim, workload, ledger, run, observer)
    return measure(
        NAME, promise, scene, lambda primary: _kill(victim, primary.name), kind="drill.kill"
    )


def _kill(victim: Victim, name: str) -> Struck:
    pid = victim.kill_postmaster(name)
    return Struck(
        f"kill -9 of the postmaster of {name}, process {pid}",
        passed=lambda status: has_returned(status, name, pid),
    )


def strike_primary(stage: Stage, primary: Member) -> Struck:
    """kill -9 of the primary's postmaster."""
    return _kill(stage.service, primary.name)


def strike_standby(stage: Stage, primary: Member) -> Struck:
    """kill -9 of the postmaster of a standby that commits wait for."""
    return _kill(stage.service, synchronous_standby(stage))


def strike_backend(stage: Stage, primary: Member) -> Struck:
    """kill -9 of one backend: PostgreSQL then ends all of them and recovers from its log."""
    with connect(stage.service.member(primary.name, "postgres"), purpose="drill") as connection:
        pid = int(fetch_value(connection, _BACKEND, [stage.spec.service.user]))
    os.kill(pid, signal.SIGKILL)
    return Struck(f"kill -9 of a backend of {primary.name}, process {pid}", until=watched())


def synchronous_standby(stage: Stage) -> str:
    """A standby that commits wait for. Raises RefusedError if there is none."""
    for one in stage.service.status().members:
        if one.role in {"sync_standby", "quorum_standby"}:
            return one.name
    raise RefusedError("there is no synchronous standby to strike")


def watched(seconds: float = WATCH_SECONDS) -> Callable[[], bool]:
    """True once `seconds` have passed from now."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end
