"""A made-up run for the tests of the report: drawn, never measured."""

from __future__ import annotations

import math
import random
from dataclasses import replace

from naru.report import (
    Commit,
    Copy,
    Cutover,
    Event,
    Failover,
    LagPoint,
    Ledger,
    PauseStep,
    Phase,
    Story,
    TableVerdict,
    Verification,
    WorkloadPoint,
)

BEGAN = 1_780_000_000.0
_CUTOVER = BEGAN + 118.0
_PAUSE = 0.384
_KILL = BEGAN + 156.0
_DOWN = 2.31


def whole() -> Story:
    """A run in which every promise was kept."""
    return Story(
        title="creativity → cedbcluster",
        started=BEGAN,
        ended=BEGAN + 190,
        copy=Copy(tables=18, rows=2_041_332, bytes=512_400_000, seconds=31.4),
        cutover=_cutover(),
        verification=_verification(),
        failover=Failover(_DOWN, 8, 7_214, 0, 0, _KILL, _commits(_KILL, _DOWN, errors=True)),
        ledger=(
            Ledger("cutover", 25_870, 0, 0, 0, 0),
            Ledger("failover", 7_214, 5, 3, 0, 0),
            Ledger("whole run", 39_412, 5, 3, 0, 0),
        ),
        events=_events(),
        phases=(
            Phase("up and seed", BEGAN, BEGAN + 40),
            Phase("copy", BEGAN + 46, BEGAN + 78),
            Phase("following", BEGAN + 78, _CUTOVER),
            Phase("on the new service", _CUTOVER + 0.4, BEGAN + 190),
        ),
        workload=_workload(),
        lag=_lag(),
        environment=(
            ("Naru", "0.1.0"),
            ("Old side", "PostgreSQL 15.14 at 127.1.3.31:2866, database creativity"),
            ("New side", "PostgreSQL 17.10 under Patroni 4.1.5, 2 members, quorum commit"),
            ("Clients", "8 through PgBouncer 1.18, transaction pooling"),
            ("Machine", "2 cores, 8.2 GB of memory, 리눅스 Debian 12"),
        ),
        expects=("copy", "cutover", "verification", "failover"),
    )


def broken() -> Story:
    """A run in which promises broke."""
    story = whole()
    assert story.cutover and story.verification and story.failover
    details = list(story.verification.details)
    details[3] = replace(details[3], same=False, differences=2)
    return replace(
        story,
        cutover=replace(story.cutover, write_pause_ms=1420.0, lost=1),
        verification=replace(story.verification, differences=2, details=tuple(details)),
        failover=None,
        expects=("copy", "cutover", "verification"),
    )


def partial() -> Story:
    """Only the copy was run, and no clients were measured."""
    story = whole()
    return Story(
        title=story.title, started=BEGAN, copy=story.copy, lag=story.lag[:60],
        events=story.events[:3],
    )  # fmt: skip


def _cutover() -> Cutover:
    steps = (
        ("pause", 61.0), ("fence", 18.4), ("drain", 92.7), ("sequences", 24.1),
        ("reverse", 71.9), ("snapshot", 9.2), ("re-point", 38.0), ("resume", 4.3),
    )  # fmt: skip
    return Cutover(
        at=_CUTOVER, write_pause_ms=_PAUSE * 1000, pause_ms=319.6, client_errors=0,
        acknowledged=25_870, lost=0, duplicated=0,
        steps=tuple(PauseStep(name, ms) for name, ms in steps),
        commits=_commits(_CUTOVER, _PAUSE),
    )  # fmt: skip


def _verification() -> Verification:
    names = ["users", "projects", "user_projects", "사용자_메모", "events", "assets", "comments",
             "tags", "project_tags", "invoices", "audit_2025", "audit_2026", "sessions",
             "notifications", "countries", "settings", "no_key", "measurements"]  # fmt: skip
    rows = [120_000 // (index + 1) * 7 + 13 for index in range(len(names))]
    details = tuple(
        TableVerdict(f"public.{name}", count, True, 0, count / 410_000)
        for name, count in zip(names, rows, strict=True)
    )
    return Verification(len(names), sum(rows), 0, 6.8, "0/5A3C1D28", details)


def _events() -> tuple[Event, ...]:
    marked = [
        (0, "demo.started", "The old server and the service are up", ""),
        (38, "workload.started", "8 clients write through the pool", ""),
        (46, "migrate.copy.started", "The copy of 18 tables begins", "copy starts"),
        (77.4, "migrate.copy.ended", "2,041,332 rows are copied", "copy ends"),
        (81, "migrate.following", "The new side has caught up and follows", "following"),
        (96, "verify.live", "Live comparison: no differences", ""),
        (118, "migrate.cutover", "Writes go to the new service", "cutover"),
        (131, "verify.exact", "Exact comparison at 0/5A3C1D28: no differences", ""),
        (156, "drill.kill", "kill -9 of the postmaster of cedbserver01", "primary killed"),
        (158.3, "drill.recovered", "Writes are acknowledged again", "writes again"),
    ]
    return tuple(Event(BEGAN + at, kind, text, label) for at, kind, text, label in marked)


def _workload() -> tuple[WorkloadPoint, ...]:
    chance = random.Random(7)
    points = []
    for index in range(1520):
        at = BEGAN + 38 + index / 10
        busy = 46 <= at - BEGAN < 78
        commits = max(0, round(chance.gauss(21 if not busy else 18, 2.2)))
        p50 = chance.gauss(9 if busy else 6.5, 0.7)
        p95 = p50 * chance.uniform(1.8, 3)
        most = p95 * chance.uniform(1.1, 4)
        errors = 0
        if _CUTOVER <= at < _CUTOVER + _PAUSE:
            commits, most = 0, _PAUSE * 1000
        if _KILL <= at < _KILL + _DOWN:
            commits, errors, most = 0, 8 if at < _KILL + 0.1 else 0, _DOWN * 1000
        points.append(WorkloadPoint(at, 0.1, commits, errors, p50, p95, max(p95, most)))
    return tuple(points)


def _lag() -> tuple[LagPoint, ...]:
    points = []
    for second in range(46, 119):
        size = 9e6 * math.exp(-((second - 76) ** 2) / 60) + (40_000 if second > 80 else 0)
        points.append(LagPoint(BEGAN + second, int(size), size / 9e6 * 4))
    return tuple(points)


def _commits(zero: float, gap: float, *, errors: bool = False) -> tuple[Commit, ...]:
    chance = random.Random(11)
    commits = []
    for client in range(8):
        at = zero - 4 + chance.random() * 0.04
        while at < zero:
            commits.append(Commit(at, client, chance.uniform(5, 12)))
            at += chance.uniform(0.03, 0.05)
        at = zero + gap + chance.random() * 0.012
        commits.append(Commit(at, client, None if errors else gap * 1000 + 5))
        while at < zero + gap + 4:
            at += chance.uniform(0.03, 0.05)
            commits.append(Commit(at, client, chance.uniform(5, 12)))
    return tuple(commits)
