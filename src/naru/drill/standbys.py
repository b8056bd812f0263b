"""Faults of standbys: all dead, deaf to the primary, standing still."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterable

from naru.drill.gaps import commits_within
from naru.drill.nodes import another_leads, lose, postgres_processes, signal_all
from naru.drill.stage import Stage
from naru.drill.strike import Struck, has_returned
from naru.drill.workload import Workload
from naru.errors import DeadlineError, NaruError, UsageError
from naru.postgres import Lsn, connect, fetch_all, fetch_value
from naru.service import Member
from naru.system import arguments_of, wait_until

PATIENCE_SECONDS = 30.0
SETTLED_SECONDS = 1.0
"""After this nothing is under way any more that was sent before the fault."""

STILL_SECONDS = 4.0
"""How long it is watched that nothing is acknowledged."""

_WAITING = """
SELECT pid FROM pg_stat_activity WHERE usename = %s AND wait_event = 'SyncRep'
"""
_WRITE = "SELECT pg_logical_emit_message(false, 'naru', repeat('x', 1000000)) IS NOT NULL"
_MEGABYTES = 24
"""More than a standby may be behind and still be read."""


def others(stage: Stage, primary: Member) -> list[Member]:
    """All members but the primary."""
    return [one for one in stage.service.members() if one.name != primary.name]


def lose_standbys(stage: Stage, primary: Member, workload: Workload) -> Struck:
    """kill -9 of every standby with its Patroni; one comes back, and then the others."""
    names = [one.name for one in others(stage, primary)]
    for name in names:
        lose(stage, name)
    gone_at = time.time() + SETTLED_SECONDS
    said = _wait(lambda: _says_that_writes_wait(stage), "the status to say that writes wait")
    time.sleep(max(0.0, gone_at + STILL_SECONDS - time.time()))
    acknowledged = sum(1 for _ in commits_within(workload.folder, gone_at, time.time()))
    one_back, before = time.time(), workload.status.acknowledged
    stage.wounds.heal("away", names[0])
    on_with_one = _wait(lambda: workload.status.acknowledged > before, "commits to go on")
    again = time.time()
    stage.wounds.heal()
    findings = (
        *(() if said else ("the status did not say that writes wait, and why",)),
        *((f"{acknowledged} commits were acknowledged by nobody but the primary",)
          if acknowledged else ()),
        *(() if on_with_one else ("writes did not go on with one standby back",)),
    )  # fmt: skip
    return Struck(
        f"kill -9 of Patroni and PostgreSQL of {' and '.join(names)}",
        findings=lambda: findings,
        details={"on_with_one_back_seconds": round(again - one_back, 2), "said": said},
        healed_at=one_back,
    )


def _says_that_writes_wait(stage: Stage) -> str | None:
    protection = stage.service.status().protection
    said = protection.level == "none" and "writes wait" in protection.sentence.lower()
    return protection.sentence if said else None


def cancel_the_wait(stage: Stage, primary: Member, workload: Workload) -> Struck:
    """Standbys hear nothing, and the commits that wait for them are cancelled."""
    began = time.time()
    _deafen_standbys(stage, primary)
    cancelled = 0

    def told() -> bool:
        nonlocal cancelled
        cancelled += _cancel_waiting(stage, primary)
        return workload.status.reasons.get("sync-wait-cut", 0) > 0

    _wait(told, "a client to be told that its wait was cut", every=0.5)
    quiet = sum(1 for _ in commits_within(workload.folder, began + SETTLED_SECONDS, time.time()))
    unknown = workload.status.reasons.get("sync-wait-cut", 0)
    findings = (
        *(() if unknown else ("no client was told that its commit may not be on a standby",)),
        *((f"{quiet} commits were told as done while no standby heard of them",) if quiet else ()),
    )
    return Struck(
        f"{cancelled} waits for a standby cancelled at {primary.name}",
        heal=stage.wounds.heal,
        findings=lambda: findings,
        details={"cancelled": cancelled, "told_as_unknown": unknown},
    )


def _cancel_waiting(stage: Stage, primary: Member) -> int:
    with connect(stage.service.member(primary.name, "postgres"), purpose="drill") as connection:
        waiting = fetch_all(connection, _WAITING, [stage.spec.service.user])
        for (pid,) in waiting:
            fetch_value(connection, "SELECT pg_cancel_backend(%s)", [pid])
    return len(waiting)


def return_of_the_old(stage: Stage, primary: Member) -> Struck:
    """A primary dies with WAL that no standby has, and comes back when another leads."""
    name, postmaster = primary.name, primary.pid or 0
    trunk = (primary.data / "base").stat().st_ino
    # What a standby has received but not read yet would reach it still: nothing is to be sent.
    stage.wounds.note("frozen")
    senders = list(titled(primary, "walsender"))
    signal_all(senders, signal.SIGSTOP)
    time.sleep(SETTLED_SECONDS)
    alone = _bytes_that_only_it_has(stage, primary)
    lose(stage, name)
    signal_all(senders, signal.SIGKILL)
    stage.wounds.heal("frozen")
    leads = another_leads(stage, name)
    details: dict[str, object] = {"only_there_bytes": alone}

    def findings() -> tuple[str, ...]:
        kept = (primary.data / "base").stat().st_ino == trunk
        details["came_back_by"] = "rewinding" if kept else "a new copy"
        return () if alone > 0 else ("it had nothing that the others lacked",)

    return Struck(
        f"kill -9 of Patroni and PostgreSQL of {name}, which has {alone} bytes of WAL alone",
        until=leads,
        heal=stage.wounds.heal,
        passed=lambda status: has_returned(status, name, postmaster),
        findings=findings,
        details=details,
    )


def _bytes_that_only_it_has(stage: Stage, primary: Member) -> int:
    with connect(stage.service.member(primary.name, "postgres"), purpose="drill") as connection:
        end = Lsn.parse(fetch_value(connection, "SELECT pg_current_wal_flush_lsn()::text"))
    arrived = []
    for one in others(stage, primary):
        with connect(stage.service.member(one.name, "postgres"), purpose="drill") as connection:
            text = fetch_value(connection, "SELECT pg_last_wal_receive_lsn()::text")
            arrived.append(Lsn.parse(text))
    return end - max(arrived)


def stop_replay(stage: Stage, primary: Member) -> Struck:
    """A standby receives and does not apply: what replays there is frozen.

    To pause replay would not do: Patroni lets it go on within a second.
    """
    standby = others(stage, primary)[0]
    name, replaying = standby.name, list(titled(standby, "startup"))
    if not replaying:
        raise UsageError(f"nothing replays WAL at {name}", remedy="see `naru service status`")
    stage.wounds.note("frozen")
    signal_all(replaying, signal.SIGSTOP)
    stopped_at, details = time.time(), {"member": name}
    with connect(stage.service.writer("postgres"), purpose="drill") as connection:
        for _ in range(_MEGABYTES):
            fetch_value(connection, _WRITE)
    left = _wait(lambda: name not in _read_nodes(stage), f"{name} to leave the read endpoint")
    figures = {**details, "left_after_seconds": round(time.time() - stopped_at, 2)}
    return Struck(
        f"replay stopped at {name}",
        heal=stage.wounds.heal,
        passed=lambda _: name in _read_nodes(stage),
        findings=lambda: () if left else (f"reads were still led to {name}",),
        details=figures,
    )


def _read_nodes(stage: Stage) -> tuple[str, ...]:
    found = [one.nodes for one in stage.service.status().endpoints if one.purpose == "reads"]
    return found[0] if found else ()


def _deafen_standbys(stage: Stage, primary: Member) -> None:
    """SIGSTOP of what receives WAL at every standby."""
    stage.wounds.note("frozen")
    for one in others(stage, primary):
        signal_all(titled(one, "walreceiver"), signal.SIGSTOP)


def titled(member: Member, what: str) -> Iterable[int]:
    """The processes of a member's PostgreSQL that call themselves `what`."""
    for pid in postgres_processes(member):
        with contextlib.suppress(ProcessLookupError):
            if what in " ".join(arguments_of(pid)):
                yield pid


def _wait(probe: Callable[[], object], what: str, *, every: float = 0.1) -> object:
    """What the probe gave; None when it gave nothing in time."""
    with contextlib.suppress(DeadlineError, NaruError):
        return wait_until(probe, what, PATIENCE_SECONDS, every=every)
    return None
