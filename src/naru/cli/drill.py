"""`naru drill`: break something on purpose, and see whether the promise holds."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from naru.cli import talk
from naru.cli.options import JsonOption, SpecOption, YesOption, spec_of
from naru.cli.progress import observer_for
from naru.errors import NaruError, RefusedError

if TYPE_CHECKING:
    from naru.drill import Drill, DrillVerdict, Stage
    from naru.journal import Run
    from naru.spec import Spec

app = typer.Typer(
    help="Faults on purpose, with a workload and a verdict.", no_args_is_help=True,
    rich_markup_mode=None,
)  # fmt: skip


@app.command("list")
def list_drills(json: JsonOption = False) -> None:
    """List the drills: what is broken, what is promised, how long it takes, what it needs."""
    from naru.drill import DRILLS

    if json:
        talk.put_json([drill.to_json() for drill in DRILLS.values()])
        return
    for drill in DRILLS.values():
        numbers = ",".join(str(n) for n in drill.numbers) or "-"
        needs = f"needs {', '.join(need.words for need in drill.needs)}" if drill.needs else ""
        words = (drill.name, numbers, f"{drill.seconds} s", drill.fault, drill.promise, needs)
        talk.put("\t".join(words).rstrip())


@app.command("run")
def run_drill(
    name: Annotated[str, typer.Argument(help="A name from `naru drill list`, or `all`.")],
    spec: SpecOption = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="Of all, this one; may be repeated."),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--except", metavar="NAME", help="Of all, not this one; may be repeated."),
    ] = None,
    clients: Annotated[int, typer.Option(min=1, max=200, help="Clients of the workload.")] = 8,
    rate: Annotated[
        float, typer.Option(min=1, help="Transactions a second, over all clients.")
    ] = 250.0,
    repeat: Annotated[int, typer.Option(min=1, help="Run each so many times.")] = 1,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="PAGE",
            help="Write a page, and its figures as JSON beside it: a name that ends in .html, or"
            " a folder for drills.html.",
        ),
    ] = None,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Run one drill, or all, against the service; exit 1 if a promise broke.

    Of all, those that need what is not here are left out, and one that fails does not stop
    the others. With --repeat, --report shows the median and the worst of each.
    """
    from naru.drill import choose_drills
    from naru.ground import open_ground, state_folder
    from naru.lab.alone import alone_at_work

    drills = choose_drills(name, tuple(only or ()), tuple(without or ()))
    wanted, file = spec_of(spec)
    stages = _Stages(wanted, state_folder(file), clients, rate)
    for drill in drills:
        talk.say(f"{drill.name}: {drill.fault}; promised: {drill.promise}")
    talk.confirm(f"strike cluster {wanted.service.cluster_name} now", yes=yes)
    series = [drill for drill in drills for _ in range(repeat)]
    # All of it: a drill that fails is mended by what would undo another work.
    with alone_at_work(open_ground(wanted, stages.folder), f"drill {name}"):
        if name != "all" and repeat == 1:
            verdict = stages.run(drills[0])
            _keep_report(report, [verdict], {})
            _show(drills[0], verdict, json=json)
            return
        _all(stages, series, report, json=json)


@dataclass(frozen=True)
class _Stages:
    """Makes the stage of each drill, with a run in the journal."""

    spec: Spec
    folder: Path
    clients: int
    rate: float

    @contextlib.contextmanager
    def open(self, run: Run | None = None) -> Iterator[Stage]:
        """The environment as it is now."""
        from naru.drill import Stage
        from naru.ground import open_ground
        from naru.service import Service
        from naru.traffic import Pool

        spec, ground = self.spec, open_ground(self.spec, self.folder)
        service, pool = Service(spec, ground), Pool(spec, ground)
        with observer_for() as observer:
            yield Stage(spec, ground, service, pool, run, observer, self.clients, self.rate)

    def run(self, drill: Drill) -> DrillVerdict:
        """Run it and note how it ended."""
        from naru.journal import Journal

        with Journal.in_folder(self.folder) as journal:
            run = journal.begin("drill", drill.name)
            outcome = "failed"
            try:
                with self.open(run) as stage:
                    verdict = drill.run(stage)
                outcome = "kept" if verdict.kept else "broken"
            finally:
                run.end(outcome)
        return verdict

    def run_and_mend(self, drill: Drill) -> DrillVerdict:
        """Run it; whatever becomes of it, the service is whole afterwards.

        Raises an error only when the service cannot be made whole.
        """
        import psycopg

        from naru.drill import mend, not_run

        try:
            verdict = self.run(drill)
        except NaruError as error:
            verdict = not_run(drill.name, drill.promised, error.message)
        except (psycopg.Error, OSError) as error:
            # What broke a drill may come from anywhere; the others are run all the same.
            verdict = not_run(drill.name, drill.promised, f"{type(error).__name__}: {error}")
        if not verdict.kept:
            with self.open() as stage:
                mend(stage)
        return verdict


def _all(stages: _Stages, drills: list[Drill], report: Path | None, *, json: bool) -> None:
    """One after the other, with the report as far as it is after each."""
    verdicts: list[DrillVerdict] = []
    left_out: dict[str, str] = {}
    for drill in drills:
        with stages.open() as stage:
            missing = drill.missing(stage)
        if missing is not None:
            left_out[drill.name] = f"needs {missing}"
            talk.say(f"{drill.name}: not run: needs {missing}")
            continue
        began = time.monotonic()
        verdict = stages.run_and_mend(drill)
        verdicts.append(verdict)
        word = "held" if verdict.kept else f"BROKE: {'; '.join(verdict.broken)}"
        talk.say(f"{drill.name}: the promise {word} ({time.monotonic() - began:.0f} s)")
        _keep_report(report, verdicts, left_out, quiet=True)
    _keep_report(report, verdicts, left_out)
    if json:
        talk.put_json([one.to_json() for one in verdicts])
    else:
        for one in verdicts:
            silence = _with_unit(one.longest_silence_ms, "ms")
            held = "held" if one.kept else "BROKE"
            errors, lost = f"{one.client_errors} errors", f"{_count(one.lost)} lost"
            talk.put("\t".join((one.drill, held, silence, errors, lost)))
        for name, why in left_out.items():
            talk.put(f"{name}\tnot run\t{why}")
    broken = [one.drill for one in verdicts if not one.kept]
    if not verdicts:
        raise RefusedError("no drill could be run: each needs what is not here")
    if broken:
        raise RefusedError(f"promises broke: {', '.join(broken)}")


def _keep_report(
    page: Path | None,
    verdicts: list[DrillVerdict],
    left_out: dict[str, str],
    *,
    quiet: bool = False,
) -> None:
    from naru.report import write_drills

    if page is not None and (verdicts or left_out):
        written = write_drills("Drills", [one.to_json() for one in verdicts], page, left_out)
        if not quiet:
            talk.say(f"report: {written}")


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
        *_reads(verdict),
        *_figures(verdict),
    ]


def _reads(verdict: DrillVerdict) -> list[tuple[str, str]]:
    """How reads fared, and who led."""
    found = []
    for name, one in verdict.reads.items():
        again = _with_unit(one["again_seconds"], "s")
        found.append((f"reads again ({name})", again if one["again_seconds"] else "not interrupted"
                      if one["again_seconds"] is not None else again))  # fmt: skip
    if verdict.stale_reads is not None:
        found.append(("stale reads", str(verdict.stale_reads)))
    leads = [f"{one['member']} to {one['to_seconds']:+.1f} s" for one in verdict.leads]
    return [*found, *([("who led", ", ".join(leads))] if leads else [])]


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
