"""The queries that show values of one table on one side, as bytes and never whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from naru.verify.hashing import plain_hash
from naru.verify.statements import Key, Statements
from naru.verify.types import as_text, undressed

_MOST_BYTES = (1 << 30) - 1
_CHARACTERS = ("text", "varchar")


@dataclass(frozen=True)
class Values:
    """A bytea is looked at as it is, any other value as its text in UTF-8."""

    statements: Statements

    def is_binary(self, name: str) -> bool:
        """True for a column whose values are shown as bytes and not as text."""
        base = self.statements.relation.column(name).type.base
        return base.built_in and base.name == "bytea"

    def heads(self, keys: Sequence[Key], columns: Sequence[str], length: int) -> sql.Composed:
        """Of the rows with these keys: key, and of these columns size and beginning in bytes."""
        sizes = [
            sql.SQL("pg_catalog.octet_length({})").format(self._value(name)) for name in columns
        ]
        query = "SELECT ARRAY[{}]::text[], ARRAY[{}]::int8[], ARRAY[{}]::bytea[] FROM {}"
        return sql.SQL(query).format(
            sql.SQL(", ").join(self.statements.key_texts()),
            sql.SQL(", ").join(sizes),
            sql.SQL(", ").join(self._head(name, length) for name in columns),
            self.statements.looked_up(keys),
        )

    def pieces(self, key: Key, name: str, start: int, size: int, count: int) -> sql.Composed:
        """The hashes of `count` pieces of one value, each of `size` bytes, from `start` on."""
        piece = sql.SQL("pg_catalog.substr(value, n * {0} + 1, {0})").format(sql.Literal(size))
        return sql.SQL(
            "SELECT ARRAY(SELECT {hash} FROM pg_catalog.generate_series(0, {last}) AS n ORDER BY n)"
            " FROM ({stretch} OFFSET 0) AS stretch (value)"
        ).format(
            hash=plain_hash(self.statements.agreement.method, [piece]),
            last=sql.Literal(count - 1),
            stretch=self.stretch(key, name, start, size * count),
        )

    def stretch(self, key: Key, name: str, start: int, length: int) -> sql.Composed:
        """Some bytes of one value."""
        value = self._value(name)
        return sql.SQL("SELECT pg_catalog.substr({}, {}, {}) FROM {}").format(
            value if self.is_binary(name) else sql.SQL("pg_catalog.textsend({})").format(value),
            sql.Literal(start + 1),
            sql.Literal(min(length, _MOST_BYTES)),
            self.statements.looked_up([key]),
        )

    def _value(self, name: str) -> sql.Composable:
        """A value as bytea or as text, without a detour where it is one of them."""
        type_ = self.statements.relation.column(name).type
        column = sql.SQL("looked_up.{}").format(sql.Identifier(name))
        if self.is_binary(name):
            return undressed(column, type_)
        if type_.base.built_in and type_.base.name in _CHARACTERS:
            return sql.SQL("{}::pg_catalog.text").format(undressed(column, type_))
        return as_text(column, type_)

    def _head(self, name: str, length: int) -> sql.Composed:
        cut = "pg_catalog.substr({0}, 1, {1})"
        if not self.is_binary(name):
            # Characters first, so that of a long text only its beginning is fetched.
            cut = "pg_catalog.substr(pg_catalog.textsend(pg_catalog.left({0}, {1})), 1, {1})"
        return sql.SQL(cut).format(self._value(name), sql.Literal(length))
