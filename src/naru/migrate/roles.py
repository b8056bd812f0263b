"""Which roles a database needs, and what must be done so that the target has them.

Observing reads both servers' catalogs, planning is pure; `globals` carries the plan out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import psycopg

from naru.migrate.ownership import read_owner_names
from naru.migrate.reserved import ReservedRole, is_reserved, read_reserved
from naru.postgres import Connection, fetch_all, fetch_one, fetch_value

_NEEDED = """
WITH RECURSIVE wanted (oid) AS (
    SELECT d.refobjid FROM pg_catalog.pg_shdepend d
    JOIN pg_catalog.pg_database b ON b.datname = pg_catalog.current_database()
    WHERE d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
      AND (d.dbid = b.oid OR (d.dbid = 0 AND d.objid = b.oid
           AND d.classid = 'pg_catalog.pg_database'::pg_catalog.regclass))
    UNION
    SELECT r.oid FROM pg_catalog.pg_roles r
    WHERE r.rolcanlogin AND pg_catalog.has_database_privilege(
        r.oid, pg_catalog.current_database(), 'CONNECT')
    UNION
    SELECT s.setrole FROM pg_catalog.pg_db_role_setting s
    JOIN pg_catalog.pg_database b ON b.oid = s.setdatabase
    WHERE b.datname = pg_catalog.current_database()
), closed (oid) AS (
    SELECT oid FROM wanted
    UNION
    SELECT m.roleid FROM closed c JOIN pg_catalog.pg_auth_members m ON m.member = c.oid
)
SELECT r.rolname, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin,
       r.rolreplication, r.rolbypassrls, r.rolconnlimit,
       CASE WHEN r.rolvaliduntil IN ('infinity', '-infinity') THEN r.rolvaliduntil::text
            ELSE pg_catalog.to_char(r.rolvaliduntil AT TIME ZONE 'UTC',
                                    'YYYY-MM-DD HH24:MI:SS.US"+00"') END,
       r.oid = 10
FROM pg_catalog.pg_roles r
WHERE r.oid IN (SELECT oid FROM closed)
  AND NOT starts_with(r.rolname, 'pg_')
ORDER BY r.rolname
"""

_ALL = """
SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication,
       rolbypassrls, rolconnlimit, rolvaliduntil::text, oid = 10
FROM pg_catalog.pg_roles
"""

_MEMBERSHIPS = """
SELECT g.rolname, m.rolname, bool_or(a.admin_option), {inherit}, {set}
FROM pg_catalog.pg_auth_members a
JOIN pg_catalog.pg_roles g ON g.oid = a.roleid
JOIN pg_catalog.pg_roles m ON m.oid = a.member
GROUP BY 1, 2 ORDER BY 1, 2
"""

_SETTINGS = """
SELECT coalesce(r.rolname, ''), s.setdatabase <> 0, split_part(c, '=', 1),
       substr(c, strpos(c, '=') + 1)
FROM pg_catalog.pg_db_role_setting s
CROSS JOIN LATERAL unnest(s.setconfig) WITH ORDINALITY AS u (c, place)
LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
WHERE (s.setrole = 0 OR r.rolname IS NOT NULL)
  AND s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database
                            WHERE datname = pg_catalog.current_database()))
ORDER BY 1, 2, u.place
"""

_SECRETS = "SELECT rolname, rolpassword FROM pg_catalog.pg_authid WHERE rolpassword IS NOT NULL"


# A statement that carries a secret must not be seen in a log. What this login may not
# set stays as it is.
_QUIET = (
    "SET log_statement = 'none'",
    "SET log_min_duration_statement = -1",
    "SET log_min_duration_sample = -1",
    "SET log_transaction_sample_rate = 0",
    "SET log_min_error_statement = 'panic'",
    "SET log_duration = off",
    "SET pgaudit.log = 'none'",
    "SET pg_stat_statements.track_utility = off",
    "SET auto_explain.log_min_duration = -1",
)


@dataclass(frozen=True)
class Role:
    """A role's attributes, as in pg_roles."""

    name: str
    superuser: bool = False
    inherit: bool = True
    create_role: bool = False
    create_db: bool = False
    login: bool = False
    replication: bool = False
    bypass_rls: bool = False
    connection_limit: int = -1
    valid_until: str | None = None
    bootstrap: bool = False
    """The superuser that initdb made."""


@dataclass(frozen=True)
class Membership:
    """`member` belongs to `group`; inherit and set are None before version 16."""

    group: str
    member: str
    admin: bool
    inherit: bool | None = None
    set: bool | None = None


@dataclass(frozen=True)
class Setting:
    """ALTER ROLE or ALTER DATABASE … SET; `role` empty: for everyone in the database."""

    role: str
    in_database: bool
    name: str
    value: str


@dataclass(frozen=True)
class RoleFacts:
    """Roles of one side. `secrets` is None where pg_authid may not be read."""

    roles: Mapping[str, Role]
    memberships: tuple[Membership, ...]
    settings: tuple[Setting, ...]
    secrets: Mapping[str, str] | None = field(repr=False)
    owners: tuple[str, ...] = ()
    """Who owns the database, or something in it."""
    reserved: tuple[ReservedRole, ...] = ()
    """Beside our own login, and what a service of Naru makes on every server."""


@dataclass(frozen=True)
class RolePlan:
    """What is to be done on the target, and what people must know or do themselves."""

    create: tuple[Role, ...]
    grant: tuple[Membership, ...]
    set: tuple[Setting, ...]
    secrets: Mapping[str, str] = field(repr=False)
    kept: tuple[str, ...]
    """Roles that the target has already; their attributes and passwords are left alone."""
    need_password: tuple[str, ...]
    notices: tuple[str, ...]
    left_out: tuple[ReservedRole, ...] = ()
    """Those that the target does not have."""


def observe_roles(connection: Connection, *, all_roles: bool = False) -> RoleFacts:
    """The roles that this database needs, or every role of the server (`all_roles`)."""
    version = connection.info.server_version
    columns = {
        "inherit": "bool_or(a.inherit_option)" if version >= 160000 else "NULL::bool",
        "set": "bool_or(a.set_option)" if version >= 160000 else "NULL::bool",
    }
    rows = fetch_all(connection, _ALL if all_roles else _NEEDED)
    roles = {row[0]: Role(*row) for row in rows}
    reserved = () if all_roles else read_reserved(connection, roles)
    memberships = fetch_all(connection, _MEMBERSHIPS.format(**columns))
    return RoleFacts(
        roles={n: role for n, role in roles.items() if all_roles or not is_reserved(n)},
        memberships=tuple(Membership(*row) for row in memberships),
        settings=tuple(Setting(*row) for row in fetch_all(connection, _SETTINGS)),
        secrets=None if all_roles else _read_secrets(connection),
        owners=() if all_roles else read_owner_names(connection),
        reserved=reserved,
    )


def database_settings(connection: Connection) -> list[Setting]:
    """What ALTER DATABASE … SET has set for everyone.

    Without `default_transaction_read_only`: Naru itself sets and resets it, as a fence.
    """
    found = (Setting(*row) for row in fetch_all(connection, _SETTINGS))
    return [one for one in found if not one.role and one.name != "default_transaction_read_only"]


def be_quiet(connection: Connection) -> None:
    """Keep what this session says out of the server's log, as far as this login may."""
    for statement in _QUIET:
        with contextlib.suppress(psycopg.Error):
            connection.execute(statement)


def _read_secrets(connection: Connection) -> dict[str, str] | None:
    readable = "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT')"
    if not fetch_value(connection, readable):
        return None
    return dict(fetch_all(connection, _SECRETS))


@dataclass(frozen=True)
class Gift:
    """Which attributes our login may give to roles that it makes."""

    replication: bool = True
    bypass_rls: bool = True
    create_db: bool = True


def may_give_attributes(connection: Connection) -> Gift:
    """From version 16 on a login may give what it has itself; before, superusers all."""
    superuser, replication, bypass_rls, create_db = fetch_one(
        connection,
        "SELECT rolsuper, rolreplication, rolbypassrls, rolcreatedb FROM pg_catalog.pg_roles"
        " WHERE rolname = current_user",
    )
    if superuser:
        return Gift()
    if connection.info.server_version < 160000:
        return Gift(replication=False, bypass_rls=False)
    return Gift(replication, bypass_rls, create_db)


def plan_roles(
    source: RoleFacts, target: RoleFacts, *, may_give: Gift = Gift(), without: Iterable[str] = ()
) -> RolePlan:
    """Decide what the target lacks. Never gives SUPERUSER; existing roles stay as they are.

    `may_give`: attributes that the target's login may give. `without`: names of roles to
    leave out.
    """
    left_out = set(without)
    needed = {name: role for name, role in source.roles.items() if name not in left_out}
    create: list[Role] = []
    notices: list[str] = []
    for name, role in needed.items():
        if name in target.roles:
            notices.extend(_differences(role, target.roles[name]))
        else:
            made, said = _reduced(role, may_give)
            create.append(made)
            notices.extend(said)
    new = {role.name for role in create}
    secrets = {n: s for n, s in (source.secrets or {}).items() if n in new}
    need = [r.name for r in create if r.login and source.secrets is None]
    return RolePlan(
        create=tuple(create),
        grant=_missing_memberships(needed, source, target),
        set=_missing_settings(needed, new, source, target),
        secrets=secrets,
        kept=tuple(name for name in needed if name in target.roles),
        need_password=tuple(need),
        notices=tuple(notices),
        left_out=tuple(one for one in source.reserved if one.name not in target.roles),
    )


def _reduced(role: Role, may_give: Gift) -> tuple[Role, list[str]]:
    """The role as it can be made, and what it loses."""
    said = []
    if role.superuser:
        said.append(f"role {role.name} is a superuser on the source and is none on the target")
    lost = [
        _COMPARED[name]
        for name in ("replication", "bypass_rls", "create_db")
        if getattr(role, name) and not getattr(may_give, name)
    ]
    if lost:
        said.append(f"role {role.name} loses {' and '.join(lost)}: not ours to give")
    made = replace(
        role,
        superuser=False,
        replication=role.replication and may_give.replication,
        bypass_rls=role.bypass_rls and may_give.bypass_rls,
        create_db=role.create_db and may_give.create_db,
        bootstrap=False,
    )
    return made, said


_COMPARED = {
    "superuser": "SUPERUSER", "inherit": "INHERIT", "create_role": "CREATEROLE",
    "create_db": "CREATEDB", "login": "LOGIN", "replication": "REPLICATION",
    "bypass_rls": "BYPASSRLS", "connection_limit": "CONNECTION LIMIT",
}  # fmt: skip


def _differences(source: Role, target: Role) -> list[str]:
    if source.bootstrap and target.bootstrap:
        return []
    differ = [
        f"{word} (source {_said(getattr(source, key))}, target {_said(getattr(target, key))})"
        for key, word in _COMPARED.items()
        if getattr(source, key) != getattr(target, key)
    ]
    if not differ:
        return []
    return [f"role {source.name} exists on the target and stays as it is: {', '.join(differ)}"]


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _missing_memberships(
    needed: Mapping[str, Role], source: RoleFacts, target: RoleFacts
) -> tuple[Membership, ...]:
    have = {(one.group, one.member) for one in target.memberships}
    return tuple(
        one
        for one in source.memberships
        if one.member in needed
        and (one.group in needed or one.group in target.roles)
        and (one.group, one.member) not in have
    )


def _missing_settings(
    needed: Mapping[str, Role], new: set[str], source: RoleFacts, target: RoleFacts
) -> tuple[Setting, ...]:
    """Settings of new roles, and those that hold in this database only and are not there."""
    have = {(one.role, one.in_database, one.name) for one in target.settings}
    return tuple(
        one
        for one in source.settings
        if one.role in needed
        and (one.in_database or one.role in new)
        and (one.role, one.in_database, one.name) not in have
    )
