"""What the journal holds of one story: its runs, their events and their series."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from naru.errors import UsageError
from naru.journal import Event as Noted
from naru.journal import Journal, Run, Sample
from naru.report.story import Commit, Event, LagPoint, Phase, WorkloadPoint

LABELS = {
    "step.running copy": "copy starts",
    "step.done copy": "copy ends",
    "step.done follow": "following",
    "copy.started": "copy starts",
    "copy.ended": "copy ends",
    "follow.caught_up": "following",
    "cutover.pause": "cutover",
    "cutover.undone": "cutover undone",
    "drill.kill": "primary killed",
    "drill.recovered": "writes again",
}
"""Marks of the time line: by kind of event, or kind and step."""


@dataclass(frozen=True)
class Runs:
    """The runs that make one story; at least one is there."""

    migrate: Run | None
    drill: Run | None
    demo: Run | None

    @property
    def all(self) -> list[Run]:
        return [run for run in (self.demo, self.migrate, self.drill) if run is not None]

    def figures(self) -> dict[str, Any]:
        """Figures of the migration, over them those of the demo."""
        found: dict[str, Any] = {}
        for run in (self.migrate, self.demo):
            if run is not None:
                found |= {name: figure.value for name, figure in run.figures().items()}
        return found

    def recall(self, key: str) -> Any:
        """What the first of the runs remembers under `key`."""
        return next((found for run in self.all if (found := run.recall(key)) is not None), None)


def choose(journal: Journal) -> Runs:
    """The newest migration with the demo and the drill that go with it.

    Raises UsageError when nothing was run yet.
    """
    migrate, demo = journal.latest("migrate"), journal.latest("demo")
    if migrate is not None and demo is not None:
        if migrate.started < demo.started:
            migrate = None
        elif demo.ended is not None and demo.ended < migrate.started:
            demo = None
    drill = journal.latest("drill", "kill-primary")
    since = max((run.started for run in (demo, migrate) if run is not None), default=0.0)
    if drill is not None and drill.started < since:
        drill = None
    runs = Runs(migrate, drill, demo)
    if not runs.all:
        raise UsageError(
            f"the journal {journal.path} holds no migration, drill or demo to report on",
            remedy="run `naru demo` or `naru migrate start` first",
        )
    return runs


def events(runs: Runs) -> tuple[Event, ...]:
    """Everything that happened, in order of time."""
    noted = sorted((event for run in runs.all for event in run.events()), key=lambda one: one.at)
    return tuple(map(_event, noted))


def _event(noted: Noted) -> Event:
    step = noted.data.get("step")
    label = LABELS.get(f"{noted.kind} {step}" if step else noted.kind, "")
    if noted.kind == "cutover.pause" and int(noted.data.get("number") or 1) % 2 == 0:
        label = "rollback"
    ending = {"step.running": ": begins", "step.done": ": done", "step.failed": " (failed)"}
    return Event(noted.at, noted.kind, noted.text + ending.get(noted.kind, ""), label)


def phases(marked: Iterable[Event], ended: float | None) -> Iterator[Phase]:
    """Bands from the marked events: copy, following, on the new service."""
    first: dict[str, float] = {}
    end = ended or 0.0
    for event in marked:
        first.setdefault(event.label or event.kind, event.at)
        end = max(end, event.at)
    copied = first.get("copy ends")
    if "copy starts" in first:
        yield Phase("copy", first["copy starts"], copied or end)
    if copied is not None:
        yield Phase("following", copied, first.get("cutover", end))
    if "cutover.resume" in first and "rollback" not in first and "cutover undone" not in first:
        yield Phase("on the new service", first["cutover.resume"], end)


def workload(runs: Runs) -> Iterator[WorkloadPoint]:
    """The points of the first run that has any; a sample lasts until the next, as a rule."""
    for run in runs.all:
        before: Sample | None = None
        width = 1.0
        for sample in run.each_sample("workload"):
            if before is not None:
                width = min(width, max(0.01, sample.at - before.at))
                yield _workload_point(before, width)
            before = sample
        if before is not None:
            yield _workload_point(before, width)
            return


def _workload_point(sample: Sample, width: float) -> WorkloadPoint:
    data = sample.data
    return WorkloadPoint(
        at=sample.at,
        seconds=float(data.get("seconds") or width),
        commits=int(data["commits"]),
        errors=int(data.get("errors") or 0),
        p50_ms=data.get("p50_ms", data.get("p50")),
        p95_ms=data.get("p95_ms", data.get("p95")),
        max_ms=data.get("max_ms", data.get("max")),
    )


def lag(runs: Runs) -> Iterator[LagPoint]:
    """How far the new side was behind."""
    if runs.migrate is not None:
        for sample in runs.migrate.each_sample("lag"):
            yield LagPoint(sample.at, sample.data.get("bytes"), sample.data.get("seconds"))


def commits(runs: Runs, around: str) -> tuple[Commit, ...]:
    """The acknowledged commits that were kept around one moment."""
    return tuple(
        Commit(*commit)
        for run in runs.all
        for sample in run.each_sample("commit-times")
        if sample.data.get("around") == around
        for commit in sample.data["commits"]
    )


def last(noted: Iterable[Event], kind: str) -> float | None:
    """When the newest event of `kind` happened."""
    return max((event.at for event in noted if event.kind == kind), default=None)
