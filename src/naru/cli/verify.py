"""`naru verify`: are two databases the same."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from naru.cli import talk
from naru.cli.comparing import (
    EqualOption,
    ExceptColumnOption,
    ExceptOption,
    PauseAtMostOption,
    PauseWhenOption,
    RateOption,
    SourceOption,
    StopWhenOption,
    TableOption,
    TargetOption,
    held_lines,
    must_take,
    restraint,
)
from naru.cli.interrupt import Interrupted
from naru.cli.options import JsonOption, SpecOption
from naru.cli.parties import both, parties
from naru.cli.progress import observer_for
from naru.cli.repair import repair
from naru.errors import NotPermittedError, StoppedError, UsageError
from naru.system.units import parse_seconds

if TYPE_CHECKING:
    from naru.postgres import Dsn
    from naru.verify import Ledger, RowDifference, Verdict

_MOST_SHOWN = 40
_RESUME = "the same command with --resume goes on"

app = typer.Typer(name="verify", invoke_without_command=True, rich_markup_mode=None)
app.command()(repair)


@app.callback()
def verify(
    context: typer.Context,
    source: SourceOption = None,
    target: TargetOption = None,
    jobs: Annotated[int, typer.Option(help="Workers on each side.")] = 2,
    table: TableOption = None,
    except_: ExceptOption = None,
    except_column: ExceptColumnOption = None,
    equal: EqualOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a comparison that was stopped.")
    ] = False,
    again: Annotated[
        bool,
        typer.Option("--again", help="Pass over tables unchanged since they were found equal."),
    ] = False,
    recheck_after: Annotated[
        float | None,
        typer.Option(
            metavar="TIME",
            parser=parse_seconds,
            help="With --again: not if that was so long ago, as 30d.",
        ),
    ] = None,
    at_most: Annotated[
        float | None,
        typer.Option(
            metavar="TIME",
            parser=parse_seconds,
            help="Begin with no table after so long, as 10min.",
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where results are kept; by default with the state."),
    ] = None,
    rate: RateOption = None,
    pause_when: PauseWhenOption = None,
    pause_at_most: PauseAtMostOption = "1h",
    stop_when: StopWhenOption = None,
    live: Annotated[
        bool, typer.Option("--live", help="Sound while the target follows the source.")
    ] = False,
    slot: Annotated[
        str | None, typer.Option(help="The logical slot that feeds the target, for --live.")
    ] = None,
    live_seconds: Annotated[
        float, typer.Option(help="How long rows that keep changing are looked at again.")
    ] = 60.0,
    strict: Annotated[bool, typer.Option("--strict", help="Notes count as differences.")] = False,
    materialized_rows: Annotated[
        bool, typer.Option("--materialized-rows", help="Compare materialized views' rows too.")
    ] = False,
    max_differences: Annotated[
        int, typer.Option(help="How many differing rows of a table are named; all are counted.")
    ] = 100,
    repair_sql: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write what makes the target like the source."),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write an HTML page for auditors: what was compared."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write an HTML page that shows the differences, with their values."
        ),
    ] = None,
    spec: SpecOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two databases: schema, rows, sequences, large objects. Reads only.

    Exit code 0 if they are the same, 1 if they differ, 3 if one cannot be read.
    """
    if context.invoked_subcommand:
        if source or target:
            raise UsageError("options of `naru verify repair` stand behind that word")
        return
    from naru.verify import Equality, Options, Repair, compare
    from naru.verify import stop_when as bounds

    options = Options(
        jobs=jobs, tables=tuple(table or ()), except_tables=tuple(except_ or ()),
        except_columns=tuple(except_column or ()), equal=Equality.parse(equal or ()),
        materialized_rows=materialized_rows, strict=strict,
        max_differences=max_differences, values=html is not None,
        live=live, live_seconds=live_seconds, slot=slot,
        resume=resume, again=again, recheck_seconds=recheck_after,
        at_most_seconds=at_most,
        restraint=restraint(rate, pause_when or (), pause_at_most),
        stop_when=bounds(stop_when or ()),
    )  # fmt: skip
    must_take(certificate, html, repair_sql)
    found = parties(source, target, spec)
    here, there = _directed(*both(found), slot) if live else both(found)
    mending = Repair(repair_sql) if repair_sql else None
    needed = resume or again or state is not None
    with observer_for() as watcher, _ledger(state or found.folder, needed=needed) as ledger:
        try:
            verdict = compare(
                here, there, options=options, observer=watcher, repair=mending, ledger=ledger
            )
        except UsageError:
            raise
        except Interrupted:
            if ledger and ledger.run:
                raise StoppedError(
                    "interrupted; what was compared is kept", remedy=_RESUME
                ) from None
            raise
        except BaseException:
            if ledger and ledger.run:
                talk.say(f"what was compared is kept: {_RESUME}")
            raise
    _draw(verdict)
    if certificate:
        from naru.report import write_certificate
        from naru.verify import certify

        write_certificate(certify(verdict, here, there), certificate)
        talk.say(f"the certificate: {certificate}")
    if html:
        from naru.report import write_differences
        from naru.verify import depict

        write_differences(depict(verdict, here, there), html)
        talk.say(f"the differences: {html}")
    if mending and mending.plan:
        for line in mending.plan.lines():
            talk.say(line)
        talk.say(f"what mends it: {mending.script}")
    if as_json:
        talk.put_json(verdict.to_json())
    else:
        _print(verdict)
    raise typer.Exit(0 if verdict.same else 1)


def _directed(source: Dsn, target: Dsn, slot: str | None) -> tuple[Dsn, Dsn]:
    """Both sides as changes flow: after a cutover the old side follows the new one."""
    from naru.verify import flows_back

    if not flows_back(source, target, slot):
        return source, target
    talk.say(f"changes flow from {target} to {source}: these are source and target in what follows")
    return target, source


def _ledger(folder: Path, *, needed: bool) -> AbstractContextManager[Ledger | None]:
    """Where results are kept; None where they cannot be, unless they are needed."""
    from naru.verify import Ledger

    try:
        return Ledger.in_folder(folder)
    except NotPermittedError as error:
        if needed:
            raise
        talk.say(f"{error.message}; so this comparison cannot be resumed")
        return nullcontext()


def verdict_line(verdict: Verdict) -> str:
    """The verdict in a line."""
    size = f"{verdict.rows:,} rows in {len(verdict.tables)} tables, {verdict.seconds:.1f} s"
    if verdict.kept:
        size += f"; {len(verdict.kept)} of them unchanged since they were compared"
    if verdict.not_reached:
        size += f"; {len(verdict.not_reached)} tables not reached"
    if verdict.same:
        rules = ", ".join(verdict.method.get("equal", ()))
        return f"the same{f' by {rules}' if rules else ''}: {size}"
    pending = f", {verdict.pending} pending" if verdict.pending else ""
    return f"different: {verdict.differences} differences{pending}; {size}"


def _print(verdict: Verdict) -> None:
    """The verdict, then one line a difference."""
    talk.put(verdict_line(verdict))
    for item in verdict.schema + (verdict.notes if verdict.strict else ()):
        talk.put(
            f"{item.kind} {item.object}: {item.attribute}: source {_quoted(item.source)},"
            f" target {_quoted(item.target)}"
        )
        if item.mend:
            talk.put(f"  mended by: {item.mend}")
    for table in verdict.tables:
        if table.reason:
            talk.put(f"table {table.table}: {table.reason}")
        for row in table.differences:
            talk.put(f"table {table.table}: {_row(row)}")
        if table.found > len(table.differences):
            talk.put(f"table {table.table}: {table.found - len(table.differences)} more rows")
        for row in table.pending:
            talk.put(f"table {table.table}: pending: {_row(row)}")
    for sequence in verdict.sequences:
        talk.put(f"sequence {sequence.sequence}: {_sides(sequence.to_json())}")
    for large in verdict.large_objects.differences:
        talk.put(f"large object {large.oid}: {large.kind} {', '.join(large.what)}".rstrip())


def _quoted(value: str | None) -> str:
    return "none" if value is None else repr(" ".join(value.split()))


def _row(row: RowDifference) -> str:
    key = ", ".join(f"{name}={value}" for name, value in row.key.items())
    columns = f" in {', '.join(row.columns)}" if row.columns else ""
    many = f" ({row.count} times)" if row.count > 1 else ""
    return f"{row.kind} {key}{columns}{many}"


def _sides(shape: dict[str, object]) -> str:
    return f"source {shape['source']}, target {shape['target']}"


def _draw(verdict: Verdict) -> None:
    """What people see: the tables that matter, notes, what was left out."""
    shown = sorted(verdict.tables, key=lambda table: (table.same, -table.rows))[:_MOST_SHOWN]
    if shown:
        grid = Table(box=None, pad_edge=False, header_style="bold")
        grid.add_column("table")
        for title in ("rows", "differences", "pending"):
            grid.add_column(title, justify="right")
        for table in shown:
            wrong = table.reason or f"{table.found:,}"
            style = "" if table.same else "red"
            grid.add_row(
                table.table, f"{table.rows:,}", wrong, f"{table.pending_found:,}", style=style
            )
        talk.people.print(grid)
        if len(verdict.tables) > len(shown):
            talk.say(f"… and {len(verdict.tables) - len(shown)} more tables")
    for note in verdict.notes:
        talk.say(f"note: {note.kind} {note.object}: {note.attribute}"
                 f" {note.source or 'none'} → {note.target or 'none'}")  # fmt: skip
    for line in held_lines(verdict):
        talk.say(line)
    for left_out in verdict.not_compared:
        talk.say(f"not compared: {left_out}")
