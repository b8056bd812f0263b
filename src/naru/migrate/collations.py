"""Collations that users have made: does the target's system know their locales?"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
from psycopg import sql

from naru.migrate.names import OWN_SCHEMA
from naru.postgres import Connection, fetch_all

_OWN = """
SELECT n.nspname || '.' || c.collname, c.collprovider::text, {deterministic},
       c.collcollate::text, c.collctype::text, {locale}
FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', %s)
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e'
      AND d.classid = 'pg_catalog.pg_collation'::pg_catalog.regclass)
ORDER BY 1
"""


def refused_collations(source: Connection, target: Connection) -> Iterator[str]:
    """Each of the source's own collations that the target refuses, with its words.

    They are made for nothing, as temporary ones, and rolled back.
    """
    version = source.info.server_version
    query = _OWN.format(
        deterministic="c.collisdeterministic" if version >= 120000 else "true",
        locale="c.colllocale" if version >= 170000
        else "c.colliculocale" if version >= 150000 else "c.collcollate::text",
    )  # fmt: skip
    for name, provider, deterministic, collate, ctype, locale in fetch_all(
        source, query, [OWN_SCHEMA]
    ):
        words = {"i": {"PROVIDER": "icu", "LOCALE": locale},
                 "b": {"PROVIDER": "builtin", "LOCALE": locale}}.get(
            provider, {"PROVIDER": "libc", "LC_COLLATE": collate, "LC_CTYPE": ctype}
        )  # fmt: skip
        if not deterministic:
            words["DETERMINISTIC"] = "false"
        said = _refusal(target, words)
        if said:
            yield f"{name} ({said})"


def _refusal(target: Connection, words: dict[str, str]) -> str | None:
    text = sql.SQL("CREATE COLLATION pg_temp.naru_assess ({})").format(
        sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.SQL(word), sql.Literal(value))
            for word, value in words.items()
        )
    )
    try:
        with target.transaction(force_rollback=True):
            target.execute(text)
    except psycopg.errors.InsufficientPrivilege:
        return None  # no temporary objects for us there: it cannot be known
    except psycopg.Error as error:
        return error.diag.message_primary or "refused"
    return None
