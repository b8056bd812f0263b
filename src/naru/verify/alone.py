"""Hashes of single values: without a record around them, which costs more than all the rest.

Most of the time goes into calling functions, so a row calls as few as it can. Columns that are
never NULL hand the hash on, each to the next as its seed: that mixes, keeps columns apart, and
needs nothing to put them together. One whole number of 8 bytes stands in the first seed as it is.
Where a server says NULL is impossible and it occurs nevertheless, such a hash is NULL: then the
row is hashed in the way that bears NULL everywhere.

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
    text. `required`: the column is said to hold no NULL.
    """

    canonical: sql.Composable
    value: sql.Composable | None = None
    alone: str | None = None
    required: bool = False

    @property
    def chains(self) -> bool:
        """Whether it can take the hash of others for its seed: its hash has one seed, once."""
        alone = self.alone or ""
        return self.required and alone.count("{seed}") == 1 and "{other}" not in alone

    @property
    def is_number(self) -> bool:
        """Whether its value is a number of 64 bits, as a hash is."""
        return self.required and self.alone == _ALONE["int8"]


def field_of(value: sql.Composable, type_: TypeFacts, form: Form, *, same_encoding: bool) -> Field:
    """The field of a value that is compared in `form`."""
    whole = canonical(value, type_, form, same_encoding=same_encoding)
    if form in ("text", "characters"):
        return Field(whole, whole, _TEXT if same_encoding else None)
    base = type_.base
    built_in = base.built_in and base.kind == "b"
    return Field(whole, undressed(value, type_), _ALONE.get(base.name) if built_in else None)


def mixed(fields: Sequence[Field]) -> sql.Composed:
    """The hash of a row that may be summed; NULL has a hash of its own in each column."""
    bearing = _bearing(fields)
    if not any(field.required for field in fields):
        return bearing
    return sql.SQL("coalesce({}, {})").format(_chained(fields), bearing)


def _bearing(fields: Sequence[Field]) -> sql.Composed:
    """Hashes of the values, each with a seed of its own, by XOR, and hashed once more."""
    parts: list[sql.Composable] = [
        _or_null(field, place) for place, field in enumerate(fields) if field.alone
    ]
    parts += _record([field for field in fields if not field.alone], needed=not parts)
    return _end(parts)


def _chained(fields: Sequence[Field]) -> sql.Composed:
    """What bears NULL, and one number as it is, by XOR; then each other column takes the hash so
    far for its seed. NULL where a required column is.

    The number may stand there as it is because there is only one: what differs in it alone
    differs, and what comes after mixes it.
    """
    first = next((place for place, field in enumerate(fields) if field.is_number), None)
    parts: list[sql.Composable] = []
    links: list[Field] = []
    for place, field in enumerate(fields):
        if place == first:
            parts.append(sql.SQL("{}").format(field.value))
        elif field.chains:
            links.append(field)
        elif field.alone:
            parts.append((_hash if field.required else _or_null)(field, place))
    parts += _record([field for field in fields if not field.alone], needed=not parts)
    if not links:
        return _end(parts)
    found = _xor(parts)
    for field in links:
        found = sql.SQL(field.alone or "").format(value=field.value, seed=found)
    return found


def _record(fields: Sequence[Field], *, needed: bool) -> list[sql.Composable]:
    """The hash of what has none alone; `needed` even if there is nothing."""
    if not fields and not needed:
        return []
    record = sql.SQL("pg_catalog.hash_record_extended(ROW({}), 7)")
    return [record.format(sql.SQL(", ").join(field.canonical for field in fields))]


def _xor(parts: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL(" # ").join(parts)


def _end(parts: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL("pg_catalog.hashint4extended(0, {})").format(_xor(parts))


def _or_null(field: Field, place: int) -> sql.Composed:
    return sql.SQL("coalesce({}, {})").format(_hash(field, place), _literal(place, 2))


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
