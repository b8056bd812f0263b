"""`naru drill`: break something on purpose, and see whether the promise holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from naru.cli import talk
from naru.cli.options import JsonOption, SpecOption, YesOption, spec_of
from naru.cli.progress import observer_for
from naru.errors import RefusedError

if TYPE_CHECKING:
    from naru.drill import Drill, DrillVerdict

app = typer.Typer(
    help="Faults on purpose, with a workload and a verdict.", no_args_is_help=True,
    rich_markup_mode=None,
)  # fmt: skip


@app.command("list")
def list_drills(json: JsonOption = False) -> None:
    """List the drills: what is broken, and what is promised."""
    from naru.drill import DRILLS

    if json:
        talk.put_json(
            [{"name": d.name, "fault": d.fault, "promise": d.promise} for d in DRILLS.values()]
        )
        return
    for drill in DRILLS.values():
        talk.put(f"{drill.name}\t{drill.fault}\t{drill.promise}")


@app.command("run")
def run_drill(
    name: Annotated[str, typer.Argument(help="A name from `naru drill list`.")],
    spec: SpecOption = None,
    clients: Annotated[int, typer.Option(min=1, max=200, help="Clients of the workload.")] = 8,
    rate: Annotated[
        float, typer.Option(min=1, help="Transactions a second, over all clients.")
    ] = 250.0,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Run one drill against the service; exit 1 if its promise broke."""
    from naru.drill import Stage, find_drill
    from naru.ground import open_ground, state_folder
    from naru.journal import Journal
    from naru.service import Service
    from naru.traffic import Pool

    drill = find_drill(name)
    wanted, file = spec_of(spec)
    folder = state_folder(file)
    ground = open_ground(wanted, folder)
    service = Service(wanted, ground)
    talk.say(f"{drill.name}: {drill.fault}; promised: {drill.promise}")
    talk.confirm(f"strike cluster {service.layout.cluster} now", yes=yes)
    with Journal.in_folder(folder) as journal, observer_for() as observer:
        run = journal.begin("drill", drill.name)
        outcome = "failed"
        try:
            verdict = drill.run(
                Stage(wanted, ground, service, Pool(wanted, ground), run, observer, clients, rate)
            )
            outcome = "kept" if verdict.kept else "broken"
        finally:
            run.end(outcome)
    _show(drill, verdict, json=json)


def _show(drill: Drill, verdict: DrillVerdict, *, json: bool) -> None:
    if json:
        talk.put_json(verdict.to_json())
    else:
        for what, value in _lines(verdict):
            talk.put(f"{what:<24}{value}")
    if not verdict.kept:
        raise RefusedError(
            f"drill {drill.name}: the promise broke: {'; '.join(verdict.broken)}",
            remedy="the figures and events are in the journal; the ledger was left for you to see",
        )
    talk.say(f"drill {drill.name}: the promise held")


def _lines(verdict: DrillVerdict) -> list[tuple[str, str]]:
    unknown = f"{_count(verdict.unknown)}, of which {_count(verdict.unknown_committed)} committed"
    return [
        ("writes again after", _with_unit(verdict.seconds, "s")),
        ("longest silence", _with_unit(verdict.longest_silence_ms, "ms")),
        ("all members back after", _with_unit(verdict.whole_after_seconds, "s")),
        ("primary", f"{verdict.primary_before} → {verdict.primary_after or 'none'}"),
        ("client errors", str(verdict.client_errors)),
        ("acknowledged", _count(verdict.acknowledged)),
        ("failed", _count(verdict.failed)),
        ("unknown", unknown),
        ("lost", _count(verdict.lost)),
        ("duplicated", _count(verdict.duplicated)),
    ]


def _with_unit(value: float | None, unit: str) -> str:
    return "not measured" if value is None else f"{value:g} {unit}"


def _count(value: int | None) -> str:
    return "not known" if value is None else str(value)
