"""What of a schema's archive a login that is not superuser can make, and in which words.

The archive is written for a superuser. For another login three things differ: objects
whose owner it cannot act for become its own; an owner that may not make objects in a
schema is allowed to for the moment in which it is given one; and grants made by somebody
else are made in that role, not in that session's name. Event triggers are left out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from psycopg import sql

from naru.migrate.entries import Entry
from naru.postgres import Connection, fetch_all, fetch_one

_OWNER = re.compile(r'\n+ALTER [^\n]+ OWNER TO ("(?:[^"]|"")+"|[^\s"]+);\s*\Z')
_SESSION = re.compile(r"^SET SESSION AUTHORIZATION ([^\n]+);$", re.MULTILINE)
_RESET = re.compile(r"^RESET SESSION AUTHORIZATION;$", re.MULTILINE)
_SUPERUSERS_ONLY = ("EVENT TRIGGER",)


@dataclass(frozen=True)
class Landing:
    """For whom our login may act on the target, and who may make objects in its schemas."""

    superuser: bool
    acts_for: Collection[str] = ()
    makers: Collection[tuple[str, str]] = ()
    """Schema and role: those that may make objects in the schemas there are already."""
    foreign_extensions: Collection[str] = ()
    """Installed ones that are not ours, and so not ours to comment on."""


_ACTS_FOR = """
SELECT rolname::text FROM pg_catalog.pg_roles
WHERE pg_catalog.pg_has_role(oid, 'USAGE') AND {set}
"""
_MAKERS = """
SELECT n.nspname::text, r.rolname::text FROM pg_catalog.pg_namespace n, pg_catalog.pg_roles r
WHERE n.nspname !~ '^pg_' AND pg_catalog.has_schema_privilege(r.oid, n.oid, 'CREATE')
"""
_FOREIGN = """
SELECT extname::text FROM pg_catalog.pg_extension
WHERE NOT pg_catalog.pg_has_role(extowner, 'USAGE')
"""


def observe_landing(connection: Connection) -> Landing:
    """Read what our login may do in the target's database."""
    if fetch_one(connection, "SELECT current_setting('is_superuser') = 'on'")[0]:
        return Landing(superuser=True)
    newer = connection.info.server_version >= 160000
    acts_for = _ACTS_FOR.format(set="pg_catalog.pg_has_role(oid, 'SET')" if newer else "true")
    return Landing(
        superuser=False,
        acts_for=frozenset(row[0] for row in fetch_all(connection, acts_for)),
        makers=frozenset((row[0], row[1]) for row in fetch_all(connection, _MAKERS)),
        foreign_extensions=frozenset(row[0] for row in fetch_all(connection, _FOREIGN)),
    )


def adapt(entries: Iterable[Entry], landing: Landing) -> Iterator[Entry]:
    """The entries as our login can make them; one that it cannot make has no SQL left."""
    if landing.superuser:
        yield from entries
        return
    makers = set(landing.makers)
    for entry in entries:
        if entry.type == "SCHEMA" and (match := _OWNER.search(entry.sql)):
            makers.add((entry.name, _plain(match[1])))
        yield _adapted(entry, landing, makers)


def _adapted(entry: Entry, landing: Landing, makers: Collection[tuple[str, str]]) -> Entry:
    if _is_out_of_reach(entry, landing):
        return replace(entry, sql="")
    if entry.type in ("ACL", "DEFAULT ACL"):
        text = _SESSION.sub(r"SET ROLE \1;", entry.sql)
        return replace(entry, sql=_RESET.sub("RESET ROLE;", text))
    match = _OWNER.search("\n" + entry.sql)
    if match is None:
        return entry
    owner = _plain(match[1])
    if owner not in landing.acts_for:
        return replace(entry, sql=("\n" + entry.sql)[: match.start()].strip())
    if not entry.schema or (entry.schema, owner) in makers:
        return entry
    place, whom = sql.Identifier(entry.schema), sql.Identifier(owner)
    give = sql.SQL("GRANT CREATE ON SCHEMA {} TO {};").format(place, whom).as_string()
    take = sql.SQL("REVOKE CREATE ON SCHEMA {} FROM {};").format(place, whom).as_string()
    return replace(entry, sql=f"{give}\n{entry.sql}\n{take}")


def _is_out_of_reach(entry: Entry, landing: Landing) -> bool:
    if entry.type in _SUPERUSERS_ONLY or entry.name.startswith("EVENT TRIGGER "):
        return True
    if entry.type == "COMMENT" and entry.name.startswith("EXTENSION "):
        return _plain(entry.name.removeprefix("EXTENSION ")) in landing.foreign_extensions
    if entry.type == "DEFAULT ACL":
        match = re.match(r'ALTER DEFAULT PRIVILEGES FOR ROLE ("(?:[^"]|"")+"|[^\s"]+) ', entry.sql)
        return match is not None and _plain(match[1]) not in landing.acts_for
    return False


def _plain(identifier: str) -> str:
    """A name as the catalogs have it, from how a statement writes it."""
    if identifier.startswith('"'):
        return identifier[1:-1].replace('""', '"')
    return identifier
