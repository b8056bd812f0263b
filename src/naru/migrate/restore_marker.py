"""What a target remembers of a restore that is under way, and that one naru alone is at it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from naru.errors import TakenError
from naru.migrate.names import OWN_SCHEMA
from naru.postgres import Connection, fetch_value
from naru.system import wait_until

ROWS_PURPOSE = "restore rows"
_LOCK = (1851946613, 1919251315)
"""The advisory lock on a target database."""

_END_SECONDS = 30.0

_TABLE = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {schema}.restore (
    identity text NOT NULL, content text NOT NULL, before jsonb);
"""

_LEFT = """
FROM pg_catalog.pg_stat_activity
WHERE datname = current_database() AND application_name = %s AND usename = current_user
"""


@dataclass(frozen=True)
class Marker:
    """Which dump is being restored, and what of it."""

    identity: str
    content: str

    def is_of(self, identity: str, content: str) -> bool:
        return (self.identity, self.content) == (identity, content)


def read_marker(connection: Connection) -> Marker | None:
    """The restore that was begun in this database and not ended, if there is one."""
    name = f"{OWN_SCHEMA}.restore"
    if fetch_value(connection, "SELECT pg_catalog.to_regclass(%s)", [name]) is None:
        return None
    row = connection.execute(_own("SELECT identity, content FROM {schema}.restore")).fetchone()
    return Marker(*row) if row else None


def write_marker(connection: Connection, marker: Marker) -> None:
    """Remember that this restore has begun; nothing if it is remembered."""
    if read_marker(connection) is not None:
        return
    with connection.transaction():
        connection.execute(_own(_TABLE))
        connection.execute(
            _own("INSERT INTO {schema}.restore VALUES (%s, %s)"), [marker.identity, marker.content]
        )


def rows_before(connection: Connection, counted: Mapping[str, int] | None) -> dict[str, int]:
    """Rows that tables of extensions had before any came from the dump.

    `counted` is kept if nothing was kept before.
    """
    kept: Any = connection.execute(_own("SELECT before FROM {schema}.restore")).fetchone()
    if kept and kept[0] is not None:
        return dict(kept[0])
    connection.execute(_own("UPDATE {schema}.restore SET before = %s"), [json.dumps(counted or {})])
    return dict(counted or {})


def drop_marker(connection: Connection) -> None:
    """Take everything of ours away again."""
    connection.execute(_own("DROP SCHEMA IF EXISTS {schema} CASCADE"))


def hold_alone(connection: Connection) -> None:
    """Keep every other restore out of this database for as long as `connection` lives.

    Ends what a restore that died has left running there. Raises TakenError if another is
    alive.
    """
    query = "SELECT pg_catalog.pg_try_advisory_lock(%s, %s)"
    if not fetch_value(connection, query, list(_LOCK)):
        raise TakenError(
            f"another naru is restoring into database {connection.info.dbname}",
            remedy="wait until it has ended",
        )
    name = [f"naru: {ROWS_PURPOSE}"]
    connection.execute("SELECT pg_catalog.pg_terminate_backend(pid)" + _LEFT, name)
    wait_until(
        lambda: not fetch_value(connection, "SELECT count(*)" + _LEFT, name),
        "sessions of a restore that died to end", _END_SECONDS,
    )  # fmt: skip


def _own(text: str) -> sql.Composed:
    return sql.SQL(text).format(schema=sql.Identifier(OWN_SCHEMA))
