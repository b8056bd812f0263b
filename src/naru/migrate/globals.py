"""What a database needs of its server: itself, its roles, its settings and grants.

Three steps, each safe to run again: `prepare_database`, `transfer_roles`,
`transfer_database_settings`; `transfer_globals` does all three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from naru.errors import NotPermittedError, RefusedError, ServerError
from naru.migrate.names import OWN_SCHEMA
from naru.migrate.roles import (
    Membership,
    Role,
    RolePlan,
    Setting,
    be_quiet,
    database_settings,
    may_give_attributes,
    observe_roles,
    plan_roles,
)
from naru.postgres import Connection, Dsn, connect, explain, fetch_all, fetch_one, fetch_value

# Their values are lists of names, kept as already quoted text.
_LISTS = frozenset(
    {
        "local_preload_libraries", "search_path", "session_preload_libraries",
        "shared_preload_libraries", "temp_tablespaces", "unix_socket_directories",
    }
)  # fmt: skip

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
SELECT format('%%I.%%I', n.nspname, c.relname)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname !~ '^pg_'
  AND n.nspname NOT IN ('information_schema', %s)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = c.oid
                  AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype = 'e')
ORDER BY 1 LIMIT 4
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


@dataclass(frozen=True)
class RolesReport:
    """What became of the roles; `need_password` must be given one by somebody."""

    created: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    need_password: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class GlobalsReport:
    """All of what came across beside the database's own content."""

    database_created: bool
    roles: RolesReport = field(default_factory=RolesReport)
    notices: tuple[str, ...] = ()


def transfer_globals(source: Dsn, target: Dsn, *, without: Sequence[str] = ()) -> GlobalsReport:
    """Make the target's database if needed, its roles, and what is set and granted on it.

    Safe to run again. Raises RefusedError when the target holds user objects already.
    """
    created = prepare_database(source, target)
    roles = transfer_roles(source, target, without=without)
    notices = transfer_database_settings(source, target, created=created)
    return GlobalsReport(created, roles, tuple(notices))


def prepare_database(source: Dsn, target: Dsn) -> bool:
    """Make the target database as the source's was made; True if it was made now.

    One that exists must be empty of user objects, unless they are of a migration that has
    begun. Raises RefusedError if it is not, ServerError if its locale is unknown there.
    """
    with connect(source, purpose="globals") as connection:
        wanted = observe_database(connection)
    if _missing(target):
        with _maintenance(target) as connection:
            _create_database(connection, target, wanted)
        return True
    with connect(target, purpose="globals") as connection:
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


def transfer_roles(source: Dsn, target: Dsn, *, without: Sequence[str] = ()) -> RolesReport:
    """Make the roles that the source's database needs and the target lacks, in one transaction.

    Passwords come as the secrets the source stores, if they may be read; they are kept
    out of the target's log as far as this login may. Roles that exist stay as they are.
    """
    with connect(source, purpose="roles") as connection:
        wanted = observe_roles(connection)
    with connect(target, purpose="roles") as connection:
        be_quiet(connection)
        have = observe_roles(connection, all_roles=True)
        plan = plan_roles(wanted, have, may_give=may_give_attributes(connection), without=without)
        try:
            with connection.transaction():
                refused = _carry_out(connection, plan)
        except psycopg.Error as error:
            raise explain(error, target, "making roles") from None
    return RolesReport(
        created=tuple(role.name for role in plan.create),
        kept=plan.kept,
        need_password=plan.need_password,
        notices=(*plan.notices, *refused),
    )


def transfer_database_settings(source: Dsn, target: Dsn, *, created: bool) -> list[str]:
    """Owner, connection limit, comment, settings and grants of the database; gives notices.

    The owner of a database that was there before (`created` false) is left alone.
    """
    with connect(source, purpose="globals") as connection:
        facts = observe_database(connection)
        grants = fetch_all(connection, _GRANTS)
        settings = database_settings(connection)
    notices: list[str] = []
    name = sql.Identifier(target.database)
    database = f"database {target.database}"
    with connect(target, purpose="globals") as connection:
        have = observe_database(connection)
        texts = _said_of_database(name, facts, have, created, notices)
        texts += _grant_statements(name, grants, fetch_all(connection, _GRANTS))
        try:
            for text in texts:
                _try(connection, text, notices, database)
            for setting in settings:
                what = f"setting {setting.name} of {database}"
                _try(connection, _set(setting, target.database), notices, what)
        except psycopg.Error as error:
            raise explain(error, target, f"setting up {database}") from error
    return notices


def _missing(target: Dsn) -> bool:
    """True if the target's server answers and has no such database."""
    try:
        connect(target, purpose="globals").close()
    except NotPermittedError as error:
        if "does not exist" not in error.message:
            raise
        return True
    return False


def _maintenance(target: Dsn) -> Connection:
    """A connection to a database of the target's server that certainly exists."""
    try:
        return connect(target.with_(dbname="postgres"), purpose="globals")
    except NotPermittedError:
        return connect(target.with_(dbname="template1"), purpose="globals")


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


def _require_empty(connection: Connection, target: Dsn) -> None:
    if fetch_value(connection, "SELECT to_regnamespace(%s) IS NOT NULL", [OWN_SCHEMA]):
        return
    found = [row[0] for row in fetch_all(connection, _CONTENT, [OWN_SCHEMA])]
    if found:
        raise RefusedError(
            f"{target}: the target database is not empty: it holds {', '.join(found[:3])}"
            + (" and more" if len(found) > 3 else ""),
            remedy="name a database that does not exist yet, or drop what is in this one",
        )


def _carry_out(connection: Connection, plan: RolePlan) -> list[str]:
    refused: list[str] = []
    for role in plan.create:
        connection.execute(_create_role(role, plan.secrets.get(role.name)))
    for membership in plan.grant:
        text = _grant_membership(membership, connection.info.server_version)
        _try(connection, text, refused, f"role {membership.member} in {membership.group}")
    for setting in plan.set:
        database = connection.info.dbname if setting.in_database else None
        text = _set(setting, database)
        _try(connection, text, refused, f"setting {setting.name} of role {setting.role}")
    return refused


def _try(connection: Connection, text: sql.Composed, notices: list[str], what: str) -> None:
    """Run one statement; a refusal of the server becomes a notice that names `what`."""
    try:
        with connection.transaction():
            connection.execute(text)
    except psycopg.Error as error:
        if error.sqlstate is None:
            raise
        notices.append(f"{what} did not come across: {error.diag.message_primary}")


def _create_role(role: Role, secret: str | None) -> sql.Composed:
    def flag(word: str, on: bool) -> sql.SQL:
        return sql.SQL(f" {word}" if on else f" NO{word}")

    parts: list[sql.Composable] = [
        sql.SQL("CREATE ROLE {} WITH").format(sql.Identifier(role.name)),
        flag("INHERIT", role.inherit),
        flag("CREATEROLE", role.create_role),
        flag("CREATEDB", role.create_db),
        flag("LOGIN", role.login),
        sql.SQL(" CONNECTION LIMIT {}").format(sql.Literal(role.connection_limit)),
    ]
    # Saying NOREPLICATION needs the same right as saying REPLICATION.
    if role.replication:
        parts.append(sql.SQL(" REPLICATION"))
    if role.bypass_rls:
        parts.append(sql.SQL(" BYPASSRLS"))
    if role.valid_until is not None:
        parts.append(sql.SQL(" VALID UNTIL {}").format(sql.Literal(role.valid_until)))
    if secret is not None:
        parts.append(sql.SQL(" PASSWORD {}").format(sql.Literal(secret)))
    return sql.Composed(parts)


def _grant_membership(one: Membership, version: int) -> sql.Composed:
    text = sql.SQL("GRANT {} TO {}").format(sql.Identifier(one.group), sql.Identifier(one.member))
    if version >= 160000 and one.inherit is not None and one.set is not None:
        options = sql.SQL(" WITH ADMIN {}, INHERIT {}, SET {}").format(
            *(sql.SQL("TRUE" if on else "FALSE") for on in (one.admin, one.inherit, one.set))
        )
        return text + options
    return text + sql.SQL(" WITH ADMIN OPTION" if one.admin else "")


def _set(setting: Setting, database: str | None) -> sql.Composed:
    if setting.role:
        head = sql.SQL("ALTER ROLE {}").format(sql.Identifier(setting.role))
        if database is not None:
            head += sql.SQL(" IN DATABASE {}").format(sql.Identifier(database))
    else:
        head = sql.SQL("ALTER DATABASE {}").format(sql.Identifier(database or ""))
    name = sql.SQL(".").join(sql.Identifier(part) for part in setting.name.split("."))
    values = names_in_list(setting.value) if setting.name in _LISTS else [setting.value]
    listed = sql.SQL(", ").join(sql.Literal(value) for value in values or [""])
    return sql.SQL("{} SET {} TO {}").format(head, name, listed)


def names_in_list(text: str) -> list[str]:
    """The names in a setting such as search_path: `"$user", public` gives `$user`, `public`."""
    names: list[str] = []
    current, quoted, index = "", False, 0
    while index < len(text):
        char = text[index]
        if quoted and char == '"' and text[index + 1 : index + 2] == '"':
            current, index = current + '"', index + 1
        elif char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            names.append(current)
            current = ""
        elif quoted or not char.isspace():
            current += char if quoted else char.lower()
        index += 1
    return [*names, current] if text.strip() else []


def _said_of_database(
    name: sql.Identifier,
    wanted: DatabaseFacts,
    have: DatabaseFacts,
    created: bool,
    notices: list[str],
) -> list[sql.Composed]:
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
    if wanted.connection_limit != have.connection_limit:
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


def _grant_statements(
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
