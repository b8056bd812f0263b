"""What a database needs of its server: itself, its roles, its settings and grants.

Three steps, each safe to run again: `prepare_database`, `transfer_roles`,
`transfer_database_settings`; `transfer_globals` does all three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from naru.migrate.database import (
    DatabaseFacts,
    grant_statements,
    observe_database,
    prepare_database,
    read_grants,
    statements_about,
)
from naru.migrate.ownership import join
from naru.migrate.roles import (
    Membership,
    Role,
    RoleFacts,
    RolePlan,
    Setting,
    be_quiet,
    database_settings,
    may_give_attributes,
    observe_roles,
    plan_roles,
)
from naru.migrate.sides import PLAIN
from naru.postgres import Connection, Dsn, connect, explain, setting_values


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
    """Everything that people should read, of the roles too."""


def transfer_globals(
    source: Dsn, target: Dsn, *, without: Sequence[str] = (), made: bool = False
) -> GlobalsReport:
    """Make the target's database if needed, its roles, and what is set and granted on it.

    Safe to run again; `made` says that an earlier run has made the database. Raises
    RefusedError when the target holds user objects already.
    """
    created = prepare_database(source, target) or made
    roles = transfer_roles(source, target, without=without)
    notices = transfer_database_settings(source, target, created=created)
    passwords = (f"role {name} needs a new password" for name in roles.need_password)
    return GlobalsReport(created, roles, (*roles.notices, *passwords, *notices))


def transfer_roles(source: Dsn, target: Dsn, *, without: Sequence[str] = ()) -> RolesReport:
    """Make the roles that the source's database needs and the target lacks, in one transaction.

    Passwords come as the secrets the source stores, if they may be read; they are kept
    out of the target's log as far as this login may. Roles that exist stay as they are.
    """
    with connect(source, purpose="roles", settings=PLAIN) as connection:
        wanted = observe_roles(connection)
    return make_roles(wanted, target, without=without)


def make_roles(wanted: RoleFacts, target: Dsn, *, without: Sequence[str] = ()) -> RolesReport:
    """As transfer_roles, from what was observed of the source."""
    with connect(target, purpose="roles", settings=PLAIN) as connection:
        be_quiet(connection)
        have = observe_roles(connection, all_roles=True)
        plan = plan_roles(wanted, have, may_give=may_give_attributes(connection), without=without)
        try:
            with connection.transaction():
                refused = _carry_out(connection, plan)
                join(connection, wanted.owners)
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
    with connect(source, purpose="globals", settings=PLAIN) as connection:
        wanted = observe_database_globals(connection)
    return apply_database_settings(wanted, target, created=created)


@dataclass(frozen=True)
class DatabaseGlobals:
    """What is said of a database beside its content."""

    facts: DatabaseFacts
    grants: tuple[tuple[str, str, bool], ...]
    """Grantee (empty for PUBLIC), privilege, grant option."""
    settings: tuple[Setting, ...]


def observe_database_globals(connection: Connection) -> DatabaseGlobals:
    """What is said of the database that `connection` is in."""
    return DatabaseGlobals(
        observe_database(connection),
        tuple(read_grants(connection)),
        tuple(database_settings(connection)),
    )


def apply_database_settings(wanted: DatabaseGlobals, target: Dsn, *, created: bool) -> list[str]:
    """As transfer_database_settings, from what was observed of the source."""
    notices: list[str] = []
    name = sql.Identifier(target.database)
    database = f"database {target.database}"
    with connect(target, purpose="globals", settings=PLAIN) as connection:
        have = observe_database(connection)
        texts = statements_about(name, wanted.facts, have, created, notices)
        texts += grant_statements(name, wanted.grants, read_grants(connection))
        try:
            for text in texts:
                _try(connection, text, notices, database)
            for setting in wanted.settings:
                what = f"setting {setting.name} of {database}"
                _try(connection, _set(setting, target.database), notices, what)
        except psycopg.Error as error:
            raise explain(error, target, f"setting up {database}") from error
    return notices


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
    listed = sql.SQL(", ").join(map(sql.Literal, setting_values(setting.name, setting.value)))
    return sql.SQL("{} SET {} TO {}").format(head, name, listed)
