"""What a dump needs to know of its source, and what stands in its way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from naru.errors import RefusedError
from naru.migrate.database import count_large_objects, read_content
from naru.migrate.dump_manifest import Content, DumpedTable
from naru.migrate.names import OWN_SCHEMA
from naru.postgres import Connection, fetch_all, fetch_one, fetch_value
from naru.system.units import human_bytes

_OLDEST = 10

_SERVER = """
SELECT current_setting('server_version_num')::int / 10000, current_setting('server_version'),
       pg_catalog.pg_is_in_recovery(), pg_catalog.pg_encoding_to_char(d.encoding),
       pg_catalog.pg_database_size(d.oid), {collation_version}
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
"""

_TABLES = """
SELECT n.nspname, c.relname, c.oid::int8, pg_catalog.pg_table_size(c.oid), c.reltuples::int8,
       EXISTS (SELECT FROM pg_catalog.pg_depend e
               WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                 AND e.objid = c.oid AND e.deptype = 'e')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
  AND n.nspname NOT IN ('information_schema', %s)
ORDER BY 1, 2
"""

_UNREADABLE = """
SELECT n.nspname || '.' || c.relname
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'S') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
  AND n.nspname NOT IN ('information_schema', %s)
  AND NOT (pg_catalog.has_schema_privilege(n.oid, 'USAGE')
           AND CASE c.relkind WHEN 'S' THEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT')
                    ELSE pg_catalog.has_table_privilege(c.oid, 'SELECT') END)
ORDER BY 1
"""

_HIDDEN = """
SELECT n.nspname || '.' || c.relname
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relrowsecurity AND pg_catalog.row_security_active(c.oid)
ORDER BY 1
"""

_UNLOGGED = """
SELECT n.nspname || '.' || c.relname
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence = 'u' ORDER BY 1
"""

_EXTENSIONS = """
SELECT e.extname::text, e.extversion, n.nspname::text
FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname <> 'plpgsql' ORDER BY 1
"""

_LOCKS = """
SELECT l.pid, l.granted, n.nspname || '.' || c.relname, coalesce(a.usename, '?'),
       coalesce(a.application_name, ''), extract(epoch FROM now() - a.xact_start)::float8,
       pg_catalog.left(pg_catalog.regexp_replace(coalesce(a.query, ''), '\\s+', ' ', 'g'), 80)
FROM pg_catalog.pg_locks l
JOIN pg_catalog.pg_class c ON c.oid = l.relation
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.mode = 'AccessExclusiveLock' AND l.pid <> pg_catalog.pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_catalog.pg_database
                    WHERE datname = pg_catalog.current_database())
  AND c.relkind IN ('r', 'p', 'm', 'S') AND n.nspname !~ '^pg_'
ORDER BY l.granted DESC, 6 DESC NULLS LAST LIMIT 5
"""

_SUBSCRIPTIONS = """
SELECT count(*) FROM pg_catalog.pg_subscription s
JOIN pg_catalog.pg_database d ON d.oid = s.subdbid
WHERE d.datname = pg_catalog.current_database()
"""

_DATABASES = """
SELECT datname::text FROM pg_catalog.pg_database
WHERE datallowconn AND NOT datistemplate ORDER BY 1
"""


@dataclass(frozen=True)
class SourceFacts:
    """One database to be dumped, before anything is done."""

    database: str
    major: int
    version: str
    in_recovery: bool
    encoding: str
    bytes: int
    collation_version: str | None
    tables: tuple[DumpedTable, ...]
    unreadable: tuple[str, ...]
    hidden: tuple[str, ...]
    """Tables whose row security would hide rows from this login."""
    unlogged: tuple[str, ...]
    """Tables whose rows a standby does not have."""
    subscriptions: int

    @property
    def table_bytes(self) -> int:
        """Heap and TOAST of all tables, without indexes."""
        return sum(one.bytes for one in self.tables)


@dataclass(frozen=True)
class Obstacle:
    """Something that keeps a dump or a restore from being begun."""

    object: str
    text: str
    remedy: str


def observe_source(connection: Connection, database: str) -> SourceFacts:
    """Read the facts of the database behind `connection`."""
    version = connection.info.server_version
    collation = "d.datcollversion" if version >= 150000 else "NULL::text"
    server = fetch_one(connection, _SERVER.format(collation_version=collation))
    subscriptions = "SELECT has_table_privilege('pg_catalog.pg_subscription', 'SELECT')"
    return SourceFacts(
        database=database,
        major=server[0],
        version=server[1],
        in_recovery=server[2],
        encoding=server[3],
        bytes=server[4],
        collation_version=server[5],
        tables=read_tables(connection),
        unreadable=_names(connection, _UNREADABLE, [OWN_SCHEMA]),
        hidden=_names(connection, _HIDDEN),
        unlogged=_names(connection, _UNLOGGED),
        subscriptions=int(fetch_value(connection, _SUBSCRIPTIONS))
        if fetch_value(connection, subscriptions)
        else 0,
    )


def read_tables(connection: Connection) -> tuple[DumpedTable, ...]:
    """Every table with storage of its own, extensions' tables included."""
    return tuple(DumpedTable(*row) for row in fetch_all(connection, _TABLES, [OWN_SCHEMA]))


def read_extensions(connection: Connection) -> tuple[tuple[str, str, str], ...]:
    return tuple((row[0], row[1], row[2]) for row in fetch_all(connection, _EXTENSIONS))


def read_databases(connection: Connection) -> list[str]:
    """The databases that `--all-databases` means: all that take connections, no templates."""
    return [row[0] for row in fetch_all(connection, _DATABASES)]


def holds_nothing(connection: Connection) -> bool:
    """True if the database has no objects of users."""
    return read_content(connection, 1)[0] == 0 and count_large_objects(connection) == 0


def lockers(connection: Connection) -> str:
    """Who holds locks that a dump waits for, for people; empty if nobody does."""
    return "; ".join(
        f"process {pid} ({user}{', ' + app if app else ''})"
        f" {'holds' if granted else 'waits for'} {table}"
        + (f" since {seconds:,.0f} s" if seconds is not None else "")
        + (f": {query}" if query else "")
        for pid, granted, table, user, app, seconds, query in fetch_all(connection, _LOCKS)
    )


def _names(connection: Connection, query: str, values: list[str] | None = None) -> tuple[str, ...]:
    return tuple(row[0] for row in fetch_all(connection, query, values))


def room_needed(table_bytes: int, compression: str) -> int:
    """Bytes without which a dump is not begun.

    Rows as text are about as large as their tables; compressed ones seldom come below a
    quarter. It is an estimate: what does not fit after all ends the dump, and is removed.
    """
    return table_bytes if compression == "none" else table_bytes // 4


def judge_source(
    facts: SourceFacts, *, content: Content, compression: str, free: int | None
) -> Iterator[Obstacle]:
    """What stands in the way of dumping this database; `free` None: room is not looked at."""
    name = f"database {facts.database}"
    if facts.major < _OLDEST:
        yield Obstacle(
            name, f"its server is PostgreSQL {facts.version}",
            f"move it by pg_dump and pg_restore themselves: naru dumps from {_OLDEST} on",
        )  # fmt: skip
    if facts.unreadable:
        yield Obstacle(
            name, f"this login may not read {listed(facts.unreadable)}",
            "GRANT SELECT on them (or pg_read_all_data from version 14), and USAGE on the schemas",
        )  # fmt: skip
    if facts.hidden and content != "schema":
        yield Obstacle(
            name, f"row security would hide rows of {listed(facts.hidden)}",
            "log in as a role with BYPASSRLS, or as a superuser",
        )  # fmt: skip
    if facts.in_recovery and facts.unlogged and content != "schema":
        yield Obstacle(
            name, f"its server is a standby, without the rows of {listed(facts.unlogged)}",
            "dump from the primary: rows of unlogged tables are there alone",
        )  # fmt: skip
    needed = room_needed(facts.table_bytes, compression)
    if free is not None and content != "schema" and free < needed:
        yield Obstacle(
            name,
            f"its tables have {human_bytes(facts.table_bytes)}; about {human_bytes(needed)} are"
            f" needed at least, and {human_bytes(free)} are free",
            "make room, name a folder on another disk, or --no-room-check if you know better",
        )


def listed(names: tuple[str, ...], most: int = 5) -> str:
    """Names for people: the first of them, and how many more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def refuse(what: str, obstacles: list[Obstacle]) -> None:
    """Raise RefusedError with every obstacle and its remedy, if there is one."""
    if obstacles:
        listed = "".join(f"\n  {one.object}: {one.text}" for one in obstacles)
        remedies = dict.fromkeys(one.remedy for one in obstacles)
        raise RefusedError(f"{what}:{listed}", remedy="; ".join(remedies))
