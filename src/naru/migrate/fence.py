"""The fence: no client of a database can write, and none remains connected.

Made of three things, each undone exactly: the database lets in nobody but superusers,
its sessions are read-only by default, and those that were there are ended. The role that
applies the other side's changes is exempt, and must not be one that applications use.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from psycopg import sql

from naru.errors import DeadlineError, RefusedError
from naru.migrate.sides import Side
from naru.postgres import Connection, fetch_all, fetch_one, fetch_value
from naru.system import Deadline, wait_until

_READ_ONLY = "default_transaction_read_only"


@dataclass(frozen=True)
class FenceState:
    """What the fence replaces, to be put back: connection limit and two settings."""

    connection_limit: int
    read_only: str | None
    """The database's own `default_transaction_read_only`, None if not set."""
    own_read_only: str | None
    """The same for our role in this database."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def observe_fence(connection: Connection) -> FenceState:
    """Read what the fence will replace."""
    limit, read_only, own = fetch_one(
        connection,
        """
        SELECT d.datconnlimit,
               (SELECT split_part(c, '=', 2) FROM pg_catalog.pg_db_role_setting s,
                unnest(s.setconfig) c WHERE s.setdatabase = d.oid AND s.setrole = 0
                AND c LIKE 'default_transaction_read_only=%%'),
               (SELECT split_part(c, '=', 2) FROM pg_catalog.pg_db_role_setting s,
                unnest(s.setconfig) c WHERE s.setdatabase = d.oid
                AND s.setrole = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
                AND c LIKE 'default_transaction_read_only=%%')
        FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
        """,
        [],
    )
    return FenceState(limit, read_only, own)


def raise_fence(connection: Connection, side: Side, deadline: Deadline) -> int:
    """Close the database to clients and end those connected; give how many were ended.

    Returns when none remains. Raises DeadlineError, naming one that stays.
    """
    with connection.transaction():
        for statement in _closing(connection, side):
            connection.execute(statement)
    ended = 0

    def is_empty() -> bool:
        nonlocal ended
        rows = fetch_all(connection, _TERMINATE)
        ended += len(rows)
        return not rows

    try:
        wait_until(is_empty, "clients to leave", max(0.001, deadline.left), every=0.005)
    except DeadlineError:
        left = fetch_value(connection, _WHO_IS_LEFT)
        raise DeadlineError(f"{side}: clients do not go: {left}") from None
    return ended


def lower_fence(connection: Connection, side: Side, state: FenceState) -> None:
    """Open the database again, exactly as it was. Harmless if it is open."""
    with connection.transaction():
        for statement in _opening(connection, side, state):
            connection.execute(statement)


def check_exempt_role(connection: Connection, side: Side) -> None:
    """The fence keeps only superusers working: our own role must be one.

    Raises RefusedError otherwise: we would lock ourselves out.
    """
    query = "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user"
    if not fetch_value(connection, query):
        raise RefusedError(
            f"{side}: the role {side.dsn.user} is no superuser, and the fence would shut it out",
            remedy="log in with a superuser of that server for the cutover",
        )


def _closing(connection: Connection, side: Side) -> list[sql.Composed]:
    database, role = _names(connection, side)
    return [
        sql.SQL("ALTER ROLE {} IN DATABASE {} SET default_transaction_read_only = off").format(
            role, database
        ),
        sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(database),
        sql.SQL("ALTER DATABASE {} CONNECTION LIMIT 0").format(database),
    ]


def _opening(connection: Connection, side: Side, state: FenceState) -> list[sql.Composed]:
    database, role = _names(connection, side)
    own = sql.SQL("ALTER ROLE {} IN DATABASE {}").format(role, database)
    everyone = sql.SQL("ALTER DATABASE {}").format(database)
    return [
        _put_back(own, state.own_read_only),
        _put_back(everyone, state.read_only),
        sql.SQL("{} CONNECTION LIMIT {}").format(everyone, sql.Literal(state.connection_limit)),
    ]


def _put_back(whose: sql.Composed, value: str | None) -> sql.Composed:
    setting = sql.SQL(_READ_ONLY)
    if value is None:
        return sql.SQL("{} RESET {}").format(whose, setting)
    return sql.SQL("{} SET {} = {}").format(whose, setting, sql.Literal(value))


def _names(connection: Connection, side: Side) -> tuple[sql.Identifier, sql.Identifier]:
    user = fetch_value(connection, "SELECT current_user")
    return sql.Identifier(side.dsn.database), sql.Identifier(user)


# Sessions of ours are told by their name *and* their role: an application that took the
# name would have to log in as our superuser, too.
_CLIENTS = """
FROM pg_catalog.pg_stat_activity
WHERE datname = pg_catalog.current_database() AND backend_type = 'client backend'
  AND pid <> pg_catalog.pg_backend_pid()
  AND NOT (application_name LIKE 'naru: %' AND usename = current_user)
"""
_TERMINATE = "SELECT pg_catalog.pg_terminate_backend(pid)" + _CLIENTS
_WHO_IS_LEFT = (
    "SELECT string_agg(pid || ' (' || coalesce(usename, '?') || ', '"
    " || coalesce(application_name, '') || ')', ', ')" + _CLIENTS
)
