"""Comparing large objects: content, size, owner, grants, without moving them.

How an object's bytes are laid out in pages depends on how it was written; what counts is
what a reader sees, in which missing pages and missing ends of inner pages are zeros. Hence
trailing zeros of a page are left out of its hash, and the size is compared on its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

from psycopg import sql

from naru.errors import NotPermittedError
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
SELECT m.oid::int8 AS oid, {content} AS content, {size} AS size,
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
  {pages}
  {where}
"""
_PAGES = """
  LEFT JOIN (SELECT loid, pg_catalog.sum({page}) AS content,
                    max(pageno::int8 * {size} + pg_catalog.length(data)) AS size
               FROM pg_catalog.pg_largeobject {where} GROUP BY loid) AS c ON c.loid = m.oid
"""
_CHUNK = 1 << 20

_State = tuple[str, int, str, str]
_Stream = Iterator[tuple[str, _State]]
_PARTS = ("content", "size", "owner", "grants")


def compare_large_objects(
    sides: tuple[Side, Side],
    connections: tuple[Connection, Connection],
    agreement: Agreement,
    most: int,
) -> LargeObjectVerdict:
    """Compare all large objects; needs an open transaction on both connections.

    A role that may not read pg_largeobject reads the objects one by one; where it may not
    do that either, the verdict's `reason` says so.
    """
    both = list(zip(sides, connections, strict=True))
    exist, readable = [], []
    for side, connection in both:
        with side.explained("looking for large objects"):
            exist.append(_any(connection))
            readable.append(_readable(connection))
    if not any(exist):
        return LargeObjectVerdict()
    if not all(readable):
        try:
            return _verdict([_read(side, connection) for side, connection in both], most)
        except NotPermittedError as error:
            return LargeObjectVerdict(reason=error.message)
    totals = [_totals(side, connection, agreement) for side, connection in both]
    count = sum(rows for rows, _, _ in totals[0].values())
    size = sum(bytes_ for _, _, bytes_ in totals[0].values())
    wrong = differing(*({b: (n, h) for b, (n, h, _) in t.items()} for t in totals))
    if not wrong:
        return LargeObjectVerdict(count, size)
    streams = [_objects(side, connection, agreement, wrong) for side, connection in both]
    return replace(_verdict(streams, most), count=count, bytes=size)


def _verdict(streams: list[_Stream], most: int) -> LargeObjectVerdict:
    """Compare two streams of objects one by one."""
    count = size = found = 0
    named: list[LargeObjectDifference] = []
    for name, ours, theirs in merge(*streams):
        count += ours is not None
        size += ours[1] if ours else 0
        if ours != theirs:
            found += 1
            if len(named) < most:
                named.append(_difference(int(name), ours, theirs))
    return LargeObjectVerdict(count, size, found, tuple(named))


def _read(side: Side, connection: Connection) -> _Stream:
    """The objects read through to the end, in bounded memory, as their readers may.

    For roles that may not look at the pages. Raises NotPermittedError at the first object
    that may not be read.
    """
    nothing = sql.SQL("")
    query = sql.SQL(_OBJECTS + " ORDER BY m.oid").format(
        content=sql.SQL("''"), size=sql.SQL("0"), pages=nothing, where=nothing
    )
    for oid, _, _, owner, grants in side.stream(connection, "large_objects", query):
        digest, size = hashlib.sha256(), 0
        while chunk := _chunk(side, connection, oid, size):
            digest.update(chunk)
            size += len(chunk)
        yield f"{oid:010}", (digest.hexdigest(), size, owner, grants)


def _chunk(side: Side, connection: Connection, oid: int, offset: int) -> bytes:
    with side.explained(f"reading large object {oid}"):
        query = "SELECT lo_get(%s, %s, %s)"
        return bytes(fetch_value(connection, query, [oid, offset, _CHUNK]))


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
    pages = sql.SQL(_PAGES).format(page=zero, size=sql.Literal(_PAGE), where=where_page)
    return sql.SQL(_OBJECTS).format(
        content=sql.SQL("coalesce(c.content, 0)::text"),
        size=sql.SQL("coalesce(c.size, 0)"),
        pages=pages,
        where=where,
    )


def digest_large_objects(
    side: Side, connection: Connection, agreement: Agreement
) -> tuple[int, int, str]:
    """How many there are, their bytes, and a sum of hashes of number and content.

    Needs an open transaction. Raises NotPermittedError where the pages may not be read.
    """
    fields = [sql.SQL("oid"), sql.SQL("content"), sql.SQL("size")]
    query = sql.SQL(
        "SELECT pg_catalog.count(*), coalesce(pg_catalog.sum(size), 0)::int8,"
        " coalesce(pg_catalog.sum({}), 0)::text FROM ({}) AS objects"
    ).format(row_hash(agreement.method, fields), _query(agreement, sql.SQL(""), sql.SQL("")))
    with side.explained("reading large objects"):
        count, size, total = connection.execute(query).fetchone() or (0, 0, "0")
    return count, size, total


def _significant(agreement: Agreement) -> sql.SQL:
    """How many bytes of a page come before its trailing zeros.

    Servers before 14 trim no bytes at one end only, but the text of bytes.
    """
    if agreement.method == "record":
        return sql.SQL(r"pg_catalog.length(pg_catalog.rtrim(data, '\x00'::pg_catalog.bytea))")
    digits = "pg_catalog.length(pg_catalog.rtrim(pg_catalog.encode(data, 'hex'), '0'))"
    return sql.SQL(f"(({digits} + 1) / 2)")


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


def _objects(side: Side, connection: Connection, agreement: Agreement, wrong: list[int]) -> _Stream:
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
