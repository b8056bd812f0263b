"""The whole story, unattended: a live database crosses over, its primary dies, nothing is lost.

Everything here is done with what users have; the demo only strings it together, with a
workload running from the first step to the last, and keeps what the report shows.
"""

from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from naru.drill import (
    DrillVerdict,
    LedgerVerdict,
    Workload,
    WorkloadSettings,
    kill_primary,
    prepare,
)
from naru.drill.keep import keep_commits, keep_series
from naru.errors import DeadlineError, NaruError, RefusedError
from naru.journal import Journal, Run
from naru.lab.content import APPLICATION, fill
from naru.lab.creativity import business
from naru.lab.environment import Environment
from naru.lab.pulse import lag_pulse, workload_pulse
from naru.migrate import (
    Bounds,
    Crossing,
    Limits,
    PooledDatabase,
    Record,
    SeenAt,
    Start,
    Switcher,
    admit,
    begin_or_resume,
    catch_up,
)
from naru.postgres import connect
from naru.report import Story, story_from_journal, write
from naru.spec import Spec
from naru.system import WorkloadObserver, private_folder, wait_until
from naru.system.units import human_bytes
from naru.verify import Options, compare

T = TypeVar("T")

CLOSE_LOOK_SECONDS = 3.0
"""How much around the cutover is kept commit by commit."""

WRITTEN_SECONDS = 1.0
"""Within it a workload has written down what its clients were told."""

GATES_SECONDS = 60.0
"""How long a machine that is slow may take until the gates of the switch open."""

SETTLE_SECONDS = 3.0
"""How long the workload runs undisturbed before and after each act, to be seen at rest."""


@dataclass(frozen=True)
class Settings:
    """What the demo may be told."""

    clients: int = 8
    rate: float = 250.0
    """Transactions a second over all clients together."""
    jobs: int = 2
    out: Path = Path("out")
    keep: bool = False
    """Leave the environment running at the end."""


class Demo:
    """One demo in a folder of its own, which is emptied at the end."""

    def __init__(
        self, spec: Spec, folder: Path, settings: Settings, observer: WorkloadObserver
    ) -> None:
        self._environment = Environment(spec, folder)
        self._folder = folder
        self._settings = settings
        self._observer = observer
        self._database = spec.source.database

    def play(self) -> Story:
        """Play it all, write the report, and leave nothing running; give the story.

        An act that fails ends the play; the report then tells how far it came, and the
        error is raised after everything was taken down.
        """
        try:
            with Journal.in_folder(self._folder) as journal:
                run = journal.begin("demo", self._database)
                try:
                    with self._taken_down():
                        failure = self._acts(journal, run)
                finally:
                    run.end(run.recall("outcome", "failed"))
                story = story_from_journal(journal)
            write(story, self._settings.out)
        finally:
            if not self._settings.keep:
                self.clear()
        if failure is not None:
            raise failure
        return story

    def clear(self) -> None:
        """Take away whatever a demo has left, running or not."""
        if self._folder.exists():
            self._environment.down(self._observer, purge=True)
        with contextlib.suppress(OSError):
            # Only if nothing else has its state there.
            self._folder.parent.rmdir()

    @contextlib.contextmanager
    def _taken_down(self) -> Iterator[None]:
        try:
            yield
        finally:
            if not self._settings.keep:
                # The journal stays until the report is written from it.
                self._environment.down(self._observer)

    def _acts(self, journal: Journal, run: Run) -> NaruError | None:
        try:
            self._act("environment", self._up)
            self._act("old database", lambda: self._fill(run))
            with self._workload(run) as workload:
                record = self._move(journal, run, workload)
                self._break(journal, run, workload, record)
                self._balance(run, workload)
        except NaruError as error:
            run.event("demo.failed", error.message)
            return error
        run.remember("outcome", "finished")
        return None

    def _act(self, title: str, act: Callable[[], T]) -> T:
        self._observer.step(title, "running")
        try:
            done = act()
        except BaseException:
            self._observer.step(title, "failed")
            raise
        self._observer.step(title, "done")
        return done

    def _up(self) -> None:
        self._environment.up(self._observer)

    def _fill(self, run: Run) -> None:
        made = fill(self._environment, self._observer)
        service = self._environment.service
        described = {
            "old server": f"PostgreSQL {self._environment.source.installation.major}",
            "service": f"PostgreSQL {service.installation.major},"
            f" {len(service.status().members)} members",
            "machine": f"{platform.system()} {platform.machine()}",
            "workload": f"{self._settings.clients} clients, {self._settings.rate:g} tx/s",
        }
        if made is not None:
            self._observer.note(
                f"{made.tables} tables, {made.rows:,} rows, {human_bytes(made.bytes)}"
            )
            described["database"] = (
                f"{self._database}: {made.tables} tables, {made.rows:,} rows,"
                f" {human_bytes(made.bytes)}"
            )
        run.remember("title", f"{self._database} crosses over")
        run.remember("environment", described)

    @contextlib.contextmanager
    def _workload(self, run: Run) -> Iterator[Workload]:
        environment = self._environment
        source = environment.source.dsn(self._database)
        prepare(source, APPLICATION)
        with connect(source, purpose="business") as connection:
            changes = business(connection)
        folder = private_folder(self._folder / "drills") / f"demo-{run.number}"
        workload = Workload.start(
            folder,
            WorkloadSettings(
                environment.pool.dsn(APPLICATION, self._database),
                run=f"demo {run.number}",
                clients=self._settings.clients,
                rate=self._settings.rate,
                business=changes,
            ),
        )
        try:
            with workload_pulse(workload, self._observer):
                yield workload
        finally:
            workload.stop()
            keep_series(run, folder)

    def _move(self, journal: Journal, run: Run, workload: Workload) -> Record:
        environment = self._environment
        source = environment.source.dsn(self._database)
        target = environment.service.writer(self._database)
        time.sleep(SETTLE_SECONDS)
        self._act("assessment", lambda: admit(source, target, observer=self._observer))
        record = begin_or_resume(journal, self._database, source, target, SeenAt())
        Start(record, Bounds(jobs=self._settings.jobs), self._observer).perform()
        with lag_pulse(record):
            self._act("live comparison", lambda: self._compare_live(run, record))
            time.sleep(SETTLE_SECONDS)
        crossing = self._cross(run, workload, record)
        if crossing.verdict is None or not crossing.verdict.same:
            raise RefusedError("the two sides differ at the moment of the switch")
        if not crossing.way_back.survives:
            raise RefusedError(crossing.way_back.reason)
        return record

    def _compare_live(self, run: Run, record: Record) -> None:
        verdict = compare(
            record.source.dsn,
            record.target.dsn,
            options=Options(
                jobs=self._settings.jobs, live=True, slot=record.channels[0].name, sequences=False
            ),
            observer=self._observer,
        )
        run.event(
            "verify.live",
            f"compared while changes flow: {verdict.rows:,} rows, {verdict.differences}"
            f" differences, {verdict.pending} pending, {verdict.seconds:.1f} s",
        )
        if not verdict.same:
            raise RefusedError(
                f"the two sides differ while following: {verdict.differences} differences",
                remedy="see `naru verify --live`",
            )

    def _cross(self, run: Run, workload: Workload, record: Record) -> Crossing:
        pooled = PooledDatabase(self._environment.pool.pooler, self._database)
        switcher = Switcher(
            record, (pooled,), Limits(), self._observer,
            keeps_slot=self._environment.service.keep_slot,
        )  # fmt: skip
        # A slow machine may be behind for a moment; a gate that stays shut is the switch's to tell.
        with contextlib.suppress(DeadlineError):
            wait_until(
                lambda: not any(gate.severity == "shut" for gate in switcher.gates()),
                "open gates",
                GATES_SECONDS,
            )
        began = time.time()
        crossing = switcher.cross(jobs=self._settings.jobs)
        paused = record.run.events("cutover.pause")[-1].at
        resumed = record.run.events("cutover.resume")[-1].at
        start, end = paused - CLOSE_LOOK_SECONDS, resumed + CLOSE_LOOK_SECONDS
        # What clients saw is known once the whole stretch is behind them, and written.
        wait_until(lambda: time.time() > end + WRITTEN_SECONDS, "clients' records", 30.0)
        gap = workload.longest_gap(start, end)
        if gap is None:
            raise RefusedError("no transaction was acknowledged around the cutover")
        keep_commits(run, workload.folder, "cutover", start, end)
        verdict = workload.judge(record.target.dsn)
        run.figure("cutover.write_pause_ms", round(gap.ms, 1), "ms")
        run.figure("cutover.client_errors", workload.errors_within(began, time.time()))
        _keep_ledger(run, "cutover.", verdict)
        self._observer.note(
            f"clients saw a write pause of {gap.ms:.0f} ms; {verdict.acknowledged:,}"
            f" acknowledged so far, {verdict.lost} lost, {verdict.duplicated} duplicated"
        )
        return crossing

    def _break(self, journal: Journal, run: Run, workload: Workload, record: Record) -> None:
        drill = journal.begin("drill", "kill-primary")
        outcome = "failed"
        time.sleep(SETTLE_SECONDS)
        try:
            with lag_pulse(record):
                verdict: DrillVerdict = self._act(
                    "kill -9 of the primary",
                    lambda: kill_primary(
                        self._environment.service,
                        workload,
                        record.target.dsn,
                        run=drill,
                        observer=self._observer,
                    ),
                )
                self._act("way back after the failover", lambda: catch_up(record, self._observer))
                drill.event("drill.way-back", "the old side follows the new primary")
            outcome = "kept" if verdict.kept else "broken"
        finally:
            drill.end(outcome)
        if not verdict.kept:
            raise RefusedError("the drill's promise broke: " + "; ".join(verdict.broken))

    def _balance(self, run: Run, workload: Workload) -> None:
        """The last account: every id that was ever acknowledged, in the service's database."""
        time.sleep(SETTLE_SECONDS)
        workload.stop()
        verdict = workload.judge(self._environment.service.writer(self._database))
        run.remember(
            "ledger",
            [
                {
                    "scope": "the whole demo",
                    "acknowledged": verdict.acknowledged,
                    "failed": verdict.failed,
                    "unknown": verdict.unknown,
                    "lost": verdict.lost,
                    "duplicated": verdict.duplicated,
                }
            ],
        )
        if verdict.lost or verdict.duplicated:
            raise RefusedError(
                f"of {verdict.acknowledged:,} acknowledged transactions {verdict.lost} are lost"
                f" and {verdict.duplicated} duplicated"
            )


def _keep_ledger(run: Run, prefix: str, verdict: LedgerVerdict) -> None:
    run.figure(f"{prefix}acknowledged", verdict.acknowledged)
    run.figure(f"{prefix}lost", verdict.lost)
    run.figure(f"{prefix}duplicated", verdict.duplicated)
