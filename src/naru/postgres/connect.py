"""One way to connect, and one way to say why a server refused."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import psycopg
from psycopg import sql

from naru.errors import (
    DeadlineError,
    NaruError,
    NotPermittedError,
    ServerError,
    StoppedError,
    UnreachableError,
)
from naru.postgres.dsn import Dsn
from naru.postgres.trust import why_distrusted
from naru.postgres.vigil import Vigil, WatchedConnection

Connection: TypeAlias = WatchedConnection
_Plain: TypeAlias = psycopg.Connection[tuple[Any, ...]]
Query: TypeAlias = "str | sql.SQL | sql.Composed"
Values: TypeAlias = "Sequence[Any] | Mapping[str, Any] | None"

CONNECT_SECONDS = 10

KEEPALIVES = {
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
"""By these libpq notices a host that is gone within about half a minute."""


def connect(
    dsn: Dsn,
    *,
    purpose: str,
    autocommit: bool = True,
    replication: bool = False,
    seconds: int = CONNECT_SECONDS,
    settings: dict[str, str] | None = None,
    prepare: bool = True,
) -> Connection:
    """Connect within `seconds`; `purpose` shows as `naru: purpose` in pg_stat_activity.

    `replication` opens a logical replication connection (slots, snapshots). `settings`
    are set for the session at connection time (not through a pooler). `prepare=False`
    is for connections that a pooler may stand in between: statements are never prepared, and
    silence is not asked about (see `vigil`). Raises UnreachableError or NotPermittedError,
    with the remedy.
    """
    extra = {**KEEPALIVES, "application_name": f"naru: {purpose}"}
    extra["connect_timeout"] = str(max(2, seconds))
    if replication:
        extra["replication"] = "database"
    if settings:
        words = " ".join(f"-c {key}={_escaped(value)}" for key, value in settings.items())
        extra["options"] = f"{dsn.parameters.get('options', '')} {words}".strip()
    try:
        connection = WatchedConnection.connect(
            dsn.with_(**extra).conninfo(), autocommit=autocommit, cursor_factory=psycopg.Cursor
        )
    except psycopg.Error as error:
        raise explain(error, dsn) from error
    if not prepare or replication:
        connection.prepare_threshold = None
    connection.lost = lambda error: explain(error, dsn, purpose)
    if prepare:
        asking = dsn.with_(**KEEPALIVES, application_name="naru: are you there").conninfo()
        connection.vigil = Vigil.of_backend(asking, connection.info.backend_pid)
    _speak_plainly(connection)
    return connection


_READABLE = {"DateStyle": ("ISO", "ISO, YMD"), "IntervalStyle": ("postgres", "postgres")}
"""Per setting what its value must begin with for the driver to read it, and what to set."""


def _speak_plainly(connection: Connection) -> None:
    """Undo what a database or role sets for dates, if the driver could not read them."""
    for name, (beginning, wanted) in _READABLE.items():
        current = connection.info.parameter_status(name)
        if current is not None and not current.startswith(beginning):
            text = sql.SQL("SET {} TO {}").format(sql.Identifier(name.lower()), sql.Literal(wanted))
            connection.execute(text)
            if not connection.autocommit:
                connection.commit()


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


def fetch_all(connection: _Plain, query: Query, values: Values = None) -> list[tuple[Any, ...]]:
    """Run `query` and give all rows."""
    return connection.execute(query, values).fetchall()


def fetch_one(connection: _Plain, query: Query, values: Values = None) -> tuple[Any, ...]:
    """Run `query`, which gives one row. Raises ServerError if there is none."""
    row = connection.execute(query, values).fetchone()
    if row is None:
        raise ServerError("a query that must give a row gave none")
    return row


def fetch_value(connection: _Plain, query: Query, values: Values = None) -> Any:
    """Run `query` and give the first column of its first row; None if there is no row."""
    row = connection.execute(query, values).fetchone()
    return row[0] if row else None


def explain(error: psycopg.Error, dsn: Dsn, doing: str = "") -> NaruError:
    """Turn a driver's error into ours: what happened, where, what to do; SQLSTATE kept."""
    state = error.sqlstate
    said = _first_line(str(error), dsn)
    while_ = f" while {doing}" if doing else ""
    if state is None and isinstance(error, psycopg.OperationalError):
        answered = _ANSWERED.search(str(error)) is not None
        return _explain_connection(said, dsn, while_, answered)
    for prefix, (text, remedy) in _BY_STATE.items():
        if state and state.startswith(prefix):
            return NotPermittedError(
                f"{dsn}: {text}{while_}: {said}", remedy=remedy, sqlstate=state
            )
    if state in {"57014", "55P03"}:
        return DeadlineError(
            f"{dsn}: gave up{while_}: {said}",
            remedy=_LOCKED if state == "55P03" else None,
            sqlstate=state,
        )
    if state and (state.startswith("08") or state in {"57P01", "57P02", "57P03"}):
        return UnreachableError(
            f"{dsn}: connection lost{while_}: {said}",
            remedy="when the server answers again, run the same command: it goes on from there",
            sqlstate=state,
        )
    if state == "53100":
        return StoppedError(
            f"{dsn}: a disk of that server is full{while_}: {said}",
            remedy="make room on it, and run the same command again: it goes on from there",
            sqlstate=state,
        )
    return ServerError(f"{dsn}: the server refused{while_}: {said}", sqlstate=state)


_LOCKED = (
    "somebody holds a lock that is in the way; who: SELECT pid, relation::regclass FROM pg_locks"
    " WHERE mode = 'AccessExclusiveLock'; end that session, or come again when it is over"
)
_BY_STATE = {
    "28": ("not let in", "check user, password and pg_hba.conf of that server"),
    "42501": ("not permitted", "grant the privilege, or log in as a role that has it"),
    "3D000": ("no such database", "check the database's name, or create it"),
    "53300": ("no connection free", "raise max_connections, or end idle sessions"),
}


_ENCRYPT = "that server takes TLS alone: leave sslmode out, or set it to require or verify-full"
_TRUST = (
    "give the certificate of its authority as sslrootcert (`naru service certificates --export`"
    " writes an environment's), and connect by a name or address that its certificate has"
)
_DISTRUSTED = "certificate verify failed"
_EXPIRED = (
    "renew that server's certificate (`naru service certificates --renew` does so for all of an"
    " environment; clients notice nothing)"
)
_BY_TLS = {
    "no encryption": _ENCRYPT,
    "ssl required": _ENCRYPT,
    "has expired": _EXPIRED,
    _DISTRUSTED: _TRUST,
    "does not match host": _TRUST,
    "root certificate file": _TRUST,
}
"""What goes wrong before anybody logs in, by libpq's and the servers' words."""


_ANSWERED = re.compile(r"failed: \S+:  ")
"""What a server says begins so, in any language: libpq's own words have no severity."""


def _explain_connection(said: str, dsn: Dsn, while_: str, answered: bool) -> NaruError:
    if said.endswith(_DISTRUSTED) and (why := why_distrusted(dsn)) is not None:
        said = f"{said}: {why}"
    lower = said.lower()
    if "gone silent" in lower:
        return UnreachableError(
            f"{dsn}: {said}{while_}",
            remedy="see that server and the network between (a firewall that forgets connections?);"
            " then run the same command: it goes on from there",
        )
    if found := next((words for words in _BY_TLS if words in lower), None):
        return NotPermittedError(f"{dsn}: no connection{while_}: {said}", remedy=_BY_TLS[found])
    if "password" in lower or "authentication" in lower or "pg_hba" in lower:
        return NotPermittedError(f"{dsn}: not let in{while_}: {said}", remedy=_password_remedy(dsn))
    if "permission denied" in lower:
        return NotPermittedError(
            f"{dsn}: not let in{while_}: {said}",
            remedy="GRANT CONNECT ON DATABASE, unless a migration has closed it",
        )
    if "too many c" in lower or "remaining connection slots" in lower:
        return NotPermittedError(
            f"{dsn}: no connection free{while_}: {said}",
            remedy="end idle sessions, or raise the connection limit of server, database or role",
        )
    if "does not exist" in lower:
        return NotPermittedError(
            f"{dsn}: {said}", remedy="check the names of database and role, or create them"
        )
    if "definition of service" in lower:
        return UnreachableError(
            f"{dsn}: {said}", remedy="write it into ~/.pg_service.conf, or set PGSERVICEFILE"
        )
    if answered:
        return UnreachableError(
            f"{dsn}: not let in{while_}: {said}",
            remedy="its log says more; check that it is up, the names of database and role, the"
            " password and pg_hba.conf",
        )
    return UnreachableError(
        f"{dsn}: cannot reach the server{while_}: {said}",
        remedy="check that it runs and listens at that address, and no firewall is between",
    )


def _password_remedy(dsn: Dsn) -> str:
    if "password" not in dsn.parameters and os.environ.get("PGPASSWORD"):
        return (
            "PGPASSWORD is set, and counts for every server: where passwords differ, put them"
            " into a passfile (PGPASSFILE, or ~/.pgpass)"
        )
    return "check user and password (passfile or PGPASSWORD) and the server's pg_hba.conf"


def _first_line(text: str, dsn: Dsn) -> str:
    """The telling part of libpq's message, without its preamble and without secrets."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = lines[0] if lines else "no message"
    for mark in ("FATAL:  ", "ERROR:  "):
        if mark in line:
            line = line.split(mark, 1)[1]
    secret = dsn.parameters.get("password")
    return line.replace(secret, "***") if secret else line
