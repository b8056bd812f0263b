"""The hash that servers compute: apart for values that differ, alike on both servers."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from psycopg import sql

from naru.postgres import Connection, LocalServer, connect, fetch_all, fetch_value
from naru.verify.alone import ALONE, Field, field_of
from naru.verify.hashing import row_hash
from naru.verify.relations import Types
from naru.verify.types import SAMPLES, form_of

pytestmark = pytest.mark.integration

CONFUSABLE = {
    "numeric": "0 0.0 0.00 1 -1 1.0 -1.0 10 100 1000 10000 0.1 0.01 0.0001 1e20 -1e20 NaN Infinity"
    " -Infinity 12345678901234567890.5 -12345678901234567890.5",
    "int8": "0 1 -1 2 4294967296 -4294967296 4294967297 4294967295 -4294967295 2147483648"
    " -2147483648 2147483647 9223372036854775807 -9223372036854775808 8589934592",
    "int4": "0 1 -1 2147483647 -2147483648 65536",
    "int2": "0 1 -1 32767 -32768",
    "float8": "0 -0 1 -1 NaN Infinity -Infinity 1e-300 -1e-300 0.1 0.10000000000000002",
    "float4": "0 -0 1 -1 NaN Infinity -Infinity 1e-30 3 3.0000002",
    "bool": "true false",
    "char": "a b A 0",
    "uuid": "00000000-0000-0000-0000-000000000000 00000000-0000-0000-0000-000000000001"
    " 01000000-0000-0000-0000-000000000000",
    "text": "a A b NULL null 0 \u00e9 e\u0301 aa",
}
EMPTY = {"text": ["", " ", "  "]}


def field(
    connection: Connection, name: str, value: sql.Composable, *, required: bool = False
) -> Field:
    oid = fetch_value(connection, "SELECT %s::regtype::oid::int8", [f'pg_catalog."{name}"'])
    type_ = Types(connection)[oid]
    form = form_of(type_, frozenset(SAMPLES))
    shape = sql.SQL("({})::pg_catalog.{}").format(value, sql.Identifier(name))
    return replace(field_of(shape, type_, form, same_encoding=True), required=required)


def hashes(
    connection: Connection, name: str, values: list[str | None], required: bool
) -> list[int]:
    """Of rows with one such value, and another before it that hands its hash on if `required`."""
    first = field(connection, "int4", sql.SQL("5"), required=required)
    rows = (
        row_hash("record", [first, field(connection, name, sql.Literal(v), required=required)])
        for v in values
    )
    query = sql.SQL("SELECT ARRAY[{}]").format(sql.SQL(", ").join(rows))
    return list(fetch_value(connection, query))


@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize("name", sorted(CONFUSABLE))
def test_values_that_differ_have_hashes_that_differ_the_same_on_both_servers(
    name: str, required: bool, old_server: LocalServer, new_server: LocalServer
) -> None:
    values: list[str | None] = [None, *CONFUSABLE[name].split(), *EMPTY.get(name, [])]
    found = []
    for server in (old_server, new_server):
        with connect(server.dsn(), purpose="test", prepare=False) as connection:
            found.append(hashes(connection, name, values, required))
    assert found[0] == found[1]
    assert len(set(found[0])) == len(values)


def test_every_type_that_is_hashed_alone_is_tried() -> None:
    assert {*CONFUSABLE} == ALONE | {"text"}


def test_a_null_where_none_can_be_is_hashed_with_all_the_rest_of_its_row(
    old_server: LocalServer, new_server: LocalServer
) -> None:
    """A server may say that a column holds no NULL, and be wrong."""
    found = []
    for server in (old_server, new_server):
        with connect(server.dsn(), purpose="test", prepare=False) as connection:
            rows = [
                [
                    field(connection, name, sql.SQL(value), required=True)
                    for name, value in zip(("int8", "int4", "text"), values, strict=True)
                ]
                for values in (("1", "NULL", "'a'"), ("1", "NULL", "'b'"), ("NULL", "1", "'a'"),
                               ("2", "NULL", "'a'"), ("1", "0", "'a'"), ("NULL", "NULL", "NULL"))
            ]  # fmt: skip
            query = sql.SQL(", ").join(row_hash("record", row) for row in rows)
            found.append(fetch_all(connection, sql.SQL("SELECT {}").format(query))[0])
    assert found[0] == found[1]
    assert None not in found[0]
    assert len(set(found[0])) == len(found[0])


@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize(
    ("one", "other"),
    [*product(("int8", "text", "timestamptz"), repeat=2), ("numeric", "float8"), ("uuid", "int4")],
)
def test_a_column_swapped_between_two_rows_changes_the_sum(
    one: str, other: str, required: bool, new_server: LocalServer
) -> None:
    """In each of ten thousand pairs of rows."""
    makers = {
        "int8": "n * {0}", "text": "'value ' || n * {0}", "numeric": "n * {0} * 0.10",
        "timestamptz": "timestamptz '2024-01-01 00:00+00' + n * {0} * interval '1 second'",
        "float8": "n * {0} * 0.5", "uuid": "md5(n * {0} || 'u')::uuid", "int4": "n * {0}",
    }  # fmt: skip
    with connect(new_server.dsn(), purpose="test", prepare=False) as connection:
        left, right = (
            [
                field(connection, name, sql.SQL(makers[name].format(k)), required=required)
                for k in factors
            ]
            for name, factors in ((one, (1, 3)), (other, (5, 8)))
        )
        sums = [
            sql.SQL("{}::numeric + {}").format(
                row_hash("record", [left[0], right[first]]),
                row_hash("record", [left[1], right[1 - first]]),
            )
            for first in (0, 1)
        ]
        missed = sql.SQL(
            "SELECT n FROM generate_series(1, 10000) AS n WHERE {} = {} LIMIT 9"
        ).format(*sums)
        assert fetch_all(connection, missed) == []
