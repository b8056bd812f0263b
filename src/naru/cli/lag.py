"""`naru lag`: how far the target is behind the source."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from naru.cli import talk
from naru.cli.options import JsonOption, SpecOption
from naru.cli.parties import SourceOption, TargetOption, both, parties
from naru.errors import UsageError

if TYPE_CHECKING:
    from naru.verify import LagMeter, ReplicationLag

_BLOCKS = " ▁▂▃▄▅▆▇█"
_WIDTH = 72
_HEIGHT = 6
_STYLES = {"ok": "green", "warning": "yellow", "critical": "bold red", "unknown": "yellow"}


def lag(
    source: SourceOption = None,
    target: TargetOption = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again and again, and draw a chart.")
    ] = False,
    every: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, help="How often, with --watch.")
    ] = 1.0,
    looks: Annotated[
        int | None, typer.Option(min=1, help="End --watch after so many looks.")
    ] = None,
    warn: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="From here on it is a warning.")
    ] = 60.0,
    critical: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="From here on it is critical.")
    ] = 300.0,
    spec: SpecOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how far the target is behind: WAL positions, and the latest updated_at.

    Exit code 0 below --warn, 1 from there on, when replication has stopped, or when nothing
    tells how far it is. A watch ends with the code of its last look.
    """
    from naru.verify import LagMeter

    if critical < warn:
        raise UsageError(f"--critical {critical:g} is less than --warn {warn:g}")
    with LagMeter(*both(parties(source, target, spec))) as meter:
        if watch:
            level = _watch(meter, every, looks, (warn, critical), as_json=as_json)
        else:
            seen = meter.look()
            level = seen.level(warn, critical)
            if as_json:
                talk.put_json(_document(seen, level))
            else:
                for line in lines(seen, level):
                    talk.put(line)
    raise typer.Exit(0 if level == "ok" else 1)


def _document(seen: ReplicationLag, level: str) -> dict[str, object]:
    return {"level": level, **seen.to_json()}


def _watch(
    meter: LagMeter, every: float, looks: int | None, bounds: tuple[float, float], *, as_json: bool
) -> str:
    """Look until told to end; the chart is for a terminal, else a line for each look."""
    seconds: deque[float] = deque(maxlen=_WIDTH)
    level, left = "ok", looks
    drawn = talk.people.is_terminal and not as_json
    with Live(console=talk.people, auto_refresh=False, transient=False) as live:
        while True:
            seen = meter.look()
            level = seen.level(*bounds)
            seconds.append(seen.seconds or 0.0)
            if as_json:
                talk.put(json.dumps(_document(seen, level), default=str))
            elif drawn:
                live.update(_picture(seen, level, seconds, bounds), refresh=True)
            else:
                talk.put(lines(seen, level)[0])
            if left is not None:
                left -= 1
                if left <= 0:
                    return level
            time.sleep(every)


def lines(seen: ReplicationLag, level: str) -> list[str]:
    """The lag in words: all together, each channel, each table that is behind or unknown."""
    from naru.system.units import human_bytes, human_seconds

    def shown(value: float | None) -> str:
        return "unknown" if value is None else human_seconds(value)

    if level == "unknown":
        why = "" if seen.tables else ", and no table has an updated_at"
        return [
            f"unknown: there is no replication to measure{why}",
            *(f"table {table.table}: {table.reason or 'unknown'}" for table in seen.tables),
        ]
    size = "no replication" if seen.bytes is None else human_bytes(seen.bytes)
    found = [f"{level}: {shown(seen.seconds)} behind, {size}"]
    for one in seen.channels:
        way = "" if one.origin == "source" else " (target to source)"
        state = "flows" if one.flows else "stands still" if one.enabled else "disabled"
        found.append(
            f"slot {one.slot}{way}: {state}, {shown(one.seconds)}, {human_bytes(one.bytes)};"
            f" holds back {human_bytes(one.retained_bytes)} of WAL ({one.wal_status}),"
            f" {one.errors} errors"
        )
    for table in seen.tables:
        what = table.reason or f"{shown(table.seconds)} behind by updated_at"
        found.append(f"table {table.table}: {what}")
    return found


def _picture(
    seen: ReplicationLag, level: str, seconds: Sequence[float], bounds: tuple[float, float]
) -> Group:
    from naru.system.units import human_seconds

    first, *rest = lines(seen, level)
    grid = Table(box=None, pad_edge=False, show_header=False)
    top = max(*seconds, 1.0)
    for number, row in enumerate(chart(seconds, _HEIGHT, top)):
        scale = human_seconds(top) if number == 0 else "0" if number == _HEIGHT - 1 else ""
        style = _STYLES["warning"] if top >= bounds[0] else _STYLES["ok"]
        grid.add_row(Text(scale, justify="right"), Text(row, style=style))
    return Group(Text(first, style=_STYLES[level]), grid, *(Text(line) for line in rest[:12]))


def chart(values: Sequence[float], height: int, top: float) -> list[str]:
    """Columns of `values` between 0 and `top`, as `height` lines of text, highest first."""
    eighths = [round(min(1.0, value / top) * height * 8) for value in values]
    return [
        "".join(_BLOCKS[max(0, min(8, value - 8 * row))] for value in eighths)
        for row in reversed(range(height))
    ]
