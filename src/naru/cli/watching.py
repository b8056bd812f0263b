"""`naru migrate watch`: stays, and lets no migration fill the disk of the server in production."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from naru.cli import talk
from naru.cli.options import JsonOption, SpecOption
from naru.cli.parties import (
    AllOption,
    NameOption,
    SourceOption,
    TargetOption,
    journal_of,
    open_record,
    open_records,
    parties,
)
from naru.errors import NaruError, StoppedError, UsageError
from naru.system.units import parse_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from naru.cli.parties import Parties
    from naru.journal import Journal
    from naru.migrate import Record, Retention, Watch

_EXIT = {"ok": 0, "warning": 1, "unreachable": 3}
_WORST = ("ok", "warning", "unreachable", "dropped")

RetainOption = Annotated[
    int | None,
    typer.Option(
        "--retain-at-most", metavar="SIZE", parser=parse_bytes,
        help="Give up, and drop the slots, rather than hold back more WAL than this, such as 50GB;"
        " by default when nine tenths of the disk are full, where that can be known.",
    ),
]  # fmt: skip


def watch(
    source: SourceOption = None,
    target: TargetOption = None,
    name: NameOption = None,
    all_databases: AllOption = False,
    retain_at_most: RetainOption = None,
    every: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, help="How often to look.")
    ] = 10.0,
    looks: Annotated[
        int | None, typer.Option(min=1, help="End after so many looks, as for cron.")
    ] = None,
    spec: SpecOption = None,
    as_json: JsonOption = False,
) -> None:
    """Watch the WAL that the migration holds back, and give it up before a disk is full.

    Stays until the migration has ended; says something when it changes. Exit code 0 if all
    is well, 1 on a warning, 3 if the server does not answer, 4 if the slots are dropped.
    """
    from naru.migrate import set_bound

    found = parties(source, target, spec)
    if all_databases:
        with journal_of(found) as journal:
            records = open_records(found, journal, name, every=True)
            for one in records:
                set_bound(one, retain_at_most)
            level = _stay_with_all(records, every, looks, as_json=as_json)
        raise typer.Exit(_EXIT.get(level, 4))
    with journal_of(found) as journal:
        record: Record | None = open_record(found, journal, name, to_look=True)
        level, left = "ok", looks
        while record is not None and (left is None or left > 0):
            set_bound(record, retain_at_most)
            level, left = _stay(record, every, left, as_json=as_json)
            record = _successor(found, journal, record, every) if record.run.ended else record
    raise typer.Exit(_EXIT.get(level, 4))


def _stay_with_all(
    records: Sequence[Record], every: float, left: int | None, *, as_json: bool
) -> str:
    """Look at each in turn until all have ended, or `left` times; give the worst last level.

    One that is given up leaves the others watched.
    """
    from naru.migrate import Watch

    levels: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        watches = {
            one.names.migration: (one, stack.enter_context(contextlib.closing(Watch(one))))
            for one in records
        }
        while watches:
            for name, (record, watching) in list(watches.items()):
                before = levels.get(name, "")
                try:
                    level, text = _look(watching)
                except StoppedError as error:
                    level, text = "dropped", error.message
                if record.run.ended is not None:
                    level, text = "ok", "the migration has ended"
                if level == "dropped" or record.run.ended is not None:
                    del watches[name]
                levels[name] = level
                if as_json or level != before or name not in watches:
                    _put(level, text, as_json=as_json, name=name)
            left = None if left is None else left - 1
            if left == 0:
                break
            if watches:
                time.sleep(every)
    return max(levels.values(), key=_WORST.index, default="ok")


def _successor(found: Parties, journal: Journal, record: Record, every: float) -> Record | None:
    """The migration that was begun anew under the same name, if it was."""
    time.sleep(every)
    try:
        return open_record(found, journal, record.names.migration, to_look=True)
    except UsageError:
        talk.say("the migration has ended")
        return None


def _stay(
    record: Record, every: float, left: int | None, *, as_json: bool
) -> tuple[str, int | None]:
    """Look until the run has ended, or `left` times; give the last level, and what is left."""
    from naru.migrate import Watch

    level = ""
    with contextlib.closing(Watch(record)) as watching:
        while record.run.ended is None:
            before = level
            level, text = _look(watching)
            if as_json or level != before:
                _put(level, text, as_json=as_json)
            if left is not None:
                left -= 1
                if left <= 0:
                    return level, left
            time.sleep(every)
    return "ok", left


def _look(watching: Watch) -> tuple[str, str]:
    """The level and its words. StoppedError passes: there is nothing left to watch."""
    try:
        seen: Retention | None = watching.look()
    except StoppedError:
        raise
    except NaruError as error:
        return "unreachable", error.message
    if seen is None:
        return "ok", "nothing to watch right now"
    return seen.level, seen.text + (f" → {seen.remedy}" if seen.remedy else "")


def _put(level: str, text: str, *, as_json: bool, name: str | None = None) -> None:
    if as_json:
        whose = {} if name is None else {"name": name}
        talk.put(json.dumps({**whose, "level": level, "text": text}))
    else:
        whose_line = "" if name is None else f"{name}\t"
        talk.put(f"{whose_line}{level}\t{text}")
    sys.stdout.flush()  # whoever keeps the log wants it now
