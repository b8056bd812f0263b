"""`naru drill`: break something on purpose, and see whether the promise holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from naru.cli import talk
from naru.cli.options import JsonOption, SpecOption, YesOption, spec_of
from naru.cli.progress import observer_for
from naru.errors import RefusedError

if TYPE_CHECKING:
    from naru.drill import Drill, DrillVerdict
    from naru.spec import Spec

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
    name: Annotated[str, typer.Argument(help="A name from `naru drill list`, or `all`.")],
    spec: SpecOption = None,
    clients: Annotated[int, typer.Option(min=1, max=200, help="Clients of the workload.")] = 8,
    rate: Annotated[
        float, typer.Option(min=1, help="Transactions a second, over all clients.")
    ] = 250.0,
    repeat: Annotated[int, typer.Option(min=1, help="Run each so many times.")] = 1,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FOLDER", help="Write drills.html and drills.json there."),
    ] = None,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Run one drill, or all, against the service; exit 1 if a promise broke.

    With --repeat, --report shows the median and the worst of each.
    """
    from naru.drill import DRILLS, find_drill
    from naru.ground import state_folder

    drills = list(DRILLS.values()) if name == "all" else [find_drill(name)]
    wanted, file = spec_of(spec)
    if name == "all" and not wanted.backup.enabled:
        talk.say("accident is left out: backups are switched off")
        drills = [drill for drill in drills if drill.name != "accident"]
    stages = _Stages(wanted, state_folder(file), clients, rate)
    for drill in drills:
        talk.say(f"{drill.name}: {drill.fault}; promised: {drill.promise}")
    talk.confirm(f"strike cluster {wanted.service.cluster_name} now", yes=yes)
    drills = [drill for drill in drills for _ in range(repeat)]
    if len(drills) == 1:
        verdict = stages.run(drills[0])
        _keep_report(report, [verdict])
        _show(drills[0], verdict, json=json)
        return
    _all(stages, drills, report, json=json)


@dataclass(frozen=True)
class _Stages:
    """Makes the stage of each drill, with a run in the journal."""

    spec: Spec
    folder: Path
    clients: int
    rate: float

    def run(self, drill: Drill) -> DrillVerdict:
        """Run it and note how it ended."""
        from naru.drill import Stage
        from naru.ground import open_ground
        from naru.journal import Journal
        from naru.service import Service
        from naru.traffic import Pool

        spec, ground = self.spec, open_ground(self.spec, self.folder)
        service, pool = Service(spec, ground), Pool(spec, ground)
        with Journal.in_folder(self.folder) as journal, observer_for() as observer:
            run = journal.begin("drill", drill.name)
            outcome = "failed"
            try:
                verdict = drill.run(
                    Stage(spec, ground, service, pool, run, observer, self.clients, self.rate)
                )
                outcome = "kept" if verdict.kept else "broken"
            finally:
                run.end(outcome)
        return verdict


def _all(stages: _Stages, drills: list[Drill], report: Path | None, *, json: bool) -> None:
    """One after the other; one that cannot be run stops the series, for what it left behind."""
    verdicts: list[DrillVerdict] = []
    try:
        for drill in drills:
            verdict = stages.run(drill)
            verdicts.append(verdict)
            word = "held" if verdict.kept else f"BROKE: {'; '.join(verdict.broken)}"
            talk.say(f"{drill.name}: the promise {word}")
    finally:
        _keep_report(report, verdicts)
    if json:
        talk.put_json([one.to_json() for one in verdicts])
    else:
        for one in verdicts:
            silence = _with_unit(one.longest_silence_ms, "ms")
            held = "held" if one.kept else "BROKE"
            errors, lost = f"{one.client_errors} errors", f"{_count(one.lost)} lost"
            talk.put("\t".join((one.drill, held, silence, errors, lost)))
    broken = [one.drill for one in verdicts if not one.kept]
    if broken:
        raise RefusedError(f"promises broke: {', '.join(broken)}")


def _keep_report(folder: Path | None, verdicts: list[DrillVerdict]) -> None:
    from naru.report import write_drills

    if folder is not None and verdicts:
        page = write_drills("Drills", [one.to_json() for one in verdicts], folder)
        talk.say(f"report: {page}")


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
    again = _with_unit(verdict.seconds, "s")
    unknown = f"{_count(verdict.unknown)}, of which {_count(verdict.unknown_committed)} committed"
    return [
        *([("writes again after", again)] if verdict.promise.startswith("writes again") else []),
        ("longest silence", _with_unit(verdict.longest_silence_ms, "ms")),
        ("all members back after", _with_unit(verdict.whole_after_seconds, "s")),
        ("primary", f"{verdict.primary_before} → {verdict.primary_after or 'none'}"),
        ("client errors", str(verdict.client_errors)),
        ("acknowledged", _count(verdict.acknowledged)),
        ("failed", _count(verdict.failed)),
        ("unknown", unknown),
        ("lost", _count(verdict.lost)),
        ("duplicated", _count(verdict.duplicated)),
        *_figures(verdict),
    ]


def _figures(verdict: DrillVerdict) -> list[tuple[str, str]]:
    """Figures that this drill alone has."""
    found = []
    for name, value in verdict.details.items():
        if isinstance(value, int | float) and name != "at":
            words, _, unit = name.rpartition("_")
            measured = unit in _UNITS
            what = (words if measured else name).replace("_", " ")
            found.append((what, f"{value:g} {_UNITS[unit]}" if measured else str(value)))
    return found


_UNITS = {"seconds": "s", "ms": "ms"}


def _with_unit(value: float | None, unit: str) -> str:
    return "not measured" if value is None else f"{value:g} {unit}"


def _count(value: int | None) -> str:
    return "not known" if value is None else str(value)
