"""The hash of a row, and the self-test that two servers compute it alike.

`hash_record_extended` combines columns linearly, so that a sum over rows would not see a
column swapped between two rows; hashing its result again removes that. Sums, unlike XOR,
count duplicates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

from psycopg import sql

from naru.errors import ServerError
from naru.postgres import Connection, fetch_all
from naru.verify.side import Side
from naru.verify.types import RAW, SAMPLES

T = TypeVar("T")

Method = Literal["record", "text", "md5"]
METHODS: tuple[Method, ...] = ("record", "text", "md5")
"""Fastest first. `record` needs PostgreSQL 14, `text` 11; md5 is refused under FIPS."""

_ROW: Mapping[Method, str] = {
    "record": "pg_catalog.hash_record_extended(ROW({}), 7)",
    "text": "pg_catalog.hashtextextended(pg_catalog.textin(pg_catalog.record_out(ROW({}))), 7)",
    "md5": "('x' || pg_catalog.substr(pg_catalog.md5(pg_catalog.textin("
    "pg_catalog.record_out(ROW({})))), 1, 16))::pg_catalog.bit(64)::pg_catalog.int8",
}


def plain_hash(method: Method, values: Sequence[sql.Composable]) -> sql.Composed:
    """A 64-bit hash of `values`, good to compare and to group by, not to be summed."""
    return sql.SQL(_ROW[method]).format(sql.SQL(", ").join(values))


def row_hash(method: Method, values: Sequence[sql.Composable]) -> sql.Composed:
    """A 64-bit hash of `values` that may be summed over rows."""
    if method != "record":
        return plain_hash(method, values)
    mixed = "pg_catalog.hashtextextended(({})::pg_catalog.text, 7)"
    return sql.SQL(mixed).format(plain_hash(method, values))


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
        ours, theirs = ask(partial(_sample_hashes, method=method, known=known))
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
    return frozenset(row[0] for row in fetch_all(connection, query, [list(SAMPLES)]))


def _has_method(connection: Connection, method: Method) -> bool:
    version = connection.info.server_version
    return version >= {"record": 140000, "text": 110000, "md5": 100000}[method]


def _encoding(connection: Connection) -> Any:
    return connection.execute("SHOW server_encoding").fetchone()


def _sample_hashes(connection: Connection, method: Method, known: frozenset[str]) -> dict[str, int]:
    """The hash of each sample by its type's name, and under '' that of a whole row."""
    names = sorted(known)
    sends = {
        row[0]: row[1:]
        for row in fetch_all(
            connection,
            "SELECT t.typname, n.nspname, p.proname FROM pg_type t"
            " JOIN pg_proc p ON p.oid = t.typsend JOIN pg_namespace n ON n.oid = p.pronamespace"
            " WHERE t.typname = ANY(%s) AND t.typnamespace = 'pg_catalog'::regnamespace",
            [names],
        )
    }
    values = [
        sql.SQL("{}::pg_catalog.{}").format(sql.Literal(SAMPLES[name]), sql.Identifier(name))
        for name in names
    ]
    values = [
        value if name in RAW else sql.SQL("{}({})").format(sql.Identifier(*sends[name]), value)
        for name, value in zip(names, values, strict=True)
    ]
    whole = [
        sql.SQL("'naru'::pg_catalog.text COLLATE \"C\""), sql.SQL("NULL::pg_catalog.text"),
        sql.SQL("''::pg_catalog.text"), sql.SQL("pg_catalog.int8send(4294967297)"),
        sql.SQL("'\\x00ff'::pg_catalog.bytea"),
    ]  # fmt: skip
    hashes = [plain_hash(method, [value]) for value in values] + [row_hash(method, whole)]
    row = connection.execute(sql.SQL("SELECT {}").format(sql.SQL(", ").join(hashes))).fetchone()
    return dict(zip([*names, ""], row or (), strict=True))
