"""Assessing real servers: what is there is found, what is asked changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from string import Template

import pytest
from psycopg import sql

from naru.migrate.assess import Assessment, assess
from naru.postgres import Dsn, LocalServer, connect, fetch_all, fetch_value
from tests import servers

pytestmark = pytest.mark.integration

NASTY = Path(__file__).parent / "sql" / "nasty_schema.sql"


@dataclass
class Pair:
    source: Dsn
    target: Dsn
    reader: Dsn
    """A login at the source with no rights to speak of."""


@pytest.fixture
def pair(old_server: LocalServer, new_server: LocalServer) -> Iterator[Pair]:
    tag = uuid.uuid4().hex[:8]
    name, roles = f"assess_{tag}", (f"a_{tag}", f"b_{tag}", f"c_{tag}")
    with connect(old_server.dsn(), purpose="test") as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    script = Template(NASTY.read_text()).safe_substitute(a=roles[0], b=roles[1], c=roles[2])
    source = old_server.dsn(name)
    with connect(source, purpose="test") as connection:
        connection.execute(script.encode())
    yield Pair(source, new_server.dsn(name), source.with_(user=roles[0], password="Secret-1-word"))
    for server in (old_server, new_server):
        with connect(server.dsn(), purpose="test") as connection:
            for gid, database in fetch_all(
                connection, "SELECT gid, database FROM pg_prepared_xacts"
            ):
                if database == name:
                    with connect(server.dsn(name), purpose="test") as inside:
                        inside.execute(sql.SQL("ROLLBACK PREPARED {}").format(sql.Literal(gid)))
            drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            connection.execute(drop.format(sql.Identifier(name)))
            for role in roles:
                connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


def objects(assessment: Assessment) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for one in assessment.findings:
        found.setdefault(one.code, set()).add(one.object)
    return found


def test_a_nasty_database_is_described_and_nothing_blocks(pair: Pair) -> None:
    assessment = assess(pair.source, pair.target)
    assert not assessment.blocked
    found = objects(assessment)
    assert found["target.database"] == {pair.target.database}
    assert {"app.parent", "app.child", "app.nothing"} <= found["schema.no-replica-identity"]
    assert "app.person" not in found["schema.no-replica-identity"]
    assert found["schema.unlogged"] == {"app.fleeting"}
    assert found["schema.trigger-always"] == {"app.person: t_always"}
    assert found["schema.replica-identity-full"] == {"Odd Schema.Select"}
    assert {"schema.partitioned", "schema.generated", "schema.not-valid"} <= set(found)
    assert assessment.facts.size.tables == 11


def test_assessing_leaves_nothing_behind(pair: Pair) -> None:
    query = (
        "SELECT (SELECT count(*) FROM pg_replication_slots WHERE slot_name ~ '^naru_assess'),"
        " (SELECT count(*) FROM pg_publication), (SELECT count(*) FROM pg_subscription"
        " WHERE subname ~ '^naru_assess')"
    )
    assess(pair.source, pair.target)
    for dsn in (pair.source, pair.target.with_(dbname="postgres")):
        with connect(dsn, purpose="test") as connection:
            assert fetch_all(connection, query) == [(0, 0, 0)]


def test_a_login_without_rights_learns_all_that_is_missing(pair: Pair) -> None:
    found = objects(assess(pair.reader, pair.target))
    assert found["source.replication-privilege"] == {pair.reader.user}
    assert found["source.create-privilege"] == {pair.reader.user}
    assert "source.passwords" in found
    assert "app.team" in found["source.select-table"]
    assert "app.alone" in found["source.select-sequence"]
    assert "app.team" in found["source.table-owner"]
    assert "app.person" in found["schema.row-security"]


def test_a_target_login_without_rights_learns_all_that_is_missing(
    pair: Pair, new_server: LocalServer
) -> None:
    login = sql.Identifier(pair.reader.user)
    with connect(new_server.dsn(), purpose="test") as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'Secret-1-word'").format(login))
    target = pair.target.with_(user=pair.reader.user, password="Secret-1-word")
    found = objects(assess(pair.source, target))
    assert {
        "target.create-database", "target.subscription-privilege", "target.role-privilege",
        "target.replication-privilege", "target.fence", "target.event-trigger",
    } <= set(found)  # fmt: skip


def test_a_prepared_transaction_blocks(pair: Pair) -> None:
    gid = f"left {pair.source.database}"
    with connect(pair.source, purpose="test", autocommit=False) as connection:
        connection.execute("CREATE TABLE app.left_open (id int)")
        connection.execute(sql.SQL("PREPARE TRANSACTION {}").format(sql.Literal(gid)))
    assessment = assess(pair.source, pair.target)
    assert gid in objects(assessment)["source.prepared-transaction"]
    assert assessment.blocked


def test_roles_with_a_name_of_narus_are_told_and_block_where_they_own_something(
    pair: Pair,
) -> None:
    tag = uuid.uuid4().hex[:8]
    owner, member, mover = (f"naru_{word}_{tag}" for word in ("owner", "member", "mover"))
    with connect(pair.source, purpose="test") as connection, ExitStack() as stack:
        for name in (owner, member, mover):
            role = sql.Identifier(name)
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
            for text in ("DROP OWNED BY {}", "DROP ROLE {}")[::-1]:
                stack.callback(connection.execute, sql.SQL(text).format(role))
        connection.execute(
            sql.SQL(
                "GRANT {member} TO {owner}; CREATE TABLE app.kept (id int PRIMARY KEY);"
                "ALTER TABLE app.kept OWNER TO {owner};"
                "CREATE SCHEMA naru_migration; GRANT USAGE ON SCHEMA naru_migration TO {mover};"
                "ALTER ROLE {mover} SUPERUSER PASSWORD 'Secret-1-word'"
            ).format(**{key: sql.Identifier(name) for key, name in
                        (("owner", owner), ("member", member), ("mover", mover))})
        )  # fmt: skip
        assessment = assess(pair.source.with_(user=mover, password="Secret-1-word"), pair.target)
    found = objects(assessment)
    # Other tests may have left such roles on the server.
    assert owner in found["target.reserved-owner"]
    assert member in found["target.reserved-role"]
    assert mover not in found["target.reserved-owner"] | found["target.reserved-role"]
    assert assessment.blocked


def test_one_server_with_itself_blocks(pair: Pair) -> None:
    found = objects(assess(pair.source, pair.source.with_(dbname="postgres")))
    assert "target.same-server" in found


def test_a_target_that_holds_tables_blocks(pair: Pair, new_server: LocalServer) -> None:
    with connect(new_server.dsn(), purpose="test") as connection:
        name = sql.Identifier(pair.target.database)
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    with connect(pair.target, purpose="test") as connection:
        connection.execute("CREATE TABLE already (id int)")
    (finding,) = [
        f for f in assess(pair.source, pair.target).findings if f.code == "target.not-empty"
    ]
    assert "public.already" in finding.text


def test_a_source_that_the_target_cannot_reach_blocks(pair: Pair) -> None:
    nowhere = f"127.0.0.1:{servers.free_port()}"
    assessment = assess(pair.source, pair.target, source_seen_at=nowhere)
    (finding,) = [one for one in assessment.findings if one.code == "target.reach"]
    assert "connect" in finding.text
    password = pair.source.parameters["password"]
    assert password not in json.dumps(assessment.to_json())


def test_a_source_without_logical_wal_blocks(pair: Pair, server_folder: Path) -> None:
    plain = servers.make_server(
        server_folder, "plain", servers.old_installation(), logical=False, max_wal_senders="0"
    )
    with plain:
        assessment = assess(plain.dsn(), pair.target)
        found = objects(assessment)
        assert found["source.wal-level"] == {"postgres"}
        assert "source.walsenders" in found
        assert assessment.blocked


def naru(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).parent / "naru"), "migrate", "assess", *words],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ},
    )  # fmt: skip


def uri(dsn: Dsn) -> str:
    part = dsn.parameters
    return f"postgresql://{part['user']}:{part['password']}@{dsn.host}:{dsn.port}/{dsn.database}"


def test_the_command_prints_findings_as_lines_and_ends_with_0(pair: Pair) -> None:
    done = naru("--source", uri(pair.source), "--target", uri(pair.target))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines and all(line.split()[0] in ("warning", "note") for line in lines)
    assert "PostgreSQL 15" in done.stderr


def test_the_command_gives_one_json_document_and_ends_with_1_when_blocked(pair: Pair) -> None:
    nowhere = f"127.0.0.1:{servers.free_port()}"
    done = naru(
        "--source", uri(pair.source), "--target", uri(pair.target), "--source-seen-at", nowhere,
        "--json",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    assert document["blocked"] is True
    assert document["facts"]["tables"] == 11
    assert {"code", "severity", "object", "text", "remedy", "grant"} == set(document["findings"][0])


def test_the_command_ends_with_3_when_the_source_is_unreachable(pair: Pair) -> None:
    away = f"postgresql://postgres@127.0.0.1:{servers.free_port()}/nowhere"
    done = naru("--source", away, "--target", uri(pair.target))
    assert done.returncode == 3
    assert done.stdout == ""
    assert "cannot reach" in done.stderr


def test_what_assess_proposes_as_identity_is_accepted_by_the_source(pair: Pair) -> None:
    with connect(pair.source, purpose="test") as connection:
        connection.execute(
            "CREATE TABLE app.keyless (a int NOT NULL, b int);"
            'CREATE UNIQUE INDEX "Odd key" ON app.keyless (a)'
        )
        (finding,) = [
            one for one in assess(pair.source, pair.target).findings if one.object == "app.keyless"
        ]
        connection.execute((finding.remedy or "").partition(": ")[2].encode())
        query = "SELECT relreplident FROM pg_class WHERE relname = 'keyless'"
        assert fetch_value(connection, query) == "i"
