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
    ),
    "columns": _fingerprint(
        "pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = attrelid"
        f" WHERE relnamespace {_USER} AND relpersistence <> 't' AND attnum > 0"
        " AND relkind IN ('r', 'p', 'v', 'm', 'f', 'c')",
        "attrelid", "attnum", "attname", "atttypid", "atttypmod", "attnotnull",
        "attisdropped", "attidentity", "attgenerated",
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
        f"pg_catalog.pg_proc p WHERE pronamespace {_USER}", "p.oid", "proname", "prosrc",
    ),
    "types": _fingerprint(
        f"pg_catalog.pg_type t WHERE typnamespace {_USER}", "t.oid", "typname", "typtype",
    ),
    "enum labels": _fingerprint("pg_catalog.pg_enum", "enumtypid", "enumsortorder", "enumlabel"),
    "triggers": _fingerprint(
        "pg_catalog.pg_trigger WHERE NOT tgisinternal", "oid", "tgname", "tgrelid", "tgenabled",
    ),
    "views and rules": _fingerprint(
        "pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = ev_class"
        f" WHERE relnamespace {_USER}",
        "r.oid", "rulename", "ev_class", "ev_type",
    ),
}  # fmt: skip
