"""Statements that make one large object on the target like the source's."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from naru.postgres import Connection, fetch_all, fetch_value
from naru.verify.script import line, literal
from naru.verify.side import Side
from naru.verify.verdict import LargeObjectDifference

_CHUNK = 256 * 1024
_INV_WRITE = 0x20000

_GRANTS = """
SELECT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(x.grantee)::text END,
       x.grantee = 0, x.privilege_type, x.is_grantable
  FROM pg_catalog.pg_largeobject_metadata m, pg_catalog.aclexplode(coalesce(
       m.lomacl, pg_catalog.acldefault('L', m.lomowner))) AS x
 WHERE m.oid = %s ORDER BY 1, 3
"""
_OWNER = (
    "SELECT pg_catalog.pg_get_userbyid(lomowner)::text"
    " FROM pg_catalog.pg_largeobject_metadata WHERE oid = %s"
)
_THERE = "FROM pg_catalog.pg_largeobject_metadata WHERE oid = {oid}"


def large_object_statements(
    sides: tuple[Side, Side],
    connections: tuple[Connection, Connection],
    difference: LargeObjectDifference,
) -> Iterator[str]:
    """All that this object needs, for one transaction; its content in pieces."""
    oid = sql.Literal(difference.oid)
    if difference.kind == "extra":
        yield line("SELECT pg_catalog.lo_unlink(oid) " + _THERE, oid=oid)
        return
    missing = difference.kind == "missing"
    if missing:
        make = "SELECT pg_catalog.lo_create({oid}) WHERE NOT EXISTS (SELECT " + _THERE + ")"
        yield line(make, oid=oid)
    if missing or {"content", "size"} & set(difference.what):
        yield from _content(sides[0], connections[0], difference.oid)
    if missing or {"owner", "grants"} & set(difference.what):
        with sides[0].explained("reading who may use a large object"):
            owner = fetch_value(connections[0], _OWNER, [difference.oid])
            grants = fetch_all(connections[0], _GRANTS, [difference.oid])
        with sides[1].explained("reading who may use a large object"):
            had = fetch_all(connections[1], _GRANTS, [difference.oid])
        change = "ALTER LARGE OBJECT {oid} OWNER TO {owner}"
        yield line(change, oid=oid, owner=sql.Identifier(owner))
        revoke = "REVOKE ALL ON LARGE OBJECT {oid} FROM {who}"
        for who, everyone in sorted({(row[0], row[1]) for row in [*grants, *had]}):
            yield line(revoke, oid=oid, who=_role(who, everyone))
        for who, everyone, what, grantable in grants:
            yield line(
                "GRANT {what} ON LARGE OBJECT {oid} TO {who}{option}",
                what=sql.SQL(what),
                oid=oid,
                who=_role(who, everyone),
                option=sql.SQL(" WITH GRANT OPTION" if grantable else ""),
            )


def _role(name: str, everyone: bool) -> sql.Composable:
    return sql.SQL("PUBLIC") if everyone else sql.Identifier(name)


def _content(side: Side, connection: Connection, oid: int) -> Iterator[str]:
    number = sql.Literal(oid)
    opened = sql.SQL("pg_catalog.lo_open({}, {})").format(number, sql.Literal(_INV_WRITE))
    yield line("SELECT pg_catalog.lo_truncate64({opened}, 0)", opened=opened)
    offset = 0
    while True:
        with side.explained(f"reading large object {oid}"):
            query = "SELECT encode(lo_get(%s, %s, %s), 'hex')"
            chunk: str = fetch_value(connection, query, [oid, offset, _CHUNK])
        if chunk:
            yield line(
                "SELECT pg_catalog.lo_put({oid}, {offset}, {bytes})",
                oid=number,
                offset=sql.Literal(offset),
                bytes=sql.SQL("pg_catalog.decode({}, 'hex')").format(literal(chunk)),
            )
        if len(chunk) < 2 * _CHUNK:
            return
        offset += _CHUNK
