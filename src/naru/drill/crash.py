"""The fault `kill-primary`: kill -9 of the primary's postmaster, under load."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

from naru.drill.gaps import Gap, commits_within
from naru.drill.keep import keep_commits
from naru.drill.ledger import LedgerVerdict
from naru.drill.verdict import DrillVerdict, FaultFacts, Promise, decide
from naru.drill.workload import Workload
from naru.errors import DeadlineError, NaruError, RefusedError
from naru.journal import Run
from naru.postgres import Dsn
from naru.service import Member, ServiceStatus
from naru.system import SILENT, Observer, wait_until

NAME = "kill-primary"
PROMISE = Promise(seconds=5.0)

WARM_UP_COMMITS = 200
AFTER_COMMITS = 100
"""Commits to see before the fault, and after all is whole again."""

WHOLE_SECONDS = 30.0
RECOVERY_SECONDS = 90.0
WARM_UP_SECONDS = 30.0
CLOSE_LOOK_SECONDS = 2.0
"""How much before the fault and after the recovery is kept commit by commit."""


class Victim(Protocol):
    """What is struck; `naru.service.Service` is one."""

    def status(self) -> ServiceStatus: ...

    def primary(self) -> Member: ...

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
    """Kill the primary while `workload` runs against it, and judge what its clients saw.

    `ledger` reaches the workload's database for writing, wherever the primary is. Raises
    RefusedError if the service is not whole to begin with. Events and figures go to `run`.
    """
    _must_be_whole(victim)
    since = time.time()
    _wait_for_commits(workload, WARM_UP_COMMITS, WARM_UP_SECONDS)
    before = victim.primary()
    observer.note(f"kill -9 of the postmaster of {before.name}")
    struck_at = time.time()
    pid = victim.kill_postmaster(before.name)
    _note(run, "drill.kill", f"kill -9 of {before.name}, process {pid}", at=struck_at)
    whole_at = _wait_until_whole(victim, workload, before.name, pid)
    facts = _facts(workload, ledger, victim, before, since, struck_at, whole_at)
    verdict = decide(NAME, promise, facts)
    if run is not None:
        _keep(run, verdict, facts)
        until = (facts.first_commit or time.time()) + CLOSE_LOOK_SECONDS
        keep_commits(run, workload.folder, NAME, struck_at - CLOSE_LOOK_SECONDS, until)
    return verdict


def is_whole(status: ServiceStatus) -> bool:
    """True if there is one primary, all others stream, and one of them synchronously."""
    if status.primary is None or not any(e.up for e in status.endpoints if e.purpose == "writes"):
        return False
    others = [one for one in status.members if one.name != status.primary.name]
    return all(one.state == "streaming" for one in others) and any(
        one.role in {"sync_standby", "quorum_standby"} for one in others
    )


def has_returned(status: ServiceStatus, name: str, killed: int) -> bool:
    """True once member `name` has another postmaster than the killed one.

    For some moments after the kill the member's own word is still that all is well.
    """
    return any(one.name == name and one.pid not in {None, killed} for one in status.members)


def recovery(folder: Path, struck_at: float, end: float, silence: Gap | None) -> float | None:
    """When writes worked again: the first acknowledged commit that began after the fault and
    ended when the longest silence was over.

    Backends outlive their postmaster for some milliseconds, and what they still
    acknowledge is no recovery.
    """
    if silence is None or not silence.closed:
        return None
    after = commits_within(folder, max(struck_at, silence.end), end)
    return next((record.done for record in after if record.began > struck_at), None)


def _must_be_whole(victim: Victim) -> None:
    """Give a service that has just come up the time to arrange itself."""
    try:
        wait_until(lambda: is_whole(victim.status()), "the service to be whole", WHOLE_SECONDS)
    except DeadlineError as error:
        status = victim.status()
        raise RefusedError(
            f"cluster {status.cluster} is not whole, so a fault now would measure something else:"
            f" {status.protection.sentence}",
            remedy="see `naru service status`, and wait until every member follows",
        ) from error


def _wait_for_commits(workload: Workload, more: int, seconds: float) -> None:
    wanted = workload.status.acknowledged + more
    wait_until(lambda: workload.status.acknowledged >= wanted, f"{more} commits", seconds)


def _wait_until_whole(victim: Victim, workload: Workload, name: str, killed: int) -> float | None:
    """When the service was whole again with clients at work; None if it was not in time."""

    def whole() -> float | None:
        status = victim.status()
        return time.time() if has_returned(status, name, killed) and is_whole(status) else None

    try:
        at = wait_until(whole, "the service to be whole again", RECOVERY_SECONDS)
        _wait_for_commits(workload, AFTER_COMMITS, RECOVERY_SECONDS)
    except DeadlineError:
        return None
    return at


def _facts(
    workload: Workload,
    ledger: Dsn,
    victim: Victim,
    before: Member,
    since: float,
    struck_at: float,
    whole_at: float | None,
) -> FaultFacts:
    end = time.time()
    silence = workload.longest_gap(struck_at, end)
    primary = victim.status().primary
    folder = workload.folder
    return FaultFacts(
        struck_at=struck_at,
        commits_before=sum(1 for _ in commits_within(folder, struck_at - 1, struck_at)),
        silence=silence,
        first_commit=recovery(folder, struck_at, end, silence),
        client_errors=workload.errors_within(struck_at, end),
        primary_before=before.name,
        primary_after=primary.name if primary else None,
        whole_at=whole_at,
        ledger=_judged(workload, ledger, since, end),
    )


def _judged(workload: Workload, ledger: Dsn, since: float, end: float) -> LedgerVerdict | None:
    try:
        return workload.judge(ledger, start=since, end=end)
    except NaruError:
        return None


def _note(run: Run | None, kind: str, text: str, *, at: float) -> None:
    if run is not None:
        run.event(kind, text, at=at)


def _keep(run: Run, verdict: DrillVerdict, facts: FaultFacts) -> None:
    if facts.first_commit is not None:
        _note(run, "drill.recovered", "writes are acknowledged again", at=facts.first_commit)
    if facts.whole_at is not None:
        _note(run, "drill.whole", "every member is in its place again", at=facts.whole_at)
    units = {"seconds": "s", "longest_silence_ms": "ms", "whole_after_seconds": "s"}
    for name, value in verdict.to_json().items():
        run.figure(name, value, units.get(name, ""))
