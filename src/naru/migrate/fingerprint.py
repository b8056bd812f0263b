"""Fingerprints of a schema: any DDL since changes one of them."""

from __future__ import annotations

from naru.migrate.names import OWN_SCHEMA
from naru.postgres import Connection, fetch_value


def schema_fingerprint(connection: Connection) -> dict[str, str]:
    """One number for each kind of catalog entry of the user's: any DDL changes one of them.

    Names of the catalogs are the keys, so that a change can be told. Replica identities
    are left out, since the migration itself sets them.
    """
    return {
        name: str(fetch_value(connection, query, {"own": OWN_SCHEMA}))
        for name, query in _FINGERPRINTS.items()
    }


def changed(before: dict[str, str], now: dict[str, str]) -> tuple[str, ...]:
    """Which kinds differ between two fingerprints."""
    return tuple(name for name in now if before.get(name) != now[name])


def _fingerprint(source: str, *columns: str) -> str:
    row = " || '|' || ".join(f"coalesce({column}::text, '')" for column in columns)
    return (
        f"SELECT coalesce(sum(pg_catalog.hashtextextended({row}, 0)), 0)::text"  # noqa: S608
        f" || '/' || count(*) FROM {source}"
    )


_USER = (
    "NOT IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname IN"
    " ('pg_catalog', 'information_schema', 'pg_toast', %(own)s) OR nspname LIKE 'pg\\_temp%%'"
    " OR nspname LIKE 'pg\\_toast\\_temp%%')"
)

_FINGERPRINTS = {
    "tables and other relations": _fingerprint(
        f"pg_catalog.pg_class c WHERE relnamespace {_USER} AND relpersistence <> 't'",
        "c.oid", "relname", "relkind", "relnatts", "relpersistence", "reloftype", "relowner",
        "relacl", "reloptions", "relrowsecurity", "relforcerowsecurity",
    ),
    "columns": _fingerprint(
        "pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = attrelid"
        f" WHERE relnamespace {_USER} AND relpersistence <> 't' AND attnum > 0"
        " AND relkind IN ('r', 'p', 'v', 'm', 'f', 'c')",
        "attrelid", "attnum", "attname", "atttypid", "atttypmod", "attnotnull",
        "attisdropped", "attidentity", "attgenerated", "attacl", "attoptions", "attcollation",
        "attstorage", "attstattarget",
    ),
    "defaults": _fingerprint(
        "pg_catalog.pg_attrdef d JOIN pg_catalog.pg_class c ON c.oid = adrelid"
        f" WHERE relnamespace {_USER}",
        "adrelid", "adnum", "adbin",
    ),
    "sequences": _fingerprint(
        "pg_catalog.pg_sequence JOIN pg_catalog.pg_class c ON c.oid = seqrelid"
        f" WHERE relnamespace {_USER}",
        "seqrelid", "seqtypid", "seqstart", "seqincrement", "seqmax", "seqmin", "seqcache",
        "seqcycle",
    ),
    "schemas": _fingerprint(
        f"pg_catalog.pg_namespace n WHERE n.oid {_USER}", "n.oid", "nspname", "nspowner", "nspacl",
    ),
    "indexes": _fingerprint(
        "pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = indexrelid"
        f" WHERE relnamespace {_USER} AND relpersistence <> 't'",
        "indexrelid", "indrelid", "indkey", "indisunique", "indisvalid",
    ),
    "constraints": _fingerprint(
        f"pg_catalog.pg_constraint c WHERE connamespace {_USER}",
        "c.oid", "conname", "contype", "conrelid", "confrelid", "convalidated",
    ),
    "functions": _fingerprint(
        f"pg_catalog.pg_proc p WHERE pronamespace {_USER}",
        "p.oid", "proname", "proowner", "proacl", "prolang", "prosrc", "probin", "proargdefaults",
        "provolatile", "proparallel", "proisstrict", "prosecdef", "proleakproof", "procost",
        "prorows", "proconfig", "to_jsonb(p) ->> 'prosqlbody'",
    ),
    "types": _fingerprint(
        f"pg_catalog.pg_type t WHERE typnamespace {_USER}",
        "t.oid", "typname", "typtype", "typowner", "typacl", "typdefault", "typnotnull",
    ),
    "enum labels": _fingerprint("pg_catalog.pg_enum", "enumtypid", "enumsortorder", "enumlabel"),
    "triggers": _fingerprint(
        "pg_catalog.pg_trigger WHERE NOT tgisinternal", "oid", "tgname", "tgrelid", "tgenabled",
    ),
    "views and rules": _fingerprint(
        "pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = ev_class"
        f" WHERE relnamespace {_USER}",
        "r.oid", "rulename", "ev_class", "ev_type", "ev_enabled", "ev_qual", "ev_action",
    ),
    "policies": _fingerprint(
        "pg_catalog.pg_policy",
        "oid", "polname", "polrelid", "polcmd", "polpermissive", "polroles", "polqual",
        "polwithcheck",
    ),
    "comments": _fingerprint(
        "pg_catalog.pg_description WHERE objoid >= 16384",
        "objoid", "classoid", "objsubid", "description",
    ),
    "extensions": _fingerprint("pg_catalog.pg_extension", "oid", "extversion", "extnamespace"),
    "statistics": _fingerprint("pg_catalog.pg_statistic_ext", "oid", "stxname", "stxowner"),
    "default privileges": _fingerprint(
        "pg_catalog.pg_default_acl", "oid", "defaclrole", "defaclnamespace", "defaclacl"
    ),
    "event triggers": _fingerprint(
        "pg_catalog.pg_event_trigger", "oid", "evtname", "evtenabled", "evtfoid", "evtowner"
    ),
    "foreign servers": _fingerprint(
        "pg_catalog.pg_foreign_server", "oid", "srvname", "srvowner", "srvoptions", "srvacl"
    ),
}  # fmt: skip
