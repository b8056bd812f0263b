"""Rows that the service has lost, copied back from an instance restored beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from naru.errors import RefusedError, UsageError
from naru.postgres import Connection, Dsn, connect, explain, fetch_all, fetch_value

_COLUMNS = """
SELECT attname FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
ORDER BY attnum
"""
_KEY = """
SELECT attname FROM pg_index, unnest(indkey) WITH ORDINALITY AS part(number, place)
    JOIN pg_attribute ON attnum = part.number
WHERE indrelid = %s::regclass AND indisprimary AND attrelid = indrelid
ORDER BY place
"""
_KEYS = sql.Identifier("naru_keys")
_ROWS = sql.Identifier("naru_rows")


@dataclass(frozen=True)
class _Table:
    """A table on both sides: its name as given, its columns, its primary key."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(*self.name.split("."))


def count_lost_rows(past: Dsn, service: Dsn, tables: Sequence[str]) -> dict[str, int]:
    """How many rows of each table, named as `schema.table`, the service has lost since `past`."""
    with _both(past, service) as (then, now):
        found = {name: _count_lost(then, now, name) for name in tables}
        now.rollback()
    return found


def bring_rows_back(past: Dsn, service: Dsn, tables: Sequence[str]) -> dict[str, int]:
    """Insert the rows whose primary key the service does not have; how many of each table.

    In one transaction, in the order given, so that parents go before children. Rows that the
    service has are left alone, whatever became of them. Triggers and foreign keys work as on
    any insert. Raises UsageError for a table without a primary key, RefusedError for one that
    has lost columns, ServerError when the service refuses a row.
    """
    done: dict[str, int] = {}
    with _both(past, service) as (then, now):
        for name in tables:
            table = _table(then, now, name)
            _find_lost(then, now, table)
            done[name] = _insert(then, now, table)
        now.commit()
    return done


def _count_lost(then: Connection, now: Connection, name: str) -> int:
    """Find the lost rows of one table, and count them."""
    _find_lost(then, now, _table(then, now, name))
    return int(fetch_value(now, sql.SQL("SELECT count(*) FROM {}").format(_KEYS)))


@contextmanager
def _both(past: Dsn, service: Dsn) -> Iterator[tuple[Connection, Connection]]:
    """A transaction on each side; that of `past` is never committed."""
    with (
        connect(past, purpose="bring back", autocommit=False) as then,
        connect(service, purpose="bring back", autocommit=False) as now,
    ):
        try:
            yield then, now
        except psycopg.Error as error:
            raise explain(error, service, "bringing rows back") from error
        finally:
            then.rollback()


def _table(then: Connection, now: Connection, name: str) -> _Table:
    if name.count(".") != 1:
        raise UsageError(f"{name!r} is not a table's whole name", remedy="write schema.table")
    quoted = sql.Identifier(*name.split(".")).as_string(now)
    for side, where in ((then, "the restored instance"), (now, "the service")):
        if fetch_value(side, "SELECT to_regclass(%s)", [quoted]) is None:
            raise UsageError(f"there is no table {name} in {where}")
    columns = tuple(row[0] for row in fetch_all(then, _COLUMNS, [quoted]))
    gone = set(columns) - {row[0] for row in fetch_all(now, _COLUMNS, [quoted])}
    if gone:
        raise RefusedError(
            f"{name} of the service has no columns {', '.join(sorted(gone))} any more",
            remedy="copy what you need by hand; the restored instance takes queries",
        )
    key = tuple(row[0] for row in fetch_all(now, _KEY, [quoted]))
    if not key:
        raise UsageError(
            f"{name} has no primary key, so which rows are lost cannot be told",
            remedy="compare both with `naru verify`, and copy by hand",
        )
    return _Table(name, columns, key)


def _find_lost(then: Connection, now: Connection, table: _Table) -> None:
    """Leave the keys of lost rows in a temporary table of the service's session."""
    key = _listed(table.key)
    _temporary(now, _KEYS, table, key)
    _pipe(
        then, sql.SQL("SELECT {} FROM {}").format(key, table.identifier),
        now, _KEYS, key,
    )  # fmt: skip
    same = sql.SQL(" AND ").join(
        sql.SQL("there.{0} = {1}.{0}").format(sql.Identifier(name), _KEYS) for name in table.key
    )
    now.execute(
        sql.SQL("DELETE FROM {} USING {} AS there WHERE {}").format(_KEYS, table.identifier, same)
    )


def _insert(then: Connection, now: Connection, table: _Table) -> int:
    key, columns = _listed(table.key), _listed(table.columns)
    _temporary(then, _KEYS, table, key)
    _pipe(now, sql.SQL("SELECT {} FROM {}").format(key, _KEYS), then, _KEYS, key)
    _temporary(now, _ROWS, table, columns)
    rows = sql.SQL("SELECT {} FROM {} JOIN {} USING ({})").format(
        columns, table.identifier, _KEYS, key
    )
    _pipe(then, rows, now, _ROWS, columns)
    done = now.execute(
        sql.SQL(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} ON CONFLICT DO NOTHING"
        ).format(table.identifier, columns, columns, _ROWS)
    )
    return done.rowcount


def _temporary(
    side: Connection, name: sql.Identifier, table: _Table, columns: sql.Composable
) -> None:
    side.execute(sql.SQL("DROP TABLE IF EXISTS pg_temp.{}").format(name))
    side.execute(
        sql.SQL("CREATE TEMPORARY TABLE {} AS SELECT {} FROM {} WITH NO DATA").format(
            name, columns, table.identifier
        )
    )


def _pipe(
    out: Connection, query: sql.Composed, into: Connection, name: sql.Identifier,
    columns: sql.Composable,
) -> None:  # fmt: skip
    """Copy what `query` gives on one side into a table of the other, without keeping it."""
    reading = sql.SQL("COPY ({}) TO STDOUT (FORMAT binary)").format(query)
    writing = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(name, columns)
    with out.cursor() as source, into.cursor() as target:
        with source.copy(reading) as taken, target.copy(writing) as given:
            for block in taken:
                given.write(block)


def _listed(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
