"""Rows into tables that stand, by pg_restore: what has arrived already is left alone.

A table's rows come by one COPY, which arrives as a whole or not at all. So, after a crash,
a table that was empty before and has rows now is complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql
from psycopg.conninfo import make_conninfo

from naru.migrate.dump_archive import DataEntry, data_entries, write_list
from naru.migrate.dump_manifest import Contents, DumpedTable
from naru.migrate.dump_programs import environment, run_watched
from naru.migrate.dump_progress import CopyProgress
from naru.migrate.restore_facts import filled
from naru.migrate.restore_marker import ROWS_PURPOSE, rows_before
from naru.postgres import Connection, Dsn, Installation, fetch_value
from naru.system import SILENT, Observer

_UNLINK_AT_ONCE = 1000


@dataclass(frozen=True)
class Rows:
    """What of one archive goes into which database, and how."""

    programs: Installation
    archive: Path
    contents: Contents
    target: Dsn
    work: Path
    """A folder of ours, for lists; leftovers of a run that died are known by it."""
    jobs: int
    options: tuple[str, ...]
    """What pg_restore is told to leave out: of large objects too."""
    silently: bool
    """Triggers do not fire and foreign keys are not checked: for tables that have them."""


def load_tables(rows: Rows, connection: Connection, observer: Observer = SILENT) -> int:
    """Load every table that has not its rows yet; give how many.

    Raises ProcessError with pg_restore's words at the first row that is refused.
    """
    tables = {one.oid: one for one in rows.contents.tables}
    entries = [one for one in _entries(rows) if one.type == "TABLE DATA"]
    wanted = [tables[one.oid] for one in entries if one.oid in tables]
    there = _arrived(connection, wanted)
    left = [one for one in entries if tables.get(one.oid) not in there]
    if left:
        expected = {
            f"{one.schema}.{one.name}": max(one.rows, 0) for one in wanted if one not in there
        }
        _restore(rows, "tables", left, expected, observer, jobs=rows.jobs)
    return len(left)


def load_others(rows: Rows, connection: Connection, observer: Observer = SILENT) -> None:
    """Large objects, anew from the first, and the positions of sequences."""
    entries = _entries(rows)
    objects = [one for one in entries if not one.type]
    if objects:
        _unlink(connection)
        _restore(rows, "large-objects", objects, {}, observer)
    sequences = [one for one in entries if one.type == "SEQUENCE SET"]
    if sequences:
        _restore(rows, "sequences", sequences, {}, observer)


def _entries(rows: Rows) -> list[DataEntry]:
    return data_entries(rows.programs, rows.archive)


def _arrived(connection: Connection, wanted: Sequence[DumpedTable]) -> set[DumpedTable]:
    """Which tables have got their rows; those of extensions may have had some before."""
    plain = [one for one in wanted if not one.of_extension]
    others = {f"{one.schema}.{one.name}": one for one in wanted if one.of_extension}
    counts = {name: _count(connection, one) for name, one in others.items()}
    before = rows_before(connection, counts)
    arrived = {others[name] for name, count in counts.items() if count != before.get(name, 0)}
    return {*filled(connection, plain), *arrived}


def _count(connection: Connection, table: DumpedTable) -> int:
    name = sql.Identifier(table.schema, table.name)
    return int(fetch_value(connection, sql.SQL("SELECT count(*) FROM ONLY {}").format(name)))


def _unlink(connection: Connection) -> None:
    """Remove what a run that died has made of large objects: there were none before."""
    query = (
        "SELECT count(lo_unlink(oid)) FROM (SELECT oid FROM pg_catalog.pg_largeobject_metadata"
        " LIMIT %s) AS chosen"
    )
    while fetch_value(connection, query, [_UNLINK_AT_ONCE]):
        pass


def _restore(
    rows: Rows,
    what: str,
    entries: Sequence[DataEntry],
    expected: Mapping[str, int],
    observer: Observer,
    *,
    jobs: int = 1,
) -> None:
    chosen = write_list(rows.work / f"{what}.list", entries)
    argv: list[str | Path] = [
        rows.programs.tool("pg_restore"), "--data-only", f"--jobs={jobs}", "--verbose",
        "--exit-on-error", "--no-password", *rows.options, f"--use-list={chosen}",
        f"--dbname={make_conninfo('', dbname=rows.target.database)}", rows.archive,
    ]  # fmt: skip
    settings = {"default_transaction_read_only": "off"}
    if rows.silently:
        settings["session_replication_role"] = "replica"
    progress = CopyProgress(rows.target.database, rows.target, expected, observer)
    with progress:
        run_watched(
            argv, env=environment(rows.target, ROWS_PURPOSE, settings),
            on_line=progress.hear, look=progress.look,
        )  # fmt: skip
