"""Unlogged tables: they leave no WAL to follow, so the switch copies them once more.

That happens while clients wait, and so only up to `MOST_BYTES`; a gate is shut above it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from naru.migrate.names import OWN_SCHEMA, Relation
from naru.postgres import Connection, fetch_all

MOST_BYTES = 16 * 1024 * 1024
"""What may be copied within a pause, all unlogged tables together."""

_UNLOGGED = """
SELECT n.nspname, c.relname, pg_catalog.pg_table_size(c.oid),
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               AND a.attgenerated = '' ORDER BY a.attnum)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence = 'u'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', %s)
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e'
      AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass)
ORDER BY 1, 2
"""


@dataclass(frozen=True)
class UnloggedTable:
    """An unlogged table with its columns, but for generated ones."""

    relation: Relation
    bytes: int
    columns: tuple[str, ...]


def read_unlogged(connection: Connection) -> tuple[UnloggedTable, ...]:
    """All unlogged tables of users, but for those of extensions."""
    query = _UNLOGGED
    if connection.info.server_version < 120000:
        query = query.replace("AND a.attgenerated = ''", "")
    return tuple(
        UnloggedTable(Relation(schema, name), size, tuple(columns))
        for schema, name, size, columns in fetch_all(connection, query, [OWN_SCHEMA])
    )


def copy_again(
    origin: Connection, destination: Connection, tables: Sequence[UnloggedTable]
) -> None:
    """Make the rows of `tables` at the destination those of the origin, all or none."""
    if not tables:
        return
    with destination.transaction():
        with contextlib.suppress(psycopg.errors.InsufficientPrivilege), destination.transaction():
            # What triggers and foreign keys do has been done at the origin.
            destination.execute("SET LOCAL session_replication_role = replica")
        # At once, since unlogged tables may refer to each other, but logged ones not to them.
        destination.execute(
            sql.SQL("TRUNCATE ONLY {}").format(
                sql.SQL(", ONLY ").join(one.relation.identifier for one in tables)
            )
        )
        for one in tables:
            _copy(origin, destination, one)


def _copy(origin: Connection, destination: Connection, table: UnloggedTable) -> None:
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in table.columns)
    name = table.relation.identifier
    read = sql.SQL("COPY (SELECT {} FROM ONLY {}) TO STDOUT").format(columns, name)
    listed = sql.SQL("({})").format(columns) if table.columns else sql.SQL("")
    write = sql.SQL("COPY {} {} FROM STDIN").format(name, listed)
    with origin.cursor() as reading, destination.cursor() as writing:
        with reading.copy(read) as rows, writing.copy(write) as sink:
            for block in rows:
                sink.write(block)
