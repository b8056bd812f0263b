"""What a migration remembers between processes, by names instead of journal keys."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from naru.errors import UsageError
from naru.journal import Journal, Run
from naru.migrate.channel import Channel
from naru.migrate.names import Names
from naru.migrate.sides import LOCK_SECONDS, Side
from naru.postgres import Dsn

KIND = "migrate"
_LOCK_SECONDS = "lock seconds"
_MARK = "mark"
MADE = "made database"
"""Remembered if the migration makes the target database, and so may drop it again."""
Where = Literal["source", "target"]


_PART_OF = "part of"


@dataclass(frozen=True)
class Owner:
    """What a migration is a part of, when that runs it instead of a person."""

    what: str
    """Such as `the upgrade 17 to 18`."""
    command: str
    """What shows it, and goes on with it."""


@dataclass(frozen=True)
class Record:
    """One migration in the journal: its two sides, and how far it has come."""

    run: Run
    names: Names
    source: Side
    target: Side

    @property
    def folder(self) -> Path:
        """Where files of this migration lie (the schema's archive)."""
        return self.run.journal.path.parent / "migrations" / self.names.stem / str(self.run.number)

    @property
    def mark(self) -> str:
        """What the target's ledger knows this migration by."""
        known = self.run.recall(_MARK)
        if known is None:
            known = secrets.token_hex(8)
            self.run.remember(_MARK, known)
        return str(known)

    @property
    def at(self) -> Where:
        """Which side takes the clients' writes."""
        return "target" if self.run.recall("at") == "target" else "source"

    @property
    def live(self) -> Side:
        return self.target if self.at == "target" else self.source

    @property
    def other(self) -> Side:
        return self.source if self.at == "target" else self.target

    @property
    def switches(self) -> int:
        """How often writes have changed sides."""
        return int(self.run.recall("switches", 0))

    @property
    def batches(self) -> list[int]:
        """Numbers of the copy batches whose channels are in use."""
        return list(self.run.recall("batches", []))

    def keep_batches(self, numbers: list[int]) -> None:
        self.run.remember("batches", numbers)

    def new_batch(self) -> int:
        """The next batch's number, remembered before anything of it is made."""
        number = int(self.run.recall("last_batch", 0)) + 1
        self.run.remember("last_batch", number)
        self.keep_batches([*self.batches, number])
        return number

    def batch_channel(self, number: int) -> Channel:
        return Channel(self.names.batch(number), self.source, self.target)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What carries changes now, from the side that takes writes to the other."""
        if self.switches == 0:
            return tuple(self.batch_channel(number) for number in self.batches)
        name = self.names.after_switch(self.switches)
        return (Channel(name, self.live, self.other),)

    @property
    def owner(self) -> Owner | None:
        """What it is a part of; None for one of its own."""
        return _owner(self.run)

    @property
    def is_following(self) -> bool:
        """True once the copy is complete and changes flow."""
        return self.run.is_done("follow")


def set_lock_seconds(record: Record, seconds: float | None) -> Record:
    """Keep the user's bound for this and every later command; None leaves an earlier one."""
    if seconds is None:
        return record
    record.run.remember(_LOCK_SECONDS, seconds)
    return replace(
        record,
        source=replace(record.source, lock_seconds=seconds),
        target=replace(record.target, lock_seconds=seconds),
    )


def begin_or_resume(
    journal: Journal,
    name: str,
    source: Dsn,
    target: Dsn,
    seen: SeenAt,
    *,
    owner: Owner | None = None,
) -> Record:
    """The migration `name` that is open in the journal, or a new one.

    Raises UsageError if an open one is between other databases, or is run by another owner.
    """
    run = journal.latest(KIND, name, open_only=True)
    if run is not None and owner is None:
        _must_be_its_own(run)
    if run is None:
        run = journal.begin(KIND, name)
        run.remember("source", _plain(source))
        run.remember("target", _plain(target))
        run.remember("seen", [seen.source, seen.target])
        run.remember("at", "source")
    if owner is not None:
        run.remember(_PART_OF, asdict(owner))
    return _record(run, name, source, target, seen)


def resume(
    journal: Journal,
    name: str | None,
    source: Dsn | None,
    target: Dsn | None,
    seen: SeenAt,
    *,
    to_look: bool = False,
) -> Record:
    """The open migration `name`, or of these databases, or the only one.

    Without given databases those of its start are used: only passwords are not kept. One that is
    a part of something else must be named, and is given `to_look` at only, whatever the
    databases given. Raises UsageError if there is none, or more than one that could be meant.
    """
    run = _find_open(journal, name, source, target)
    if run is None:
        _must_be_nobodys(journal)
        what = f"migration {name!r}" if name else "migration"
        raise UsageError(
            f"no {what} is under way in {journal.path.parent}", remedy="begin: naru migrate start"
        )
    if _owner(run) is not None:
        if not to_look:
            _must_be_its_own(run)
        source = target = None
    return _record(run, run.name, source, target, seen)


def open_records(journal: Journal, source: Dsn | None, target: Dsn | None) -> tuple[Record, ...]:
    """Every migration of its own that is under way between these two servers, oldest first.

    Without given servers: every one in the journal. Raises UsageError if there is none.
    """
    given = (source, target)
    found = []
    for run in _open(journal):
        begun = (Dsn(run.recall("source")), Dsn(run.recall("target")))
        pairs = list(zip(given, begun, strict=True))
        if _owner(run) is not None or any(one and _server(one) != _server(it) for one, it in pairs):
            continue
        leave, enter = (one and one.with_(dbname=it.database) for one, it in pairs)
        found.append(_record(run, run.name, leave, enter, SeenAt()))
    if not found:
        _must_be_nobodys(journal)
        raise UsageError(
            f"no migration is under way in {journal.path.parent}",
            remedy="begin: naru migrate start",
        )
    return tuple(found)


def _server(dsn: Dsn) -> tuple[str, int]:
    return dsn.host, dsn.port


def _owner(run: Run) -> Owner | None:
    known = run.recall(_PART_OF)
    return None if known is None else Owner(**known)


def _must_be_its_own(run: Run) -> None:
    owner = _owner(run)
    if owner is not None:
        raise UsageError(
            f"migration {run.name!r} is part of {owner.what}, which runs it",
            remedy=f"{owner.command} goes on with it, and ends it",
        )


def _must_be_nobodys(journal: Journal) -> None:
    """Raise UsageError, saying where to look, when all that is under way is part of something."""
    parts = {run.name: owner for run in _open(journal) if (owner := _owner(run)) is not None}
    if parts:
        owner = next(iter(parts.values()))
        raise UsageError(
            f"no migration of its own is under way; {owner.what} runs {', '.join(parts)}",
            remedy=f"{owner.command} shows them; one of them: naru migrate status --name NAME",
        )


def _open(journal: Journal) -> list[Run]:
    return [run for run in journal.runs() if run.kind == KIND and run.ended is None]


def _find_open(
    journal: Journal, name: str | None, source: Dsn | None, target: Dsn | None
) -> Run | None:
    found = _open(journal)
    if name is not None:
        return next((run for run in reversed(found) if run.name == name), None)
    found = [run for run in found if _owner(run) is None]
    if source is not None and target is not None:
        wanted = [_where(source), _where(target)]
        found = [run for run in found if _where_of(run) == wanted] or found
    if len(found) > 1:
        names = ", ".join(repr(run.name) for run in found)
        raise UsageError(f"several migrations are under way: {names}", remedy="choose by --name")
    return found[0] if found else None


def _record(run: Run, name: str, source: Dsn | None, target: Dsn | None, seen: SeenAt) -> Record:
    before = run.recall("seen", [None, None])
    known = [seen.source or before[0], seen.target or before[1]]
    sides = []
    for role, given, seen_at in (("source", source, known[0]), ("target", target, known[1])):
        begun = Dsn(run.recall(role))
        if given is not None and _where(given) != _where(begun):
            raise UsageError(
                f"migration {name!r} is under way with the {role} {begun}, not {given}",
                remedy="give the same addresses; or finish or abort it; or choose another --name",
            )
        lock_seconds = float(run.recall(_LOCK_SECONDS, LOCK_SECONDS))
        sides.append(Side.of(role, given or begun, seen_at, lock_seconds))
    if known != before:
        run.remember("seen", known)
    return Record(run, Names(name), sides[0], sides[1])


@dataclass(frozen=True)
class SeenAt:
    """`host:port` of each side as the other server reaches it, where that differs from ours."""

    source: str | None = None
    target: str | None = None


def _where_of(run: Run) -> list[tuple[str, int, str]]:
    return [_where(Dsn(run.recall(role))) for role in ("source", "target")]


def _plain(dsn: Dsn) -> dict[str, Any]:
    return dict(dsn.with_(password=None, sslpassword=None).parameters)


def _where(dsn: Dsn) -> tuple[str, int, str]:
    return dsn.host, dsn.port, dsn.database
