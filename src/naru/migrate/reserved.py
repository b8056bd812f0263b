"""Roles with names that are for Naru's own: they do not come across, whoever made them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from naru.migrate.names import OWN_SCHEMA
from naru.postgres import Connection, fetch_all, fetch_value

_SERVICE = frozenset({"naru_backup", "naru_replication", "naru_rewind"})
"""Logins that a service of Naru has for itself, on every one of its servers."""

# What is Naru's own is in its schema, or is a publication: neither comes across. Rights on the
# database are given one by one, and those that cannot be given are told.
_NAMED = """
SELECT DISTINCT r.rolname::text
FROM pg_catalog.pg_roles r
JOIN pg_catalog.pg_shdepend d ON d.refobjid = r.oid
 AND d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
JOIN pg_catalog.pg_database b ON b.oid = d.dbid AND b.datname = pg_catalog.current_database()
LEFT JOIN pg_catalog.pg_class c
  ON c.oid = d.objid AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
LEFT JOIN pg_catalog.pg_proc p
  ON p.oid = d.objid AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
LEFT JOIN pg_catalog.pg_type t
  ON t.oid = d.objid AND d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
LEFT JOIN pg_catalog.pg_namespace n
  ON n.oid IN (c.relnamespace, p.pronamespace, t.typnamespace)
  OR n.oid = d.objid AND d.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
WHERE r.rolname = ANY (%s) AND n.nspname IS DISTINCT FROM %s
  AND d.classid <> 'pg_catalog.pg_publication'::pg_catalog.regclass
"""


@dataclass(frozen=True)
class ReservedRole:
    """A role named `naru_…` that a database needs."""

    name: str
    named: bool
    """It owns something there, or has rights on it, so that nothing can be made without it."""


def is_reserved(name: str) -> bool:
    """True for names that are for Naru's own roles."""
    return name.startswith("naru_")


def read_reserved(connection: Connection, needed: Iterable[str]) -> tuple[ReservedRole, ...]:
    """Those among the `needed` roles of this database that have such a name.

    Without what is Naru's own: the login of `connection`, and those that a service of Naru has
    everywhere, unless something in the database names them.
    """
    names = [name for name in needed if is_reserved(name)]
    if not names:
        return ()
    named = {str(row[0]) for row in fetch_all(connection, _NAMED, [names, OWN_SCHEMA])}
    ours = {str(fetch_value(connection, "SELECT current_user")), *_SERVICE}
    return tuple(
        ReservedRole(name, name in named) for name in names if name in named or name not in ours
    )
