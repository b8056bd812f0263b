"""Trouble while a migration follows: it is told with its remedy, and following goes on after it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from naru.postgres import LocalServer, connect, fetch_value
from naru.system import wait_until
from tests import servers
from tests.migration import Case, catalogs, drop_database

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

_CONTENT = """
CREATE TABLE item (id int PRIMARY KEY, text text);
INSERT INTO item SELECT g, 'item ' || g FROM generate_series(1, 1000) g;
CREATE TABLE log (at timestamptz, text text);
INSERT INTO log SELECT now(), 'line ' || g % 10 FROM generate_series(1, 1000) g;
CREATE UNLOGGED TABLE cache (id int);
CREATE TABLE part (id int, region int, text text, PRIMARY KEY (id, region))
    PARTITION BY LIST (region);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
CREATE TABLE part_2 PARTITION OF part FOR VALUES IN (2);
INSERT INTO part SELECT g, 1 + g % 2, 'p' FROM generate_series(1, 1000) g;
CREATE TABLE emptied (id serial PRIMARY KEY);
CREATE TABLE emptied_too (id int PRIMARY KEY REFERENCES emptied);
INSERT INTO emptied SELECT FROM generate_series(1, 100);
INSERT INTO emptied_too SELECT id FROM emptied;
CREATE SEQUENCE tickets;
"""


@pytest.fixture
def made(tmp_path: Path, old_server: LocalServer, new_server: LocalServer) -> Iterator[Case]:
    """A small database at the source, and none at the target."""
    it = Case(tmp_path, old_server, new_server, "naru_trouble")
    for server in (old_server, new_server):
        drop_database(server, it.database)
    with connect(old_server.dsn(), purpose="test") as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(it.database)))
    with connect(it.source, purpose="test") as connection:
        connection.execute(_CONTENT)
    try:
        yield it
    finally:
        it.remove()


def status(made: Case, code: int) -> dict[str, Any]:
    done = made.command("migrate", "status", "--json", *made.uris())
    assert done.returncode == code, done.stdout + done.stderr
    return dict(json.loads(done.stdout))


def cutover(made: Case, code: int, *said: str) -> None:
    done = made.command("migrate", "cutover", "--yes", "--pause-deadline", "20", *made.uris())
    assert done.returncode == code, done.stderr[-3000:]
    for words in said:
        assert words in done.stderr, (words, done.stderr[-3000:])


def wait_for_gates(made: Case) -> None:
    with made.record() as record:
        wait_until(
            lambda: all(one.severity != "shut" for one in made.switcher(record).gates()),
            "the gates to open", 60,
        )  # fmt: skip


def test_a_subscription_that_somebody_disabled_shuts_the_gate_until_it_is_enabled(
    made: Case,
) -> None:
    made.start()
    name = "naru_naru_trouble_1"
    with connect(made.target, purpose="test") as target:
        target.execute(f"ALTER SUBSCRIPTION {name} DISABLE")
        assert f"subscription {name} is disabled" in status(made, 1)["problem"]
        cutover(made, 1, f"subscription {name} is disabled", "ENABLE", "nothing was done")
        target.execute(f"ALTER SUBSCRIPTION {name} ENABLE")
        wait_for_gates(made)
    assert status(made, 0)["problem"] is None
    cutover(made, 0)


def test_a_row_that_is_in_the_way_on_the_target_is_told_and_can_be_taken_away(made: Case) -> None:
    made.start()
    with connect(made.target, purpose="test") as target:
        target.execute("INSERT INTO item VALUES (5000, 'planted')")
        with connect(made.source, purpose="test") as source:
            source.execute("INSERT INTO item VALUES (5000, 'real')")
        count = "SELECT sum(apply_error_count) FROM pg_stat_subscription_stats"
        wait_until(lambda: fetch_value(target, count) > 0, "applying to fail", 60)
        cutover(made, 1, "nothing was done", "the receiving server's log")
        target.execute("DELETE FROM item WHERE id = 5000")
        arrived = "SELECT text FROM item WHERE id = 5000"
        wait_until(lambda: fetch_value(target, arrived) == "real", "the row to arrive", 60)
    cutover(made, 0)


def test_every_kind_of_change_arrives(made: Case) -> None:
    made.start()
    with connect(made.source, purpose="test") as source:
        source.execute("UPDATE log SET text = 'changed' WHERE text = 'line 3'")
        source.execute("DELETE FROM log WHERE text = 'line 4'")
        source.execute("UPDATE part SET region = 3 - region WHERE id % 3 = 0")
        source.execute("TRUNCATE emptied CASCADE")
        source.execute("INSERT INTO emptied SELECT FROM generate_series(1, 3)")
        with source.transaction():
            source.execute("INSERT INTO item SELECT g, 'kept' FROM generate_series(2000, 2009) g")
            source.execute("SAVEPOINT one")
            source.execute("UPDATE item SET text = 'dropped' WHERE id >= 2000")
            source.execute("ROLLBACK TO one")
        with source.cursor() as cursor, cursor.copy("COPY item FROM STDIN") as copy:
            for number in range(3000, 3100):
                copy.write_row((number, "by copy"))
        source.execute("SELECT nextval('tickets') FROM generate_series(1, 50)")
        source.execute("SELECT setval('tickets', 7000, false)")
        source.execute("SELECT lo_from_bytea(0, 'written while following')")
        # More than the origin keeps in memory: it is streamed while it runs.
        source.execute(
            "INSERT INTO item SELECT g, repeat(md5(g::text), 40)"
            " FROM generate_series(100000, 170000) g"
        )
    wait_for_gates(made)
    cutover(made, 0, "exact comparison")
    with connect(made.target, purpose="test") as target:
        assert fetch_value(target, "SELECT nextval('tickets')") == 7000
        assert fetch_value(target, "SELECT count(*) FROM emptied") == 3


def test_settings_for_everybody_do_not_disturb_a_migration(made: Case) -> None:
    everybody = {
        "statement_timeout": "20ms", "lock_timeout": "1ms", "idle_session_timeout": "100ms",
        "idle_in_transaction_session_timeout": "50ms", "default_transaction_read_only": "on",
        "datestyle": "SQL, DMY", "intervalstyle": "sql_standard", "bytea_output": "escape",
        "search_path": "nowhere", "timezone": "America/New_York", "extra_float_digits": "-5",
        "default_transaction_isolation": "serializable", "row_security": "off",
        "standard_conforming_strings": "off", "client_min_messages": "error",
    }  # fmt: skip
    with connect(made.old.dsn(), purpose="test") as server:
        for name, value in everybody.items():
            server.execute(
                sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                    sql.Identifier(made.database), sql.Identifier(name), sql.Literal(value)
                )
            )
    done = made.command("migrate", "start", *made.uris())
    assert done.returncode == 0, done.stderr[-3000:]
    with connect(made.new.dsn(), purpose="test") as server:
        server.execute("ALTER ROLE postgres SET transaction_timeout = '50ms'")
    try:
        cutover(made, 0, "exact comparison")
        done = made.command("migrate", "rollback", "--yes", *made.uris())
        assert done.returncode == 0, done.stderr[-3000:]
    finally:
        with connect(made.new.dsn(), purpose="test") as server:
            server.execute("ALTER ROLE postgres RESET transaction_timeout")


def test_a_target_that_is_gone_does_not_keep_the_source_from_being_cleaned_up(
    made: Case, server_folder: Path
) -> None:
    lost = servers.make_server(
        server_folder, "lost-new", servers.new_installation(), shared_buffers="16MB"
    )
    case = Case(made.folder, made.old, lost, made.database)
    before = catalogs(made.old, made.database)
    with lost:
        case.start()
    done = case.command("migrate", "status", "--json", *case.uris())
    assert done.returncode == 3
    assert "cannot reach" in json.loads(done.stdout)["problem"]
    done = case.command("migrate", "abort", "--yes", *case.uris())
    assert done.returncode == 3, done.stderr
    assert "--target-is-gone" in done.stderr
    assert catalogs(made.old, made.database) != before
    done = case.command("migrate", "abort", "--yes", "--target-is-gone", *case.uris())
    assert done.returncode == 0, done.stderr
    assert catalogs(made.old, made.database) == before


def test_a_source_that_is_gone_does_not_keep_the_target_from_being_on_its_own(
    made: Case, server_folder: Path
) -> None:
    lost = servers.make_server(
        server_folder, "lost-old", servers.old_installation(), shared_buffers="16MB"
    )
    case = Case(made.folder, lost, made.new, made.database)
    with lost:
        with connect(lost.dsn(), purpose="test") as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(case.database)))
        with connect(case.source, purpose="test") as connection:
            connection.execute(_CONTENT)
        case.start()
        cutover(case, 0)
    done = case.command("migrate", "finish", "--yes", *case.uris())
    assert done.returncode == 3, done.stderr
    assert "--source-is-gone" in done.stderr
    done = case.command("migrate", "finish", "--yes", "--source-is-gone", *case.uris())
    assert done.returncode == 0, done.stderr
    after = catalogs(made.new, made.database)
    assert (after["slots"], after["publications"], after["subscriptions"]) == ("[]", "[]", "[]")


def test_a_role_whose_password_differs_is_told_before_the_switch(made: Case) -> None:
    secrets = "CREATE ROLE naru_trouble_client LOGIN PASSWORD 'first'"
    with (
        connect(made.old.dsn(), purpose="test") as old,
        connect(made.new.dsn(), purpose="test") as new,
    ):
        try:
            old.execute(secrets)
            new.execute(secrets.replace("first", "second"))
            made.start()
            done = made.command("migrate", "cutover", "--dry-run", *made.uris())
            assert done.returncode == 0
            assert "role naru_trouble_client has another password" in done.stderr
            assert "SCRAM" not in done.stderr
        finally:
            for server in (old, new):
                server.execute("DROP ROLE IF EXISTS naru_trouble_client")
