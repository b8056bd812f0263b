"""`naru migrate cutover` and `rollback`: plan and gates, the switch, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from naru.cli import talk
from naru.cli.comparing import StopWhenOption, held_lines
from naru.cli.options import JobsOption, JsonOption, SpecOption, YesOption
from naru.cli.parties import (
    AllOption,
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
    open_records,
    parties,
    poolers_of,
)
from naru.cli.progress import observer_for
from naru.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from naru.migrate import Crossed, Gate, PooledDatabase, Record, Switcher
    from naru.verify import HeldLimit

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
    all_databases: AllOption = False,
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
    with journal_of(found) as journal, ExitStack() as held:
        records = open_records(found, journal, name, every=all_databases)
        here = _those_at("source", records, held)
        poolers = _poolers(found, here, pooler, pooler_config, pooler_database)
        _cross(
            found, here, poolers, all_databases,
            pause_deadline, max_lag, jobs, no_verify, stop_when, dry_run, yes, json,
        )  # fmt: skip


def rollback(
    source: SourceOption = None,
    target: TargetOption = None,
    name: NameOption = None,
    all_databases: AllOption = False,
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
    with journal_of(found) as journal, ExitStack() as held:
        records = open_records(found, journal, name, every=all_databases)
        here = _those_at("target", records, held)
        poolers = _poolers(found, here, pooler, pooler_config, pooler_database)
        _cross(
            found, here, poolers, all_databases,
            pause_deadline, max_lag, jobs, no_verify, stop_when, dry_run, yes, json,
        )  # fmt: skip


def _those_at(side: str, records: Sequence[Record], held: ExitStack) -> list[Record]:
    """The migrations whose writes are there, in our hands. Raises UsageError if none is."""
    from naru.migrate import must_be_at

    here = [record for record in records if record.at == side]
    for record in here or records:
        must_be_at(record, side, "cut over" if side == "source" else "roll back")
        held.enter_context(hold(record))
    if len(here) < len(records):
        names = ", ".join(one.names.migration for one in records if one.at != side)
        talk.say(f"already over: {names}")
    return here


def _poolers(
    found: Parties,
    records: Sequence[Record],
    uris: list[str] | None,
    configs: list[Path] | None,
    pooled: str | None,
) -> list[tuple[PooledDatabase, ...]]:
    """Of each migration the poolers that its clients come through."""
    if pooled is not None and len(records) > 1:
        raise UsageError(
            "--pooler-database is for one migration",
            remedy="let clients of the pooler ask for each database by its own name, or move"
            " them one by one with --name",
        )
    return [
        poolers_of(found, uris, configs, pooled or record.source.dsn.database) for record in records
    ]


def _cross(
    found: Parties,
    records: Sequence[Record],
    poolers: Sequence[tuple[PooledDatabase, ...]],
    every: bool,
    pause: float,
    lag: int,
    jobs: int,
    no_verify: bool,
    stop_when: list[str] | None,
    dry_run: bool,
    yes: bool,
    json: bool,
) -> None:
    from naru.migrate import Limits, Switcher
    from naru.verify import stop_when as bounds

    held = bounds(stop_when or ())
    with observer_for() as observer:
        limits, keeps_slot = Limits(lag, pause), keeps_slot_of(found)
        switchers = [
            Switcher(record, pooled, limits, observer, keeps_slot=keeps_slot)
            for record, pooled in zip(records, poolers, strict=True)
        ]
        gates = [switcher.gates() for switcher in switchers]
        # Nothing may draw while people read the plan and are asked.
        observer.close()
        for switcher, its_gates in zip(switchers, gates, strict=True):
            _show_plan(switcher, its_gates)
        if any(gate.severity == "shut" for some in gates for gate in some):
            raise RefusedError("a gate is shut; nothing was done", remedy="see the gates above")
        if dry_run:
            return
        named = ", ".join(f"{switcher.plan.enter}" for switcher in switchers)
        talk.confirm(f"move the writes to {named}?", yes=yes)
        show = None if json else partial(_show_crossing, several=len(switchers) > 1)
        crossed = _cross_over(switchers, show, verify=not no_verify, jobs=jobs, held=held)
    if json:
        documents = [{**one.crossing.to_json(), "database": one.database} for one in crossed]
        talk.put_json({"crossings": documents} if every else crossed[0].crossing.to_json())
    for one in crossed:
        _must_be_same(one)


def _cross_over(
    switchers: Sequence[Switcher],
    show: Callable[[Crossed], None] | None,
    *,
    verify: bool,
    jobs: int,
    held: tuple[HeldLimit, ...],
) -> tuple[Crossed, ...]:
    """Cross; what has moved is shown at once, also where a later one fails."""
    from naru.migrate import cross_all, cross_one

    keep = show or (lambda _: None)
    named = [(one.plan.leave.dsn.database, one) for one in switchers]
    if len(named) == 1:
        alone = cross_one(*named[0], verify=verify, jobs=jobs, stop_when=held)
        keep(alone)
        return (alone,)
    return cross_all(named, verify=verify, jobs=jobs, stop_when=held, keep=keep)


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


def _show_crossing(crossed: Crossed, *, several: bool) -> None:
    crossing, verdict = crossed.crossing, crossed.crossing.verdict
    if several:
        talk.put(f"{crossed.database}:")
    parts = ", ".join(f"{name} {ms:g}" for name, ms in crossing.milliseconds.items())
    clients = "clients waited" if crossed.pooled else f"{crossing.ended_clients} clients cut off,"
    talk.put(f"writes are at the {crossing.at}; {clients} {crossing.pause_ms:g} ms ({parts})")
    talk.put(f"way back {crossing.way_back.slot}: {crossing.way_back.reason}")
    if verdict is not None:
        word = "the same" if verdict.same else f"{verdict.differences} differences"
        left = f"; {len(verdict.not_reached)} tables not reached" if not verdict.whole else ""
        talk.put(
            f"compared at {crossing.lsn}: {word}, {verdict.rows:,} rows in"
            f" {len(verdict.tables)} tables, {verdict.seconds:.1f} s{left}"
        )


def _must_be_same(crossed: Crossed) -> None:
    """Raise RefusedError with what differs, or what has kept the comparison from its end."""
    crossing, verdict = crossed.crossing, crossed.crossing.verdict
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
    if crossed.partly:
        raise crossed.partly
