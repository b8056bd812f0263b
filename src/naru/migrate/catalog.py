"""Sorts of objects in a database that need a word before it is migrated.

Each query gives a name and the total of its sort, as many rows as are shown: a catalog of
ten thousand tables stays on the server.
"""

# The texts put together here are constants of this module; no value comes from outside.
# ruff: noqa: S608
from __future__ import annotations

from naru.migrate.facts import SHOWN, Names
from naru.migrate.names import OWN_SCHEMA
from naru.migrate.superuser_objects import SUPERUSER_OBJECTS
from naru.migrate.unlogged import MOST_BYTES
from naru.postgres import Connection, fetch_all

_USER = (
    "n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', %(own)s)"
    " AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e"
    " WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass"
    " AND e.objid = c.oid AND e.deptype = 'e')"
)
_RELATION = (
    "SELECT n.nspname || '.' || c.relname AS name FROM pg_catalog.pg_class c"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE " + _USER
)
_COLUMN = (
    "SELECT n.nspname || '.' || c.relname || '.' || a.attname AS name"
    " FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND " + _USER
)
_CONSTRAINT = (
    "SELECT n.nspname || '.' || c.relname || ': ' || k.conname AS name"
    " FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE " + _USER
)
_NOT_OF_EXTENSION = (
    " AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.objid = {object}"
    " AND e.classid = '{catalog}'::pg_catalog.regclass AND e.deptype = 'e')"
)

OBJECTS: dict[str, str] = {
    "source.table-owner": _RELATION + " AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'"
    " AND NOT pg_catalog.pg_has_role(c.relowner, 'USAGE')"
    " AND (SELECT rolsuper FROM pg_catalog.pg_roles r WHERE r.oid = c.relowner)",
    "source.schema-usage": "SELECT n.nspname::text AS name FROM pg_catalog.pg_namespace n"
    " WHERE NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE')"
    " AND EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid AND "
    + _USER
    + ")",
    "source.select-table": _RELATION + " AND c.relkind IN ('r', 'p')"
    " AND NOT pg_catalog.has_table_privilege(c.oid, 'SELECT')",
    "source.select-sequence": _RELATION + " AND CASE WHEN c.relkind = 'S'"
    " THEN NOT pg_catalog.has_sequence_privilege(c.oid, 'SELECT') END",
    "schema.replica-identity-full": _RELATION + " AND c.relkind = 'r' AND c.relreplident = 'f'",
    "schema.unlogged": _RELATION + " AND c.relkind = 'r' AND c.relpersistence = 'u'",
    "schema.unlogged-large": _RELATION + " AND c.relkind = 'r' AND c.relpersistence = 'u'"
    " AND pg_catalog.pg_table_size(c.oid) > 65536 AND (SELECT sum(pg_catalog.pg_table_size(u.oid))"
    " FROM pg_catalog.pg_class u WHERE u.relkind = 'r' AND u.relpersistence = 'u')"
    f" > {MOST_BYTES}",
    "schema.enum-hash": _RELATION + " AND c.relkind = 'p' AND EXISTS ("
    "SELECT FROM pg_catalog.pg_partitioned_table p"
    " JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (p.partattrs::int2[])"
    " JOIN pg_catalog.pg_type t ON t.oid = a.atttypid"
    " LEFT JOIN pg_catalog.pg_type b ON b.oid IN (nullif(t.typbasetype, 0), nullif(t.typelem, 0))"
    " WHERE p.partrelid = c.oid AND p.partstrat = 'h' AND 'e' IN (t.typtype, b.typtype))",
    # Keys without overlaps (18) are built in the same way as exclusion constraints.
    "schema.exclusion-of-partitions": _CONSTRAINT + " AND c.relkind = 'p' AND NOT c.relispartition"
    " AND (k.contype = 'x' OR to_jsonb(k) ->> 'conperiod' = 'true')",
    "schema.large-objects": "SELECT count(*) || ' large objects' AS name"
    " FROM pg_catalog.pg_largeobject_metadata HAVING count(*) > 0",
    "schema.row-security": _RELATION + " AND CASE WHEN c.relrowsecurity"
    " THEN pg_catalog.row_security_active(c.oid) END",
    "schema.trigger-always": "SELECT n.nspname || '.' || c.relname || ': ' || t.tgname AS name"
    " FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE t.tgenabled IN ('A', 'R') AND NOT t.tgisinternal AND " + _USER,
    "schema.event-trigger": "SELECT evtname AS name FROM pg_catalog.pg_event_trigger t"
    " WHERE evtenabled <> 'D'"
    + _NOT_OF_EXTENSION.format(object="t.oid", catalog="pg_catalog.pg_event_trigger"),
    "schema.invalid-index": "SELECT n.nspname || '.' || c.relname AS name"
    " FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE NOT i.indisvalid AND c.relkind = 'i' AND " + _USER,
    "schema.not-valid": _CONSTRAINT + " AND NOT k.convalidated",
    "schema.deferrable-key": _CONSTRAINT + " AND k.contype IN ('p', 'u') AND k.condeferrable",
    "schema.generated": _COLUMN + " AND a.attgenerated <> ''",
    "schema.identity": _COLUMN + " AND a.attidentity <> ''",
    "schema.partitioned": _RELATION + " AND c.relkind = 'p' AND NOT c.relispartition",
    "schema.materialized-view": _RELATION + " AND c.relkind = 'm'",
    "schema.foreign-table": _RELATION + " AND c.relkind = 'f'",
    "schema.base-type": "SELECT n.nspname || '.' || t.typname AS name"
    " FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace"
    " WHERE t.typtype = 'b' AND t.typelem = 0 AND n.nspname !~ '^pg_'"
    " AND n.nspname <> 'information_schema'"
    + _NOT_OF_EXTENSION.format(object="t.oid", catalog="pg_catalog.pg_type")
    + " UNION ALL SELECT n.nspname || '.' || p.proname || '()' FROM pg_catalog.pg_proc p"
    " JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"
    " JOIN pg_catalog.pg_language l ON l.oid = p.prolang AND l.lanname = 'c'"
    " WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
    + _NOT_OF_EXTENSION.format(object="p.oid", catalog="pg_catalog.pg_proc"),
    "schema.extension-rows": "SELECT n.nspname || '.' || c.relname AS name"
    " FROM pg_catalog.pg_extension x CROSS JOIN LATERAL unnest(x.extconfig) AS u (oid)"
    " JOIN pg_catalog.pg_class c ON c.oid = u.oid AND c.relkind = 'r'"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace",
    "schema.tablespace": "SELECT t.spcname AS name FROM pg_catalog.pg_tablespace t"
    " WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.reltablespace = t.oid"
    " AND t.spcname <> 'pg_global')",
    "target.superuser-object": SUPERUSER_OBJECTS,
    "target.forced-row-security": _RELATION + " AND c.relkind IN ('r', 'p')"
    " AND c.relforcerowsecurity AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles r"
    " WHERE r.oid = c.relowner AND (r.rolbypassrls OR r.rolsuper))",
    "target.default-privileges": "SELECT r.rolname || coalesce(' in ' || n.nspname, '') AS name"
    " FROM pg_catalog.pg_default_acl d JOIN pg_catalog.pg_roles r ON r.oid = d.defaclrole"
    " LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace WHERE r.rolsuper",
    "schema.scheduled-jobs": "SELECT extname::text AS name FROM pg_catalog.pg_extension"
    " WHERE extname IN ('pg_cron', 'pg_partman', 'pg_timetable', 'timescaledb', 'pgagent')",
}


def read_objects(connection: Connection) -> dict[str, Names]:
    """Objects of each sort that the database has; sorts without any are left out."""
    before_12 = connection.info.server_version < 120000
    found: dict[str, Names] = {}
    for code, query in OBJECTS.items():
        if code == "schema.generated" and before_12:
            continue
        rows = fetch_all(
            connection,
            f"SELECT name, count(*) OVER () FROM ({query}) AS o ORDER BY 1 LIMIT {SHOWN}",
            {"own": OWN_SCHEMA},
        )
        if rows:
            found[code] = Names(rows[0][1], tuple(str(row[0]) for row in rows))
    return found
