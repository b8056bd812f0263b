"""The fence: no client of a database can write, and none remains connected.

Made of three things, each undone exactly: the database lets in nobody else, its sessions
are read-only by default, and those that were there are ended. The role that applies the
other side's changes is exempt, and must not be one that applications use.

A superuser keeps the others out by the connection limit 0, which holds for everybody but
superusers. A login that owns the database without being superuser would shut itself out by
that: it takes the right to connect away from everybody else instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from psycopg import sql

from naru.errors import DeadlineError, RefusedError
from naru.migrate import admittance
from naru.migrate.sides import Side
from naru.postgres import Connection, fetch_all, fetch_one, fetch_value
from naru.system import Deadline, wait_until

_READ_ONLY = "default_transaction_read_only"


@dataclass(frozen=True)
class FenceState:
    """What the fence replaces, to be put back: who may connect, and two settings."""

    connection_limit: int
    read_only: str | None
    """The database's own `default_transaction_read_only`, None if not set."""
    own_read_only: str | None
    """The same for our role in this database."""
    connect: Sequence[Sequence[Any]] | None = None
    """Who was granted CONNECT (see `admittance.Grant`); None if the limit is the fence."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def observe_fence(connection: Connection) -> FenceState:
    """Read what the fence will replace."""
    limit, read_only, own, superuser = fetch_one(
        connection,
        """
        SELECT d.datconnlimit,
               (SELECT split_part(c, '=', 2) FROM pg_catalog.pg_db_role_setting s,
                unnest(s.setconfig) c WHERE s.setdatabase = d.oid AND s.setrole = 0
                AND c LIKE 'default_transaction_read_only=%%'),
               (SELECT split_part(c, '=', 2) FROM pg_catalog.pg_db_role_setting s,
                unnest(s.setconfig) c WHERE s.setdatabase = d.oid
                AND s.setrole = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
                AND c LIKE 'default_transaction_read_only=%%'),
               (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
        FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
        """,
        [],
    )
    connect = None if superuser else [list(one) for one in admittance.observe(connection)]
    return FenceState(limit, read_only, own, connect)


def raise_fence(connection: Connection, side: Side, state: FenceState, deadline: Deadline) -> int:
    """Close the database to clients and end those connected; give how many were ended.

    Returns when none remains. Raises DeadlineError, naming one that stays.
    """
    with connection.transaction():
        for statement in _closing(connection, side, state):
            connection.execute(statement)
        if state.connect is not None:
            _must_be_shut(connection, side)
    ended = 0

    def is_empty() -> bool:
        nonlocal ended
        ended += len(fetch_all(connection, _TERMINATE))
        return not fetch_all(connection, _ANYBODY)

    try:
        wait_until(is_empty, "clients to leave", max(0.001, deadline.left), every=0.005)
    except DeadlineError:
        left = fetch_value(connection, _WHO_IS_LEFT)
        raise DeadlineError(f"{side}: clients do not go: {left}") from None
    return ended


def shut_entrance(connection: Connection, side: Side, state: FenceState) -> None:
    """Close a database to those who come too early: before a switch to it has been decided.

    A client that knows both addresses tries this one as soon as the other refuses it.
    """
    with connection.transaction():
        for statement in _closing(connection, side, state):
            connection.execute(statement)
    fetch_all(connection, _TERMINATE)


def lower_fence(connection: Connection, side: Side, state: FenceState) -> None:
    """Open the database again, exactly as it was. Harmless if it is open."""
    with connection.transaction():
        for statement in _opening(connection, side, state):
            connection.execute(statement)


def check_fence(connection: Connection, side: Side) -> None:
    """Raise RefusedError if a fence around `side` would not hold, with what is missing."""
    lacking = admittance.lacking(connection)
    if lacking:
        raise RefusedError(
            f"{side}: the fence would not hold: " + "; ".join(one.text for one in lacking),
            remedy="; ".join(one.remedy for one in lacking),
        )


def superusers_connected(connection: Connection) -> tuple[str, ...]:
    """Sessions of superusers that a login without that attribute can neither end nor keep out."""
    return tuple(row[0] for row in fetch_all(connection, _SUPERUSERS))


def _must_be_shut(connection: Connection, side: Side) -> None:
    still = admittance.who_else_may_connect(connection)
    if still:
        raise RefusedError(
            f"{side}: the fence does not hold: {', '.join(still)} may still connect",
            remedy=f"REVOKE {connection.info.user} FROM them: they connect by membership in it",
        )


def _closing(connection: Connection, side: Side, state: FenceState) -> list[sql.Composed]:
    database, role = _names(connection, side)
    if state.connect is None:
        shut = [sql.SQL("ALTER DATABASE {} CONNECTION LIMIT 0").format(database)]
    else:
        shut = admittance.shut(connection, state.connect)
    return [
        sql.SQL("ALTER ROLE {} IN DATABASE {} SET default_transaction_read_only = off").format(
            role, database
        ),
        sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(database),
        *shut,
    ]


def _opening(connection: Connection, side: Side, state: FenceState) -> list[sql.Composed]:
    database, role = _names(connection, side)
    own = sql.SQL("ALTER ROLE {} IN DATABASE {}").format(role, database)
    everyone = sql.SQL("ALTER DATABASE {}").format(database)
    if state.connect is None:
        limit = sql.Literal(state.connection_limit)
        admitting = [sql.SQL("{} CONNECTION LIMIT {}").format(everyone, limit)]
    else:
        admitting = admittance.open_again(connection, state.connect)
    return [
        _put_back(own, state.own_read_only),
        _put_back(everyone, state.read_only),
        *admitting,
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
# name would have to log in as our role, too. What a session is may be hidden from us; it is
# then taken for a client.
_CLIENTS = """
FROM pg_catalog.pg_stat_activity
WHERE datname = pg_catalog.current_database()
  AND coalesce(backend_type, 'client backend') = 'client backend'
  AND pid <> pg_catalog.pg_backend_pid()
  AND NOT (coalesce(application_name, '') LIKE 'naru: %' AND usename = current_user)
"""
_OF_SUPERUSERS = "usesysid IN (SELECT oid FROM pg_catalog.pg_roles WHERE rolsuper)"
_ANYBODY = "SELECT pid" + _CLIENTS + "LIMIT 1"
# Whoever is no superuser may not end a superuser's session: to try is an error.
_TERMINATE = (
    "SELECT pg_catalog.pg_terminate_backend(pid)"
    + _CLIENTS
    + f"AND (current_setting('is_superuser') = 'on' OR NOT coalesce({_OF_SUPERUSERS}, false))"
)
_WHO_IS_LEFT = (
    "SELECT string_agg(pid || ' (' || coalesce(usename, '?') || ', '"
    " || coalesce(application_name, '') || ')', ', ')" + _CLIENTS
)
_SUPERUSERS = (
    "SELECT DISTINCT usename || coalesce(' (' || nullif(application_name, '') || ')', '')"
    + _CLIENTS
    + f"AND {_OF_SUPERUSERS} AND current_setting('is_superuser') <> 'on' LIMIT 20"
)
