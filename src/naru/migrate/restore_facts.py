"""What a restore needs to know of its target, and what stands in its way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from naru.migrate.database import DatabaseFacts, has_begun, observe_database, read_content
from naru.migrate.dump_facts import Obstacle, listed
from naru.migrate.dump_manifest import Content, Contents, DumpedDatabase, DumpedTable, Manifest
from naru.migrate.restore_marker import Marker, read_marker
from naru.migrate.roles import RoleFacts, observe_roles, plan_roles
from naru.postgres import Connection, fetch_all, fetch_one, fetch_value

_AT_ONCE = 200

_SERVER = """
SELECT current_setting('server_version_num')::int / 10000, current_setting('server_version'),
       pg_catalog.pg_is_in_recovery(), rolsuper OR rolcreatedb, rolsuper OR rolcreaterole
FROM pg_catalog.pg_roles WHERE rolname = current_user
"""

_AVAILABLE = "SELECT name::text FROM pg_catalog.pg_available_extensions"

_FIRING = """
SELECT n.nspname || '.' || c.relname, t.tgname::text
FROM pg_catalog.pg_trigger t
JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND t.tgenabled IN ('A', 'R') ORDER BY 1, 2
"""

_EXISTING = """
SELECT w.place
FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS w (schema, name, place)
JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name AND c.relkind = 'r'
"""


@dataclass(frozen=True)
class TargetFacts:
    """One database to be restored into, before anything is done."""

    database: str
    major: int
    version: str
    in_recovery: bool
    may_create_databases: bool
    may_create_roles: bool
    exists: bool
    facts: DatabaseFacts | None
    """How it was made, if it exists."""
    content: tuple[str, ...]
    """The first objects of users in it."""
    large_objects: int
    begun: bool
    """It holds a schema of ours: a migration, or a restore by `marker`."""
    marker: Marker | None
    extensions: frozenset[str]
    """Which ones its server has to offer."""
    missing_roles: tuple[str, ...]
    missing_tables: tuple[str, ...]
    """Of those whose rows are to come; looked at when rows alone are restored. So are:"""
    filled_tables: tuple[str, ...]
    firing: tuple[str, ...]
    """Triggers that fire even for replication: ENABLE ALWAYS or ENABLE REPLICA."""
    may_replicate: bool
    """This login may set session_replication_role."""


def observe_target(
    connection: Connection,
    database: str,
    *,
    exists: bool,
    roles: RoleFacts,
    tables: Sequence[DumpedTable],
) -> TargetFacts:
    """Read the facts; `connection` is in `database`, or elsewhere on its server if there is none.

    `tables` are looked for one by one: give those whose rows are to come into what is there.
    """
    server = fetch_one(connection, _SERVER)
    missing = plan_roles(roles, observe_roles(connection, all_roles=True)).create
    there, absent = find_tables(connection, tables) if exists else ((), tuple(tables))
    count = "SELECT count(*) FROM pg_catalog.pg_largeobject_metadata"
    firing = fetch_all(connection, _FIRING) if exists and tables else []
    return TargetFacts(
        database=database,
        major=server[0],
        version=server[1],
        in_recovery=server[2],
        may_create_databases=server[3],
        may_create_roles=server[4],
        exists=exists,
        facts=observe_database(connection) if exists else None,
        content=read_content(connection, 3)[1] if exists else (),
        large_objects=int(fetch_value(connection, count)) if exists else 0,
        begun=exists and has_begun(connection),
        marker=read_marker(connection) if exists else None,
        extensions=frozenset(row[0] for row in fetch_all(connection, _AVAILABLE)),
        missing_roles=tuple(role.name for role in missing),
        missing_tables=tuple(f"{one.schema}.{one.name}" for one in absent),
        filled_tables=tuple(f"{one.schema}.{one.name}" for one in filled(connection, there)),
        firing=tuple(f"{name} on {table}" for table, name in firing),
        may_replicate=not tables or _may_replicate(connection),
    )


def find_tables(
    connection: Connection, tables: Sequence[DumpedTable]
) -> tuple[tuple[DumpedTable, ...], tuple[DumpedTable, ...]]:
    """Which of these tables are there, and which are not."""
    names = [[one.schema for one in tables], [one.name for one in tables]]
    places = {row[0] - 1 for row in fetch_all(connection, _EXISTING, names)}
    return (
        tuple(one for place, one in enumerate(tables) if place in places),
        tuple(one for place, one in enumerate(tables) if place not in places),
    )


def filled(connection: Connection, tables: Sequence[DumpedTable]) -> list[DumpedTable]:
    """Which of these tables have rows."""
    found = []
    for start in range(0, len(tables), _AT_ONCE):
        chunk = tables[start : start + _AT_ONCE]
        each = [
            sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM ONLY {})").format(
                sql.Literal(place), sql.Identifier(one.schema, one.name)
            )
            for place, one in enumerate(chunk)
        ]
        places = connection.execute(sql.SQL(" UNION ALL ").join(each)).fetchall()
        found += [chunk[place] for (place,) in sorted(places)]
    return found


def _may_replicate(connection: Connection) -> bool:
    with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
        with connection.transaction(force_rollback=True):
            connection.execute("SET LOCAL session_replication_role = replica")
        return True
    return False


def goes_on(facts: TargetFacts, manifest: Manifest, content: Content) -> bool:
    """True if the target holds the beginning of this very restore."""
    return facts.marker is not None and facts.marker.is_of(manifest.identity, content)


def judge_target(
    facts: TargetFacts,
    manifest: Manifest,
    database: DumpedDatabase,
    contents: Contents,
    *,
    content: Content,
    create: bool,
    roles: bool,
) -> Iterator[Obstacle]:
    """What stands in the way of restoring `database`, or its rows alone, into this target."""
    name = f"database {facts.database}"
    yield from _judge_server(facts, manifest, name)
    if goes_on(facts, manifest, content):
        return
    if facts.begun:
        yield Obstacle(
            name, "it holds a migration or another restore that was begun and not ended",
            "end that one (naru migrate status), or drop the database",
        )  # fmt: skip
    elif content == "data":
        yield from _judge_for_rows(facts, name, contents)
    else:
        yield from _judge_for_schema(facts, name, database, create=create, roles=roles)


def _judge_server(facts: TargetFacts, manifest: Manifest, name: str) -> Iterator[Obstacle]:
    if facts.in_recovery:
        yield Obstacle(name, "its server is a standby", "name the primary")
    if facts.major < manifest.server_major:
        yield Obstacle(
            name, f"its server is PostgreSQL {facts.version}, the dump is of {manifest.server}",
            f"restore into PostgreSQL {manifest.server_major} or newer",
        )  # fmt: skip
    elif facts.major < manifest.program_major:
        yield Obstacle(
            name, f"its server is PostgreSQL {facts.version}, older than the pg_dump"
            f" ({manifest.program}) that wrote the dump",
            f"dump again with the programs of PostgreSQL {facts.major} (--postgres FOLDER), or"
            " by --compress gzip, which takes the oldest that can read the source",
        )  # fmt: skip


def _judge_for_schema(
    facts: TargetFacts, name: str, database: DumpedDatabase, *, create: bool, roles: bool
) -> Iterator[Obstacle]:
    if not facts.exists and not create:
        yield Obstacle(name, "it does not exist", "make it, or let naru make it: --create")
    if not facts.exists and create and not facts.may_create_databases:
        yield Obstacle(name, "this login may not make databases", "ALTER ROLE … CREATEDB")
    if facts.content:
        yield Obstacle(
            name, f"it is not empty: it holds {listed(facts.content, 3)}",
            "name a database that does not exist yet, with --create, or empty this one",
        )  # fmt: skip
    elif facts.large_objects:
        yield Obstacle(
            name, f"it holds {facts.large_objects:,} large objects", "SELECT lo_unlink of them"
        )
    if facts.facts and facts.facts.encoding != database.encoding:
        yield Obstacle(
            name, f"its encoding is {facts.facts.encoding}, the dump's is {database.encoding}",
            "drop it, and naru makes it as the source's was: --create",
        )  # fmt: skip
    lacking = tuple(one for one, _, _ in database.extensions if one not in facts.extensions)
    if lacking:
        yield Obstacle(
            name, f"its server does not have the extensions {listed(lacking)}",
            "install their packages on the target's hosts",
        )  # fmt: skip
    if roles and facts.missing_roles and not facts.may_create_roles:
        yield Obstacle(
            name, f"roles are missing that this login may not make: {listed(facts.missing_roles)}",
            "let an administrator make them; or --no-roles with --no-owner and --no-privileges",
        )  # fmt: skip


def _judge_for_rows(facts: TargetFacts, name: str, contents: Contents) -> Iterator[Obstacle]:
    if not facts.exists:
        yield Obstacle(name, "it does not exist", "restore --schema-only first")
        return
    if facts.missing_tables:
        yield Obstacle(
            name, f"tables are missing: {listed(facts.missing_tables)}",
            "restore --schema-only first",
        )  # fmt: skip
    if facts.filled_tables:
        yield Obstacle(
            name, f"tables have rows already: {listed(facts.filled_tables)}", "empty them: TRUNCATE"
        )
    dumped = contents.digest.large_objects.count if contents.digest else 0
    if facts.large_objects and dumped:
        yield Obstacle(
            name, f"it holds {facts.large_objects:,} large objects, and the dump has some too",
            "SELECT lo_unlink of them",
        )  # fmt: skip
    if facts.firing:
        yield Obstacle(
            name, f"triggers would fire at every row: {listed(facts.firing)}",
            "ALTER TABLE … DISABLE TRIGGER, and afterwards enable them again as they are",
        )  # fmt: skip
    if not facts.may_replicate:
        yield Obstacle(
            name, "this login may not set session_replication_role, without which triggers fire"
            " and foreign keys ask for an order",
            "log in as a superuser; or GRANT SET ON PARAMETER session_replication_role (15 on)",
        )  # fmt: skip


def remarks(facts: TargetFacts, database: DumpedDatabase) -> Iterator[str]:
    """What people should know and nothing has to be done about."""
    have = facts.facts
    if have and (have.collate, have.ctype) != (database.collate, database.ctype):
        yield (
            f"database {facts.database} sorts by {have.collate} and the source by"
            f" {database.collate}: results may come in another order"
        )
