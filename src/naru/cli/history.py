"""`naru service history`: what was done with the environment, when, by whom."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from naru.cli import talk
from naru.cli.options import JsonOption, SpecOption, spec_of
from naru.system.units import human_seconds

if TYPE_CHECKING:
    from naru.journal import Run

_SHOWN = 4


def history(
    last: Annotated[int, typer.Option("--last", min=1, help="How many.")] = 20,
    spec: SpecOption = None,
    json: JsonOption = False,
) -> None:
    """What was done with this environment, the newest last: when, by whom, how it ended.

    Changes of naru.toml, switchovers, restarts, certificates issued, sessions ended, upgrades,
    restores, migrations, drills. A run without an end is under way, or was killed.
    """
    from naru.ground import state_folder
    from naru.journal import FILE, Journal

    _, file = spec_of(spec)
    folder = state_folder(file)
    found: list[dict[str, Any]] = []
    if (folder / FILE).exists():
        with Journal.in_folder(folder) as journal:
            found = [_told(run) for run in journal.runs()[-last:]]
    if json:
        talk.put_json(found)
    elif found:
        _print(found)
    else:
        talk.say("nothing was done here yet")


def _told(run: Run) -> dict[str, Any]:
    from naru.lab.noting import BY, KIND

    ours = run.kind == KIND
    return {
        "at": run.started,
        "what": run.name if ours else f"{run.kind} {run.name}",
        "by": run.recall(BY),
        "ended": run.ended,
        "outcome": run.outcome,
        "events": [one.text for one in run.events()] if ours else [],
    }


def _print(found: list[dict[str, Any]]) -> None:
    table = Table("at", "what", "by", "took", "ended", "in detail", box=None)
    for one in found:
        at = datetime.fromtimestamp(one["at"]).astimezone()
        took = human_seconds(one["ended"] - one["at"]) if one["ended"] else "-"
        details = one["events"]
        more = f" … and {len(details) - _SHOWN} more" if len(details) > _SHOWN else ""
        table.add_row(
            f"{at:%Y-%m-%d %H:%M:%S}", one["what"], one["by"] or "-", took,
            one["outcome"] or "not ended", "; ".join(details[:_SHOWN]) + more,
        )  # fmt: skip
    talk.put_table(table)
