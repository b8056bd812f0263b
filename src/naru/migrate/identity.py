"""Replica identities: how a table's old rows are named to the other side.

A published table without one makes its UPDATEs and DELETEs fail at the source, so tables
that lack one get one before they are published, and get back what they had at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from psycopg import sql

from naru.errors import RefusedError
from naru.journal import Run
from naru.migrate import locks
from naru.migrate.names import OWN_SCHEMA, Relation
from naru.postgres import Connection, fetch_all

_CHANGES = "identity"


@dataclass(frozen=True)
class TableIdentity:
    """What a table has: `kind` as in pg_class.relreplident, and what it could use."""

    relation: Relation
    kind: str
    index: str | None
    has_primary_key: bool
    candidate: str | None
    """A unique, immediate, complete index over NOT NULL columns, if there is one."""


@dataclass(frozen=True)
class Change:
    """Give a table the identity `kind` (`f` full, `i` by `index`) for the migration."""

    schema: str
    name: str
    kind: str
    index: str | None
    before: str
    before_index: str | None

    @property
    def relation(self) -> Relation:
        return Relation(self.schema, self.name)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        return cls(**document)


def observe(connection: Connection) -> list[TableIdentity]:
    """Identities of all tables with rows of their own that lack a usable one."""
    rows = fetch_all(connection, _LACKING, {"own": OWN_SCHEMA})
    return [TableIdentity(Relation(row[0], row[1]), *row[2:]) for row in rows]


def plan(tables: Sequence[TableIdentity]) -> list[Change]:
    """What to change: an index where one will do, else the whole row."""
    return [
        Change(
            one.relation.schema,
            one.relation.name,
            "i" if one.candidate else "f",
            one.candidate,
            one.kind,
            one.index,
        )
        for one in tables
        if not is_usable(one)
    ]


def is_usable(table: TableIdentity) -> bool:
    """True if UPDATE and DELETE can be published as the table stands."""
    if table.kind == "d":
        return table.has_primary_key
    return table.kind == "f" or (table.kind == "i" and table.index is not None)


def apply(connection: Connection, changes: Sequence[Change]) -> None:
    """Make the changes, one short transaction each; see `locks` on how it waits for others."""
    for one in changes:
        _set(connection, one.relation, one.kind, one.index)


def give(connection: Connection, run: Run) -> None:
    """Give every table that lacks an identity one, and remember what `restore` has to undo.

    To be called right before tables are published: one may have been made meanwhile.
    """
    changes = plan(observe(connection))
    known = changes_of(run)
    new = [one for one in changes if one.relation not in {other.relation for other in known}]
    # Remembered before anything is changed: abort must find it in any case.
    run.remember(_CHANGES, [one.to_json() for one in (*known, *new)])
    apply(connection, changes)


def changes_of(run: Run) -> list[Change]:
    """The changes that the migration has made, or was about to make."""
    return [Change.from_json(one) for one in run.recall(_CHANGES, [])]


def must_all_have(connection: Connection) -> None:
    """Raise RefusedError if a table could be published, but not be changed from then on."""
    lacking = plan(observe(connection))
    if lacking:
        info, one = connection.info, lacking[0]
        text = sql.SQL("ALTER TABLE {} REPLICA IDENTITY FULL").format(one.relation.identifier)
        where = f"{info.user}@{info.host}:{info.port}/{info.dbname}"
        raise RefusedError(
            f"{where}: table {one.relation} has no replica identity: once published, its rows"
            " could not be changed",
            remedy=f"on both sides: {text.as_string(connection)}, or give it a primary key",
        )


def restore(connection: Connection, changes: Sequence[Change]) -> None:
    """Give back what was there before; tables dropped meanwhile are passed over."""
    for one in changes:
        query = "SELECT pg_catalog.to_regclass(%s) IS NOT NULL"
        name = one.relation.identifier.as_string(connection)
        if fetch_all(connection, query, [name])[0][0]:
            _set(connection, one.relation, one.before, one.before_index)


def _set(connection: Connection, relation: Relation, kind: str, index: str | None) -> None:
    what: sql.Composable
    if kind == "i" and index is not None:
        what = sql.SQL("USING INDEX {}").format(sql.Identifier(index))
    else:
        what = sql.SQL({"d": "DEFAULT", "n": "NOTHING"}.get(kind, "FULL"))
    text = sql.SQL("ALTER TABLE ONLY {} REPLICA IDENTITY {}").format(relation.identifier, what)
    doing = f"setting the replica identity of {relation}"
    locks.patiently(
        connection, lambda: _run(connection, text), [relation], locks.AGAINST_ALTERING, doing
    )


def _run(connection: Connection, text: sql.Composed) -> None:
    connection.execute(text)


_LACKING = """
SELECT n.nspname, c.relname, c.relreplident,
       (SELECT x.relname FROM pg_catalog.pg_index i
        JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
        WHERE i.indrelid = c.oid AND i.indisreplident AND i.indisvalid LIMIT 1),
       EXISTS (SELECT FROM pg_catalog.pg_index i
               WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid AND i.indimmediate),
       (SELECT x.relname FROM pg_catalog.pg_index i
        JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
        WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate AND i.indisvalid
          AND i.indpred IS NULL AND i.indexprs IS NULL
          AND NOT EXISTS (
              SELECT FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position)
              JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
              WHERE k.position <= i.indnkeyatts AND NOT a.attnotnull)
        ORDER BY i.indnatts, x.relname LIMIT 1)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence = 'p'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', %(own)s)
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
      WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
        AND d.deptype = 'e' AND NOT c.oid = ANY (coalesce(e.extconfig, '{}')))
  AND (c.relreplident = 'n'
       OR c.relreplident = 'd' AND NOT EXISTS (
           SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary
           AND i.indisvalid AND i.indimmediate)
       OR c.relreplident = 'i' AND NOT EXISTS (
           SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisreplident
           AND i.indisvalid))
ORDER BY 1, 2
"""
