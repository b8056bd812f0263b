"""Reading what `decide` needs from one side: server, login, sizes, activity."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from naru.errors import NaruError
from naru.migrate.facts import SHOWN, Login, Server, Size, SourceActivity
from naru.migrate.sides import Side
from naru.postgres import Connection, Lsn, explain, fetch_all, fetch_one, fetch_value

_SLOT_SECONDS = 5
_SAMPLE_SECONDS = 1.0
_SAMPLE_BLOCKS = 1024
_BLOCK_BYTES = 8192
_LONG_SECONDS = 60

_SETTINGS = [
    "wal_level", "max_replication_slots", "max_wal_senders", "max_connections",
    "superuser_reserved_connections", "max_slot_wal_keep_size", "wal_sender_timeout",
    "wal_receiver_timeout",
    "logical_decoding_work_mem", "max_locks_per_transaction", "max_prepared_transactions",
    "max_logical_replication_workers", "max_worker_processes",
    "max_active_replication_origins",
]  # fmt: skip

_SERVER = """
SELECT current_setting('server_version_num')::int, pg_catalog.current_database()::text,
       pg_catalog.pg_is_in_recovery(), pg_catalog.pg_encoding_to_char(d.encoding),
       d.datcollate::text, d.datctype::text, {provider}, {locale},
       (SELECT count(*)::int FROM pg_catalog.pg_replication_slots),
       (SELECT count(*)::int FROM pg_catalog.pg_stat_replication),
       (SELECT count(*)::int FROM pg_catalog.pg_stat_activity
        WHERE backend_type = 'client backend'),
       (SELECT count(*)::int FROM pg_catalog.pg_subscription WHERE subenabled)
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
"""

_LOGIN = """
SELECT r.rolname::text, r.rolsuper, r.rolsuper OR r.rolreplication OR EXISTS (
           SELECT FROM pg_catalog.pg_roles m WHERE m.rolname = 'rds_replication'
           AND pg_catalog.pg_has_role(m.oid, 'MEMBER')),
       r.rolsuper OR r.rolbypassrls, r.rolsuper OR r.rolcreaterole,
       r.rolsuper OR r.rolcreatedb,
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'),
       r.rolsuper OR EXISTS (
           SELECT FROM pg_catalog.pg_roles m WHERE m.rolname = 'pg_create_subscription'
           AND pg_catalog.pg_has_role(m.oid, 'USAGE')),
       pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT')
FROM pg_catalog.pg_roles r WHERE r.rolname = current_user
"""

# Rows alone, and asked for once: to count the maps of a table would be eight more looks at files.
_TABLES = """
WITH found AS (
    SELECT n.nspname::text AS schema, c.relname::text AS name,
           pg_catalog.pg_relation_size(c.oid)
           + coalesce(pg_catalog.pg_relation_size(nullif(c.reltoastrelid, 0)), 0) AS size,
           greatest(c.reltuples, 0) AS rows
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
), largest AS (
    SELECT * FROM found ORDER BY size DESC, schema, name LIMIT 10
)
SELECT pg_catalog.pg_database_size(pg_catalog.current_database()),
       coalesce(sum(size), 0)::int8, count(*), coalesce(sum(rows), 0)::int8,
       (SELECT coalesce(json_agg(json_build_array(schema, name, size)), '[]') FROM largest)
FROM found
"""

_LONG = """
SELECT pid, coalesce(usename::text, '?'), extract(epoch FROM now() - xact_start)::float8
FROM pg_catalog.pg_stat_activity
WHERE backend_type = 'client backend' AND xact_start < now() - make_interval(secs => %s)
  AND pid <> pg_catalog.pg_backend_pid()
ORDER BY 3 DESC LIMIT %s
"""

_SLOTS = """
SELECT slot_name::text, active, coalesce(pg_catalog.pg_wal_lsn_diff(
           CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_receive_lsn()
                ELSE pg_catalog.pg_current_wal_lsn() END, restart_lsn), 0)::int8
FROM pg_catalog.pg_replication_slots WHERE NOT temporary ORDER BY 1
"""

_SUPERUSERS = """
SELECT DISTINCT a.usename::text || coalesce(' (' || nullif(a.application_name, '') || ')', '')
FROM pg_catalog.pg_stat_activity a JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid
WHERE r.rolsuper AND a.backend_type = 'client backend'
  AND a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid()
  AND a.application_name NOT LIKE 'naru: %%'
LIMIT %s
"""


def read_server(connection: Connection) -> Server:
    """Version, place, encoding, login and settings of the server behind `connection`."""
    version = connection.info.server_version
    provider = "d.datlocprovider::text" if version >= 150000 else "'c'::text"
    locale = (
        "d.datlocale::text" if version >= 170000
        else "d.daticulocale::text" if version >= 150000 else "NULL::text"
    )  # fmt: skip
    row = fetch_one(connection, _SERVER.format(provider=provider, locale=locale))
    settings = fetch_all(
        connection,
        "SELECT name, setting FROM pg_catalog.pg_settings WHERE name = ANY(%s)",
        [_SETTINGS],
    )
    return Server(
        version=row[0], identifier=_identifier(connection), database=row[1], in_recovery=row[2],
        encoding=row[3], collate=row[4], ctype=row[5], provider=row[6], locale=row[7],
        login=Login(*fetch_one(connection, _LOGIN)), settings=dict(settings),
        slots_used=row[8], walsenders_used=row[9], connections_used=row[10],
        subscriptions_used=row[11],
    )  # fmt: skip


def read_size(connection: Connection, *, measure: bool = True) -> Size:
    """How much there is; with `measure`, a second or two are spent on how fast it is read
    and written."""
    total, tables_bytes, tables, rows, largest = fetch_one(connection, _TABLES)
    speed: float | None = None
    wal: float | None = None
    if measure:
        before, began = _written(connection), time.monotonic()
        speed = _read_speed(connection, largest[0]) if largest else None
        time.sleep(max(0.0, _SAMPLE_SECONDS - (time.monotonic() - began)))
        wal = (_written(connection) - before) / (time.monotonic() - began)
    return Size(
        total, tables_bytes, tables, rows,
        tuple((f"{schema}.{name}", size) for schema, name, size in largest), wal, speed,
    )  # fmt: skip


def read_activity(side: Side, connection: Connection, server: Server) -> SourceActivity:
    """Who does what at the source, and whether replication connections are let in."""
    slots = fetch_all(connection, _SLOTS)
    publications = [row[0] for row in fetch_all(
        connection, "SELECT pubname::text FROM pg_catalog.pg_publication ORDER BY 1")]  # fmt: skip
    prepared = fetch_all(connection, "SELECT gid FROM pg_catalog.pg_prepared_xacts ORDER BY 1")
    long = fetch_all(connection, _LONG, [_LONG_SECONDS, SHOWN])
    refused, slot_refused = _try_replication(side, server, waits=bool(prepared or long))
    return SourceActivity(
        long_transactions=tuple((pid, user, age) for pid, user, age in long),
        prepared=tuple(row[0] for row in prepared),
        own_slots=tuple(name for name, _, _ in slots if name.startswith("naru_")),
        own_publications=tuple(name for name in publications if name.startswith("naru_")),
        inactive_slots=tuple(
            (name, size) for name, active, size in slots
            if not active and not name.startswith("naru_")
        ),
        publications=tuple(name for name in publications if not name.startswith("naru_")),
        subscriptions=tuple(row[0] for row in fetch_all(connection, _SUBSCRIPTIONS)),
        superuser_clients=tuple(row[0] for row in fetch_all(connection, _SUPERUSERS, [SHOWN])),
        replication_refused=refused, slot_refused=slot_refused,
        balanced=_is_balanced(side, connection),
        collation_changed=_collation_changed(connection),
    )  # fmt: skip


_SUBSCRIPTIONS = """
SELECT subname::text FROM pg_catalog.pg_subscription s
JOIN pg_catalog.pg_database d ON d.oid = s.subdbid
WHERE d.datname = pg_catalog.current_database() AND subname !~ '^naru_' ORDER BY 1
"""


def _identifier(connection: Connection) -> int | None:
    try:
        value = fetch_value(
            connection, "SELECT system_identifier FROM pg_catalog.pg_control_system()"
        )
    except psycopg.errors.InsufficientPrivilege:
        return None
    return int(value)


def _written(connection: Connection) -> int:
    query = (
        "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()"
        " ELSE pg_catalog.pg_current_wal_insert_lsn() END"
    )
    return int(Lsn.parse(fetch_value(connection, query) or "0/0"))


def _read_speed(connection: Connection, table: Sequence[Any]) -> float | None:
    """Bytes a second of the largest table, read as the copy reads it, for at most a second.

    Ever larger pieces from its beginning, so that a slow server is not kept busy for long.
    """
    schema, name, size = table
    blocks = min(_SAMPLE_BLOCKS, size // _BLOCK_BYTES)
    if connection.info.server_version < 140000 or blocks < _SAMPLE_BLOCKS:
        return None
    end = time.monotonic() + _SAMPLE_SECONDS
    done, seconds = 0, 0.0
    while time.monotonic() < end and done < size // _BLOCK_BYTES:
        text = sql.SQL("COPY (SELECT * FROM ONLY {} WHERE ctid >= {} AND ctid < {}) TO STDOUT"
                       " (FORMAT binary)").format(
            sql.Identifier(schema, name), sql.Literal(f"({done},0)"),
            sql.Literal(f"({done + blocks},0)"),
        )  # fmt: skip
        began = time.monotonic()
        try:
            with connection.cursor().copy(text) as rows:
                for _ in rows:
                    pass
        except psycopg.Error:
            return None
        seconds += time.monotonic() - began
        done += blocks
    return done * _BLOCK_BYTES / seconds if seconds else None


def _try_replication(side: Side, server: Server, *, waits: bool) -> tuple[str | None, str | None]:
    """Why a replication connection, and a temporary slot, are refused; None if they are not.

    No slot is tried where it is known to be refused, or to wait.
    """
    if not server.login.replication:
        return None, None
    try:
        connection = side.replication("assess")
    except NaruError as error:
        return error.message, None
    free = server.number("max_replication_slots") > server.slots_used
    ready = server.settings.get("wal_level") == "logical" and free and not server.in_recovery
    with connection:
        if waits or not ready:
            return None, None
        try:
            connection.execute(f"SET statement_timeout = '{_SLOT_SECONDS}s'")
            connection.execute(
                "CREATE_REPLICATION_SLOT naru_assess TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT"
            )
        except psycopg.Error as error:
            return None, explain(error, side.dsn, "making a temporary slot").message
    return None, None


def _is_balanced(side: Side, connection: Connection) -> bool:
    """True if two connections to the same address have reached different servers."""
    query = "SELECT pg_catalog.pg_postmaster_start_time(), pg_catalog.pg_is_in_recovery()"
    first = fetch_one(connection, query)
    for _ in range(2):
        with side.connect("assess") as other:
            if fetch_one(other, query) != first:
                return True
    return False


def _collation_changed(connection: Connection) -> bool:
    if connection.info.server_version < 150000:
        return False
    return bool(
        fetch_value(
            connection,
            "SELECT datcollversion IS DISTINCT FROM"
            " pg_catalog.pg_database_collation_actual_version(oid)"
            " FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()",
        )
    )
