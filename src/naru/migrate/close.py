"""The end of a migration: finish drops the way back, abort the way there.

Both leave the source's catalogs as they were before the start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import psycopg
from psycopg import sql

from naru.errors import NaruError, UsageError
from naru.migrate import channel as channels
from naru.migrate import holders, identity, ledger, snapshot
from naru.migrate.channel import Channel
from naru.migrate.outcome import open_side
from naru.migrate.record import MADE, Record
from naru.migrate.sides import Side, explained
from naru.postgres import Connection, fetch_all
from naru.system import SILENT, Observer


@dataclass(frozen=True)
class Closing:
    """What was done, a line each, for people."""

    outcome: str
    lines: tuple[str, ...]


def finish(
    record: Record, *, keep_fence: bool = False, gone: bool = False, observer: Observer = SILENT
) -> Closing:
    """Drop the way back: the target is on its own from here.

    `keep_fence` leaves the old database closed to clients; otherwise it is as it was.
    `gone` says that the source is no more, and only the target is cleaned up.
    Raises UsageError while writes are still at the source.
    """
    if record.at != "target":
        raise UsageError(
            "writes are still at the source: there is nothing to finish",
            remedy="naru migrate cutover first, or abort",
        )
    lines = _take_away(record, observer, (record.target,) if gone else _both(record))
    if gone:
        lines.append(f"{record.source}: is left as it is, for good")
    elif keep_fence:
        lines.append(f"{record.source}: stays closed to clients, as asked")
    else:
        open_side(record.source, record.run)
        lines.append(f"{record.source}: is open again, and receives no more changes")
    record.run.end("finished")
    return Closing("finished", tuple(lines))


def abort(record: Record, *, gone: bool = False, observer: Observer = SILENT) -> Closing:
    """Take everything of the migration away from the source, and from the target.

    A target database that the migration made is dropped; one that was there before keeps
    its copied content. `gone` says that the target is no more, and only the source is
    cleaned up: a slot that nobody reads would fill its disk. Raises UsageError once
    writes are at the target.
    """
    if record.at != "source":
        raise UsageError(
            "writes are at the target: aborting would lose what was written there",
            remedy="naru migrate rollback first, then abort; or finish, to stay",
        )
    theirs = not gone and _is_of_another(record)
    lines = _take_away(record, observer, (record.source,) if gone else _both(record))
    open_side(record.source, record.run)
    if gone:
        lines.append(f"{record.target}: is left as it is; never let it reach the source again")
    elif theirs:
        lines.append(f"{record.target}: is left to the other migration that has begun there")
    elif record.run.recall(MADE):
        _drop_database(record.target)
        lines.append(f"{record.target}: the database that the migration made is dropped")
    else:
        lines.append(f"{record.target}: keeps what was copied; drop it before a new start")
    record.run.end("aborted")
    return Closing("aborted", tuple(lines))


def _both(record: Record) -> tuple[Side, ...]:
    return (record.source, record.target)


def _take_away(record: Record, observer: Observer, sides: tuple[Side, ...]) -> list[str]:
    """Subscriptions first, so that nobody holds the slots; then slots, publications, the rest."""
    names = _names_in_use(record, sides)
    lines = _end_snapshot(record) if record.source in sides else []
    snapshot.forget(record.run)

    def do(title: str, act: Callable[[], None], side: Side) -> None:
        observer.step(title, "running")
        with explained(side, title):
            act()
        observer.step(title, "done")
        lines.append(f"{side}: {title}")

    for side in sides:
        do("drop subscriptions", lambda side=side: _drop_subscriptions(side, names), side)  # type: ignore[misc]
    for side in sides:
        do("drop slots and publications", lambda side=side: _drop_origins(side, names), side)  # type: ignore[misc]
    for side in sides:
        do("replica identities as before", lambda side=side: _restore(record, side), side)  # type: ignore[misc]
    if record.target in sides and not _is_of_another(record):
        do("drop the migration's own schema", lambda: _drop_ledger(record.target), record.target)
    return lines


def _is_of_another(record: Record) -> bool:
    """True if what the target holds is another migration's."""
    found: list[bool] = []
    with explained(record.target, "looking whose it is"):
        _on(record.target, lambda at: found.append(ledger.is_of_another(at, record.mark)))
    return any(found)


def _end_snapshot(record: Record) -> list[str]:
    with record.source.connect("close") as source:
        with explained(record.source, "ending the hold on the copy's snapshot"):
            ended = holders.end(record.run, record.names, source)
    return [f"{record.source}: the copy's snapshot is given back"] if ended else []


def _names_in_use(record: Record, sides: tuple[Side, ...]) -> list[str]:
    """Every name of this migration that a side knows, whatever the journal says."""
    pattern = f"^{record.names.stem}_(back_)?[0-9]+$"
    found: set[str] = set()
    for side in sides:
        try:
            with side.connect("names") as connection:
                found |= {row[0] for row in fetch_all(connection, _NAMES, {"pattern": pattern})}
        except NaruError:
            if side is record.source or not _is_missing(side):
                raise
    return sorted(found)


_NAMES = """
SELECT pubname::text FROM pg_catalog.pg_publication WHERE pubname ~ %(pattern)s
UNION SELECT slot_name::text FROM pg_catalog.pg_replication_slots
      WHERE slot_name ~ %(pattern)s AND database = current_database()
UNION SELECT subname::text FROM pg_catalog.pg_subscription WHERE subname ~ %(pattern)s
      AND subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
"""


def _is_missing(side: Side) -> bool:
    """True if the server answers and has no such database: nothing of ours can be in it."""
    with replace(side, dsn=side.dsn.with_(dbname="postgres")).connect("look") as connection:
        query = "SELECT 1 FROM pg_catalog.pg_database WHERE datname = %s"
        return not fetch_all(connection, query, [side.dsn.database])


def _drop_subscriptions(side: Side, names: list[str]) -> None:
    def act(at: Connection) -> None:
        for name in names:
            channels.drop_destination(Channel(name, side, side), at)

    _on(side, act)


def _drop_origins(side: Side, names: list[str]) -> None:
    def act(at: Connection) -> None:
        for name in names:
            channels.drop_origin(Channel(name, side, side), at)

    _on(side, act)


def _restore(record: Record, side: Side) -> None:
    changes = identity.changes_of(record.run)
    _on(side, lambda at: identity.restore(at, changes))


def _drop_ledger(side: Side) -> None:
    _on(side, ledger.drop)


def _on(side: Side, act: Callable[[Connection], object]) -> None:
    """Act on a connection to `side`; a database that does not exist has nothing to act on."""
    try:
        connection = side.connect("close")
    except NaruError:
        if side.role == "target" and _is_missing(side):
            return
        raise
    with connection:
        act(connection)


def _drop_database(side: Side) -> None:
    maintenance = replace(side, dsn=side.dsn.with_(dbname="postgres"))
    with maintenance.connect("drop database") as connection:
        name = sql.Identifier(side.dsn.database)
        try:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        except psycopg.errors.SyntaxError:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(name))
