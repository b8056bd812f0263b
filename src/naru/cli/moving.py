"""`naru migrate status`, `finish`, `abort`; where its commands are put together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from naru.cli import starting, switching, talk, watching
from naru.cli.moving_status import show_status
from naru.cli.options import JsonOption, SpecOption, YesOption
from naru.cli.parties import (
    AllOption,
    NameOption,
    PoolerConfigOption,
    PoolerDatabaseOption,
    PoolerOption,
    SourceOption,
    TargetOption,
    hold,
    journal_of,
    open_records,
    parties,
    poolers_of,
)
from naru.cli.progress import observer_for
from naru.errors import UnreachableError

if TYPE_CHECKING:
    from naru.migrate import Closing, Record
    from naru.migrate.sides import Side


def status(
    source: SourceOption = None,
    target: TargetOption = None,
    name: NameOption = None,
    all_databases: AllOption = False,
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
        records = open_records(found, journal, name, every=all_databases, to_look=True)
        seen = [observe_status(record) for record in records]
    show_status(seen, json, every=all_databases)
    troubled = [one for one in seen if one.problem]
    if troubled:
        raise typer.Exit(1 if all(one.lag for one in troubled) else 3)


def finish(
    source: SourceOption = None,
    target: TargetOption = None,
    name: NameOption = None,
    all_databases: AllOption = False,
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
        records = open_records(found, journal, name, every=all_databases)
        for record in records:
            must_be_at(record, "target", "finish")
        named = ", ".join(f"{record.target}" for record in records)
        talk.confirm(f"drop the way back from {named} for good?", yes=yes)
        closings = []
        for record in records:
            with hold(record), _hinting("--source-is-gone", record.source):
                closing = act(record, keep_fence=keep_fence, gone=source_is_gone, observer=observer)
                closings.append((record, closing))
        _show_closings(closings, json, every=all_databases)


def abort(
    source: SourceOption = None,
    target: TargetOption = None,
    name: NameOption = None,
    all_databases: AllOption = False,
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
        records = open_records(found, journal, name, every=all_databases)
        talk.confirm(f"give up {', '.join(map(_with_database, records))}?", yes=yes)
        closings = []
        for record in records:
            database = pooler_database or record.source.dsn.database
            with hold(record), _hinting("--target-is-gone", record.target):
                if not target_is_gone:
                    poolers = poolers_of(found, pooler, pooler_config, database)
                    settle_pending(record, poolers, observer)
                closing = act(record, gone=target_is_gone, observer=observer)
                closings.append((record, closing))
        _show_closings(closings, json, every=all_databases)


def _with_database(record: Record) -> str:
    from naru.migrate.record import MADE

    what = " and drop the target database" if record.run.recall(MADE) else ""
    return f"migration {record.names.migration}{what}"


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


def _show_closings(closings: Sequence[tuple[Record, Closing]], json: bool, *, every: bool) -> None:
    documents = [
        {"name": record.names.migration, "outcome": one.outcome, "done": list(one.lines)}
        for record, one in closings
    ]
    if json and every:
        talk.put_json({"migrations": documents})
    elif json:
        talk.put_json({key: documents[0][key] for key in ("outcome", "done")})
    else:
        for record, one in closings:
            for line in one.lines:
                talk.put(f"{record.names.migration}: {line}" if every else line)


def register(app: typer.Typer) -> None:
    """Add the commands to `naru migrate`."""
    for command in (
        starting.start,
        status,
        watching.watch,
        switching.cutover,
        switching.rollback,
        finish,
        abort,
    ):
        app.command()(command)
