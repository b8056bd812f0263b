"""A story from the journal: the one place that knows the names under which parts are kept.

| run (kind, name) | what it keeps |
|-|-|
| `migrate` | figures `copy.tables`, `.rows`, `.bytes`, `.seconds`; `cutover.pause_ms`, `cutover.steps` (name to ms); `verify.tables`, `.rows`, `.differences`, `.seconds`, `.lsn`; samples `lag {bytes, seconds}`; memory `verification`: a list of `{table, rows, same, differences, seconds}`, differences a number or a list |
| `drill`, `kill-primary` | figures `seconds` (null: never), `client_errors`, `acknowledged`, `failed`, `unknown`, `lost`, `duplicated`; event `drill.kill` |
| `demo` | samples `workload {commits, errors, p50_ms, p95_ms, max_ms}`; `commit-times {around, commits}` with around `cutover` or `kill-primary` and commits a list of `[at, client, ms]`; figures `cutover.write_pause_ms`, `.client_errors`, `.acknowledged`, `.lost`, `.duplicated`; memory `ledger`: a list of `{scope, acknowledged, failed, unknown, lost, duplicated}` |
| any of them | memory `environment`: name to text; events, of which those in `_runs.LABELS` are marked on the time line |

A figure of the demo replaces the migration's of the same name. A drill and a demo belong
to the story if they go with the newest migration.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from naru import __version__
from naru.journal import Journal
from naru.report import _runs
from naru.report._runs import Runs
from naru.report.series import condense
from naru.report.story import (
    Copy,
    Cutover,
    Event,
    Failover,
    Ledger,
    PauseStep,
    Story,
    TableVerdict,
    Verification,
    environment_of,
)

_POINTS = 4000
_LEDGER = ("acknowledged", "failed", "unknown", "lost", "duplicated")


def story_from_journal(journal: Journal) -> Story:
    """The newest migration with the demo and the drill that go with it.

    Raises UsageError when nothing was run yet.
    """
    runs = _runs.choose(journal)
    figures = runs.figures()
    events = _runs.events(runs)
    ends = [run.ended for run in runs.all]
    ended = max(end for end in ends if end is not None) if None not in ends else None
    failover = _failover(runs, events)
    cutover = _cutover(runs, figures, events)
    return Story(
        title=_title(runs),
        started=min(run.started for run in runs.all),
        ended=ended,
        copy=_copy(figures),
        cutover=cutover,
        verification=_verification(runs, figures),
        failover=failover,
        ledger=_ledger(runs, cutover),
        events=events,
        phases=tuple(_runs.phases(events, ended)),
        workload=tuple(condense(_runs.workload(runs), _POINTS)),
        lag=tuple(condense(_runs.lag(runs), _POINTS)),
        environment=environment_of({"Naru": __version__, **(runs.recall("environment") or {})}),
        expects=("copy", "cutover", "verification", *(("failover",) if runs.demo else ())),
        failure=_failure(runs),
    )


def _title(runs: Runs) -> str:
    title = runs.recall("title")
    return str(title) if title else (runs.migrate or runs.all[0]).name


def _failure(runs: Runs) -> str | None:
    """Why the story stopped: the last failed step that nobody ran again with success."""
    for run in runs.all:
        if any(step.state == "failed" for step in run.steps()):
            texts = [event.text for event in run.events("step.failed")]
            return texts[-1].splitlines()[0] if texts else f"{run.name} failed"
        if run.outcome in {"aborted", "failed"}:
            return f"{run.kind} {run.name} was {run.outcome}"
    return None


def _copy(figures: Mapping[str, Any]) -> Copy | None:
    names = ("tables", "rows", "bytes", "seconds")
    values = [value for name in names if (value := figures.get(f"copy.{name}")) is not None]
    if len(values) < len(names):
        return None
    tables, rows, size, seconds = values
    return Copy(int(tables), int(rows), int(size), float(seconds))


def _cutover(runs: Runs, figures: Mapping[str, Any], events: Iterable[Event]) -> Cutover | None:
    if not any(name.startswith("cutover.") for name in figures):
        return None
    steps = figures.get("cutover.steps") or {}
    return Cutover(
        at=_runs.last(events, "cutover.pause"),
        write_pause_ms=figures.get("cutover.write_pause_ms"),
        pause_ms=figures.get("cutover.pause_ms"),
        client_errors=figures.get("cutover.client_errors"),
        acknowledged=figures.get("cutover.acknowledged"),
        lost=figures.get("cutover.lost"),
        duplicated=figures.get("cutover.duplicated"),
        steps=tuple(PauseStep(str(name), float(ms)) for name, ms in steps.items()),
        commits=_runs.commits(runs, "cutover"),
    )


def _verification(runs: Runs, figures: Mapping[str, Any]) -> Verification | None:
    if figures.get("verify.differences") is None:
        return None
    return Verification(
        tables=int(figures.get("verify.tables") or 0),
        rows=int(figures.get("verify.rows") or 0),
        differences=int(figures["verify.differences"]),
        seconds=float(figures.get("verify.seconds") or 0.0),
        exact_at_lsn=figures.get("verify.lsn"),
        not_reached=int(figures.get("verify.not_reached") or 0),
        details=tuple(_table(table) for table in runs.recall("verification") or []),
    )


def _table(found: Mapping[str, Any]) -> TableVerdict:
    listed = found.get("differences_found", found.get("differences", 0))
    return TableVerdict(
        name=str(found["table"]),
        rows=int(found.get("rows") or 0),
        same=bool(found["same"]),
        differences=listed if isinstance(listed, int) else len(listed),
        seconds=found.get("seconds"),
    )


def _failover(runs: Runs, events: Iterable[Event]) -> Failover | None:
    if runs.drill is None:
        return None
    values = {name: figure.value for name, figure in runs.drill.figures().items()}
    if "seconds" not in values:
        return None
    return Failover(
        seconds=values["seconds"],
        client_errors=values.get("client_errors"),
        acknowledged=values.get("acknowledged"),
        lost=values.get("lost"),
        duplicated=values.get("duplicated"),
        at=_runs.last(events, "drill.kill"),
        commits=_runs.commits(runs, "kill-primary"),
    )


def _ledger(runs: Runs, cutover: Cutover | None) -> tuple[Ledger, ...]:
    """What the demo kept, or a row each for the cutover and the drill as far as counted."""
    kept = runs.recall("ledger")
    if kept:
        return tuple(
            Ledger(str(row["scope"]), *(row.get(name) for name in _LEDGER)) for row in kept
        )
    rows = []
    if cutover is not None and cutover.lost is not None:
        rows.append(Ledger("cutover", cutover.acknowledged, lost=cutover.lost,
                           duplicated=cutover.duplicated))  # fmt: skip
    if runs.drill is not None:
        values = {name: figure.value for name, figure in runs.drill.figures().items()}
        if values.get("lost") is not None:
            rows.append(Ledger("failover", *(values.get(name) for name in _LEDGER)))
    return tuple(rows)
