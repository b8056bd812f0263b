"""What `naru verify` and its `repair` have in common: which sides, what of them, how fast."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from naru.errors import UsageError
from naru.system.units import human_seconds, parse_seconds

if TYPE_CHECKING:
    from naru.verify import Restraint, Verdict

SourceOption = Annotated[
    str | None,
    typer.Option(metavar="URI", help="The database that is right; by default the lab's."),
]
TargetOption = Annotated[
    str | None,
    typer.Option(metavar="URI", help="The database to be checked; by default the lab's."),
]
TableOption = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="Only tables such as 'public.user*'; repeatable."),
]
ExceptOption = Annotated[
    list[str] | None,
    typer.Option("--except", metavar="PATTERN", help="Not these tables; repeatable."),
]
ExceptColumnOption = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="Not these columns, as schema.table.column."),
]
EqualOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="RULE",
        help="Take values for equal by a rule, such as numeric-scale, float-digits=6,"
        " json-text, timestamp-precision=ms, trailing-spaces, case, null-empty; for some"
        " columns only as 'schema.table.column:RULE'. Repeatable.",
    ),
]
RateOption = Annotated[
    str | None,
    typer.Option(help="Read no more in a second on each side: 50000 (rows) or 20MB."),
]
PauseWhenOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="LIMIT",
        help="Pause while a server is busy: 'lag>100MB', 'lag>10s', 'active>20' or"
        " 'latency>50ms'. Repeatable.",
    ),
]
PauseAtMostOption = Annotated[
    str, typer.Option(metavar="TIME", help="Give up after so long a pause, or 'forever'.")
]
StopWhenOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="LIMIT",
        help="Give snapshots back when they hold back too much: 'held>2h', 'dead>5000000' (row"
        " versions) or 'xids>200000000' (transactions). Repeatable.",
    ),
]


def must_take(*files: Path | None) -> None:
    """Raise UsageError unless each of these can be written: said before all the work, not after."""
    for file in files:
        if file is None:
            continue
        try:
            with tempfile.TemporaryFile(dir=file.parent):
                pass
        except OSError as error:
            raise UsageError(
                f"{file} cannot be written: {error.strerror}",
                remedy="make its folder, or name a file elsewhere",
            ) from error
        if file.is_dir():
            raise UsageError(f"{file} is a folder", remedy="name a file in it")


def restraint(rate: str | None, limits: Sequence[str], at_most: str) -> Restraint:
    """How a comparison is held back. Raises UsageError for what is not understood."""
    from naru.verify import Limit, Rate, Restraint

    return Restraint(
        Rate.parse(rate) if rate else None,
        tuple(Limit.parse(limit) for limit in limits),
        None if at_most == "forever" else parse_seconds(at_most),
    )


_WORTH_A_WORD = 1.0


def held_lines(verdict: Verdict) -> Iterator[str]:
    """What the comparison's longest snapshot held back on each side, for people."""
    for name, held in verdict.method.get("held", {}).items():
        if held["seconds"] >= _WORTH_A_WORD:
            yield (
                f"the {name}'s longest snapshot: {human_seconds(held['seconds'])};"
                f" {held['dead_row_versions']:,} row versions died meanwhile,"
                f" {held['transactions']:,} transactions began"
            )
