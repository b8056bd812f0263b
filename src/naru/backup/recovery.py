"""Recovery of a laid-down backup, watched: how far it is, and what is left."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from pathlib import Path

from naru.backup.manager import Backups, folder_size
from naru.backup.plan import RestorePlan
from naru.errors import NaruError
from naru.ground import Ground
from naru.postgres import Dsn, Lsn, connect, fetch_value
from naru.system import SILENT, Observer

COPY_SECONDS = 24 * 3600.0
RECOVERY_SECONDS = 24 * 3600.0

# What recovery was told; it must not reach the standbys that are copied from this server.
_TOLD = (
    "restore_command", "recovery_target_time", "recovery_target_lsn", "recovery_target_xid",
    "recovery_target_name", "recovery_target_inclusive", "recovery_target_timeline",
    "recovery_target_action",
)  # fmt: skip


def lay_down(
    backups: Backups, plan: RestorePlan, folder: Path, observer: Observer = SILENT
) -> None:
    """Copy the plan's backup to `folder`, ready to recover to its target."""
    fetch = f"/bin/sh {backups.keeping.fetch_program} %f %p"
    target = plan.target.words()
    with ThreadPoolExecutor(max_workers=1) as pool:
        work = pool.submit(
            backups.barman.restore,
            plan.backup.id, str(folder), target, plan.timeline, fetch, seconds=COPY_SECONDS,
        )  # fmt: skip
        while True:
            with contextlib.suppress(NotYet):
                work.result(timeout=0.5)
                break
            done = min(folder_size(folder), plan.size - 1)
            observer.progress("base backup", max(0, done), plan.size, "bytes")
    observer.progress("base backup", plan.size, plan.size, "bytes")


def watch(
    ground: Ground, program: str, server: Dsn, plan: RestorePlan, observer: Observer = SILENT
) -> None:
    """Wait until recovery has come to its target and the server takes writes.

    Raises ProcessError or DeadlineError with the server's last words when it does not.
    """
    total = max(plan.replay, 1)

    def recovered() -> bool:
        state = recovery_of(server)
        if state is None:
            return False
        in_recovery, replayed = state
        if in_recovery and plan.backup.begin_lsn is not None and replayed is not None:
            done = min(max(0, replayed - plan.backup.begin_lsn), total - 1)
            observer.progress("WAL replayed", done, total, "bytes")
        return not in_recovery

    ground.wait(program, recovered, f"recovery to {plan.target.sentence}", RECOVERY_SECONDS)
    observer.progress("WAL replayed", total, total, "bytes")


def recovery_of(server: Dsn) -> tuple[bool, Lsn | None] | None:
    """Whether `server` is in recovery, and what it has replayed; None when it does not answer."""
    try:
        with connect(server, purpose="restore", seconds=2) as connection:
            if not fetch_value(connection, "SELECT pg_is_in_recovery()"):
                return False, None
            replayed = fetch_value(connection, "SELECT pg_last_wal_replay_lsn()")
    except NaruError:
        return None
    return True, Lsn.parse(str(replayed)) if replayed else None


def forget_recovery(server: Dsn) -> None:
    """Take away what recovery was told, once it is over."""
    with connect(server, purpose="restore") as connection:
        for name in _TOLD:
            connection.execute(f"ALTER SYSTEM RESET {name}")
        connection.execute("SELECT pg_reload_conf()")
