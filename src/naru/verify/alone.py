"""Hashes of single values: without a record around them, which costs more than all the rest.

What the hash of a type folds is put back: both halves of an int8, the sign of a float's zero,
the sign and the scale of a numeric and which of its specials it is. Types that are not here
(whose binary output is a bytea, which only a record hashes before PostgreSQL 18) go together
into one record for each row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from naru.verify.types import Form, TypeFacts, canonical, undressed

_ZERO = (
    "pg_catalog.hashfloat{0}extended({{value}}, CASE WHEN {{value}} = 0"
    " AND pg_catalog.float{0}send({{value}}) <> pg_catalog.float{0}send(0)"
    " THEN {{other}} ELSE {{seed}} END)"
)
_TEXT = "pg_catalog.hashtextextended({value}, {seed})"
_ALONE: Mapping[str, str] = {
    "bool": "pg_catalog.hashint4extended({value}::pg_catalog.int4, {seed})",
    "char": "pg_catalog.hashcharextended({value}, {seed})",
    "int2": "pg_catalog.hashint2extended({value}, {seed})",
    "int4": "pg_catalog.hashint4extended({value}, {seed})",
    "int8": "pg_catalog.hashint8extended({value} >> 32, pg_catalog.hashint8extended("
    "{value}, {seed}))",
    "uuid": "pg_catalog.uuid_hash_extended({value}, {seed})",
    "float4": _ZERO.format(4),
    "float8": _ZERO.format(8),
    "numeric": "pg_catalog.hashint4extended("
    "coalesce(pg_catalog.scale({value}), CASE WHEN {value} = 'NaN' THEN -1 ELSE -2 END),"
    " pg_catalog.hash_numeric_extended({value},"
    " CASE WHEN {value} < 0 THEN {other} ELSE {seed} END))",
}
ALONE = frozenset(_ALONE)
"""Built-in types that are hashed without a record; texts are as well."""


@dataclass(frozen=True)
class Field:
    """A column's value in a row: its canonical form, and how it is hashed alone, if at all.

    `value` takes the place of `{value}` in `alone`: the value as one of its base type, or its
    text.
    """

    canonical: sql.Composable
    value: sql.Composable | None = None
    alone: str | None = None


def field_of(value: sql.Composable, type_: TypeFacts, form: Form, *, same_encoding: bool) -> Field:
    """The field of a value that is compared in `form`."""
    whole = canonical(value, type_, form, same_encoding=same_encoding)
    if form in ("text", "characters"):
        return Field(whole, whole, _TEXT if same_encoding else None)
    base = type_.base
    built_in = base.built_in and base.kind == "b"
    return Field(whole, undressed(value, type_), _ALONE.get(base.name) if built_in else None)


def mixed(fields: Sequence[Field]) -> sql.Composed:
    """The hash of a row that may be summed: hashes of its values, each with a seed of its own,
    by XOR, and hashed once more. NULL has a hash of its own in each column.
    """
    parts = [
        sql.SQL("coalesce({}, {})").format(_hash(field, place), _literal(place, 2))
        for place, field in enumerate(fields)
        if field.alone
    ]
    others = [field.canonical for field in fields if not field.alone]
    if others or not parts:
        record = sql.SQL("pg_catalog.hash_record_extended(ROW({}), 7)")
        parts.append(record.format(sql.SQL(", ").join(others)))
    return sql.SQL("pg_catalog.hashint4extended(0, {})").format(sql.SQL(" # ").join(parts))


def _hash(field: Field, place: int) -> sql.Composed:
    assert field.alone is not None
    return sql.SQL(field.alone).format(
        value=field.value, seed=_literal(place, 0), other=_literal(place, 1)
    )


def _literal(place: int, which: int) -> sql.SQL:
    """A number of 64 bits that no other place in a row has (splitmix64)."""
    bits = (1 << 64) - 1
    number = (3 * place + which + 1) * 0x9E3779B97F4A7C15 & bits
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & bits
    number = (number ^ number >> 27) * 0x94D049BB133111EB & bits
    number ^= number >> 31
    return sql.SQL(f"'{number - (1 << 63)}'::pg_catalog.int8")
