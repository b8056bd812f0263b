"""How much room is left on a server's disk, as far as the server lets us know.

PostgreSQL has no function for it. A login that may run programs there (a superuser) asks `df`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import psycopg
from psycopg import sql

from naru.postgres import Connection, fetch_all, fetch_value
from naru.system.units import human_bytes

WAL = "pg_wal/"
"""Relative to the data folder, in which a server's programs run."""

_FULL_BYTES = 16 * 1024 * 1024
"""Less room than this, a segment of WAL, is as good as none."""

_LINE = re.compile(r"\s(\d+)\s+(\d+)\s+(\d+)\s+\d+%\s")
# No trigger of the user's must see our temporary table come and go.
_QUIETLY = "SET LOCAL session_replication_role = replica; SET LOCAL statement_timeout = '10s'"


@dataclass(frozen=True)
class Disk:
    """The file system that holds a folder of a server; bytes."""

    total: int
    free: int


def observe_disk(connection: Connection, folder: str = WAL) -> Disk | None:
    """The disk under `folder` of the server; None if it cannot be known. Leaves nothing."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(_QUIETLY)
            connection.execute("CREATE TEMP TABLE naru_disk (line text)")
            connection.execute(
                sql.SQL("COPY pg_temp.naru_disk FROM PROGRAM {} (FORMAT csv, DELIMITER {})").format(
                    sql.Literal(f"LC_ALL=C df -Pk {folder}"), sql.Literal("\x01")
                )
            )
            lines = [row[0] for row in fetch_all(connection, "TABLE pg_temp.naru_disk")]
    except psycopg.errors.DiskFull:
        return Disk(0, 0)
    except psycopg.Error:
        return None
    return parse("\n".join(lines) + "\n")


def full_disk(connection: Connection) -> str | None:
    """What is full on the server of a database, in words: its data's disk, or its WAL's."""
    space = fetch_value(connection, _SPACE)
    folder = "base/" if space == _DEFAULT_SPACE else f"pg_tblspc/{space}/"
    for what, where in (("database", folder), ("WAL", WAL)):
        disk = observe_disk(connection, where)
        if disk is not None and disk.free < _FULL_BYTES:
            return f"the disk of its {what} is full ({human_bytes(disk.free)} left in {where})"
    return None


_DEFAULT_SPACE = 1663
_SPACE = """
SELECT dattablespace::int8 FROM pg_catalog.pg_database
WHERE datname = pg_catalog.current_database()
"""


def parse(said: str) -> Disk | None:
    """Read what `df -Pk` says of one file system."""
    found = _LINE.search(said)
    if found is None:
        return None
    return Disk(total=int(found[1]) * 1024, free=int(found[3]) * 1024)
