"""Roles, their passwords, and what is said of a database come across, and nothing leaks."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from psycopg import sql

from naru.errors import RefusedError
from naru.migrate.globals import transfer_globals
from naru.migrate.roles import observe_roles
from naru.postgres import Connection, Dsn, LocalServer, connect, fetch_all, fetch_one, fetch_value

pytestmark = pytest.mark.integration

PASSWORD = "Client-1-word"

SETUP = """
CREATE ROLE {owner} NOLOGIN CREATEDB;
CREATE ROLE {client} LOGIN NOINHERIT CONNECTION LIMIT 9 VALID UNTIL '2099-12-31 00:00:00+00'
    PASSWORD {password};
CREATE ROLE {boss} LOGIN SUPERUSER;
CREATE ROLE {unneeded} NOLOGIN;
GRANT {owner} TO {client} WITH ADMIN OPTION;
GRANT pg_monitor TO {client};
ALTER ROLE {client} SET search_path = "$user", "Odd, ""one", public;
ALTER ROLE {client} IN DATABASE {database} SET work_mem = '7MB';
ALTER DATABASE {database} OWNER TO {owner};
ALTER DATABASE {database} SET timezone = 'Asia/Seoul';
ALTER DATABASE {database} CONNECTION LIMIT 77;
COMMENT ON DATABASE {database} IS 'ours -- 우리';
REVOKE TEMP ON DATABASE {database} FROM PUBLIC;
GRANT CREATE ON DATABASE {database} TO {client} WITH GRANT OPTION;
"""


@dataclass
class Sides:
    source: Dsn
    target: Dsn
    new_server: LocalServer
    names: dict[str, str]

    def on_target(self) -> Connection:
        return connect(self.target, purpose="test")


@pytest.fixture
def sides(old_server: LocalServer, new_server: LocalServer) -> Iterator[Sides]:
    tag = uuid.uuid4().hex[:8]
    keys = ("owner", "client", "boss", "unneeded", "database")
    names = {key: f"{key} {tag}" for key in keys}
    identifiers = {key: sql.Identifier(name) for key, name in names.items()}
    with connect(old_server.dsn(), purpose="test") as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(identifiers["database"]))
        connection.execute(sql.SQL(SETUP).format(**identifiers, password=sql.Literal(PASSWORD)))
    database = names["database"]
    yield Sides(old_server.dsn(database), new_server.dsn(database), new_server, names)
    for server in (old_server, new_server):
        with connect(server.dsn(), purpose="test") as connection:
            drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            connection.execute(drop.format(identifiers["database"]))
            for key in keys[:-1]:
                connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(identifiers[key]))


def state(dsn: Dsn, names: dict[str, str]) -> object:
    """What pg_roles and its like say of the roles and the database under test."""
    mine = list(names.values())
    with connect(dsn, purpose="test") as connection:
        facts = observe_roles(connection)
        database = fetch_one(
            connection,
            "SELECT pg_get_userbyid(datdba), datconnlimit, datcollate, datctype, encoding,"
            " shobj_description(oid, 'pg_database') FROM pg_database"
            " WHERE datname = current_database()",
        )
        grants = fetch_all(
            connection,
            "SELECT coalesce(pg_get_userbyid(nullif(grantee, 0)), '-'), privilege_type,"
            " is_grantable FROM pg_database, aclexplode(datacl)"
            " WHERE datname = current_database() ORDER BY 1, 2",
        )
        return (
            {n: r for n, r in facts.roles.items() if n in mine and n != names["boss"]},
            [(m.group, m.member, m.admin) for m in facts.memberships if m.member in mine],
            [s for s in facts.settings if s.role in mine or s.in_database],
            {n: s for n, s in (facts.secrets or {}).items() if n in mine},
            database,
            grants,
        )


def test_roles_and_database_arrive_equal(sides: Sides) -> None:
    report = transfer_globals(sides.source, sides.target)
    assert report.database_created
    assert report.roles.need_password == ()
    assert sides.names["unneeded"] not in report.roles.created
    assert state(sides.target, sides.names) == state(sides.source, sides.names)


def test_clients_keep_their_passwords(sides: Sides) -> None:
    transfer_globals(sides.source, sides.target)
    client = sides.target.with_(user=sides.names["client"], password=PASSWORD)
    with connect(client, purpose="test") as connection:
        assert fetch_value(connection, "SHOW work_mem") == "7MB"
        assert fetch_value(connection, "SHOW search_path") == '"$user", "Odd, ""one", public'


def test_superusers_arrive_without_that_power_and_it_is_said(sides: Sides) -> None:
    report = transfer_globals(sides.source, sides.target)
    assert any(sides.names["boss"] in notice for notice in report.roles.notices)
    with sides.on_target() as connection:
        query = "SELECT rolsuper FROM pg_roles WHERE rolname = %s"
        assert fetch_value(connection, query, [sides.names["boss"]]) is False


def test_a_second_run_changes_nothing_and_existing_roles_stay(sides: Sides) -> None:
    transfer_globals(sides.source, sides.target)
    client = sides.names["client"]
    with sides.on_target() as connection:
        change = sql.SQL("ALTER ROLE {} CONNECTION LIMIT 3").format(sql.Identifier(client))
        connection.execute(change)
    before = state(sides.target, sides.names)
    report = transfer_globals(sides.source, sides.target)
    assert report.roles.created == ()
    assert any("CONNECTION LIMIT (source 9, target 3)" in note for note in report.roles.notices)
    assert state(sides.target, sides.names) == before


def test_secrets_do_not_reach_the_log_of_the_target(sides: Sides) -> None:
    with connect(sides.new_server.dsn(), purpose="test") as connection:
        name = sql.Identifier(sides.target.database)
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        for setting in ("log_statement = 'all'", "log_min_duration_statement = 0"):
            text = sql.SQL("ALTER DATABASE {} SET " + setting).format(name)
            connection.execute(text)
    log = sides.new_server.data.parent / f"{sides.new_server.data.name}.log"
    start = log.stat().st_size
    report = transfer_globals(sides.source, sides.target)
    assert not report.database_created
    with sides.on_target() as connection:
        connection.execute("SELECT 'the log is on'")
    written = log.read_bytes()[start:].decode(errors="replace")
    assert "the log is on" in written
    assert sides.names["client"] in report.roles.created
    assert "SCRAM-SHA-256$" not in written


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE already (id int)",
        "CREATE TYPE already AS ENUM ('x')",
        "CREATE FUNCTION already() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ],
)
def test_a_target_that_holds_anything_is_refused(sides: Sides, statement: str) -> None:
    with connect(sides.new_server.dsn(), purpose="test") as connection:
        name = sql.Identifier(sides.target.database)
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    with sides.on_target() as connection:
        connection.execute(statement.encode())
    with pytest.raises(RefusedError, match=r"not empty.*public\.already"):
        transfer_globals(sides.source, sides.target)


def test_a_reader_without_pg_authid_learns_who_needs_a_password(sides: Sides) -> None:
    plain = sides.source.with_(user=sides.names["client"], password=PASSWORD)
    report = transfer_globals(plain, sides.target)
    assert sides.names["client"] in report.roles.need_password
    assert sides.names["owner"] not in report.roles.need_password
    assert f"role {sides.names['client']} needs a new password" in report.notices
