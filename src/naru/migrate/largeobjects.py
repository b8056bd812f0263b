"""Large objects: logical replication never carries them, so they are synchronised by us.

Each object has a signature made of its pages' row versions. Objects whose signature is not
the one noted at the last run are copied again, so a later run costs only what changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from psycopg import sql

from naru.migrate.names import OWN_SCHEMA
from naru.postgres import Connection, fetch_all, fetch_value
from naru.system import SILENT, Observer

_CHUNK = 1000

# xmin moves with every write of a page, and of the owner's and grants' row.
_SIGNATURES = """
SELECT m.oid::int8,
       m.xmin::text || ':' || coalesce(
           (SELECT sum(pg_catalog.hashtextextended(l.pageno || ':' || l.xmin::text, 0))
            FROM pg_catalog.pg_largeobject l WHERE l.loid = m.oid), 0)::text
FROM pg_catalog.pg_largeobject_metadata m ORDER BY 1
"""

_PAGES = """
COPY (SELECT loid, pageno, data FROM pg_catalog.pg_largeobject
      WHERE loid = ANY ({ids}::oid[])) TO STDOUT (FORMAT binary)
"""

# For a login that may not look at the pages: whoever may read an object reads it as a whole,
# in memory on its server, and so up to a gigabyte.
_SIGNATURES_BY_CONTENT = """
SELECT m.oid::int8, m.xmin::text || ':' || pg_catalog.md5(pg_catalog.lo_get(m.oid))
FROM pg_catalog.pg_largeobject_metadata m ORDER BY 1
"""

_PAGES_BY_CONTENT = """
COPY (SELECT m.oid, (n * 64)::int4, pg_catalog.lo_get(m.oid, n * size, size)
      FROM pg_catalog.pg_largeobject_metadata m
      CROSS JOIN (SELECT 16 * current_setting('block_size')::int) s (size)
      CROSS JOIN LATERAL pg_catalog.generate_series(
          0::int8, (pg_catalog.octet_length(pg_catalog.lo_get(m.oid)) - 1) / size) n
      WHERE m.oid = ANY ({ids}::oid[])) TO STDOUT (FORMAT binary)
"""

_STAGE = """
CREATE TEMP TABLE IF NOT EXISTS naru_page (loid oid, pageno int, data bytea);
TRUNCATE pg_temp.naru_page;
"""

_FILL = """
SELECT pg_catalog.lo_put(loid, pageno::int8 * (current_setting('block_size')::int / 4), data)
FROM pg_temp.naru_page ORDER BY loid, pageno
"""

_OWNERS = """
SELECT m.oid::int8, pg_catalog.pg_get_userbyid(m.lomowner),
       pg_catalog.obj_description(m.oid, 'pg_largeobject'),
       coalesce((SELECT jsonb_agg(jsonb_build_array(
           CASE WHEN a.grantee = 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(a.grantee) END,
           a.privilege_type, a.is_grantable))
        FROM pg_catalog.aclexplode(m.lomacl) a WHERE a.grantee <> m.lomowner), '[]')
FROM pg_catalog.pg_largeobject_metadata m WHERE m.oid = ANY (%s::oid[])
"""


@dataclass(frozen=True)
class Synchronised:
    """What a run did."""

    copied: int
    removed: int


class Notes:
    """Signatures noted at the last run, for the objects of one side; kept on the target."""

    def __init__(self, connection: Connection, side: str) -> None:
        self._connection = connection
        self._side = side
        self._table = sql.Identifier(OWN_SCHEMA, "large_object")

    def between(self, above: int, upto: int | None) -> dict[int, str]:
        """Noted signatures of objects in `(above, upto]`."""
        query = sql.SQL(
            "SELECT loid::int8, signature FROM {} WHERE side = %s"
            " AND loid::int8 > %s AND loid::int8 <= coalesce(%s, 4294967295)"
        ).format(self._table)
        return dict(fetch_all(self._connection, query, [self._side, above, upto]))

    def write(self, signatures: dict[int, str], *, gone: list[int]) -> None:
        """Note signatures, and forget objects that are gone."""
        self._connection.execute(
            sql.SQL("DELETE FROM {} WHERE side = %s AND loid = ANY (%s::oid[])").format(
                self._table
            ),
            [self._side, [*gone, *signatures]],
        )
        self._connection.execute(
            sql.SQL(
                "INSERT INTO {} (side, loid, signature)"
                " SELECT %s, * FROM unnest(%s::oid[], %s::text[])"
            ).format(self._table),
            [self._side, list(signatures), list(signatures.values())],
        )

    def replace_all(self, origin: Connection) -> None:
        """Note every object as `origin` sees it now: both sides are the same at this moment."""
        with self._connection.transaction():
            self._connection.execute(
                sql.SQL("DELETE FROM {} WHERE side = %s").format(self._table), [self._side]
            )
            for chunk in _signatures(origin):
                self.write(chunk, gone=[])


def synchronise(
    origin: Connection, destination: Connection, notes: Notes, observer: Observer = SILENT
) -> Synchronised:
    """Bring the destination's large objects to what `origin` sees in its transaction.

    Objects keep their OIDs, since tables refer to them by these; owners, grants and
    comments come with them. Safe to run again after a crash at any point.
    """
    total = fetch_value(origin, "SELECT count(*) FROM pg_catalog.pg_largeobject_metadata")
    copied = removed = seen = 0
    above = -1
    for chunk in _signatures(origin):
        upto = max(chunk)
        known = notes.between(above, upto)
        changed = [oid for oid, signature in chunk.items() if known.get(oid) != signature]
        gone = [oid for oid in known if oid not in chunk]
        if changed or gone:
            with destination.transaction():
                _remove(destination, [*changed, *gone])
                if changed:
                    _copy(origin, destination, changed)
            notes.write({oid: chunk[oid] for oid in changed}, gone=gone)
        copied, removed = copied + len(changed), removed + len(gone)
        seen, above = seen + len(chunk), upto
        observer.progress("large objects", seen, total, "items")
    rest = list(notes.between(above, None))
    if rest:
        _remove(destination, rest)
        notes.write({}, gone=rest)
    return Synchronised(copied, removed + len(rest))


def _signatures(origin: Connection) -> Iterator[dict[int, str]]:
    with origin.transaction(), origin.cursor(name="naru_large_objects") as cursor:
        cursor.execute(_SIGNATURES if _sees_pages(origin) else _SIGNATURES_BY_CONTENT)
        while rows := cursor.fetchmany(_CHUNK):
            yield dict(rows)


def _sees_pages(connection: Connection) -> bool:
    query = "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_largeobject', 'SELECT')"
    return bool(fetch_value(connection, query))


def _remove(destination: Connection, oids: list[int]) -> None:
    destination.execute(
        "SELECT pg_catalog.lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata"
        " WHERE oid = ANY (%s::oid[])",
        [oids],
    )


def _copy(origin: Connection, destination: Connection, oids: list[int]) -> None:
    destination.execute(_STAGE)
    destination.execute("SELECT pg_catalog.lo_create(o) FROM unnest(%s::oid[]) o", [oids])
    query = _PAGES if _sees_pages(origin) else _PAGES_BY_CONTENT
    pages = sql.SQL(query).format(ids=sql.Literal(oids))
    into = "COPY pg_temp.naru_page FROM STDIN (FORMAT binary)"
    with origin.cursor() as reading, destination.cursor() as writing:
        with reading.copy(pages) as rows, writing.copy(into) as out:
            for block in rows:
                out.write(block)
    destination.execute(_FILL)
    dress = [
        statement
        for oid, owner, comment, grants in origin.execute(_OWNERS, [oids])
        for statement in _dress(oid, owner, comment, grants, made_by=destination.info.user)
    ]
    if dress:
        destination.execute(sql.SQL("; ").join(dress))


def _dress(
    oid: int, owner: str, comment: str | None, grants: list[list[object]], *, made_by: str
) -> list[sql.Composable]:
    """Owner, comment and grants of one object; owner last, as only it may be given away."""
    number = sql.Literal(oid)
    statements: list[sql.Composable] = []
    if comment is not None:
        statements.append(
            sql.SQL("COMMENT ON LARGE OBJECT {} IS {}").format(number, sql.Literal(comment))
        )
    for grantee, privilege, grantable in grants:
        statements.append(
            sql.SQL("GRANT {} ON LARGE OBJECT {} TO {}{}").format(
                sql.SQL(str(privilege)),
                number,
                sql.SQL("PUBLIC") if grantee is None else sql.Identifier(str(grantee)),
                sql.SQL(" WITH GRANT OPTION" if grantable else ""),
            )
        )
    if owner != made_by:
        statements.append(
            sql.SQL("ALTER LARGE OBJECT {} OWNER TO {}").format(number, sql.Identifier(owner))
        )
    return statements
