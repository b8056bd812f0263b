"""`naru migrate cutover` and `rollback`: plan and gates, the switch, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from naru.cli import talk
from naru.cli.comparing import StopWhenOption, held_lines
from naru.cli.options import JobsOption, JsonOption, SpecOption, YesOption
from naru.cli.parties import (
    NameOption,
    Parties,
    PoolerConfigOption,
    PoolerDatabaseOption,
    PoolerOption,
    SourceOption,
    TargetOption,
    hold,
    journal_of,
    keeps_slot_of,
    open_record,
    parties,
    poolers_of,
)
from naru.cli.progress import observer_for
from naru.errors import RefusedError

if TYPE_CHECKING:
    from naru.migrate import Crossing, Gate, Record, Switcher

PauseOption = Annotated[
    float,
    typer.Option("--pause-deadline", min=0.1, metavar="SECONDS",
                 help="How long clients may wait before the switch gives up."),
]  # fmt: skip
LagOption = Annotated[
    int, typer.Option("--max-lag", metavar="BYTES", help="How far behind a switch may begin.")
]
DryOption = Annotated[
    bool, typer.Option("--dry-run", help="Show the plan and the gates, and do nothing.")
]
NoVerifyOption = Annotated[
    bool, typer.Option("--no-verify", help="Do not compare the two sides afterwards.")
]


def cutover(
    source: SourceOption = None,
    target: TargetOption = None,
    name: NameOption = None,
    pooler: PoolerOption = None,
    pooler_config: PoolerConfigOption = None,
    pooler_database: PoolerDatabaseOption = None,
    pause_deadline: PauseOption = 5.0,
    max_lag: LagOption = 16 * 1024 * 1024,
    jobs: JobsOption = 2,
    no_verify: NoVerifyOption = False,
    stop_when: StopWhenOption = None,
    dry_run: DryOption = False,
    spec: SpecOption = None,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Move the writes to the target, with the way back armed; then compare both exactly.

    Until clients go on at the target, every failure leaves them at the source.
    """
    found = parties(source, target, spec)
    with journal_of(found) as journal:
        record = open_record(found, journal, name)
        _must_be_at(record, "source")
        with hold(record):
            _cross(
                found, record, pooler, pooler_config, pooler_database,
                pause_deadline, max_lag, jobs, no_verify, stop_when, dry_run, yes, json,
            )  # fmt: skip


def rollback(
    source: SourceOption = None,
    target: TargetOption = None,
    name: NameOption = None,
    pooler: PoolerOption = None,
    pooler_config: PoolerConfigOption = None,
    pooler_database: PoolerDatabaseOption = None,
    pause_deadline: PauseOption = 5.0,
    max_lag: LagOption = 16 * 1024 * 1024,
    jobs: JobsOption = 2,
    no_verify: NoVerifyOption = False,
    stop_when: StopWhenOption = None,
    dry_run: DryOption = False,
    spec: SpecOption = None,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Move the writes back to the source, with all that was written at the target."""
    found = parties(source, target, spec)
    with journal_of(found) as journal:
        record = open_record(found, journal, name)
        _must_be_at(record, "target")
        with hold(record):
            _cross(
                found, record, pooler, pooler_config, pooler_database,
                pause_deadline, max_lag, jobs, no_verify, stop_when, dry_run, yes, json,
            )  # fmt: skip


def _must_be_at(record: Record, side: str) -> None:
    from naru.migrate import must_be_at

    must_be_at(record, side, "cut over" if side == "source" else "roll back")


def _cross(
    found: Parties,
    record: Record,
    uris: list[str] | None,
    configs: list[Path] | None,
    pooled: str | None,
    pause: float,
    lag: int,
    jobs: int,
    no_verify: bool,
    stop_when: list[str] | None,
    dry_run: bool,
    yes: bool,
    json: bool,
) -> None:
    from naru.migrate import Limits, PartlyComparedError, Switcher
    from naru.verify import stop_when as bounds

    held = bounds(stop_when or ())
    poolers = poolers_of(found, uris, configs, pooled or record.source.dsn.database)
    with observer_for() as observer:
        limits, keeps_slot = Limits(lag, pause), keeps_slot_of(found)
        switcher = Switcher(record, poolers, limits, observer, keeps_slot=keeps_slot)
        gates = switcher.gates()
        # Nothing may draw while people read the plan and are asked.
        observer.close()
        _show_plan(switcher, gates)
        if any(gate.severity == "shut" for gate in gates):
            raise RefusedError("a gate is shut; nothing was done", remedy="see the gates above")
        if dry_run:
            return
        talk.confirm(f"move the writes to {switcher.plan.enter}?", yes=yes)
        partly: PartlyComparedError | None = None
        try:
            crossing = switcher.cross(verify=not no_verify, jobs=jobs, stop_when=held)
        except PartlyComparedError as error:
            crossing, partly = error.crossing, error
    _show_crossing(crossing, json, pooled=bool(switcher.plan.poolers))
    if partly:
        raise partly


def _show_plan(switcher: Switcher, gates: tuple[Gate, ...]) -> None:
    plan = switcher.plan
    talk.say(f"writes move from {plan.leave} to {plan.enter}")
    if plan.poolers:
        names = ", ".join(one.pooler.name for one in plan.poolers)
        talk.say(f"clients of {names} wait, at most {plan.pause_seconds:g} s; nothing fails")
    else:
        talk.say("no pooler is named: clients are disconnected and have to reconnect themselves")
    talk.say(f"way back: {plan.back.name}, until `naru migrate finish`")
    for gate in gates:
        talk.say(f"{gate.severity}: {gate.text}\n  → {gate.remedy}")


def _show_crossing(crossing: Crossing, json: bool, *, pooled: bool) -> None:
    verdict = crossing.verdict
    if json:
        talk.put_json(crossing.to_json())
    else:
        parts = ", ".join(f"{name} {ms:g}" for name, ms in crossing.milliseconds.items())
        clients = "clients waited" if pooled else f"{crossing.ended_clients} clients cut off,"
        talk.put(f"writes are at the {crossing.at}; {clients} {crossing.pause_ms:g} ms ({parts})")
        talk.put(f"way back {crossing.way_back.slot}: {crossing.way_back.reason}")
        if verdict is not None:
            word = "the same" if verdict.same else f"{verdict.differences} differences"
            left = f"; {len(verdict.not_reached)} tables not reached" if not verdict.whole else ""
            talk.put(
                f"compared at {crossing.lsn}: {word}, {verdict.rows:,} rows in"
                f" {len(verdict.tables)} tables, {verdict.seconds:.1f} s{left}"
            )
    if verdict is not None:
        for line in held_lines(verdict):
            talk.say(line)
    if verdict is not None and not verdict.same:
        differing = [one.table for one in verdict.tables if not one.same]
        named = f": {', '.join(differing[:5])}" if differing else ""
        more = f" and {len(differing) - 5} more tables" if len(differing) > 5 else ""
        raise RefusedError(
            f"the two sides differ at the moment of the switch{named}{more}; writes are at"
            f" the {crossing.at}",
            remedy="--json names keys and columns; `naru migrate"
            f" {'rollback' if crossing.at == 'target' else 'cutover'}` moves the writes back",
        )
