"""`naru migrate start`, `status`, `finish`, `abort`; where its commands are put together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from naru.cli import switching, talk, watching
from naru.cli.options import JobsOption, JsonOption, SpecOption, YesOption
from naru.cli.parties import (
    NameOption,
    PoolerConfigOption,
    PoolerDatabaseOption,
    PoolerOption,
    SourceOption,
    TargetOption,
    both,
    hold,
    journal_of,
    open_record,
    parties,
    poolers_of,
)
from naru.cli.progress import observer_for
from naru.cli.watching import RetainOption
from naru.errors import UnreachableError

if TYPE_CHECKING:
    from naru.migrate import Closing, Status
    from naru.migrate.holders import Holding
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
KeepOption = Annotated[
    float | None,
    typer.Option("--keep-snapshot-for", min=0, metavar="MINUTES",
                 help="How long the source's snapshot stays for a copy that has stopped; 30"
                 " unless said before."),
]  # fmt: skip
LongestOption = Annotated[
    float | None,
    typer.Option("--longest-snapshot", min=0, metavar="MINUTES",
                 help="How old the snapshot may get in whole; 0, as old as it takes, unless"
                 " said before."),
]  # fmt: skip


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
    rate: Annotated[
        float | None,
        typer.Option(min=0.001, metavar="MB/S", help="Copy no faster, over all workers together."),
    ] = None,
    lock_timeout: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            metavar="SECONDS",
            help="How long a statement may wait for a lock, and so hold others up; 5 unless"
            " said before.",
        ),
    ] = None,
    retain_at_most: RetainOption = None,
    keep_snapshot_for: KeepOption = None,
    longest_snapshot: LongestOption = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Drop what was copied, and begin again.")
    ] = False,
    spec: SpecOption = None,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Copy the source to the target and follow it; returns when it has caught up.

    Stopped at any point, the same command goes on from what is done. Exit code 4 when it
    cannot, and says so: then --anew begins again. The snapshot that a stopped copy goes on under
    holds vacuum back on the source while it is kept.
    """
    from naru.migrate import (
        Bounds,
        SeenAt,
        Start,
        admit,
        begin_anew,
        begin_or_resume,
        must_be_whole,
        observe_status,
        resume,
        set_bound,
        set_keeping,
        set_lock_seconds,
        sole,
    )
    from naru.migrate import watching as beside

    found = parties(source, target, spec)
    leave, enter = both(found)
    chosen = name or leave.database
    with (
        journal_of(found) as journal,
        sole(found.folder, chosen),
        observer_for() as observer,
    ):
        seen_at = SeenAt(source_seen_at, target_seen_at)
        if anew and journal.latest("migrate", chosen, open_only=True) is not None:
            begun = resume(journal, chosen, leave, enter, seen_at)
            talk.confirm(f"drop what was copied to {begun.target}, and begin again?", yes=yes)
            begin_anew(begun, observer)
        if journal.latest("migrate", chosen, open_only=True) is None:
            admit(
                leave, enter, jobs=jobs, source_seen_at=source_seen_at,
                programs=tuple(postgres or ()), observer=observer,
            )  # fmt: skip
        record = begin_or_resume(journal, chosen, leave, enter, seen_at)
        record = set_lock_seconds(record, lock_timeout)
        set_bound(record, retain_at_most)
        must_be_whole(record)
        bounds = Bounds(
            jobs=jobs, programs=tuple(postgres or ()), rate=rate * 1e6 if rate else None
        )
        set_keeping(record, _seconds(keep_snapshot_for), _seconds(longest_snapshot))
        with beside(record, observer) as watched:
            Start(record, bounds, watched).perform()
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

    Those that a major upgrade runs are shown by `naru service upgrade`, and here by --name.
    Exit code 3 if a side does not answer, 1 if changes do not flow as they should.
    """
    from naru.migrate import observe_status

    found = parties(source, target, spec)
    with journal_of(found) as journal:
        seen = observe_status(open_record(found, journal, name, to_look=True))
    _show_status(seen, json)
    if seen.problem:
        raise typer.Exit(1 if seen.lag else 3)


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
        record = open_record(found, journal, name)
        must_be_at(record, "target", "finish")
        talk.confirm(f"drop the way back from {record.target} for good?", yes=yes)
        with hold(record):
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
        record = open_record(found, journal, name)
        what = " and drop the target database" if record.run.recall("made database") else ""
        talk.confirm(f"give up migration {record.names.migration}{what}?", yes=yes)
        database = pooler_database or record.source.dsn.database
        with hold(record):
            with _hinting("--target-is-gone", record.target):
                if not target_is_gone:
                    poolers = poolers_of(found, pooler, pooler_config, database)
                    settle_pending(record, poolers, observer)
                closing = act(record, gone=target_is_gone, observer=observer)
        _show_closing(closing, json)


def _seconds(minutes: float | None) -> float | None:
    return None if minutes is None else 60 * minutes


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


def _show_status(seen: Status, json: bool) -> None:
    if json:
        talk.put_json(seen.to_json())
        return
    talk.put(f"migration\t{seen.name}\t{seen.state}")
    if seen.owner:
        talk.put(f"part of\t{seen.owner.what}\t{seen.owner.command}")
    talk.put(f"writes at\t{seen.at}")
    talk.put(f"step\t{seen.step}\t{seen.step_state}")
    if seen.copied:
        talk.put(f"copied\t{seen.copied.rows} rows\t{seen.copied.bytes} bytes")
    if seen.snapshot:
        _show_snapshot(seen.snapshot)
    if seen.lag:
        lag = seen.lag
        talk.put(f"lag\t{lag.bytes} bytes\t{lag.seconds:.2f} s")
        talk.put(f"slot\t{lag.retained_bytes} bytes of WAL held back\t{lag.wal_status}")
        talk.put(f"following\t{'yes' if lag.connected else 'no'}\t{lag.errors} errors")
        if lag.applies_a_large_one:
            talk.put(f"applying\tone transaction for {lag.applying.seconds:.0f} s")
    if seen.retention and seen.retention.level != "ok":
        talk.put(f"{seen.retention.level}\t{seen.retention.text}")
    if seen.problem:
        talk.put(f"problem\t{seen.problem}")


def _show_snapshot(held: Holding) -> None:
    from naru.system.units import human_count, human_seconds

    end = "" if held.left_seconds is None else f"\tgiven back in {human_seconds(held.left_seconds)}"
    talk.put(
        f"snapshot\theld for {human_seconds(held.seconds)} by process {held.process}"
        f"\tvacuum held back by {human_count(held.transactions)} transactions{end}"
    )


def _show_closing(closing: Closing, json: bool) -> None:
    if json:
        talk.put_json({"outcome": closing.outcome, "done": list(closing.lines)})
        return
    for line in closing.lines:
        talk.put(line)


def register(app: typer.Typer) -> None:
    """Add the commands to `naru migrate`."""
    for command in (
        start,
        status,
        watching.watch,
        switching.cutover,
        switching.rollback,
        finish,
        abort,
    ):
        app.command()(command)
