"""`naru verify repair`: make the target like the source."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    must_take,
    restraint,
)
from naru.cli.options import JsonOption, SpecOption, YesOption
from naru.cli.parties import both, journal_of, parties
from naru.cli.progress import observer_for
from naru.errors import RefusedError

if TYPE_CHECKING:
    from naru.cli.parties import Parties
    from naru.postgres import Dsn
    from naru.verify import Options, RepairPlan, Verdict


def repair(
    source: SourceOption = None,
    target: TargetOption = None,
    jobs: Annotated[int, typer.Option(help="Workers on each side.")] = 2,
    table: TableOption = None,
    except_: ExceptOption = None,
    except_column: ExceptColumnOption = None,
    equal: EqualOption = None,
    rate: RateOption = None,
    pause_when: PauseWhenOption = None,
    pause_at_most: PauseAtMostOption = "1h",
    stop_when: StopWhenOption = None,
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
    keeps the statements. What is equal by a rule, and what is left out, stays as it is.
    Refuses while clients are at the target, it subscribes, or another repair is under way.
    """
    from naru.verify import Equality, Options, Repair, compare, must_be_quiet, sole_repair
    from naru.verify import stop_when as bounds

    must_take(script)
    found = parties(source, target, spec)
    here, there = both(found)
    options = Options(
        jobs=jobs, tables=tuple(table or ()), except_tables=tuple(except_ or ()),
        except_columns=tuple(except_column or ()), equal=Equality.parse(equal or ()),
        materialized_rows=True,
        restraint=restraint(rate, pause_when or (), pause_at_most),
        stop_when=bounds(stop_when or ()),
    )  # fmt: skip
    with sole_repair(there):
        must_be_quiet(there)
        mending = Repair(script or _script(found, there.database))
        with observer_for() as watcher:
            verdict = compare(here, there, options=options, observer=watcher, repair=mending)
        plan = mending.plan
        assert plan is not None
        for line in plan.lines():
            talk.say(line)
        if not plan.is_empty:
            talk.say(f"the statements: {plan.script}")
            talk.confirm(f"repair {there}?", yes=yes)
            verdict = _carry_out(found, plan, (here, there), options)
    if as_json:
        talk.put_json({"plan": plan.to_json(), "verdict": verdict.to_json()})
    else:
        talk.put("the same" if verdict.same else f"{verdict.differences} differences are left")
    raise typer.Exit(0 if verdict.same else 1)


def _carry_out(
    found: Parties, plan: RepairPlan, sides: tuple[Dsn, Dsn], options: Options
) -> Verdict:
    """Apply the plan and compare again; the journal has what was to be changed before it is."""
    from naru.verify import apply, compare

    with journal_of(found, begins=True) as journal, observer_for() as watcher:
        run = journal.begin("repair", plan.script.stem)
        run.event("repair.begins", f"applying {plan.script} to {sides[1]}", **plan.to_json())
        try:
            count = apply(plan.script, sides[1], watcher)
            run.event("repair.applied", f"applied {count} statements", statements=count)
            verdict = compare(*sides, options=options, observer=watcher)
        except BaseException as error:
            run.event("repair.stopped", str(error) or type(error).__name__)
            run.end("failed")
            raise
        run.figure("differences left", verdict.differences)
        run.end("done" if verdict.same else "failed")
    return verdict


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
