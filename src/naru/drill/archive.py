"""Faults of backups: a backup host that takes no WAL, a backup cut off, WAL that is missing,
and a way back across a failover."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg

from naru.backup import Backups, Beside, Target, target_of
from naru.drill.nodes import another_leads
from naru.drill.stage import Stage
from naru.drill.strike import AFTER_COMMITS, Struck, has_returned, wait_for_commits
from naru.drill.workload import Workload
from naru.errors import DeadlineError, NaruError, RefusedError
from naru.ground import open_ground, processes_of
from naru.postgres import Dsn, connect, fetch_all, fetch_one, fetch_value
from naru.service import BACKUP_SLOT, Member, Service, read_keys
from naru.spec import Spec
from naru.system import arguments_of, wait_until

INSTANCE = "drill"
KEPT_MB = 32
"""What slots may keep of WAL during the drill, so that the bound is met within seconds."""

_WRITTEN_MB = 176
"""More than a primary keeps anyway: Patroni's 128 MB (wal_keep_size)."""

_BREATH = 0.02
"""Between two megabytes, so that others get to the disk."""

_PATIENCE = 60.0
_LIMIT = "max_slot_wal_keep_size"
_WRITE = "SELECT pg_logical_emit_message(false, 'naru', repeat('x', 1000000)) IS NOT NULL"
_SLOT = """
SELECT coalesce(wal_status, 'lost'), coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)
FROM pg_replication_slots WHERE slot_name = %s
"""
_MAKE_MARKS = """
DROP TABLE IF EXISTS naru_drill_marks;
CREATE TABLE naru_drill_marks (n int PRIMARY KEY);
"""
_INSERT_MARK = "INSERT INTO naru_drill_marks VALUES (%s) ON CONFLICT DO NOTHING"
_DROP_MARKS = "DROP TABLE naru_drill_marks"


def backups_of(stage: Stage) -> Backups:
    """The backup host, with a backup that this moment can be restored from."""
    backups = Backups(stage.spec, stage.ground, stage.service)
    if not leads_to_now(backups):
        # After a gap the schedule takes one by itself, and there is one at a time.
        with contextlib.suppress(NaruError):
            backups.take(observer=stage.observer)
        wait_until(lambda: leads_to_now(backups), "a backup that leads to now", _PATIENCE)
    return backups


def leads_to_now(backups: Backups) -> bool:
    """Whether this moment can be restored from what is on the backup host."""
    with contextlib.suppress(NaruError, OSError):
        backups.plan(target_of(latest=True))
        return True
    return False


def fill_archive(stage: Stage, primary: Member) -> Struck:
    """The backup host takes no WAL any more, as with a full disk, while much is written."""
    backups = backups_of(stage)
    _limit_slots(stage, primary)
    receivers = [pid for pid in _environment(stage) if "pg_receivewal" in arguments_of(pid)[0]]
    stage.wounds.note("frozen")
    for pid in receivers:
        os.kill(pid, signal.SIGSTOP)
    most = 0
    with connect(stage.service.member(primary.name, "postgres"), purpose="drill") as connection:
        for number in range(_WRITTEN_MB):
            fetch_value(connection, _WRITE)
            if number % 16 == 15:
                most = max(most, int(fetch_one(connection, _SLOT, [BACKUP_SLOT])[1]))
            time.sleep(_BREATH)

        def given_up() -> bool:
            connection.execute("CHECKPOINT")
            return bool(fetch_one(connection, _SLOT, [BACKUP_SLOT])[0] == "lost")

        with contextlib.suppress(DeadlineError):
            # What summarizes WAL for incremental backups keeps it until it has read it.
            wait_until(given_up, "the slot to be given up", _PATIENCE, every=1)
        state, _ = fetch_one(connection, _SLOT, [BACKUP_SLOT])
        size = int(fetch_value(connection, "SELECT sum(size) FROM pg_ls_waldir()"))
    gap = backups.gap()
    failed = [name for name, one in backups.barman.check().items() if one["status"] != "OK"]
    findings = (
        *(() if state == "lost" else (f"the slot keeps WAL without a bound (it is {state})",)),
        *(() if failed and not gap.closed else ("`naru service backup check` saw nothing wrong",)),
    )
    return Struck(
        f"SIGSTOP of what receives WAL, and {_WRITTEN_MB} MB written",
        heal=stage.wounds.heal,
        passed=lambda _: _arrives(backups),
        findings=lambda: findings,
        details={
            "kept_most_bytes": most,
            "wal_folder_bytes": size,
            "gap_then_bytes": gap.bytes,
            "alarms": failed,
        },
    )


def _limit_slots(stage: Stage, primary: Member) -> None:
    keys = read_keys(stage.service.layout)
    kept = next(value for key, value in keys.items() if key.endswith("/config"))
    stage.wounds.note("settings", kept)
    change = {"postgresql": {"parameters": {_LIMIT: f"{KEPT_MB}MB"}}}
    stage.service.command(primary.name, "PATCH", "/config", change, seconds=10)

    def in_force() -> bool:
        with connect(stage.service.member(primary.name, "postgres"), purpose="drill") as line:
            return bool(fetch_value(line, f"SHOW {_LIMIT}") == f"{KEPT_MB}MB")

    wait_until(in_force, f"{_LIMIT} of {KEPT_MB} MB", _PATIENCE)


def _arrives(backups: Backups) -> bool:
    with contextlib.suppress(NaruError, OSError):
        return backups.gap().closed and leads_to_now(backups)
    return False


def cut_off_backup(stage: Stage, primary: Member, workload: Workload) -> Struck:
    """kill -9 of everything that takes a backup, in the middle of it."""
    backups = backups_of(stage)
    before = {one.id for one in backups.catalogue()}
    child = multiprocessing.get_context("spawn").Process(
        target=_take_in_a_process, args=(stage.spec, stage.ground.folder)
    )
    child.start()
    killed = 0
    try:
        killed = wait_until(
            lambda: _kill_backup(stage), "a backup under way", _PATIENCE, every=0.005
        )
    finally:
        child.kill()
        child.join()
    cut = [one for one in backups.catalogue() if one.id not in before]
    began = time.monotonic()
    end = time.time()
    wait_for_commits(workload, 1, _PATIENCE)
    findings, restored = _restored_ledger(stage, backups, workload, end)
    for one in cut:
        backups.barman.delete(one.id)
    whole = [one.id for one in cut if one.whole]
    findings = (*findings, *(("the backup that was cut off is called whole",) if whole else ()))
    return Struck(
        f"kill -9 of {killed} processes in the middle of a backup",
        findings=lambda: findings,
        details={"restored_from": restored, "restore_seconds": round(time.monotonic() - began, 2)},
    )


def _take_in_a_process(spec: Spec, folder: Path) -> None:
    ground = open_ground(spec, folder)
    with contextlib.suppress(NaruError):
        Backups(spec, ground, Service(spec, ground)).take()


def _kill_backup(stage: Stage) -> int:
    """Kill what takes a base backup just now, with Barman above it; how many there were."""
    words = {pid: arguments_of(pid) for pid in _environment(stage)}
    if not any(said and said[0].endswith("pg_basebackup") for said in words.values()):
        return 0
    taking = [pid for pid, said in words.items() if _takes(said)]
    for pid in taking:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(taking)


def _takes(said: Sequence[str]) -> bool:
    is_barman = any(word.endswith("/barman") for word in said) and "backup" in said
    return is_barman or bool(said and said[0].endswith("pg_basebackup"))


def _restored_ledger(
    stage: Stage, backups: Backups, workload: Workload, end: float
) -> tuple[tuple[str, ...], str]:
    """Restore beside to this moment; what of the ledger up to `end` is not there."""
    plan = backups.plan(target_of(latest=True))
    with _beside(stage, backups, plan.target) as instance:
        verdict = workload.judge(instance, end=end)
    lost = verdict.lost + verdict.duplicated
    found = (f"{lost} acknowledged rows are not in what was restored",) if lost else ()
    return found, plan.backup.id


def across_timelines(stage: Stage, primary: Member, workload: Workload) -> Struck:
    """A failover, rows before and after it, and a restore to a moment after it."""
    backups, owner = backups_of(stage), stage.service.writer()
    with connect(owner, purpose="drill") as connection:
        connection.execute(_MAKE_MARKS)
    _mark(owner, 1, 40)
    struck_at = time.time()
    killed = stage.service.kill_postmaster(primary.name)
    leads = another_leads(stage, primary.name)
    wait_until(leads, "another primary", _PATIENCE)
    wait_until(lambda: _can_mark(owner), "writes to work", _PATIENCE)
    wait_for_commits(workload, AFTER_COMMITS, _PATIENCE)
    again_at = time.time()
    position = _mark(owner, 42, 60)
    _mark(owner, 61, 80)
    began = time.monotonic()
    target = target_of(lsn=position)
    with _beside(stage, backups, target) as instance:
        with connect(instance, purpose="drill") as connection:
            there = {row[0] for row in fetch_all(connection, "SELECT n FROM naru_drill_marks")}
    with connect(owner, purpose="drill") as connection:
        connection.execute(_DROP_MARKS)
    wanted = set(range(1, 61))
    wrong = len(there ^ wanted)
    return Struck(
        f"kill -9 of the postmaster of {primary.name}, and a restore to {position} behind it",
        passed=lambda status: has_returned(status, primary.name, killed),
        findings=lambda: (f"{wrong} rows are wrong of those at the target",) if wrong else (),
        details={"rows": len(there), "restore_seconds": round(time.monotonic() - began, 2)},
        at=struck_at,
        until_again=again_at,
    )


def _mark(owner: Dsn, first: int, last: int) -> str:
    """Commit a row for each number; the position when the last one was."""
    with connect(owner, purpose="drill") as connection:
        for number in range(first, last + 1):
            # One whose answer was lost may be there already.
            connection.execute(_INSERT_MARK, [number])
        return str(fetch_value(connection, "SELECT pg_current_wal_lsn()::text"))


def _can_mark(owner: Dsn) -> bool:
    # A member that is being promoted is led to already, and still takes no writes.
    with contextlib.suppress(NaruError, psycopg.Error):
        _mark(owner, 41, 41)
        return True
    return False


def lose_segment(stage: Stage, primary: Member) -> Struck:
    """A piece of WAL is gone from the archive: what lies behind it must not be restored."""
    backups = backups_of(stage)
    name, path = _segment_behind_a_backup(stage, backups)
    aside = backups.store.home / "drill-aside"
    stage.wounds.note("moved", str(path), str(aside))
    path.replace(aside)
    refusal = ""
    try:
        backups.plan(target_of(latest=True))
    except RefusedError as error:
        refusal = error.message
    stage.wounds.heal()
    healed_at = time.time()
    possible = backups.plan(target_of(latest=True))
    findings = (
        *(() if refusal else ("a restore across the gap was not refused",)),
        *(() if not refusal or name in refusal else (f"the refusal does not name {name}",)),
    )
    return Struck(
        f"WAL segment {name} taken away",
        findings=lambda: findings,
        details={"segment": name, "said": refusal, "from_backup_afterwards": possible.backup.id},
        healed_at=healed_at,
    )


def _segment_behind_a_backup(stage: Stage, backups: Backups) -> tuple[str, Path]:
    """One that has whole ones behind it; its name and its file."""
    newest = [one for one in backups.catalogue() if one.whole and one.end_lsn is not None][-1]
    assert newest.end_lsn is not None
    for _ in range(2):
        with connect(stage.service.writer("postgres"), purpose="drill") as connection:
            connection.execute("SELECT pg_switch_wal()")
            connection.execute("SELECT pg_logical_emit_message(true, 'naru', 'drill')")

    def found() -> tuple[str, Path] | None:
        inventory = backups.inventory()
        last = newest.end_lsn // inventory.size if newest.end_lsn is not None else 0
        behind = sorted(
            one for one in inventory.paths
            if one.number > last and not inventory.paths[one].name.endswith(".partial")
        )  # fmt: skip
        in_archive = [one for one in behind if backups.store.wals in inventory.paths[one].parents]
        if not in_archive:
            return None
        return in_archive[0].name(inventory.size), inventory.paths[in_archive[0]]

    return wait_until(found, "a segment in the archive behind the newest backup", _PATIENCE)


@contextlib.contextmanager
def _beside(stage: Stage, backups: Backups, target: Target) -> Iterator[Dsn]:
    """An instance restored to `target` beside the service; taken away afterwards."""
    beside = Beside(stage.spec, stage.ground, stage.service, backups)
    stage.wounds.note("restored", INSTANCE)
    try:
        beside.restore(backups.plan(target), INSTANCE, observer=stage.observer)
        yield beside.dsn(INSTANCE)
    finally:
        stage.wounds.heal("restored", INSTANCE)


def _environment(stage: Stage) -> list[int]:
    return [pid for pid in processes_of(stage.ground.folder) if arguments_of(pid)]
