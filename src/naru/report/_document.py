"""The story as one stable JSON document."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from naru.report.series import condense
from naru.report.story import Story
from naru.report.verdict import judge

_POINTS = 2000


def document(story: Story) -> dict[str, Any]:
    """Keys are a contract; times are ISO 8601 in UTC, parts that were not run are null."""
    verdict = judge(story)
    return {
        "verdict": verdict.word,
        "verdict_text": verdict.sentence,
        "broken": list(verdict.broken),
        "missing": list(verdict.missing),
        "title": story.title,
        "started": iso(story.started),
        "ended": iso(story.ended),
        "targets": asdict(story.targets),
        "copy": None if story.copy is None else asdict(story.copy),
        "cutover": _cutover(story),
        "verification": _verification(story),
        "failover": _failover(story),
        "ledger": [asdict(row) for row in story.ledger],
        "events": [
            {"at": iso(event.at), "kind": event.kind, "text": event.text} for event in story.events
        ],
        "phases": [
            {"name": phase.name, "began": iso(phase.began), "ended": iso(phase.ended)}
            for phase in story.phases
        ],
        "series": _series(story),
        "environment": dict(story.environment),
    }


def iso(at: float | None) -> str | None:
    """A time since the epoch as ISO 8601 in UTC with milliseconds."""
    if at is None:
        return None
    text = datetime.fromtimestamp(at, tz=UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _cutover(story: Story) -> dict[str, Any] | None:
    if story.cutover is None:
        return None
    part = asdict(story.cutover)
    del part["commits"]
    part["at"] = iso(story.cutover.at)
    part["steps"] = {step.name: step.ms for step in story.cutover.steps}
    return part


def _verification(story: Story) -> dict[str, Any] | None:
    if story.verification is None:
        return None
    part = asdict(story.verification)
    part["details"] = list(part["details"])
    return part


def _failover(story: Story) -> dict[str, Any] | None:
    if story.failover is None:
        return None
    part = asdict(story.failover)
    del part["commits"]
    part["at"] = iso(story.failover.at)
    return part


def _series(story: Story) -> dict[str, list[dict[str, Any]]]:
    return {
        "workload": [
            {**asdict(point), "at": iso(point.at)} for point in condense(story.workload, _POINTS)
        ],
        "lag": [{**asdict(point), "at": iso(point.at)} for point in condense(story.lag, _POINTS)],
    }
