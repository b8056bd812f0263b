"""`naru migrate start, status, cutover, rollback, finish, abort`: the commands that move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from naru.cli import talk
from naru.cli.options import JsonOption, SpecOption, YesOption
from naru.cli.parties import (
    NameOption,
    Parties,
    PoolerConfigOption,
    PoolerDatabaseOption,
    PoolerOption,
    SourceOption,
    TargetOption,
    both,
    journal_of,
    parties,
    poolers_of,
)
from naru.cli.progress import observer_for
from naru.errors import RefusedError, UnreachableError

if TYPE_CHECKING:
    from naru.journal import Journal
    from naru.migrate import Closing, Crossing, Gate, Record, Status, Switcher
    from naru.migrate.sides import Side

SeenSourceOption = Annotated[
    str | None,
    typer.Option("--source-seen-at", metavar="HOST:PORT",
                 help="Where the target's server reaches the source, if not as we do."),
]  # fmt: skip
SeenTargetOption = Annotated[
    str | None,
    typer.Option("--target-seen-at", metavar="HOST:PORT",
                 help="Where the source's server reaches the target, if not as we do."),
]  # fmt: skip
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
JobsOption = Annotated[int, typer.Option(min=1, max=64, help="Workers on each side.")]
NoVerifyOption = Annotated[
    bool, typer.Option("--no-verify", help="Do not compare the two sides afterwards.")
]


def start(
    source: SourceOption = None,
    target: TargetOption = None,
    name: NameOption = None,
    jobs: JobsOption = 2,
    source_seen_at: SeenSourceOption = None,
    target_seen_at: SeenTargetOption = None,
    postgres: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="More folders with PostgreSQL programs."),
    ] = None,
    spec: SpecOption = None,
    json: JsonOption = False,
) -> None:
    """Copy the source to the target and follow it; returns when it has caught up.

    Stopped at any point, the same command goes on from what is done.
    """
    from naru.migrate import Bounds, SeenAt, Start, admit, begin_or_resume, observe_status, sole

    found = parties(source, target, spec)
    leave, enter = both(found)
    chosen = name or leave.database
    with (
        journal_of(found) as journal,
        sole(found.folder, chosen),
        observer_for() as observer,
    ):
        if journal.latest("migrate", chosen, open_only=True) is None:
            admit(
                leave, enter, jobs=jobs, source_seen_at=source_seen_at,
                programs=tuple(postgres or ()), observer=observer,
            )  # fmt: skip
        record = begin_or_resume(
            journal, chosen, leave, enter, SeenAt(source_seen_at, target_seen_at)
        )
        Start(record, Bounds(jobs=jobs, programs=tuple(postgres or ())), observer).perform()
        seen = observe_status(record)
    _show_status(seen, json)


def status(
    source: SourceOption = None,
    target: TargetOption = None,
    name: NameOption = None,
    spec: SpecOption = None,
    json: JsonOption = False,
) -> None:
    """Show the step, the rows copied, the lag in bytes and seconds, and the WAL held back.

    Exit code 3 if a side does not answer, 1 if changes do not flow as they should.
    """
    from naru.migrate import observe_status

    found = parties(source, target, spec)
    with journal_of(found) as journal:
        seen = observe_status(_open(found, journal, name))
    _show_status(seen, json)
    if seen.problem:
        raise typer.Exit(1 if seen.lag else 3)


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
        record = _open(found, journal, name)
        _must_be_at(record, "source")
        with _sole(record):
            _cross(
                found, record, pooler, pooler_config, pooler_database,
                pause_deadline, max_lag, jobs, no_verify, dry_run, yes, json,
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
    dry_run: DryOption = False,
    spec: SpecOption = None,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Move the writes back to the source, with all that was written at the target."""
    found = parties(source, target, spec)
    with journal_of(found) as journal:
        record = _open(found, journal, name)
        _must_be_at(record, "target")
        with _sole(record):
            _cross(
                found, record, pooler, pooler_config, pooler_database,
                pause_deadline, max_lag, jobs, no_verify, dry_run, yes, json,
            )  # fmt: skip


def finish(
    source: SourceOption = None,
    target: TargetOption = None,
    name: NameOption = None,
    keep_fence: Annotated[
        bool, typer.Option("--keep-fence", help="Leave the old database closed to clients.")
    ] = False,
    source_is_gone: Annotated[
        bool,
        typer.Option("--source-is-gone", help="The old server is no more: clean up the target."),
    ] = False,
    spec: SpecOption = None,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Drop the way back. The source is left as it was before the migration."""
    from naru.migrate import finish as act
    from naru.migrate import must_be_at

    found = parties(source, target, spec)
    with journal_of(found) as journal, observer_for() as observer:
        record = _open(found, journal, name)
        must_be_at(record, "target", "finish")
        talk.confirm(f"drop the way back from {record.target} for good?", yes=yes)
        with _sole(record):
            with _hinting("--source-is-gone", record.source):
                closing = act(record, keep_fence=keep_fence, gone=source_is_gone, observer=observer)
        _show_closing(closing, json)


def abort(
    source: SourceOption = None,
    target: TargetOption = None,
    name: NameOption = None,
    pooler: PoolerOption = None,
    pooler_config: PoolerConfigOption = None,
    pooler_database: PoolerDatabaseOption = None,
    target_is_gone: Annotated[
        bool,
        typer.Option("--target-is-gone", help="The new server is no more: clean up the source."),
    ] = False,
    spec: SpecOption = None,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Take everything of the migration away again; the source is as it was before."""
    from naru.migrate import abort as act
    from naru.migrate import settle_pending

    found = parties(source, target, spec)
    with journal_of(found) as journal, observer_for() as observer:
        record = _open(found, journal, name)
        what = " and drop the target database" if record.run.recall("made database") else ""
        talk.confirm(f"give up migration {record.names.migration}{what}?", yes=yes)
        database = pooler_database or record.source.dsn.database
        with _sole(record):
            with _hinting("--target-is-gone", record.target):
                if not target_is_gone:
                    poolers = poolers_of(found, pooler, pooler_config, database)
                    settle_pending(record, poolers, observer)
                closing = act(record, gone=target_is_gone, observer=observer)
        _show_closing(closing, json)


@contextmanager
def _hinting(option: str, side: Side) -> Iterator[None]:
    """Name the option that does without `side`, should it be out of reach."""
    try:
        yield
    except UnreachableError as error:
        if f"@{side.dsn.host}:{side.dsn.port}/" not in error.message:
            raise
        raise UnreachableError(
            error.message,
            remedy=f"run the same command when it answers again; if it never will: {option}",
        ) from error


def _open(found: Parties, journal: Journal, name: str | None) -> Record:
    from naru.migrate import SeenAt, resume

    return resume(journal, name, found.source, found.target, SeenAt())


def _sole(record: Record) -> AbstractContextManager[None]:
    from naru.migrate import sole

    return sole(record.run.journal.path.parent, record.names.migration)


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
    dry_run: bool,
    yes: bool,
    json: bool,
) -> None:
    from naru.migrate import Limits, Switcher

    poolers = poolers_of(found, uris, configs, pooled or record.source.dsn.database)
    with observer_for() as observer:
        switcher = Switcher(record, poolers, Limits(lag, pause), observer)
        gates = switcher.gates()
    _show_plan(switcher, gates)
    if any(gate.severity == "shut" for gate in gates):
        raise RefusedError("a gate is shut; nothing was done", remedy="see the gates above")
    if dry_run:
        return
    talk.confirm(f"move the writes to {switcher.plan.enter}?", yes=yes)
    with observer_for() as observer:
        crossing = switcher.cross(verify=not no_verify, jobs=jobs)
    _show_crossing(crossing, json)


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


def _show_crossing(crossing: Crossing, json: bool) -> None:
    verdict = crossing.verdict
    if json:
        talk.put_json(crossing.to_json())
    else:
        parts = ", ".join(f"{name} {ms:g}" for name, ms in crossing.milliseconds.items())
        talk.put(
            f"writes are at the {crossing.at}; clients waited {crossing.pause_ms:g} ms ({parts})"
        )
        if verdict is not None:
            word = "the same" if verdict.same else f"{verdict.differences} differences"
            talk.put(
                f"compared at {crossing.lsn}: {word}, {verdict.rows:,} rows in"
                f" {len(verdict.tables)} tables, {verdict.seconds:.1f} s"
            )
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


def _show_status(seen: Status, json: bool) -> None:
    if json:
        talk.put_json(seen.to_json())
        return
    talk.put(f"migration\t{seen.name}\t{seen.state}")
    talk.put(f"writes at\t{seen.at}")
    talk.put(f"step\t{seen.step}\t{seen.step_state}")
    if seen.copied:
        talk.put(f"copied\t{seen.copied.rows} rows\t{seen.copied.bytes} bytes")
    if seen.lag:
        lag = seen.lag
        talk.put(f"lag\t{lag.bytes} bytes\t{lag.seconds:.2f} s")
        talk.put(f"slot\t{lag.retained_bytes} bytes of WAL held back\t{lag.wal_status}")
        talk.put(f"following\t{'yes' if lag.connected else 'no'}\t{lag.errors} errors")
    if seen.problem:
        talk.put(f"problem\t{seen.problem}")


def _show_closing(closing: Closing, json: bool) -> None:
    if json:
        talk.put_json({"outcome": closing.outcome, "done": list(closing.lines)})
        return
    for line in closing.lines:
        talk.put(line)


def register(app: typer.Typer) -> None:
    """Add the commands to `naru migrate`."""
    for command in (start, status, cutover, rollback, finish, abort):
        app.command()(command)
