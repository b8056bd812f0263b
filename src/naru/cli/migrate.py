"""`naru migrate`: one database to another, from the first look to the last step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from naru.cli import dumping, moving, talk
from naru.cli.options import JsonOption, SpecOption
from naru.cli.parties import SourceOption, TargetOption, both, parties
from naru.cli.progress import observer_for
from naru.cli.starting import DatabaseOption, EveryOption, pairs_between

if TYPE_CHECKING:
    from naru.migrate.assess import Assessment

migrate = typer.Typer(
    name="migrate",
    help="Bring one database across to another server, and back if need be.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@migrate.command()
def assess(
    source: SourceOption = None,
    target: TargetOption = None,
    database: DatabaseOption = None,
    all_databases: EveryOption = False,
    jobs: Annotated[int, typer.Option(help="Workers that the copy will have.")] = 2,
    source_seen_at: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="The source's address as the target sees it."),
    ] = None,
    grants: Annotated[
        bool,
        typer.Option("--grants", help="Print only the statements that give missing rights."),
    ] = False,
    spec: SpecOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look at both databases, and say what stands in the way. Changes nothing.

    Exit code 0 if nothing is blocking, 1 if something is, 3 if one side cannot be read.
    """
    from naru.migrate.assess import assess as look

    leave, enter = both(parties(source, target, spec))
    with observer_for() as watcher:
        pairs = pairs_between(leave, enter, None, database, all_databases, watcher)
        found = [
            look(
                one.source,
                one.target,
                jobs=jobs,
                source_seen_at=source_seen_at,
                databases=len(pairs),
                observer=watcher,
            )
            for one in pairs
        ]
    for assessment in found:
        draw_assessment(assessment)
        if grants:
            put_grants(assessment)
        elif not as_json:
            for finding in assessment.findings:
                talk.put(" ".join(str(finding).split()))
    if as_json and not grants:
        several = bool(database) or all_databases
        documents = [one.to_json() for one in found]
        talk.put_json({"databases": documents} if several else documents[0])
    raise typer.Exit(1 if any(one.blocked for one in found) else 0)


moving.register(migrate)
dumping.register(migrate)


def put_grants(assessment: Assessment) -> None:
    """The statements that are missing, as a script for each side's administrator."""
    facts = assessment.facts
    for side, server in (("source", facts.source), ("target", facts.target)):
        statements = assessment.grants(side)
        if statements:
            talk.put(f"-- On the {side}, as an administrator, connected to {server.database}:")
        for statement in statements:
            talk.put(statement)


def draw_assessment(assessment: Assessment) -> None:
    """The facts, for people."""
    facts = assessment.facts
    size = facts.size
    seconds = size.read_seconds
    grid = Table(box=None, pad_edge=False, show_header=False)
    grid.add_row("source", f"PostgreSQL {facts.source.major}, {facts.source.database}")
    there = "" if facts.state.exists else ", to be made"
    grid.add_row("target", f"PostgreSQL {facts.target.major}, {facts.target.database}{there}")
    grid.add_row("size", _bytes(size.database_bytes))
    grid.add_row("tables", f"{size.tables:,}, about {size.rows:,} rows, {_bytes(size.table_bytes)}")
    grid.add_row("largest", ", ".join(f"{name} {_bytes(n)}" for name, n in size.largest[:5]) or "–")
    if size.wal_bytes_per_second is not None:
        grid.add_row("WAL now", f"{_bytes(size.wal_bytes_per_second)} a second")
    if seconds is not None:
        grid.add_row("copy", f"reading alone takes one worker about {seconds:,.1f} s")
    talk.people.print(grid)
    blocking = sum(one.severity == "blocking" for one in assessment.findings)
    warnings = sum(one.severity == "warning" for one in assessment.findings)
    talk.say(f"{blocking} blocking, {warnings} warnings, "
             f"{len(assessment.findings) - blocking - warnings} notes")  # fmt: skip


def _bytes(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 10_000:
            return f"{count:,.0f} {unit}"
        count /= 1024
    return f"{count:,.0f} TB"
