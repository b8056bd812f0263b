"""The target's database itself: made as the source's was, or found empty; what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from naru.errors import (
    NaruError,
    NotPermittedError,
    RefusedError,
    ServerError,
    UnreachableError,
)
from naru.migrate.names import OWN_SCHEMA
from naru.migrate.sides import PLAIN
from naru.postgres import Connection, Dsn, connect, explain, fetch_all, fetch_one, fetch_value

_DATABASE = """
SELECT pg_catalog.pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, {provider}, {locale},
       d.datconnlimit, pg_catalog.pg_get_userbyid(d.datdba),
       pg_catalog.shobj_description(d.oid, 'pg_database')
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
"""

_GRANTS = """
SELECT CASE WHEN a.grantee = 0 THEN '' ELSE pg_catalog.pg_get_userbyid(a.grantee) END,
       a.privilege_type, a.is_grantable
FROM pg_catalog.pg_database d
CROSS JOIN LATERAL pg_catalog.aclexplode(
    coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) a
WHERE d.datname = pg_catalog.current_database() AND a.grantee <> d.datdba
ORDER BY 1, 2
"""

_CONTENT = """
WITH own (classid, objid) AS (
    SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'
), object (name, schema, classid, objid) AS (
    SELECT relname::text, relnamespace, 'pg_class'::regclass, oid FROM pg_catalog.pg_class
    WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    UNION ALL
    SELECT proname || '()', pronamespace, 'pg_proc'::regclass, oid FROM pg_catalog.pg_proc
    UNION ALL
    SELECT typname::text, typnamespace, 'pg_type'::regclass, oid FROM pg_catalog.pg_type
    WHERE typtype IN ('d', 'e', 'r')
)
SELECT n.nspname || '.' || o.name, count(*) OVER ()
FROM object o JOIN pg_catalog.pg_namespace n ON n.oid = o.schema
WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', %s)
  AND (o.classid, o.objid) NOT IN (SELECT classid, objid FROM own)
ORDER BY 1 LIMIT %s
"""


@dataclass(frozen=True)
class DatabaseFacts:
    """How a database was made, and what is said of it."""

    encoding: str
    collate: str
    ctype: str
    provider: str
    """`c` libc, `i` ICU, `b` builtin."""
    locale: str | None
    connection_limit: int
    owner: str
    comment: str | None


def prepare_database(source: Dsn, target: Dsn) -> bool:
    """Make the target database as the source's was made; True if it was made now.

    One that exists must be empty of user objects, unless they are of a migration that has
    begun. Raises RefusedError if it is not, ServerError if its locale is unknown there.
    """
    with connect(source, purpose="globals", settings=PLAIN) as connection:
        wanted = observe_database(connection)
    return make_database(wanted, target)


def make_database(wanted: DatabaseFacts, target: Dsn) -> bool:
    """As prepare_database, from what was observed of the source."""
    if is_missing(target):
        with maintenance(target) as connection:
            _create_database(connection, target, wanted)
        return True
    with connect(target, purpose="globals", settings=PLAIN) as connection:
        _require_empty(connection, target)
        have = observe_database(connection)
    if have.encoding != wanted.encoding:
        raise RefusedError(
            f"{target}: its encoding is {have.encoding}, the source's is {wanted.encoding}",
            remedy="drop it, and naru makes it as the source's is",
        )
    return False


def observe_database(connection: Connection) -> DatabaseFacts:
    """Facts of the database that `connection` is in."""
    version = connection.info.server_version
    provider = "d.datlocprovider::text" if version >= 150000 else "'c'"
    locale = (
        "d.datlocale" if version >= 170000
        else "d.daticulocale" if version >= 150000 else "NULL::text"
    )  # fmt: skip
    return DatabaseFacts(*fetch_one(connection, _DATABASE.format(provider=provider, locale=locale)))


def is_missing(target: Dsn) -> bool:
    """True if the target's server answers and has no such database."""
    try:
        connect(target, purpose="globals", settings=PLAIN).close()
    except (NotPermittedError, UnreachableError):
        if not is_absent(target):
            raise
        return True
    return False


def is_absent(target: Dsn) -> bool:
    """True if the server's catalog does not have that database.

    A refusal alone does not tell: its words are in the server's language. False as well
    where the server cannot be asked.
    """
    query = "SELECT 1 FROM pg_catalog.pg_database WHERE datname = %s"
    try:
        with maintenance(target) as connection:
            return not fetch_all(connection, query, [target.database])
    except NaruError:
        return False


def maintenance(target: Dsn) -> Connection:
    """A connection to a database of the target's server that certainly exists."""
    try:
        return connect(target.with_(dbname="postgres"), purpose="globals", settings=PLAIN)
    except NotPermittedError:
        return connect(target.with_(dbname="template1"), purpose="globals", settings=PLAIN)


def _create_database(connection: Connection, target: Dsn, facts: DatabaseFacts) -> None:
    parts = [
        sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {}").format(
            sql.Identifier(target.database), sql.Literal(facts.encoding)
        )
    ]
    words = {"LC_COLLATE": facts.collate, "LC_CTYPE": facts.ctype}
    if facts.provider == "i":
        words |= {"LOCALE_PROVIDER": "icu", "ICU_LOCALE": facts.locale or "und"}
    elif facts.provider == "b":
        words |= {"LOCALE_PROVIDER": "builtin", "BUILTIN_LOCALE": facts.locale or "C"}
    elif connection.info.server_version >= 150000:
        words |= {"LOCALE_PROVIDER": "libc"}
    for word, value in words.items():
        parts.append(sql.SQL(" {} {}").format(sql.SQL(word), sql.Literal(value)))
    try:
        connection.execute(sql.Composed(parts))
    except psycopg.Error as error:
        said = explain(error, target, f"making database {target.database}")
        if isinstance(said, ServerError):
            said.remedy = (
                f"install the locale {facts.collate} on the target's hosts, or make the"
                " database yourself with one that sorts alike"
            )
        raise said from error


def read_content(connection: Connection, most: int = 20) -> tuple[int, tuple[str, ...]]:
    """How many objects of users the database holds, and the names of the first."""
    rows = fetch_all(connection, _CONTENT, [OWN_SCHEMA, most])
    return (rows[0][1] if rows else 0), tuple(row[0] for row in rows)


def count_large_objects(connection: Connection) -> int:
    """How many large objects the database holds."""
    query = "SELECT count(*) FROM pg_catalog.pg_largeobject_metadata"
    return int(fetch_value(connection, query))


def has_begun(connection: Connection) -> bool:
    """True if a migration or a restore of ours has begun to fill this database.

    The schema alone tells nothing: an administrator's function may be in it.
    """
    query = """
        SELECT EXISTS (SELECT FROM pg_catalog.pg_class
                       WHERE relnamespace = pg_catalog.to_regnamespace(%s))
    """
    return bool(fetch_value(connection, query, [OWN_SCHEMA]))


def _require_empty(connection: Connection, target: Dsn) -> None:
    if has_begun(connection):
        return
    total, names = read_content(connection, 3)
    if not total and (large := count_large_objects(connection)):
        raise RefusedError(
            f"{target}: the target database is not empty: it holds {large:,} large objects",
            remedy="name a database that does not exist yet, or SELECT lo_unlink of them",
        )
    if total:
        more = f" and {total - len(names)} more" if total > len(names) else ""
        raise RefusedError(
            f"{target}: the target database is not empty: it holds {', '.join(names)}{more}",
            remedy="name a database that does not exist yet, or drop what is in this one",
        )


def statements_about(
    name: sql.Identifier,
    wanted: DatabaseFacts,
    have: DatabaseFacts,
    created: bool,
    notices: list[str],
) -> list[sql.Composed]:
    """What makes owner, connection limit and comment alike; what is not done goes to `notices`."""
    texts = []
    if wanted.owner != have.owner:
        if created:
            texts.append(
                sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, sql.Identifier(wanted.owner))
            )
        else:
            notices.append(
                f"the target database was there before and keeps its owner {have.owner}"
                f" (source: {wanted.owner})"
            )
    if wanted.connection_limit == 0:
        # A limit of 0 is a fence, for instance ours; the target must not inherit it.
        notices.append("the source takes no connections (CONNECTION LIMIT 0); the target does")
    elif wanted.connection_limit != have.connection_limit:
        texts.append(
            sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(
                name, sql.Literal(wanted.connection_limit)
            )
        )
    if wanted.comment is not None and wanted.comment != have.comment:
        texts.append(
            sql.SQL("COMMENT ON DATABASE {} IS {}").format(name, sql.Literal(wanted.comment))
        )
    return texts


def grant_statements(
    name: sql.Identifier,
    wanted: Sequence[tuple[str, str, bool]],
    have: Sequence[tuple[str, str, bool]],
) -> list[sql.Composed]:
    """Grants that the target lacks; and what PUBLIC may on the target but not on the source."""

    def whom(grantee: str) -> sql.Composable:
        return sql.Identifier(grantee) if grantee else sql.SQL("PUBLIC")

    texts = [
        sql.SQL("REVOKE {} ON DATABASE {} FROM PUBLIC").format(sql.SQL(privilege), name)
        for grantee, privilege, _ in have
        if not grantee and not any(w[:2] == ("", privilege) for w in wanted)
    ]
    for grantee, privilege, grantable in wanted:
        if (grantee, privilege, grantable) not in have:
            option = sql.SQL(" WITH GRANT OPTION" if grantable else "")
            texts.append(
                sql.SQL("GRANT {} ON DATABASE {} TO {}{}").format(
                    sql.SQL(privilege), name, whom(grantee), option
                )
            )
    return texts


def read_grants(connection: Connection) -> list[tuple[str, str, bool]]:
    """Who may do what with the database, beside its owner: grantee, privilege, grant option.

    The grantee is empty for PUBLIC.
    """
    return [(row[0], row[1], row[2]) for row in fetch_all(connection, _GRANTS)]
