"""Around every fault: see the service whole, strike, wait until it is whole again, judge."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from naru.drill.gaps import Gap, commits_within
from naru.drill.keep import keep_commits
from naru.drill.leads import LeadWatch
from naru.drill.ledger import LedgerVerdict
from naru.drill.reads import read_figures
from naru.drill.verdict import DrillVerdict, FaultFacts, Promise, decide
from naru.drill.workload import Workload
from naru.errors import DeadlineError, NaruError, RefusedError
from naru.journal import Run
from naru.postgres import Dsn
from naru.service import Member, ServiceStatus
from naru.system import SILENT, Observer, wait_until

WARM_UP_COMMITS = 200
AFTER_COMMITS = 100
"""Commits to see before the fault, and after all is whole again."""

WHOLE_SECONDS = 60.0
RECOVERY_SECONDS = 90.0
WARM_UP_SECONDS = 30.0
_JUDGE_TIMES = 5
CLOSE_LOOK_SECONDS = 2.0
"""How much before the fault and after the recovery is kept commit by commit."""


class Watched(Protocol):
    """What is struck; `naru.service.Service` is one."""

    def status(self) -> ServiceStatus: ...

    def primary(self) -> Member: ...


@dataclass(frozen=True)
class Scene:
    """The service, the workload at it, and where to tell of it."""

    service: Watched
    workload: Workload
    ledger: Dsn
    """Reaches the workload's database for writing, wherever the primary is."""
    run: Run | None = None
    observer: Observer = SILENT
    leads: LeadWatch | None = None


def always(_: ServiceStatus) -> bool:
    """Nothing more to wait for than a whole service."""
    return True


@dataclass(frozen=True)
class Struck:
    """A fault at work: what ends it, and what is to be seen before it counts as over."""

    what: str
    """For people and the journal: `kill -9 of one, process 4711`."""
    until: Callable[[], bool] | None = None
    """The fault is left alone until this holds."""
    heal: Callable[[], None] | None = None
    """Ends the fault; called once, whatever happened."""
    passed: Callable[[ServiceStatus], bool] = always
    """Whether the member struck is really back, beside the service being whole."""
    findings: Callable[[], tuple[str, ...]] = tuple
    """What else did not hold, asked when all is over."""
    details: Mapping[str, Any] = field(default_factory=dict)
    healed_at: float | None = None
    """When the fault ended, where the strike ended it itself."""
    at: float | None = None
    """When it really struck, where the strike had something to prepare."""
    until_again: float | None = None
    """Until when the recovery is looked at, where much else is done after it."""


def measure(
    name: str,
    promise: Promise,
    scene: Scene,
    strike: Callable[[Member], Struck],
    *,
    kind: str = "drill.fault",
) -> DrillVerdict:
    """Strike while the workload runs, and judge what its clients saw.

    `strike` is given the primary. Raises RefusedError if the service is not whole to begin
    with. Events and figures go to the scene's run.
    """
    _must_be_whole(scene.service)
    since = time.time()
    wait_for_commits(scene.workload, WARM_UP_COMMITS, WARM_UP_SECONDS)
    before = scene.service.primary()
    struck_at = time.time()
    struck = strike(before)
    struck_at = struck.at or struck_at
    scene.observer.note(struck.what)
    _note(scene.run, kind, struck.what, at=struck_at)
    healed_at = _endure(struck)
    whole_at = _wait_until_whole(scene, struck)
    facts = _facts(scene, before, struck, (since, struck_at, healed_at, whole_at))
    verdict = decide(name, promise, facts)
    if scene.run is not None:
        _keep(scene.run, verdict, facts)
        until = (facts.first_commit or time.time()) + CLOSE_LOOK_SECONDS
        start = struck_at - CLOSE_LOOK_SECONDS
        keep_commits(scene.run, scene.workload.folder, name, start, until)
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


def wait_for_commits(workload: Workload, more: int, seconds: float) -> None:
    """Wait until `more` transactions were acknowledged from now on."""
    wanted = workload.status.acknowledged + more
    wait_until(lambda: workload.status.acknowledged >= wanted, f"{more} commits", seconds)


def _is_ready(status: ServiceStatus) -> bool:
    """Whole, and nobody goes by the failsafe any more, as for 20 s after an election was away."""
    return is_whole(status) and not any(one.failsafe for one in status.members)


def _must_be_whole(service: Watched) -> None:
    """Give a service that has just come up the time to arrange itself."""
    try:
        wait_until(lambda: _is_ready(service.status()), "the service to be whole", WHOLE_SECONDS)
    except DeadlineError as error:
        status = service.status()
        raise RefusedError(
            f"cluster {status.cluster} is not whole, so a fault now would measure something else:"
            f" {status.protection.sentence}",
            remedy="see `naru service status`, and wait until every member follows",
        ) from error


def _endure(struck: Struck) -> float | None:
    """Leave the fault at work as long as it shall, then end it; when that was."""
    try:
        if struck.until is not None:
            wait_until(struck.until, f"the end of: {struck.what}", RECOVERY_SECONDS)
    except DeadlineError:
        pass  # The verdict tells it: writes did not work again.
    finally:
        if struck.heal is not None:
            struck.heal()
    return struck.healed_at if struck.heal is None else time.time()


def _wait_until_whole(scene: Scene, struck: Struck) -> float | None:
    """When the service was whole again with clients at work; None if it was not in time."""

    def whole() -> float | None:
        status = scene.service.status()
        return time.time() if is_whole(status) and struck.passed(status) else None

    try:
        at = wait_until(whole, "the service to be whole again", RECOVERY_SECONDS)
        wait_for_commits(scene.workload, AFTER_COMMITS, RECOVERY_SECONDS)
    except DeadlineError:
        return None
    return at


def _facts(
    scene: Scene,
    before: Member,
    struck: Struck,
    times: tuple[float, float, float | None, float | None],
) -> FaultFacts:
    since, struck_at, healed_at, whole_at = times
    end = time.time()
    workload, folder = scene.workload, scene.workload.folder
    until = struck.until_again or end
    silence = workload.longest_gap(struck_at, until)
    primary = scene.service.status().primary
    ledger, trouble = _judged(workload, scene.ledger, since, end)
    return FaultFacts(
        struck_at=struck_at,
        commits_before=sum(1 for _ in commits_within(folder, struck_at - 1, struck_at)),
        silence=silence,
        first_commit=recovery(folder, struck_at, until, silence),
        client_errors=workload.errors_within(struck_at, end),
        primary_before=before.name,
        primary_after=primary.name if primary else None,
        whole_at=whole_at,
        ledger=ledger,
        ledger_trouble=trouble,
        healed_at=healed_at,
        findings=struck.findings(),
        details=struck.details,
        reads=read_figures(folder, struck_at, end),
        leads=scene.leads.leads() if scene.leads else (),
    )


def _judged(
    workload: Workload, ledger: Dsn, since: float, end: float
) -> tuple[LedgerVerdict | None, str]:
    """The judgement; or, when it cannot be had for some seconds, why."""
    trouble = ""
    for _ in range(_JUDGE_TIMES):
        try:
            return workload.judge(ledger, start=since, end=end), ""
        except NaruError as error:
            trouble = error.message
            time.sleep(1)
    return None, trouble


def _note(run: Run | None, kind: str, text: str, *, at: float) -> None:
    if run is not None:
        run.event(kind, text, at=at)


def _keep(run: Run, verdict: DrillVerdict, facts: FaultFacts) -> None:
    if verdict.seconds is not None and facts.first_commit is not None:
        _note(run, "drill.recovered", "writes are acknowledged again", at=facts.first_commit)
    if facts.whole_at is not None:
        _note(run, "drill.whole", "every member is in its place again", at=facts.whole_at)
    for name, value in verdict.to_json().items():
        run.figure(name, value, _UNITS.get(name, ""))


_UNITS = {
    "seconds": "s",
    "longest_silence_ms": "ms",
    "whole_after_seconds": "s",
    "returned_after_seconds": "s",
}
