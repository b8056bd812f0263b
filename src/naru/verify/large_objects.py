"""Comparing large objects: content, size, owner, grants, without moving them.

How an object's bytes are laid out in pages depends on how it was written; what counts is
what a reader sees, in which missing pages and missing ends of inner pages are zeros. Hence
trailing zeros of a page are left out of its hash, and the size is compared on its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from naru.postgres import Connection, fetch_value
from naru.verify.descent import differing
from naru.verify.hashing import Agreement, row_hash
from naru.verify.merging import merge
from naru.verify.side import Side
from naru.verify.verdict import LargeObjectDifference, LargeObjectVerdict, RowKind

_BUCKETS = 1024
_PAGE = 2048

# One row for each object: its oid, content, size, owner, grants.
_OBJECTS = """
SELECT m.oid::int8 AS oid, coalesce(c.content, 0)::text AS content, coalesce(c.size, 0) AS size,
       pg_catalog.pg_get_userbyid(m.lomowner)::text AS owner,
       coalesce((SELECT pg_catalog.string_agg(g.line, ', ' ORDER BY g.line COLLATE "C")
                   FROM (SELECT CASE x.grantee WHEN 0 THEN 'PUBLIC'
                                     WHEN m.lomowner THEN 'the owner'
                                     ELSE pg_catalog.pg_get_userbyid(x.grantee)::text END
                                || ': ' || x.privilege_type
                                || CASE WHEN x.is_grantable THEN ' with grant option' ELSE '' END
                           FROM pg_catalog.aclexplode(coalesce(
                                    m.lomacl, pg_catalog.acldefault('L', m.lomowner))) AS x)
                        AS g (line)), '') AS grants
  FROM pg_catalog.pg_largeobject_metadata m
  LEFT JOIN (SELECT loid, pg_catalog.sum({page}) AS content,
                    max(pageno::int8 * {size} + pg_catalog.length(data)) AS size
               FROM pg_catalog.pg_largeobject {where_page} GROUP BY loid) AS c ON c.loid = m.oid
 {where}
"""

_State = tuple[str, int, str, str]
_PARTS = ("content", "size", "owner", "grants")


def compare_large_objects(
    sides: tuple[Side, Side],
    connections: tuple[Connection, Connection],
    agreement: Agreement,
    most: int,
) -> LargeObjectVerdict:
    """Compare all large objects; needs an open transaction on both connections.

    The verdict's `reason` says which side does not let us read them.
    """
    for side, connection in zip(sides, connections, strict=True):
        with side.explained("looking for large objects"):
            if not _any(connection):
                continue
            if not _readable(connection):
                return LargeObjectVerdict(
                    reason=f"{side.dsn.user} may not read pg_largeobject on the {side.name}"
                )
    totals = [
        _totals(side, connection, agreement)
        for side, connection in zip(sides, connections, strict=True)
    ]
    count = sum(rows for rows, _, _ in totals[0].values())
    size = sum(bytes_ for _, _, bytes_ in totals[0].values())
    wrong = differing(*({b: (n, h) for b, (n, h, _) in t.items()} for t in totals))
    if not wrong:
        return LargeObjectVerdict(count, size)
    streams = (
        _objects(side, connection, agreement, wrong)
        for side, connection in zip(sides, connections, strict=True)
    )
    found = 0
    named: list[LargeObjectDifference] = []
    for name, ours, theirs in merge(*streams):
        if ours != theirs:
            found += 1
            if len(named) < most:
                named.append(_difference(int(name), ours, theirs))
    return LargeObjectVerdict(count, size, found, tuple(named))


def _difference(oid: int, ours: _State | None, theirs: _State | None) -> LargeObjectDifference:
    kind: RowKind = "extra" if ours is None else "missing" if theirs is None else "changed"
    if ours is None or theirs is None:
        return LargeObjectDifference(oid, kind)
    what = tuple(p for p, a, b in zip(_PARTS, ours, theirs, strict=True) if a != b)
    return LargeObjectDifference(oid, kind, what)


def _any(connection: Connection) -> bool:
    return bool(fetch_value(connection, "SELECT EXISTS (SELECT FROM pg_largeobject_metadata)"))


def _readable(connection: Connection) -> bool:
    query = "SELECT has_table_privilege('pg_catalog.pg_largeobject', 'SELECT')"
    return bool(fetch_value(connection, query))


def _query(agreement: Agreement, where_page: sql.Composable, where: sql.Composable) -> sql.Composed:
    trimmed = sql.SQL("pg_catalog.substr(data, 1, {})").format(_significant(agreement))
    page = row_hash(agreement.method, [sql.SQL("pageno"), trimmed])
    zero = sql.SQL("CASE WHEN {} = 0 THEN 0 ELSE {} END").format(_significant(agreement), page)
    return sql.SQL(_OBJECTS).format(
        page=zero, size=sql.Literal(_PAGE), where_page=where_page, where=where
    )


def _significant(agreement: Agreement) -> sql.SQL:
    """How many bytes of a page come before its trailing zeros.

    Servers before 14 cannot trim bytes: there the layout counts as well.
    """
    if agreement.method == "record":
        return sql.SQL(r"pg_catalog.length(pg_catalog.rtrim(data, '\x00'::pg_catalog.bytea))")
    return sql.SQL("pg_catalog.length(data)")


def _totals(
    side: Side, connection: Connection, agreement: Agreement
) -> dict[int, tuple[int, int, int]]:
    """For each bucket of oids: how many objects, the sum of their hashes, their bytes."""
    fields = [sql.SQL("oid"), sql.SQL("content"), sql.SQL("size"),
              sql.SQL('owner COLLATE "C"'), sql.SQL('grants COLLATE "C"')]  # fmt: skip
    query = sql.SQL(
        "SELECT (oid % {})::int, pg_catalog.count(*), pg_catalog.sum({})::text,"
        " pg_catalog.sum(size)::int8 FROM ({}) AS objects GROUP BY 1"
    ).format(
        sql.Literal(_BUCKETS),
        row_hash(agreement.method, fields),
        _query(agreement, sql.SQL(""), sql.SQL("")),
    )
    with side.explained("reading large objects"):
        return {b: (n, int(h), size) for b, n, h, size in connection.execute(query)}


def _objects(
    side: Side, connection: Connection, agreement: Agreement, wrong: list[int]
) -> Iterator[tuple[str, _State]]:
    """The objects of some buckets, in the order of their oids written at full width."""
    buckets = sql.Literal(wrong)
    size = sql.Literal(_BUCKETS)
    inside = sql.SQL("WHERE ({}::int8 % {})::int = ANY({})")
    query = _query(
        agreement,
        inside.format(sql.SQL("loid"), size, buckets),
        inside.format(sql.SQL("m.oid"), size, buckets),
    )
    ordered = sql.SQL("SELECT * FROM ({}) AS objects ORDER BY oid").format(query)
    for oid, *state in side.stream(connection, "large_objects", ordered):
        yield f"{oid:010}", (state[0], state[1], state[2], state[3])
