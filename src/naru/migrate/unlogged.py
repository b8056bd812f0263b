"""Unlogged tables: they leave no WAL to follow, so the switch copies them once more.

That happens while clients wait, and so only up to `MOST_BYTES`; a gate is shut above it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

import psycopg
from psycopg import sql

from naru.errors import RefusedError
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
        # What triggers and foreign keys do has been done at the origin.
        silenced = _silence(destination)
        order = tables if silenced else _parents_first(destination, tables)
        triggers = [] if silenced else _triggers(destination, tables)
        # At once, since unlogged tables may refer to each other, but logged ones not to them.
        destination.execute(
            sql.SQL("TRUNCATE ONLY {}").format(
                sql.SQL(", ONLY ").join(one.relation.identifier for one in tables)
            )
        )
        _switch(destination, triggers, "DISABLE")
        for one in order:
            _copy(origin, destination, one)
        _switch(destination, triggers, "ENABLE")


def _silence(destination: Connection) -> bool:
    """Keep triggers and foreign keys from acting in this transaction, if our login may."""
    try:
        with destination.transaction():
            destination.execute("SET LOCAL session_replication_role = replica")
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True


_REFERENCES = """
SELECT cn.nspname, c.relname, pn.nspname, p.relname
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace
JOIN pg_catalog.pg_class p ON p.oid = k.confrelid
JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
WHERE k.contype = 'f' AND c.relpersistence = 'u' AND c.oid <> p.oid
"""

_TRIGGERS = """
SELECT n.nspname, c.relname, t.tgname
FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relpersistence = 'u' AND NOT t.tgisinternal AND t.tgenabled = 'O' ORDER BY 1, 2, 3
"""


def _parents_first(destination: Connection, tables: Sequence[UnloggedTable]) -> list[UnloggedTable]:
    """`tables`, each after those that its foreign keys refer to.

    Raises RefusedError where they refer to each other in a circle.
    """
    by_name = {one.relation: one for one in tables}
    parents: dict[Relation, set[Relation]] = {one: set() for one in by_name}
    for row in fetch_all(destination, _REFERENCES):
        child, parent = Relation(row[0], row[1]), Relation(row[2], row[3])
        if child in parents and parent in parents:
            parents[child].add(parent)
    try:
        return [by_name[one] for one in TopologicalSorter(parents).static_order()]
    except CycleError as error:
        names = ", ".join(str(one) for one in error.args[1])
        raise RefusedError(
            f"unlogged tables refer to each other in a circle: {names}",
            remedy="GRANT SET ON PARAMETER session_replication_role TO our login on that server,"
            " or TRUNCATE them",
        ) from None


def _triggers(
    destination: Connection, tables: Sequence[UnloggedTable]
) -> list[tuple[Relation, str]]:
    wanted = {one.relation for one in tables}
    found = (
        (Relation(schema, table), name) for schema, table, name in fetch_all(destination, _TRIGGERS)
    )
    return [one for one in found if one[0] in wanted]


def _switch(destination: Connection, triggers: Sequence[tuple[Relation, str]], word: str) -> None:
    for relation, name in triggers:
        destination.execute(
            sql.SQL("ALTER TABLE ONLY {} {} TRIGGER {}").format(
                relation.identifier, sql.SQL(word), sql.Identifier(name)
            )
        )


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
