"""`naru verify repair`: make the target like the source."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from naru.cli import talk
from naru.cli.options import JsonOption, SpecOption, YesOption
from naru.cli.parties import both, journal_of, parties
from naru.cli.progress import observer_for
from naru.errors import RefusedError

if TYPE_CHECKING:
    from naru.cli.parties import Parties
    from naru.verify import RepairPlan, Verdict

SourceOption = Annotated[
    str | None,
    typer.Option(metavar="URI", help="The database that is right; by default the lab's."),
]
TargetOption = Annotated[
    str | None,
    typer.Option(metavar="URI", help="The database to be checked; by default the lab's."),
]


def repair(
    source: SourceOption = None,
    target: TargetOption = None,
    jobs: Annotated[int, typer.Option(help="Workers on each side.")] = 2,
    table: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Only tables such as 'public.user*'; repeatable."),
    ] = None,
    script: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where its statements go; by default with the state."),
    ] = None,
    spec: SpecOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make rows, sequences and large objects of the target like the source's.

    Compares, shows the plan, asks, applies it in bounded transactions, compares again, and
    keeps the statements. Refuses while clients are at the target, or it subscribes.
    """
    from naru.verify import Options, Repair, apply, compare, must_be_quiet

    found = parties(source, target, spec)
    here, there = both(found)
    must_be_quiet(there)
    options = Options(jobs=jobs, tables=tuple(table or ()), materialized_rows=True)
    mending = Repair(script or _script(found, there.database))
    with observer_for() as watcher:
        verdict = compare(here, there, options=options, observer=watcher, repair=mending)
    plan = mending.plan
    assert plan is not None
    for line in plan.lines():
        talk.say(line)
    if not plan.is_empty:
        talk.say(f"the statements: {plan.script}")
        question = f"repair {there}?"
        talk.confirm(question, yes=yes)
        with observer_for() as watcher:
            apply(plan.script, there, watcher)
            verdict = compare(here, there, options=options, observer=watcher)
        _note(found, plan, verdict)
    if as_json:
        talk.put_json({"plan": plan.to_json(), "verdict": verdict.to_json()})
    else:
        talk.put("the same" if verdict.same else f"{verdict.differences} differences are left")
    raise typer.Exit(0 if verdict.same else 1)


def _script(found: Parties, database: str) -> Path:
    from naru.system import private_folder

    folder = found.folder / "repairs"
    private_folder(folder)
    moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    name = "".join(letter if letter.isalnum() else "_" for letter in database)
    path = folder / f"{name}-{moment}.sql"
    if path.exists():
        raise RefusedError(f"{path} exists", remedy="repair again in a second")
    return path


def _note(found: Parties, plan: RepairPlan, verdict: Verdict) -> None:
    """Record in the journal what was changed."""
    with journal_of(found) as journal:
        run = journal.begin("repair", plan.script.stem)
        run.event("repair.applied", f"applied {plan.script}", **plan.to_json())
        run.figure("differences left", verdict.differences)
        run.end("done" if verdict.same else "failed")
