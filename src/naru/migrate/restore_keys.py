"""Whether foreign keys hold after rows came in while nobody checked them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from psycopg import sql

from naru.postgres import Connection, fetch_all, fetch_value

_KEYS = """
SELECT n.nspname, c.relname, c.relkind::text, k.conname, rn.nspname, r.relname, r.relkind::text,
       k.confmatchtype::text,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u (number, place)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number
             ORDER BY u.place),
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u (number, place)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number
             ORDER BY u.place),
       ARRAY(SELECT pg_catalog.format('OPERATOR(%I.%s)', opn.nspname, o.oprname)
             FROM unnest(k.conpfeqop) WITH ORDINALITY AS u (operator, place)
             JOIN pg_catalog.pg_operator o ON o.oid = u.operator
             JOIN pg_catalog.pg_namespace opn ON opn.oid = o.oprnamespace ORDER BY u.place)
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class r ON r.oid = k.confrelid
JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND k.convalidated
ORDER BY 1, 2, 4
"""


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key that its catalog says is valid."""

    schema: str
    table: str
    kind: str
    name: str
    referred_schema: str
    referred_table: str
    referred_kind: str
    match: str
    """`s` simple, `f` full."""
    columns: tuple[str, ...]
    referred_columns: tuple[str, ...]
    operators: tuple[str, ...]
    """One a column, from the referred one to ours, qualified."""


def read_foreign_keys(connection: Connection) -> list[ForeignKey]:
    """Every valid foreign key of the database, partitions' shares in their parents'."""
    rows = fetch_all(connection, _KEYS)
    return [ForeignKey(*row[:8], *map(tuple, row[8:])) for row in rows]


def broken_rows(key: ForeignKey) -> sql.Composed:
    """How many rows of its table refer to nothing; asked as PostgreSQL asks to validate it."""
    equal = [
        sql.SQL("p.{} {} f.{}").format(sql.Identifier(theirs), sql.SQL(by), sql.Identifier(ours))
        for theirs, by, ours in zip(key.referred_columns, key.operators, key.columns, strict=True)
    ]
    given = [sql.SQL("f.{} IS NOT NULL").format(sql.Identifier(one)) for one in key.columns]
    return sql.SQL(
        "SELECT count(*) FROM {} AS f LEFT JOIN {} AS p ON {} WHERE p.{} IS NULL AND ({})"
    ).format(
        _from(key.kind, key.schema, key.table),
        _from(key.referred_kind, key.referred_schema, key.referred_table),
        sql.SQL(" AND ").join(equal),
        sql.Identifier(key.referred_columns[0]),
        sql.SQL(" OR " if key.match == "f" else " AND ").join(given),
    )


def _from(kind: str, schema: str, table: str) -> sql.Composable:
    name = sql.Identifier(schema, table)
    return name if kind == "p" else sql.SQL("ONLY {}").format(name)


def broken_keys(connection: Connection) -> Iterator[str]:
    """Each foreign key that does not hold, for people."""
    for key in read_foreign_keys(connection):
        count = fetch_value(connection, broken_rows(key))
        if count:
            yield (
                f"{count:,} rows of {key.schema}.{key.table} break {key.name}: they refer to"
                f" nothing in {key.referred_schema}.{key.referred_table}"
            )
