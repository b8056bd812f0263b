"""Which tables there are on a side, with what decides how their rows are compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import pairwise
from typing import Any

from psycopg import sql

from naru.postgres import Connection, fetch_one
from naru.verify.side import Side
from naru.verify.types import TypeFacts

PART_PAGES = 4096
_MOST_PARTS = 2048
_MOST_SMALL_PARTS = 16384


def query(name: str) -> sql.SQL:
    """A query that stands in a file of this room."""
    text = resources.files("naru.verify").joinpath(name).read_text()
    return sql.SQL(text)


@dataclass(frozen=True)
class Column:
    """A column; `sql_type` is its type as this side's server writes it.

    `required`: its server sees to it that it is never NULL.
    """

    name: str
    type: TypeFacts
    sql_type: str
    required: bool = False


@dataclass(frozen=True)
class Part:
    """A stretch of one relation's pages, from `first` up to `last` (None: no bound).

    `size` is about how many bytes it takes, with what is stored out of line.
    """

    relation: sql.Identifier
    first: int | None = None
    last: int | None = None
    size: float = 0.0


@dataclass(frozen=True)
class Relation:
    """A table on one side. `pages` of a leaf is None where it cannot be read by page.

    `sizes` are the bytes of each leaf, out of line ones included.
    """

    name: str
    schema: str
    relname: str
    kind: str
    columns: tuple[Column, ...]
    keys: tuple[tuple[str, ...], ...]
    leaves: tuple[tuple[str, str, int | None], ...]
    estimate: int
    sizes: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        return sum(self.sizes)

    @property
    def identifier(self) -> sql.Composable:
        """What to read from: the root of a partitioned table, else this table alone."""
        named = sql.Identifier(self.schema, self.relname)
        return named if self.kind == "p" else sql.SQL("ONLY {}").format(named)

    def full_name(self, column: Column) -> str:
        """`schema.table.column`, as people write it in patterns: without quotes."""
        return f"{self.schema}.{self.relname}.{column.name}"

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    def parts(self, by_page: bool, most_bytes: int | None = None) -> list[Part]:
        """The whole table as parts for workers to share, each of `most_bytes` if that is given."""
        sizes = self.sizes or (0,) * len(self.leaves)
        return [
            part
            for (schema, name, pages), size in zip(self.leaves, sizes, strict=True)
            for part in _split(
                sql.Identifier(schema, name), pages if by_page else None, size, most_bytes
            )
        ]


def both_have(source: Relation, target: Relation) -> list[str]:
    """The columns that a table has on both sides, in the source's order."""
    theirs = {column.name for column in target.columns}
    return [column.name for column in source.columns if column.name in theirs]


def _split(
    relation: sql.Identifier, pages: int | None, size: int, most_bytes: int | None
) -> Iterator[Part]:
    """Parts of equal size; the first and the last are open, for sizes that were stale."""
    if most_bytes is None:
        count = min(_MOST_PARTS, (pages or 0) // PART_PAGES)
    else:
        count = min(_MOST_SMALL_PARTS, pages or 0, -(-size // most_bytes))
    if pages is None or count < 2:
        yield Part(relation, size=size)
        return
    bounds = [None, *(pages * i // count for i in range(1, count)), None]
    for first, last in pairwise(bounds):
        yield Part(relation, first, last, size / count)


class Types:
    """The types of one side, read when a column first needs them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[int, TypeFacts] = {}
        self._query = query("type.sql")

    def __getitem__(self, oid: int) -> TypeFacts:
        if oid not in self._known:
            row = fetch_one(self._connection, self._query.as_string(), [oid])
            output = (row[5], row[6])
            send = (row[7], row[8]) if row[7] else None
            inner = self[row[9]] if row[9] else None
            self._known[oid] = TypeFacts(
                row[0], row[1], row[2], row[3], row[4], output, send, inner
            )
        return self._known[oid]


_CHOSEN = (
    "SELECT * FROM ({}) AS found (name, schema, relname, oid, kind, columns, keys, leaves)"
    " WHERE oid = ANY({}::int8[])"
)


def relations(
    side: Side, connection: Connection, types: Types, oids: Sequence[int] | None = None
) -> Iterator[tuple[str, Relation]]:
    """All tables of a side, or those of some oids, in the order of their names' bytes.

    A side with a snapshot needs an open transaction; another holds none meanwhile.
    """
    hold = side.snapshot is None
    statement: sql.SQL | sql.Composed = query("relations.sql")
    if oids is not None:
        statement = sql.SQL(_CHOSEN).format(statement, sql.Literal(list(oids)))
    for row in side.stream(connection, "relations", statement, batch=50, hold=hold):
        yield row[0], _relation(row, types)


def _relation(row: tuple[Any, ...], types: Types) -> Relation:
    name, schema, relname, _, kind, columns, keys, leaves = row
    estimate = sum(tuples if tuples > 0 else (pages or 0) * 20 for _, _, pages, tuples, _ in leaves)
    return Relation(
        name=name,
        schema=schema,
        relname=relname,
        kind=kind,
        columns=tuple(Column(c[0], types[c[1]], c[2], c[3]) for c in columns),
        keys=tuple(tuple(key) for key in keys),
        leaves=tuple((leaf[0], leaf[1], leaf[2]) for leaf in leaves),
        estimate=int(estimate),
        sizes=tuple(leaf[4] for leaf in leaves),
    )
