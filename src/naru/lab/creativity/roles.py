"""The roles of the old side: groups that hold the grants, and the applications' logins."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import sql

from naru.errors import UsageError
from naru.postgres import Connection, fetch_all, scram_secret

APPLICATION = "app_user"
"""The login role that the workload uses."""

LOGIN_ROLES: Mapping[str, str] = {"web_user": "app_read", "app_user": "app_write"}
"""Role that logs in → the group it is a member of."""

GROUPS: Mapping[str, str | None] = {"app_read": None, "app_write": "app_read", "analyst": None}
"""Role that cannot log in → the group it is a member of."""


def check_passwords(passwords: Mapping[str, str]) -> None:
    """Raise UsageError unless `passwords` has exactly the login roles."""
    if set(passwords) != set(LOGIN_ROLES):
        raise UsageError(
            f"passwords are given for {', '.join(sorted(passwords)) or 'no role'}",
            remedy=f"give one for each of {', '.join(sorted(LOGIN_ROLES))}",
        )


def make_roles(control: Connection, passwords: Mapping[str, str]) -> None:
    """Make the roles that the server lacks, and set the passwords, as SCRAM secrets."""
    present = {name for (name,) in fetch_all(control, "SELECT rolname FROM pg_roles")}
    for role, group in {**GROUPS, **LOGIN_ROLES}.items():
        if role not in present:
            control.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        if group is not None:
            control.execute(
                sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), sql.Identifier(role))
            )
    for role, password in passwords.items():
        control.execute(
            sql.SQL("ALTER ROLE {} LOGIN CONNECTION LIMIT 500 PASSWORD {}").format(
                sql.Identifier(role), sql.Literal(scram_secret(password))
            )
        )
    control.execute("ALTER ROLE web_user SET default_transaction_read_only = on")
    control.execute("COMMENT ON ROLE app_user IS 'the application, through the pool'")
