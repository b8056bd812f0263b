"""Which tables are copied, in which format, and into how many parts each is cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from psycopg import sql

from naru.migrate.names import OWN_SCHEMA, Relation
from naru.postgres import Connection

PART_BYTES = 128 * 1024 * 1024
"""A part of a table is about this large, counting its share of TOAST."""

WHOLE_BYTES = 4 * 1024**3
"""A larger table is always cut."""

SMALL_BYTES = 1024 * 1024
"""Tables up to this size are copied together with others."""

BUNDLE = 50
"""At most so many small tables are copied in one transaction, and a hundredth of all."""


@dataclass(frozen=True)
class Table:
    """A table with storage of its own: a plain table, or a leaf of a partitioned one."""

    relation: Relation
    columns: tuple[str, ...]
    """Without generated columns, which the target computes."""
    binary: bool
    pages: int
    bytes: int
    """Heap and TOAST together."""
    rows: int
    """The planner's estimate, -1 if never analysed."""
    filenode: int
    """Names the file of its pages; another one after VACUUM FULL, CLUSTER or TRUNCATE."""


@dataclass(frozen=True)
class Part:
    """A range of a table's heap pages, `first` up to but without `end` (None: to the end)."""

    table: Table
    number: int
    of: int
    first: int
    end: int | None

    @property
    def bytes(self) -> int:
        return self.table.bytes // self.of

    @property
    def is_small(self) -> bool:
        """True if anything done for it alone would cost more than its rows."""
        return self.of == 1 and self.table.bytes <= SMALL_BYTES

    @property
    def is_frozen(self) -> bool:
        """True if its rows are written frozen, into a table that was emptied for it."""
        return self.of == 1 and not self.is_small

    def query(self) -> sql.Composed:
        """The COPY statement that reads this part at the source.

        Parts are ranges of ctid: within one snapshot every row version lies in exactly
        one of them, whatever its key is or whether it has one.
        """
        columns = sql.SQL(", ").join(sql.Identifier(name) for name in self.table.columns)
        relation = self.table.relation.identifier
        form = sql.SQL("(FORMAT binary)" if self.table.binary else "(FORMAT text)")
        if self.of == 1:
            what = sql.SQL("{} ({})").format(relation, columns)
            if not self.table.columns:
                what = sql.SQL("(SELECT FROM ONLY {})").format(relation)
        else:
            what = sql.SQL("(SELECT {} FROM ONLY {} WHERE {})").format(
                columns, relation, self._range()
            )
        return sql.SQL("COPY {} TO STDOUT {}").format(what, form)

    def into(self) -> sql.Composed:
        """The COPY statement that writes it at the target."""
        columns = sql.SQL(", ").join(sql.Identifier(name) for name in self.table.columns)
        options = "FORMAT binary" if self.table.binary else "FORMAT text"
        return sql.SQL("COPY {} {} FROM STDIN ({})").format(
            self.table.relation.identifier,
            sql.SQL("({})").format(columns) if self.table.columns else sql.SQL(""),
            sql.SQL(f"{options}, FREEZE" if self.is_frozen else options),
        )

    def _range(self) -> sql.Composed:
        low = sql.SQL("ctid >= {}::pg_catalog.tid").format(sql.Literal(f"({self.first},0)"))
        if self.end is None:
            return sql.Composed([low])
        high = sql.SQL("ctid < {}::pg_catalog.tid").format(sql.Literal(f"({self.end},0)"))
        return sql.SQL("{} AND {}").format(low, high)


def cut(table: Table, *, can_split: bool = True) -> list[Part]:
    """Cut a table into parts of about PART_BYTES."""
    count = min(max(1, -(-table.bytes // PART_BYTES)), max(1, table.pages)) if can_split else 1
    return cut_into(table, count)


def cut_into(table: Table, count: int) -> list[Part]:
    """Cut a table into `count` parts, by pages; the same ones for the same number of pages.

    The last part is open-ended: the table may have grown since its pages were counted.
    """
    bounds: list[int | None] = [table.pages * number // count for number in range(count)]
    return [
        Part(table, number, count, first or 0, end)
        for number, (first, end) in enumerate(pairwise([*bounds, None]))
    ]


def may_stay_whole(total: int, jobs: int) -> int:
    """Up to how many bytes a table of a database of `total` bytes is better not cut.

    The rows of a whole table are written frozen: its index builds need not write all its
    pages again, nor does a vacuum. But no worker should be busy with one table for much
    longer than others with all the rest.
    """
    return min(WHOLE_BYTES, max(PART_BYTES, total * 5 // (4 * jobs)))


def bundles(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Parts that are copied in one transaction each: a large one alone, small tables together."""
    most = min(BUNDLE, len(parts) // 100)
    bundle: list[Part] = []
    size = 0
    for part in parts:
        if not part.is_small:
            yield [part]
            continue
        bundle.append(part)
        size += part.bytes
        if len(bundle) >= most or size >= 4 * SMALL_BYTES:
            yield bundle
            bundle, size = [], 0
    if bundle:
        yield bundle


def read_tables(connection: Connection) -> Iterator[Table]:
    """Every table of the database that has rows of its own, largest first, streamed.

    Left out: system schemas, temporary tables, tables that an extension owns and does not
    mark for dumping, and foreign tables (their rows live elsewhere).
    """
    with connection.transaction(), connection.cursor(name="naru_tables") as cursor:
        cursor.itersize = 1000
        cursor.execute(_TABLES, {"own": OWN_SCHEMA})
        for schema, name, columns, *facts in cursor:
            yield Table(Relation(schema, name), tuple(columns), *facts)


# Binary COPY carries the type's OID inside arrays and composites, and user types have other
# OIDs at the target; a type without send and receive has no binary form at all.
_TABLES = """
WITH portable AS (
    SELECT t.oid,
           (t.typsend <> 0 AND t.typreceive <> 0
            AND NOT (t.oid >= 16384 AND t.typtype = 'c')
            AND NOT (t.typelem >= 16384 AND t.typcategory = 'A')
            AND NOT (t.typtype = 'd' AND EXISTS (
                SELECT FROM pg_catalog.pg_type b WHERE b.oid = t.typbasetype
                AND (b.typelem >= 16384 OR b.typtype IN ('c', 'd', 'r', 'm') AND b.oid >= 16384)))
            AND NOT (t.oid >= 16384 AND t.typtype IN ('r', 'm'))) AS ok
    FROM pg_catalog.pg_type t
)
SELECT n.nspname, c.relname,
       coalesce(array_agg(a.attname::text ORDER BY a.attnum)
                FILTER (WHERE a.attnum > 0 AND a.attgenerated = ''), '{}'),
       coalesce(bool_and(p.ok) FILTER (WHERE a.attnum > 0 AND a.attgenerated = ''), true),
       (pg_catalog.pg_relation_size(c.oid) / current_setting('block_size')::int)::int8,
       (pg_catalog.pg_relation_size(c.oid)
        + coalesce(pg_catalog.pg_relation_size(nullif(c.reltoastrelid, 0)), 0))::int8 AS size,
       c.reltuples::int8, coalesce(pg_catalog.pg_relation_filenode(c.oid), 0)::int8
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN portable p ON p.oid = a.atttypid
WHERE c.relkind = 'r' AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', %(own)s)
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
      WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
        AND d.deptype = 'e' AND NOT c.oid = ANY (coalesce(e.extconfig, '{}')))
GROUP BY c.oid, n.nspname, c.relname, c.reltoastrelid, c.reltuples
ORDER BY size DESC, 1, 2
"""


def read_publishable(connection: Connection) -> list[Relation]:
    """What a publication lists: every table with rows of its own, partitions one by one.

    So a table can belong to one channel and its sibling to another, as after a copy that
    was interrupted. Unlogged tables leave no WAL to follow and cannot be published.
    """
    rows = connection.execute(_PUBLISHABLE, {"own": OWN_SCHEMA}).fetchall()
    return [Relation(schema, name) for schema, name in rows]


_PUBLISHABLE = """
SELECT n.nspname, c.relname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence = 'p'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', %(own)s)
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
      WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
        AND d.deptype = 'e' AND NOT c.oid = ANY (coalesce(e.extconfig, '{}')))
ORDER BY 1, 2
"""
