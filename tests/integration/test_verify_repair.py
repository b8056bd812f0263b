"""A spoilt target becomes like the source again, by a script or by the command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg import sql
from typer.testing import CliRunner

from naru.cli.main import app
from naru.errors import RefusedError, UsageError
from naru.ground import state_folder
from naru.journal import Journal
from naru.postgres import Dsn, LocalServer, connect, fetch_value
from naru.system import run, wait_until
from naru.verify import Options, Repair, apply, compare, must_be_quiet

pytestmark = pytest.mark.integration

CONTENT = """
CREATE SCHEMA shop;
CREATE TABLE shop.person (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE,
    note text, price numeric, doc json, born date, twice int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO shop.person (name, note, price, doc, born)
SELECT 'person ' || n, E'line\\n\\\\' || n, n / 2.0, '{"a":  1}', date '2024-02-29' + n
  FROM generate_series(1, 3000) AS n;
CREATE TABLE shop.thing (
    id int PRIMARY KEY, person bigint REFERENCES shop.person ON DELETE CASCADE, weight float8);
INSERT INTO shop.thing SELECT n, n, n / 7.0 FROM generate_series(1, 3000) AS n;
CREATE TABLE shop.log (line text, level int);
INSERT INTO shop.log SELECT 'a, "b" (' || n % 40 || ')', nullif(n % 4, 0)
  FROM generate_series(1, 400) AS n;
CREATE TABLE shop.event (id bigint, day date, what text, PRIMARY KEY (id, day))
    PARTITION BY RANGE (day);
CREATE TABLE shop.event_a PARTITION OF shop.event FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE shop.event_b PARTITION OF shop.event FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
INSERT INTO shop.event
SELECT n, date '2023-06-01' + n % 400, 'event' FROM generate_series(1, 900) n;
CREATE FUNCTION shop.spoil() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.note := 'spoilt'; RETURN NEW; END $$;
CREATE TRIGGER spoil BEFORE INSERT OR UPDATE ON shop.person FOR EACH ROW
    EXECUTE FUNCTION shop.spoil();
CREATE MATERIALIZED VIEW shop.counts AS SELECT count(*) FROM shop.log;
CREATE SEQUENCE shop.ticket;
SELECT setval('shop.ticket', 77);
SELECT lo_from_bytea(910001, repeat('naru', 100000)::bytea), lo_from_bytea(910002, 'short');
GRANT SELECT ON LARGE OBJECT 910001 TO PUBLIC;
"""
SPOIL = """
SET session_replication_role = replica;
UPDATE shop.person SET note = 'it''s', price = price * 1.0 WHERE id % 100 = 7;
UPDATE shop.person SET name = 'x' WHERE id = 11;
UPDATE shop.person SET name = 'person 11' WHERE id = 12;
UPDATE shop.person SET name = 'person 12' WHERE id = 11;
DELETE FROM shop.person WHERE id IN (20, 21);
INSERT INTO shop.person (id, name) OVERRIDING SYSTEM VALUE VALUES (-5, 'person 20');
DELETE FROM shop.thing WHERE id < 1200;
UPDATE shop.thing SET weight = '-0' WHERE id = 2000;
INSERT INTO shop.thing VALUES (9999, -5, 1);
DELETE FROM shop.log WHERE level = 1;
INSERT INTO shop.log VALUES ('new', 1), ('new', 1), (NULL, NULL);
INSERT INTO shop.log SELECT * FROM shop.log WHERE level = 2;
UPDATE shop.event SET what = 'other' WHERE id = 5;
UPDATE shop.event SET day = '2024-06-01' WHERE id = 6;
REFRESH MATERIALIZED VIEW shop.counts;
SELECT setval('shop.ticket', 3, false);
SELECT lo_put(910001, 300000, 'x'), lo_unlink(910002), lo_create(910003);
REVOKE SELECT ON LARGE OBJECT 910001 FROM PUBLIC;
"""
ALL = Options(materialized_rows=True, max_differences=3)


@dataclass(frozen=True)
class Pair:
    source: Dsn
    target: Dsn
    new: LocalServer


@pytest.fixture
def pair(old_server: LocalServer, new_server: LocalServer) -> Iterator[Pair]:
    name = f"repair_{uuid.uuid4().hex[:8]}"
    made = Pair(old_server.dsn(name), new_server.dsn(name), new_server)
    servers = (old_server, new_server)
    for server in servers:
        on(server.dsn(), sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        on(made.source, CONTENT)
        on(made.target, CONTENT)
        on(made.target, SPOIL)
        yield made
    finally:
        for server in servers:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            on(server.dsn(), drop)


def on(dsn: Dsn, statements: str | sql.Composed) -> None:
    with connect(dsn, purpose="test") as connection:
        text = statements.encode() if isinstance(statements, str) else statements
        connection.execute(text)


def must_be_same(pair: Pair) -> None:
    verdict = compare(pair.source, pair.target, options=ALL)
    assert verdict.same, verdict.to_json()


def written(pair: Pair, folder: Path) -> Repair:
    repair = Repair(folder / "repair.sql")
    compare(pair.source, pair.target, options=ALL, repair=repair)
    return repair


def test_a_script_mends_all_and_can_be_applied_again(pair: Pair, tmp_path: Path) -> None:
    repair = written(pair, tmp_path)
    plan = repair.plan
    assert plan is not None
    assert plan.left == ()
    assert {name: vars(counts) for name, counts in plan.tables.items()} == {
        "shop.event": {"deletes": 1, "updates": 1, "inserts": 1, "unmended": 0},
        "shop.log": {"deletes": 103, "updates": 0, "inserts": 100, "unmended": 0},
        "shop.person": {"deletes": 1, "updates": 32, "inserts": 2, "unmended": 0},
        "shop.thing": {"deletes": 1, "updates": 1, "inserts": 1199, "unmended": 0},
    }
    assert (plan.sequences, plan.large_objects, plan.views) == (1, 3, 1)
    assert repair.script.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["repair.sql"]
    psql = pair.new.installation.tool("psql")
    for _ in range(2):
        run([psql, "-qX", "-f", repair.script], seconds=60, env=pair.target.environment())
        must_be_same(pair)


def test_deletes_come_children_first_and_inserts_parents_first(pair: Pair, tmp_path: Path) -> None:
    text = written(pair, tmp_path).script.read_text()
    assert text.index('DELETE FROM ONLY "shop"."thing"') < text.index(
        'DELETE FROM ONLY "shop"."person" WHERE "id" = \'-5\''
    )
    assert text.index('INSERT INTO "shop"."person"') < text.index('INSERT INTO "shop"."thing"')


def test_a_repair_waits_for_nobody_and_refuses_while_clients_are_there(
    pair: Pair, tmp_path: Path
) -> None:
    repair = written(pair, tmp_path)
    with connect(pair.target.with_(application_name="shop"), purpose="test") as client:
        client.execute("SET application_name = 'shop'")
        with pytest.raises(RefusedError, match="shop"):
            must_be_quiet(pair.target)
        client.execute("SELECT 1")
    assert apply(repair.script, pair.target) > 1200
    must_be_same(pair)


def test_rows_on_the_move_are_not_repaired(pair: Pair, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at rest"):
        compare(
            pair.source,
            pair.target,
            options=Options(live=True),
            repair=Repair(tmp_path / "repair.sql"),
        )


def test_the_command_shows_the_plan_repairs_and_compares_again(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("naru.ground.state_folder", lambda _: tmp_path / "state")
    sides = ["--source", pair.source.conninfo(), "--target", pair.target.conninfo()]
    script = tmp_path / "mend.sql"
    refused = CliRunner().invoke(app, ["verify", "repair", *sides, "--script", str(script)])
    assert getattr(refused.exception, "exit_code", None) == 1
    done = CliRunner().invoke(
        app, ["verify", "repair", *sides, "--script", str(script), "--yes", "--json"]
    )
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["plan"]["tables"]["shop.person"]["updates"] == 32
    assert document["verdict"]["same"] is True
    assert script.exists()


def test_a_repair_that_was_killed_is_finished_by_the_next_and_there_is_only_one(
    pair: Pair, tmp_path: Path
) -> None:
    passfile = tmp_path / "passfile"
    passfile.touch(mode=0o600)
    command = [sys.executable, "-m", "naru", "verify", "repair", "--yes"]
    with passfile.open("w") as file:
        for role, dsn in (("--source", pair.source), ("--target", pair.target)):
            port, name = dsn.parameters["port"], dsn.parameters["dbname"]
            file.write(f"127.0.0.1:{port}:*:postgres:{dsn.parameters['password']}\n")
            command += [role, f"postgresql://postgres@127.0.0.1:{port}/{name}"]
    place = {"cwd": tmp_path, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE,
             "env": {**os.environ, "PGPASSFILE": str(passfile)}}  # fmt: skip
    with connect(pair.target, purpose="test") as connection:
        with connection.transaction():
            connection.execute("SELECT FROM shop.thing WHERE id = 2000 FOR UPDATE")
            with subprocess.Popen(command, **place) as killed:  # type: ignore[call-overload]
                wait_until(lambda: _waits(pair.target), "the repair to be in the middle", 120)
                second = subprocess.run(command, check=False, **place)  # type: ignore[call-overload]
                killed.kill()
        assert second.returncode == 1, second.stderr
        assert b"another repair of this database is under way" in second.stderr
        done = "SELECT count(*) FROM shop.thing WHERE id = 9999"
        assert fetch_value(connection, done) == 0
        assert fetch_value(connection, "SELECT count(*) FROM shop.thing") < 3000
        wait_until(lambda: not _repairs(pair.target), "its sessions to end", 60)
    third = subprocess.run(command, check=False, **place)  # type: ignore[call-overload]
    assert third.returncode == 0, third.stderr
    must_be_same(pair)
    folder = state_folder(tmp_path / "naru.toml")
    try:
        with Journal.in_folder(folder) as journal:
            runs = journal.runs()
            assert [one.outcome for one in runs] == [None, "done"]
            assert [event.kind for event in runs[0].events()] == ["repair.begins"]
    finally:
        shutil.rmtree(folder)


def _waits(target: Dsn) -> bool:
    return bool(_repairs(target, " AND wait_event_type = 'Lock'"))


def _repairs(target: Dsn, more: str = "") -> int:
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'naru: repair'"
    with connect(target, purpose="test") as connection:
        where = " AND datname = current_database()"
        return int(fetch_value(connection, query + where + more))
