"""Sequences: read where each stands, and set it there. Never from a column's maximum."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TypeAlias

from psycopg import sql

from naru.migrate.names import OWN_SCHEMA, Relation
from naru.postgres import Connection, fetch_all

Positions: TypeAlias = dict[Relation, tuple[int, bool]]
"""For each sequence `last_value` and `is_called`."""

_PER_STATEMENT = 500


def read_sequences(connection: Connection) -> Positions:
    """Where every sequence of the database stands, whoever owns it.

    Read from the sequences themselves: pg_sequences hides the value of one never called.
    """
    rows = fetch_all(
        connection,
        """
        SELECT n.nspname, c.relname FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'S' AND c.relpersistence <> 't'
          AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', %s)
        ORDER BY 1, 2
        """,
        [OWN_SCHEMA],
    )
    names = iter([Relation(schema, name) for schema, name in rows])
    positions: Positions = {}
    while some := list(islice(names, _PER_STATEMENT)):
        query = sql.SQL(" UNION ALL ").join(
            sql.SQL("SELECT {} AS nr, last_value, is_called FROM {}").format(
                sql.Literal(number), relation.identifier
            )
            for number, relation in enumerate(some)
        )
        for number, last_value, is_called in connection.execute(query):
            positions[some[number]] = (last_value, is_called)
    return positions


def set_sequences(connection: Connection, positions: Mapping[Relation, tuple[int, bool]]) -> None:
    """Set every sequence to its position, many in one statement."""
    rest = iter(positions.items())
    while some := list(islice(rest, _PER_STATEMENT)):
        values = sql.SQL(", ").join(
            sql.SQL("({}, {}, {})").format(
                sql.Literal(relation.identifier.as_string(connection)),
                sql.Literal(last_value),
                sql.Literal(is_called),
            )
            for relation, (last_value, is_called) in some
        )
        connection.execute(
            sql.SQL(
                "SELECT pg_catalog.setval(s::pg_catalog.regclass, v, c)"
                " FROM (VALUES {}) AS q (s, v, c)"
            ).format(values)
        )
