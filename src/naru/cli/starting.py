"""`naru migrate start`: from nothing to a target that follows, for one database or several."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from naru.cli import talk
from naru.cli.moving_status import show_status
from naru.cli.options import JobsOption, JsonOption, SpecOption, YesOption
from naru.cli.parties import NameOption, SourceOption, TargetOption, both, journal_of, parties
from naru.cli.progress import observer_for
from naru.cli.watching import RetainOption
from naru.errors import UsageError

if TYPE_CHECKING:
    from naru.journal import Journal
    from naru.migrate import Bounds, Record, SeenAt
    from naru.postgres import Dsn
    from naru.system import Observer

SeenSourceOption = Annotated[
    str | None,
    typer.Option("--source-seen-at", metavar="HOST:PORT",
                 help="Where the target's server reaches the source, if not as we do."),
]  # fmt: skip
SeenTargetOption = Annotated[
    str | None,
    typer.Option("--target-seen-at", metavar="HOST:PORT",
                 help="Where the source's server reaches the target, if not as we do."),
]  # fmt: skip
KeepOption = Annotated[
    float | None,
    typer.Option("--keep-snapshot-for", min=0, metavar="MINUTES",
                 help="How long the source's snapshot stays for a copy that has stopped; 30"
                 " unless said before."),
]  # fmt: skip
LongestOption = Annotated[
    float | None,
    typer.Option("--longest-snapshot", min=0, metavar="MINUTES",
                 help="How old the snapshot may get in whole; 0, as old as it takes, unless"
                 " said before."),
]  # fmt: skip
DatabaseOption = Annotated[
    list[str] | None,
    typer.Option("--database", metavar="NAME",
                 help="A database of the source's server; repeat for each. It goes to one of its"
                 " own name."),
]  # fmt: skip
EveryOption = Annotated[
    bool, typer.Option("--all-databases", help="Every database of the source's server.")
]


def start(
    source: SourceOption = None,
    target: TargetOption = None,
    name: NameOption = None,
    database: DatabaseOption = None,
    all_databases: EveryOption = False,
    jobs: JobsOption = 2,
    source_seen_at: SeenSourceOption = None,
    target_seen_at: SeenTargetOption = None,
    postgres: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="More folders with PostgreSQL programs."),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0.001, metavar="MB/S", help="Copy no faster, over all workers together."),
    ] = None,
    lock_timeout: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            metavar="SECONDS",
            help="How long a statement may wait for a lock, and so hold others up; 5 unless"
            " said before.",
        ),
    ] = None,
    retain_at_most: RetainOption = None,
    keep_snapshot_for: KeepOption = None,
    longest_snapshot: LongestOption = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Drop what was copied, and begin again.")
    ] = False,
    spec: SpecOption = None,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Copy the source to the target and follow it; returns when it has caught up.

    Stopped at any point, the same command goes on from what is done. Exit code 4 when it
    cannot, and says so: then --anew begins again. The snapshot that a stopped copy goes on under
    holds vacuum back on the source while it is kept. With several databases each is a
    migration of its own, named as the database.
    """
    from naru.migrate import Bounds, SeenAt, observe_status

    found = parties(source, target, spec)
    bounds = Bounds(jobs=jobs, programs=tuple(postgres or ()), rate=rate * 1e6 if rate else None)
    wishes = _Wishes(
        bounds, SeenAt(source_seen_at, target_seen_at), lock_timeout, retain_at_most,
        _seconds(keep_snapshot_for), _seconds(longest_snapshot),
    )  # fmt: skip
    several = bool(database) or all_databases
    with journal_of(found, begins=True) as journal, observer_for() as observer:
        pairs = pairs_between(*both(found), name, database, all_databases, observer)
        with ExitStack() as held:
            records = _perform(journal, found.folder, pairs, wishes, held, observer, anew, yes)
        seen = [observe_status(record) for record in records]
    show_status(seen, json, every=several)


@dataclass(frozen=True)
class _Pair:
    """A database, where it goes, and what that migration is called."""

    name: str
    source: Dsn
    target: Dsn


@dataclass(frozen=True)
class _Wishes:
    """What the options ask of each migration; None leaves what was said before."""

    bounds: Bounds
    seen_at: SeenAt
    lock_seconds: float | None
    retain_at_most: int | None
    keep_seconds: float | None
    longest_seconds: float | None


def pairs_between(
    leave: Dsn,
    enter: Dsn,
    name: str | None,
    databases: list[str] | None,
    every: bool,
    observer: Observer,
) -> list[_Pair]:
    """The databases that are meant. Raises UsageError for options that exclude each other."""
    from naru.migrate import databases_between

    if not databases and not every:
        return [_Pair(name or leave.database, leave, enter)]
    if name is not None:
        raise UsageError(
            "--name is for one database", remedy="several are called as they are called there"
        )
    if databases and every:
        raise UsageError("all databases, or some by name: not both")
    found = databases_between(leave, enter, databases or (), observer)
    return [_Pair(one.database, one, other) for one, other in found]


def _perform(
    journal: Journal,
    folder: Path,
    pairs: list[_Pair],
    wishes: _Wishes,
    held: ExitStack,
    observer: Observer,
    anew: bool,
    yes: bool,
) -> list[Record]:
    """Bring each to where it follows; all are admitted before the first one begins.

    What those that follow already hold back is watched until the last one is there.
    """
    from naru.migrate import (
        Start,
        begin_or_resume,
        must_be_whole,
        set_bound,
        set_keeping,
        set_lock_seconds,
        sole,
        watching,
    )

    for pair in pairs:
        held.enter_context(sole(folder, pair.name))
    if anew:
        _begin_anew(journal, pairs, wishes, observer, yes)
    _admit(journal, pairs, wishes, observer)
    records, watched = [], observer
    for pair in pairs:
        if len(pairs) > 1:
            talk.say(f"{pair.source} → {pair.target}")
        record = begin_or_resume(journal, pair.name, pair.source, pair.target, wishes.seen_at)
        record = set_lock_seconds(record, wishes.lock_seconds)
        set_bound(record, wishes.retain_at_most)
        must_be_whole(record)
        set_keeping(record, wishes.keep_seconds, wishes.longest_seconds)
        watched = held.enter_context(watching(record, watched))
        Start(record, wishes.bounds, watched).perform()
        records.append(record)
    return records


def _begin_anew(
    journal: Journal, pairs: list[_Pair], wishes: _Wishes, observer: Observer, yes: bool
) -> None:
    from naru.migrate import begin_anew, resume

    begun = [
        resume(journal, pair.name, pair.source, pair.target, wishes.seen_at)
        for pair in pairs
        if journal.latest("migrate", pair.name, open_only=True) is not None
    ]
    if begun:
        copied = ", ".join(f"{one.target}" for one in begun)
        talk.confirm(f"drop what was copied to {copied}, and begin again?", yes=yes)
    for one in begun:
        begin_anew(one, observer)


def _admit(journal: Journal, pairs: list[_Pair], wishes: _Wishes, observer: Observer) -> None:
    from naru.migrate import admit

    new = [p for p in pairs if journal.latest("migrate", p.name, open_only=True) is None]
    for pair in new:
        admit(
            pair.source, pair.target, jobs=wishes.bounds.jobs,
            source_seen_at=wishes.seen_at.source, programs=wishes.bounds.programs,
            databases=len(new), observer=observer,
        )  # fmt: skip


def _seconds(minutes: float | None) -> float | None:
    return None if minutes is None else 60 * minutes
