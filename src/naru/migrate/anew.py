"""When a migration cannot be gone on with, and beginning it anew by one command.

What was copied is worth something only as long as the changes since then can still come.
"""

from __future__ import annotations

from psycopg import sql

from naru.errors import StoppedError
from naru.migrate import ledger
from naru.migrate.close import abort
from naru.migrate.database import is_missing, make_database
from naru.migrate.durable import may_have_lost
from naru.migrate.globals import apply_database_settings, observe_database_globals
from naru.migrate.plan import SWITCH
from naru.migrate.record import MADE, Record
from naru.migrate.retention import ANEW
from naru.migrate.watch import must_not_be_given_up, observe_retention
from naru.postgres import Connection, connect, fetch_value
from naru.system import SILENT, Observer


def must_be_whole(record: Record) -> None:
    """Raise StoppedError, with the reason, if a begun start could never come to its end."""
    if record.at != "source" or not record.batches or record.run.recall(SWITCH) is not None:
        return
    must_not_be_given_up(record)
    if is_missing(record.target.dsn):
        raise _anew(f"{record.target}: the database is gone")
    with record.source.connect("check") as source, record.target.connect("check") as target:
        if may_have_lost(record, target):
            raise _anew(
                f"{record.target} has failed over while it was catching up: changes that its"
                " new primary does not have may be missing"
            )
        _ledger_must_be_whole(record, target)
        seen = observe_retention(record, source, needed=_needed(record, target))
    if seen is not None and seen.level == "lost":
        raise _anew(f"{record.source}: {seen.text}")


def _needed(record: Record, target: Connection) -> list[str]:
    """The slots that carry the changes of tables which are copied already."""
    complete = ledger.complete_tables(target).values() if ledger.exists(target) else ()
    all_of_them = record.run.is_done("copy")
    return [
        record.batch_channel(number).name
        for number in record.batches
        if all_of_them or number in complete
    ]


def _ledger_must_be_whole(record: Record, target: Connection) -> None:
    figure = record.run.figures().get("copy.tables")
    if figure is None or not record.run.is_done("copy"):
        return
    there = ledger.totals(target).tables if ledger.exists(target) else 0
    if there < int(figure.value):
        raise _anew(
            f"{record.target}: of {figure.value} tables that were copied {there} are there;"
            " a failover, or somebody, has taken the others"
        )


def _anew(why: str) -> StoppedError:
    return StoppedError(f"{why}; the migration cannot go on from here", remedy=ANEW)


def begin_anew(record: Record, observer: Observer = SILENT) -> None:
    """Abort, and leave the target database empty, as the next start wants it.

    One that was there before the migration is made again, with the owner, the grants and the
    settings that it has. Raises UsageError once writes are at the target.
    """
    target = record.target.dsn
    kept = None
    if record.at == "source" and not record.run.recall(MADE) and not is_missing(target):
        with connect(target, purpose="anew") as connection:
            kept = observe_database_globals(connection)
            space = str(fetch_value(connection, _SPACE))
        record.run.remember(MADE, True)
    abort(record, observer=observer)
    if kept is not None:
        make_database(kept.facts, target)
        apply_database_settings(kept, target, created=True)
        if space != "pg_default":
            with connect(target.with_(dbname="postgres"), purpose="anew") as connection:
                text = sql.SQL("ALTER DATABASE {} SET TABLESPACE {}")
                connection.execute(
                    text.format(sql.Identifier(target.database), sql.Identifier(space))
                )


_SPACE = """
SELECT t.spcname FROM pg_catalog.pg_database d
JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace
WHERE d.datname = pg_catalog.current_database()
"""
