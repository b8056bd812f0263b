"""Build the database under a temporary name, and give it its own when it is complete."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql

from naru.errors import DeadlineError, NotPermittedError, RefusedError, UsageError
from naru.lab.creativity._fill import fill
from naru.lab.creativity.plan import sizes
from naru.lab.creativity.roles import check_passwords, make_roles
from naru.postgres import Connection, Dsn, connect, explain, fetch_value
from naru.system import SILENT, Observer, wait_until

_LONGEST_NAME = 63
"""Bytes; PostgreSQL cuts longer ones off."""

_RESERVE_SECONDS = 3.0


@dataclass(frozen=True)
class Summary:
    """What was made: tables (partitions not counted), rows, bytes of the database, seconds."""

    tables: int
    rows: int
    bytes: int
    seconds: float


def exists(server: Dsn, database: str) -> bool:
    """True if `server` has a complete database of this name, with something in it."""
    with connect(server, purpose="creativity") as control:
        return _present(control, database) and not _is_empty(server, database)


def create(
    server: Dsn,
    database: str,
    *,
    scale: float,
    seed: int,
    passwords: Mapping[str, str],
    observer: Observer = SILENT,
) -> Summary:
    """Make the database with its content, and the roles that use it.

    `server` is the superuser's way to a maintenance database; `passwords` has one for each
    of LOGIN_ROLES. The same seed and scale give the same content, row by row. It is built
    as `<database>_building` and renamed at the end; one that was interrupted is begun again.
    Raises RefusedError if the database exists and is not empty, or is being built now.
    """
    rows = sizes(scale)
    check_passwords(passwords)
    building = _building_name(server, database)
    began = time.monotonic()
    with connect(server, purpose="creativity") as control, _explained(server):
        _check_superuser(control, server)
        _reserve(control, server, building)
        replaces = _present(control, database)
        if replaces and not _is_empty(server, database):
            raise RefusedError(
                f"database {database} on {server} exists and is not empty",
                remedy="drop it, or name another one (source.database in naru.toml)",
            )
        make_roles(control, passwords)
        _drop(control, building)
        _create_empty(control, building)
        written = fill(server.with_(dbname=building), rows, seed, scale, observer)
        if replaces:
            control.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(database)))
        _rename(control, building, database)
        size = int(fetch_value(control, "SELECT pg_database_size(%s::name)", (database,)))
    with connect(server.with_(dbname=database), purpose="creativity") as finished:
        tables = int(fetch_value(finished, _COUNT_TABLES))
    return Summary(tables, written, size, time.monotonic() - began)


_COUNT_TABLES = """
SELECT count(*) FROM pg_class
WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace::regnamespace::text
      IN ('public', 'analytics')
"""


def _building_name(server: Dsn, database: str) -> str:
    """Raises UsageError for a name that leaves no room, or that we are connected to."""
    building = f"{database}_building"
    if len(building.encode()) > _LONGEST_NAME:
        raise UsageError(
            f"{database} is too long a name for the old side's database",
            remedy=f"choose one of at most {_LONGEST_NAME - len('_building')} bytes",
        )
    if database == server.database:
        raise UsageError(
            f"{database} is the maintenance database of {server}",
            remedy="give the database another name, such as creativity",
        )
    return building


def _check_superuser(control: Connection, server: Dsn) -> None:
    if fetch_value(control, "SHOW is_superuser") != "on":
        raise NotPermittedError(
            f"{server.user} is no superuser at {server}",
            remedy="log in as the superuser of the old side",
        )


def _reserve(control: Connection, server: Dsn, building: str) -> None:
    """Hold the name while this session lives, so that nobody drops what is being built.

    A naru that was killed a moment ago may hold it until the server has noticed.
    """

    def taken() -> bool:
        query = "SELECT pg_try_advisory_lock(hashtext(%s))"
        return bool(fetch_value(control, query, (building,)))

    try:
        wait_until(taken, f"the name {building}", _RESERVE_SECONDS)
    except DeadlineError as error:
        raise RefusedError(
            f"another naru is building {building} on {server}",
            remedy="wait until it has ended, or end it",
        ) from error


def _present(control: Connection, database: str) -> bool:
    query = "SELECT true FROM pg_database WHERE datname = %s"
    return bool(fetch_value(control, query, (database,)))


def _is_empty(server: Dsn, database: str) -> bool:
    with connect(server.with_(dbname=database), purpose="creativity") as session:
        return not fetch_value(session, _HOLDS_ANYTHING)


# 16384 is the first number that PostgreSQL gives to what users make.
_HOLDS_ANYTHING = """
SELECT EXISTS (SELECT FROM pg_class WHERE oid >= 16384)
    OR EXISTS (SELECT FROM pg_proc WHERE oid >= 16384)
    OR EXISTS (SELECT FROM pg_type WHERE oid >= 16384)
    OR EXISTS (SELECT FROM pg_namespace WHERE oid >= 16384 AND nspname !~ '^pg_')
    OR EXISTS (SELECT FROM pg_largeobject_metadata)
"""


def _rename(control: Connection, building: str, database: str) -> None:
    control.execute(
        sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
            sql.Identifier(building), sql.Identifier(database)
        )
    )


def _drop(control: Connection, building: str) -> None:
    control.execute(
        sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(building))
    )


def _create_empty(control: Connection, building: str) -> None:
    control.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'").format(
            sql.Identifier(building)
        )
    )


@contextlib.contextmanager
def _explained(server: Dsn) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise explain(error, server, "making the database") from error
