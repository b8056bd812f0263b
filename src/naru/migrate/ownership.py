"""Owners: who owns what a database holds, and for whom of them our login may act.

Whoever is not superuser can publish, build, and hand over only what belongs to a role that
it is a member of: with INHERIT to use that role's rights and, from version 16 on, with SET
to make it an owner.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from psycopg import sql

from naru.migrate.names import OWN_SCHEMA
from naru.postgres import Connection, fetch_all, fetch_value


@dataclass(frozen=True)
class Owner:
    """A role that owns something in the source's database."""

    name: str
    superuser: bool
    objects: int
    example: str
    followed: int
    """Tables, sequences and large objects among them: what is read, and written on the way back."""
    ours: bool
    """Whether our login may act for it on the source."""


@dataclass(frozen=True)
class Standing:
    """What our login is to a role of the target's server."""

    superuser: bool
    acts: bool
    """It inherits the role's rights, and may make it an owner."""
    may_join: bool
    """It may grant itself the membership."""


_OWNERS = """
WITH extension (classid, objid) AS (
    SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'
), owned (owner, name, followed, classid, objid) AS (
    SELECT c.relowner, n.nspname || '.' || c.relname, c.relkind IN ('r', 'p', 'S'),
           'pg_class'::pg_catalog.regclass, c.oid
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND c.relpersistence <> 't'
      AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', %(own)s)
    UNION ALL
    SELECT p.proowner, n.nspname || '.' || p.proname || '()', false,
           'pg_proc'::pg_catalog.regclass, p.oid
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', %(own)s)
    UNION ALL
    SELECT t.typowner, n.nspname || '.' || t.typname, false, 'pg_type'::pg_catalog.regclass, t.oid
    FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
    WHERE t.typrelid = 0 AND t.typcategory <> 'A'
      AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', %(own)s)
    UNION ALL
    SELECT nspowner, 'schema ' || nspname, false, 'pg_namespace'::pg_catalog.regclass, oid
    FROM pg_catalog.pg_namespace
    WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public', %(own)s)
    UNION ALL
    SELECT srvowner, 'server ' || srvname, false, 'pg_foreign_server'::pg_catalog.regclass, oid
    FROM pg_catalog.pg_foreign_server
    UNION ALL
    SELECT lomowner, 'large object ' || oid, true, 'pg_largeobject'::pg_catalog.regclass, oid
    FROM pg_catalog.pg_largeobject_metadata
)
SELECT r.rolname::text, r.rolsuper, count(*)::int,
       coalesce(min(o.name) FILTER (WHERE o.followed), min(o.name)),
       count(*) FILTER (WHERE o.followed)::int, pg_catalog.pg_has_role(r.oid, 'USAGE')
FROM owned o JOIN pg_catalog.pg_roles r ON r.oid = o.owner
WHERE NOT EXISTS (SELECT FROM extension e WHERE e.classid = o.classid AND e.objid = o.objid)
GROUP BY r.oid, r.rolname, r.rolsuper ORDER BY 1
"""

_STANDING = """
SELECT rolname::text, rolsuper, pg_catalog.pg_has_role(oid, 'USAGE') AND {acts},
       pg_catalog.pg_has_role(oid, 'MEMBER WITH ADMIN OPTION') OR {joins}
FROM pg_catalog.pg_roles WHERE rolname = ANY (%s)
"""


def read_owners(connection: Connection) -> tuple[Owner, ...]:
    """Everybody who owns something in this database that comes across."""
    return tuple(Owner(*row) for row in fetch_all(connection, _OWNERS, {"own": OWN_SCHEMA}))


def read_owner_names(connection: Connection) -> tuple[str, ...]:
    """The names of these, and of the database's owner."""
    query = """
        SELECT pg_catalog.pg_get_userbyid(datdba)::text FROM pg_catalog.pg_database
        WHERE datname = pg_catalog.current_database()
    """
    names = {str(fetch_value(connection, query)), *(one.name for one in read_owners(connection))}
    return tuple(sorted(names))


def read_standing(connection: Connection, names: Iterable[str]) -> dict[str, Standing]:
    """What our login is to those of the named roles that exist on this server."""
    if connection.info.server_version >= 160000:
        parts = {"acts": "pg_catalog.pg_has_role(oid, 'SET')", "joins": "false"}
    else:
        # There whoever may make roles may also make itself a member of any but superusers.
        creates = "(SELECT rolcreaterole FROM pg_catalog.pg_roles WHERE rolname = current_user)"
        parts = {"acts": "true", "joins": f"NOT rolsuper AND {creates}"}
    rows = fetch_all(connection, _STANDING.format(**parts), [list(names)])
    return {row[0]: Standing(*row[1:]) for row in rows}


def joined_by(me: str, standing: Mapping[str, Standing], version: int) -> list[sql.Composed]:
    """Statements by which we become a member of the roles that we may join and have not."""
    options = sql.SQL(" WITH INHERIT TRUE, SET TRUE" if version >= 160000 else "")
    return [
        sql.SQL("GRANT {} TO {}{}").format(sql.Identifier(name), sql.Identifier(me), options)
        for name, one in standing.items()
        if name != me and one.may_join and not one.acts
    ]


def join(connection: Connection, owners: Iterable[str]) -> None:
    """Make our login a member of the owners that it may join; nothing for superusers."""
    standing = read_standing(connection, owners)
    me = str(fetch_value(connection, "SELECT current_user"))
    for statement in joined_by(me, standing, connection.info.server_version):
        connection.execute(statement)
