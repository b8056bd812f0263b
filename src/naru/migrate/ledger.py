"""What has been copied, kept on the target in the same transaction as the rows themselves.

So a part is done if and only if its rows are there, whenever a process dies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from naru.errors import RefusedError
from naru.migrate.names import OWN_SCHEMA, Relation
from naru.migrate.parts import Part
from naru.postgres import Connection

_SCHEMA = sql.Identifier(OWN_SCHEMA)

_CREATE = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {schema}.part (
    relation text, schema text, number int, of int, pages int8 NOT NULL,
    filenode int8 NOT NULL, batch int NOT NULL,
    rows int8 NOT NULL, bytes int8 NOT NULL, at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (schema, relation, number));
CREATE TABLE IF NOT EXISTS {schema}.large_object (
    side text, loid oid, signature text NOT NULL, PRIMARY KEY (side, loid));
CREATE TABLE IF NOT EXISTS {schema}.owner (mark text NOT NULL);
"""

_NOTE = sql.SQL(
    "INSERT INTO {}.part (batch, schema, relation, number, of, pages, filenode, rows, bytes)"
    " SELECT %s, * FROM unnest(%s::text[], %s::text[], %s::int4[], %s::int4[], %s::int8[],"
    " %s::int8[], %s::int8[], %s::int8[])"
).format(_SCHEMA)


@dataclass(frozen=True)
class Copied:
    """Sums over what has been copied so far."""

    tables: int
    rows: int
    bytes: int


def create(connection: Connection) -> None:
    """Make the schema that holds the ledger, if it is not there."""
    connection.execute(sql.SQL(_CREATE).format(schema=_SCHEMA))


def claim(connection: Connection, mark: str) -> None:
    """Make the ledger that of the migration `mark`, if it is nobody's.

    Raises RefusedError if it is another's: what that has copied must not count as ours.
    """
    create(connection)
    with connection.transaction():
        connection.execute(sql.SQL("LOCK {}.owner IN EXCLUSIVE MODE").format(_SCHEMA))
        if _owner(connection) is None:
            connection.execute(sql.SQL("INSERT INTO {}.owner VALUES (%s)").format(_SCHEMA), [mark])
    if is_of_another(connection, mark):
        info = connection.info
        raise RefusedError(
            f"{info.user}@{info.host}:{info.port}/{info.dbname}: another migration has begun in"
            " this database",
            remedy="abort this one (naru migrate abort), and go on with the other where it was"
            " begun; or abort that, and start again",
        )


def is_of_another(connection: Connection, mark: str) -> bool:
    """True if another migration than `mark` has begun in this database."""
    query = "SELECT pg_catalog.to_regclass(%s) IS NOT NULL"
    try:
        row = connection.execute(query, [f"{OWN_SCHEMA}.owner"]).fetchone()
        return bool(row and row[0]) and _owner(connection) not in (None, mark)
    except psycopg.errors.InsufficientPrivilege:
        return True  # ours would be of our login


def _owner(connection: Connection) -> str | None:
    row = connection.execute(sql.SQL("SELECT mark FROM {}.owner").format(_SCHEMA)).fetchone()
    return str(row[0]) if row else None


def drop(connection: Connection) -> None:
    """Remove the ledger and its schema."""
    connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(_SCHEMA))


def exists(connection: Connection) -> bool:
    query = "SELECT pg_catalog.to_regclass(%s) IS NOT NULL"
    row = connection.execute(query, [f"{OWN_SCHEMA}.part"]).fetchone()
    return bool(row and row[0])


@dataclass(frozen=True)
class Done:
    """A part that is copied."""

    part: Part
    rows: int
    bytes: int


def note(connection: Connection, batch: int, done: Sequence[Done]) -> None:
    """Write that parts are copied; in the transaction that copied them."""
    tables = [one.part.table for one in done]
    connection.execute(
        _NOTE,
        [
            batch, [table.relation.schema for table in tables],
            [table.relation.name for table in tables],
            [one.part.number for one in done], [one.part.of for one in done],
            [table.pages for table in tables], [table.filenode for table in tables],
            [one.rows for one in done], [one.bytes for one in done],
        ],
    )  # fmt: skip


def complete_tables(connection: Connection) -> dict[Relation, int]:
    """Tables of which every part has been copied, with the batch that did it."""
    rows = connection.execute(
        sql.SQL(
            "SELECT schema, relation, max(batch) FROM {}.part"
            " GROUP BY 1, 2 HAVING count(*) = max(of)"
        ).format(_SCHEMA)
    )
    return {Relation(schema, name): batch for schema, name, batch in rows}


@dataclass(frozen=True)
class Begun:
    """How a table was cut of which some parts are copied, and which of them are."""

    of: int
    pages: int
    filenode: int
    numbers: frozenset[int]


def begun_tables(connection: Connection) -> dict[Relation, Begun]:
    """Tables that are copied in part only."""
    rows = connection.execute(
        sql.SQL(
            "SELECT schema, relation, of, pages, filenode, array_agg(number) FROM {}.part"
            " GROUP BY 1, 2, 3, 4, 5 HAVING count(*) < of"
        ).format(_SCHEMA)
    )
    return {
        Relation(schema, name): Begun(of, pages, filenode, frozenset(numbers))
        for schema, name, of, pages, filenode, numbers in rows
    }


def empty(connection: Connection, relation: Relation) -> None:
    """Empty a table and forget its parts: they are no use with those that are missing."""
    with connection.transaction():
        connection.execute(sql.SQL("TRUNCATE ONLY {}").format(relation.identifier))
        connection.execute(
            sql.SQL("DELETE FROM {}.part WHERE schema = %s AND relation = %s").format(_SCHEMA),
            [relation.schema, relation.name],
        )


def totals(connection: Connection) -> Copied:
    """How much has been copied; a table counts once all of it is."""
    row = connection.execute(
        sql.SQL(
            "SELECT count(*) FILTER (WHERE parts = of), coalesce(sum(rows), 0)::int8,"
            " coalesce(sum(bytes), 0)::int8 FROM (SELECT count(*) AS parts, max(of) AS of,"
            " sum(rows) AS rows, sum(bytes) AS bytes FROM {}.part GROUP BY schema, relation) t"
        ).format(_SCHEMA)
    ).fetchone()
    return Copied(*(row or (0, 0, 0)))
