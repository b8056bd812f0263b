"""Where every sequence stands on a side."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from psycopg import sql

from naru.postgres import Connection, fetch_all
from naru.verify.merging import merge
from naru.verify.side import Side
from naru.verify.verdict import SequenceDifference, SequenceState

_AT_ONCE = 200

_NAMES = sql.SQL(
    "SELECT format('%I.%I', n.nspname, c.relname), n.nspname, c.relname"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind = 'S' AND c.relpersistence <> 't'"
    " AND n.nspname <> 'naru_migration'"
    " AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass"
    " AND e.objid = c.oid AND e.deptype = 'e')"
    " ORDER BY convert_to(format('%I.%I', n.nspname, c.relname), 'UTF8')"
)


def read_sequences(side: Side, connection: Connection) -> Iterator[tuple[str, SequenceState]]:
    """Every sequence by name, in the order of their names' bytes; needs a transaction.

    Sequences are not transactional: these are the values at the moment of reading.
    """
    names = side.stream(connection, "sequences", _NAMES)
    while chunk := list(islice(names, _AT_ONCE)):
        states = [
            sql.SQL("SELECT {}::int, last_value, is_called FROM {}").format(
                sql.Literal(place), sql.Identifier(schema, name)
            )
            for place, (_, schema, name) in enumerate(chunk)
        ]
        with side.explained("reading sequences"):
            rows = fetch_all(connection, sql.SQL(" UNION ALL ").join(states))
        for place, last_value, is_called in sorted(rows):
            yield chunk[place][0], SequenceState(last_value, is_called)


def compare_sequences(
    source: Iterator[tuple[str, SequenceState]], target: Iterator[tuple[str, SequenceState]]
) -> Iterator[SequenceDifference | None]:
    """One item for each sequence: None where both stand at the same value."""
    for name, ours, theirs in merge(source, target):
        yield None if ours == theirs else SequenceDifference(name, ours, theirs)
