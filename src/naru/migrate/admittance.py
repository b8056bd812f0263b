"""Who may connect to a database: what a login that owns it can shut without being superuser."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from psycopg import sql

from naru.migrate.names import quoted
from naru.postgres import Connection, fetch_all, fetch_one, fetch_value


class Grant(NamedTuple):
    """The right to connect, as the database's access list has it."""

    grantee: str
    """Empty for PUBLIC."""
    grantable: bool


@dataclass(frozen=True)
class Lack:
    """One thing that a login cannot do and a fence needs.

    `remedy` is the statement, for an administrator, that gives it the right.
    """

    what: Literal["owner", "sight", "signal", "grantor"]
    text: str
    remedy: str


_GRANTS = """
SELECT CASE WHEN a.grantee = 0 THEN '' ELSE pg_catalog.pg_get_userbyid(a.grantee)::text END,
       a.is_grantable
FROM pg_catalog.pg_database d
CROSS JOIN LATERAL pg_catalog.aclexplode(
    coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) a
WHERE d.datname = pg_catalog.current_database() AND a.privilege_type = 'CONNECT'
ORDER BY 1
"""

_LOGIN = """
SELECT r.rolname::text, r.rolsuper, d.datname::text, pg_catalog.pg_get_userbyid(d.datdba)::text,
       (SELECT o.rolsuper FROM pg_catalog.pg_roles o WHERE o.oid = d.datdba),
       pg_catalog.pg_has_role(d.datdba, 'USAGE'),
       pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE'),
       pg_catalog.pg_has_role('pg_signal_backend', 'USAGE'),
       ARRAY(SELECT DISTINCT pg_catalog.pg_get_userbyid(a.grantor)::text
             FROM pg_catalog.aclexplode(d.datacl) a
             WHERE a.privilege_type = 'CONNECT' AND a.grantor <> d.datdba)
FROM pg_catalog.pg_database d, pg_catalog.pg_roles r
WHERE d.datname = pg_catalog.current_database() AND r.rolname = current_user
"""

_OTHERS = """
SELECT rolname::text FROM pg_catalog.pg_roles
WHERE rolcanlogin AND NOT rolsuper AND rolname <> current_user
  AND pg_catalog.has_database_privilege(oid, pg_catalog.current_database(), 'CONNECT')
ORDER BY 1 LIMIT 20
"""


def observe(connection: Connection) -> tuple[Grant, ...]:
    """Who has been granted CONNECT on this database, by its access list."""
    return tuple(Grant(*row) for row in fetch_all(connection, _GRANTS))


def who_else_may_connect(connection: Connection) -> tuple[str, ...]:
    """Roles that may log in here beside us and superusers; the first 20."""
    return tuple(row[0] for row in fetch_all(connection, _OTHERS))


def lacking(connection: Connection) -> tuple[Lack, ...]:
    """What our login lacks for a fence around this database; nothing if it is superuser."""
    row = fetch_one(connection, _LOGIN)
    login, superuser, database, owner, owned_by_superuser, owns, sees, signals, grantors = row
    if superuser:
        return ()
    me, found = quoted(login), []
    if not owns:
        remedy = (
            f"ALTER DATABASE {quoted(database)} OWNER TO {me}"
            if owned_by_superuser
            else f"GRANT {quoted(owner)} TO {me}"
        )
        text = f"{login} is no member of {owner}, who owns database {database}"
        found.append(Lack("owner", text, remedy))
    if not sees:
        text = f"{login} does not see what sessions of others do"
        found.append(Lack("sight", text, f"GRANT pg_read_all_stats TO {me}"))
    if not signals:
        text = f"{login} may not end sessions of others"
        found.append(Lack("signal", text, f"GRANT pg_signal_backend TO {me}"))
    for one in grantors:
        text = f"{one} has granted CONNECT on database {database}, which only {one} can take away"
        remedy = f"REVOKE CONNECT ON DATABASE {quoted(database)} FROM {quoted(one)} CASCADE"
        found.append(Lack("grantor", text, remedy))
    return tuple(found)


def shut(connection: Connection, grants: Iterable[Sequence[Any]]) -> list[sql.Composed]:
    """Statements that leave the right to connect to nobody but us."""
    database, me = _names(connection)
    return [
        sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, sql.Identifier(me)),
        *(
            sql.SQL("REVOKE CONNECT ON DATABASE {} FROM {}").format(database, _whom(one[0]))
            for one in grants
            if one[0] != me
        ),
    ]


def open_again(connection: Connection, grants: Iterable[Sequence[Any]]) -> list[sql.Composed]:
    """Statements that give the right to connect back to those who had it."""
    database, me = _names(connection)
    had = [Grant(*one) for one in grants]
    texts = [
        sql.SQL("GRANT CONNECT ON DATABASE {} TO {}{}").format(
            database, _whom(one.grantee), sql.SQL(" WITH GRANT OPTION" if one.grantable else "")
        )
        for one in had
    ]
    if all(one.grantee != me for one in had):
        revoke = sql.SQL("REVOKE CONNECT ON DATABASE {} FROM {}")
        texts.append(revoke.format(database, sql.Identifier(me)))
    return texts


def _names(connection: Connection) -> tuple[sql.Identifier, str]:
    user = str(fetch_value(connection, "SELECT current_user"))
    return sql.Identifier(connection.info.dbname), user


def _whom(grantee: str) -> sql.Composable:
    return sql.Identifier(grantee) if grantee else sql.SQL("PUBLIC")
