"""The hash of a row, and the self-test that two servers compute it alike.

`hash_record_extended` and XOR combine columns linearly, so that a sum over rows might not see
a column swapped between two rows; hashing the result again removes that. Sums, unlike XOR,
count duplicates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeVar

import psycopg
from psycopg import sql

from naru.errors import ServerError
from naru.postgres import Connection, fetch_all, fetch_one
from naru.verify.alone import Field, field_of, mixed
from naru.verify.side import Side
from naru.verify.types import SAMPLES, TypeFacts, form_of

T = TypeVar("T")

Method = Literal["record", "text", "md5"]
METHODS: tuple[Method, ...] = ("record", "text", "md5")
"""Fastest first. `record` needs PostgreSQL 14, `text` 11; md5 is refused under FIPS."""

FORMULA = 3
"""Which formula makes a row's hash of its values': sums by different ones cannot be compared."""

_ROW: Mapping[Method, str] = {
    "record": "pg_catalog.hash_record_extended(ROW({}), 7)",
    "text": "pg_catalog.hashtextextended(pg_catalog.textin(pg_catalog.record_out(ROW({}))), 7)",
    "md5": "('x' || pg_catalog.substr(pg_catalog.md5(pg_catalog.textin("
    "pg_catalog.record_out(ROW({})))), 1, 16))::pg_catalog.bit(64)::pg_catalog.int8",
}


def plain_hash(method: Method, values: Sequence[sql.Composable]) -> sql.Composed:
    """A 64-bit hash of `values`, good to compare and to group by, not to be summed."""
    return sql.SQL(_ROW[method]).format(sql.SQL(", ").join(values))


def row_hash(method: Method, values: Sequence[sql.Composable | Field]) -> sql.Composed:
    """A 64-bit hash of `values` that may be summed over rows."""
    fields = [value if isinstance(value, Field) else Field(value) for value in values]
    if method != "record":
        return plain_hash(method, [field.canonical for field in fields])
    return mixed(fields)


@dataclass(frozen=True)
class Agreement:
    """What both servers compute alike."""

    method: Method
    trusted: frozenset[str]
    """Built-in types whose binary output hashes alike on both."""
    same_encoding: bool


def agree(sides: tuple[Side, Side], connections: tuple[Connection, Connection]) -> Agreement:
    """Test the hash on both servers. Raises ServerError if no method gives the same values."""

    def ask(question: Callable[[Connection], T]) -> list[T]:
        answers = []
        for side, connection in zip(sides, connections, strict=True):
            with side.explained("testing the hash"):
                answers.append(question(connection))
        return answers

    known = frozenset.intersection(*ask(_known_types))
    for method in METHODS:
        if not all(ask(partial(_has_method, method=method))):
            continue
        ours, theirs = ask(partial(_sample_hashes, method=method, known=known, chained=True))
        trusted = frozenset(name for name in known if ours[name] == theirs[name])
        if ours[""] == theirs[""]:
            return Agreement(method, trusted, len(set(ask(_encoding))) == 1)
    raise ServerError(
        "the two servers agree on no hash of the same row",
        remedy="compare from servers of PostgreSQL 11 or newer, or allow md5 on both",
    )


@dataclass(frozen=True)
class SelfTest:
    """What one server computes for the samples: to be compared with another's, maybe later."""

    method: Method
    hashes: Mapping[str, int]
    """By the type's name, and under '' of a whole row."""

    def agreement(self, other: SelfTest) -> Agreement | None:
        """What two servers of one encoding compute alike; None if they agree on no row."""
        if self.method != other.method or self.hashes[""] != other.hashes[""]:
            return None
        same = (
            name for name in self.hashes if name and self.hashes[name] == other.hashes.get(name)
        )
        return Agreement(self.method, frozenset(same), True)


def self_test(side: Side, connection: Connection, method: Method | None = None) -> SelfTest | None:
    """The hashes of the samples by `method`, or by the fastest; None if this server has it not."""
    with side.explained("testing the hash"):
        chosen = [one for one in ((method,) if method else METHODS) if _has_method(connection, one)]
        if not chosen:
            return None
        known = _known_types(connection)
        return SelfTest(chosen[0], _sample_hashes(connection, chosen[0], known))


def _known_types(connection: Connection) -> frozenset[str]:
    query = (
        "SELECT typname FROM pg_type WHERE typname = ANY(%s) AND typsend <> 0"
        " AND typnamespace = 'pg_catalog'::regnamespace"
    )
    found = frozenset(row[0] for row in fetch_all(connection, query, [list(SAMPLES)]))
    return found if _reads_xml(connection) else found - {"xml"}


def _reads_xml(connection: Connection) -> bool:
    """False for a server that was built without libxml: it has the type, and no values of it."""
    try:
        with connection.transaction():
            connection.execute("SELECT '<a/>'::pg_catalog.xml")
    except psycopg.errors.FeatureNotSupported:
        return False
    return True


def _has_method(connection: Connection, method: Method) -> bool:
    version = connection.info.server_version
    return version >= {"record": 140000, "text": 110000, "md5": 100000}[method]


def _encoding(connection: Connection) -> Any:
    return connection.execute("SHOW server_encoding").fetchone()


_FACTS = """
SELECT t.oid::int8, t.typname, t.typtype::text, o.pronamespace::regnamespace::text, o.proname,
       s.pronamespace::regnamespace::text, s.proname
  FROM pg_type t JOIN pg_proc o ON o.oid = t.typoutput JOIN pg_proc s ON s.oid = t.typsend
 WHERE t.typname = ANY(%s) AND t.typnamespace = 'pg_catalog'::regnamespace
"""
_ROW_SAMPLE = (
    ("text", "naru"), ("text", None), ("text", ""), ("int8", "-4294967297"), ("bytea", "\\x00ff"),
    ("numeric", "-0.50"), ("numeric", "NaN"), ("numeric", None), ("float8", "-0"), ("float8", "0"),
)  # fmt: skip


def _sample_hashes(
    connection: Connection, method: Method, known: frozenset[str], *, chained: bool = False
) -> dict[str, int]:
    """The hash of each sample by its type's name, and under '' that of a whole row.

    A value is hashed both within a record and alone, where it can be; `chained`: also as that
    of a column without NULL.
    """

    def sample(name: str, value: str | None) -> Field:
        return replace(_sample(types[name], value), required=chained and value is not None)

    types = {
        row[1]: TypeFacts(row[0], "pg_catalog", row[1], row[2], False, row[3:5], row[5:7])
        for row in fetch_all(connection, _FACTS, [[*known, "text"]])
    }
    names = sorted(known)
    samples = [sample(name, SAMPLES[name]) for name in names]
    bearing = [[replace(one, required=False)] if chained else [] for one in samples]
    rows = [[one, *more, Field(one.canonical)] for one, more in zip(samples, bearing, strict=True)]
    rows.append([sample(name, value) for name, value in _ROW_SAMPLE])
    query = sql.SQL("SELECT {}").format(sql.SQL(", ").join(row_hash(method, row) for row in rows))
    return dict(zip([*names, ""], fetch_one(connection, query), strict=True))


def _sample(type_: TypeFacts, value: str | None) -> Field:
    literal = sql.SQL("{}::pg_catalog.{}").format(sql.Literal(value), sql.Identifier(type_.name))
    form = form_of(type_, frozenset(SAMPLES))
    return field_of(literal, type_, form, same_encoding=True)
