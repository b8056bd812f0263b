"""While the target follows the source: no change on its way is taken for a difference."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from typer.testing import CliRunner

from naru.cli.main import app
from naru.errors import UsageError
from naru.postgres import Dsn, LocalServer, connect, fetch_value
from naru.system import run, wait_until
from naru.verify import LagMeter, Options, SequenceState, compare

pytestmark = pytest.mark.integration

TABLES = """
CREATE TABLE account (id int PRIMARY KEY, name text, balance numeric NOT NULL);
CREATE TABLE journal (account int, amount numeric);
CREATE SEQUENCE ticket;
"""
FILL = """
INSERT INTO account SELECT n, 'account ' || n, n FROM generate_series(1, 3000) AS n;
INSERT INTO journal SELECT n % 7, 1.0 FROM generate_series(1, 500) AS n;
"""
CHANGE = """
UPDATE account SET balance = balance + 1 WHERE id IN (SELECT (random() * 2900)::int
    FROM generate_series(1, 5));
INSERT INTO account SELECT max(id) + 1, 'new', 0 FROM account;
DELETE FROM account WHERE id = (SELECT min(id) FROM account WHERE id > 3100);
INSERT INTO journal VALUES ((random() * 5000)::int, 1);
"""


@dataclass(frozen=True)
class Pair:
    """A source and the target that follows it through a slot."""

    source: Dsn
    target: Dsn
    slot: str


@pytest.fixture
def pair(old_server: LocalServer, new_server: LocalServer) -> Iterator[Pair]:
    name = f"live_{uuid.uuid4().hex[:8]}"
    pair = Pair(old_server.dsn(name), new_server.dsn(name), f"naru_{name}")
    with contextlib.ExitStack() as stack:
        for server in (old_server, new_server):
            admin = stack.enter_context(connect(server.dsn(), purpose="test"))
            database = sql.Identifier(name)
            admin.execute(sql.SQL("CREATE DATABASE {}").format(database))
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database)
            stack.callback(admin.execute, drop)
        source = stack.enter_context(connect(pair.source, purpose="test"))
        target = stack.enter_context(connect(pair.target, purpose="test"))
        publication = sql.Identifier(pair.slot)
        source.execute(TABLES + FILL)
        source.execute(sql.SQL("CREATE PUBLICATION {} FOR ALL TABLES").format(publication))
        target.execute(TABLES)
        where = make_conninfo("", **pair.source.parameters)
        target.execute(
            sql.SQL("CREATE SUBSCRIPTION {} CONNECTION {} PUBLICATION {}").format(
                publication, sql.Literal(where), publication
            )
        )
        stack.callback(target.execute, sql.SQL("DROP SUBSCRIPTION {}").format(publication))
        wait_until(
            lambda: fetch_value(
                target, "SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel"
            ),
            "the tables to be copied",
            60,
        )
        yield pair


@contextlib.contextmanager
def busy(dsn: Dsn) -> Iterator[None]:
    """Keep changing the source, without a pause, for as long as this is held."""
    stop = threading.Event()

    def work() -> None:
        with connect(dsn, purpose="test") as connection:
            while not stop.is_set():
                connection.execute(CHANGE)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_changes_on_their_way_are_no_differences_and_a_planted_one_is(pair: Pair) -> None:
    options = Options(live=True, live_seconds=20)
    with busy(pair.source):
        clean = compare(pair.source, pair.target, options=options)
        with connect(pair.target, purpose="test") as target:
            target.execute("UPDATE account SET name = '' WHERE id = 2950")
            target.execute("DELETE FROM account WHERE id = 2960")
            target.execute("INSERT INTO account VALUES (-1, 'nobody', 0)")
        spoilt = compare(pair.source, pair.target, options=options)
    assert [table.found for table in clean.tables] == [0, 0]
    assert any("sequences" in text for text in clean.not_compared)
    assert {(d.kind, d.key["id"], d.columns) for d in spoilt.tables[0].differences} == {
        ("changed", 2950, ("name",)),
        ("missing", 2960, ()),
        ("extra", -1, ()),
    }
    assert not spoilt.same


def test_a_live_comparison_needs_a_slot_that_exists(pair: Pair) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        compare(pair.source, pair.target, options=Options(live=True, slot="nowhere"))


def test_at_a_snapshot_later_changes_do_not_count(pair: Pair) -> None:
    with contextlib.ExitStack() as stack:
        snapshots = []
        for dsn in (pair.source, pair.target):
            holder = stack.enter_context(connect(dsn, purpose="test", autocommit=False))
            holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            snapshots.append(fetch_value(holder, "SELECT pg_export_snapshot()"))
        with connect(pair.target, purpose="test") as target:
            target.execute("UPDATE account SET balance = 0")
        recorded = ({"public.ticket": SequenceState(1, False)},) * 2
        verdict = compare(
            pair.source,
            pair.target,
            options=Options(sequence_values=recorded),
            source_snapshot=snapshots[0],
            target_snapshot=snapshots[1],
        )
        now = compare(pair.source, pair.target)
    assert verdict.same, verdict.to_json()
    assert verdict.rows == 3500
    assert now.tables[0].found == 3000
    assert len(now.tables[0].differences) == Options().max_differences


def test_the_lag_is_that_of_the_slot_and_of_the_rows(pair: Pair) -> None:
    stamp = "CREATE TABLE users (updated_at timestamptz); INSERT INTO users VALUES ('{}')"
    execute(pair.source, stamp.format("2024-02-29 12:00+09"))
    execute(pair.target, stamp.format("2024-02-29 10:59+08"))
    with LagMeter(pair.source, pair.target) as meter:
        seen = meter.look()
        (channel,) = seen.channels
        assert (channel.slot, channel.origin, channel.flows) == (pair.slot, "source", True)
        assert [(table.table, table.seconds) for table in seen.tables] == [('"public"."users"', 60)]
        assert (seen.level(61, 300), seen.level(60, 300)) == ("ok", "warning")
        execute(pair.target, sql.SQL("ALTER SUBSCRIPTION {} DISABLE").format(subscription(pair)))
        wait_until(lambda: not meter.look(tables=False).channels[0].connected, "it to stop", 30)
        execute(pair.source, "INSERT INTO journal SELECT n, 1 FROM generate_series(1, 9999) n")
        behind = meter.look(tables=False)
        assert behind.level(60, 300) == "critical"
        assert (behind.bytes or 0) > 100_000
        execute(pair.target, sql.SQL("ALTER SUBSCRIPTION {} ENABLE").format(subscription(pair)))
        wait_until(lambda: (meter.look(tables=False).bytes or 0) < 50_000, "it to catch up", 60)


def test_the_command_measures_the_lag_once_or_again_and_again(pair: Pair) -> None:
    words = ["lag", "--source", pair.source.conninfo(), "--target", pair.target.conninfo()]
    once = CliRunner().invoke(app, [*words, "--json"])
    assert once.exit_code == 0
    assert json.loads(once.stdout)["channels"][0]["slot"] == pair.slot
    often = CliRunner().invoke(app, [*words, "--watch", "--looks", "3", "--every", "0.1"])
    assert often.exit_code == 0
    assert [line.split(":")[0] for line in often.stdout.splitlines()] == ["ok"] * 3


def subscription(pair: Pair) -> sql.Identifier:
    return sql.Identifier(pair.slot)


def execute(dsn: Dsn, statement: str | sql.Composed) -> None:
    with connect(dsn, purpose="test") as connection:
        connection.execute(statement.encode() if isinstance(statement, str) else statement)


def test_a_commit_that_waits_for_a_standby_is_no_difference_at_the_target(pair: Pair) -> None:
    """It can be seen at the target while the source, waiting for its own standby, hides it."""
    with waiting_commit(pair, "UPDATE account SET name = 'late' WHERE id = 77"):
        early = compare(pair.source, pair.target, options=Options(live=True, live_seconds=3))
    account = early.tables[0]
    assert (account.found, account.pending_found) == (0, 1)
    assert [row.key["id"] for row in account.pending] == [77]
    later = compare(pair.source, pair.target, options=Options(live=True, live_seconds=20))
    assert later.tables[0].same


@contextlib.contextmanager
def waiting_commit(pair: Pair, statement: str) -> Iterator[None]:
    """A transaction that has reached the target, and whose backend has not ended its commit."""
    with connect(pair.source, purpose="test") as admin:
        name = sql.Literal("nobody")
        admin.execute(sql.SQL("ALTER SYSTEM SET synchronous_standby_names = {}").format(name))
        admin.execute("SELECT pg_reload_conf()")
        thread = threading.Thread(target=execute, args=(pair.source, statement))
        try:
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            wait_until(
                lambda: fetch_value(admin, "SHOW synchronous_standby_names") == "nobody",
                "the setting to hold", 30,
            )  # fmt: skip
            thread.start()
            wait_until(lambda: fetch_value(admin, waiting) > 0, "a commit that waits", 30)
            with connect(pair.target, purpose="test") as target:
                arrived = "SELECT name = 'late' FROM account WHERE id = 77"
                wait_until(lambda: fetch_value(target, arrived), "the change to arrive", 30)
            yield
        finally:
            admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
            admin.execute("SELECT pg_reload_conf()")
            thread.join()


def test_a_table_that_the_subscription_still_copies_is_not_judged(pair: Pair) -> None:
    execute(pair.source, "CREATE TABLE late (id int PRIMARY KEY); INSERT INTO late VALUES (1)")
    execute(pair.target, "CREATE TABLE late (id int PRIMARY KEY CHECK (id > 1))")
    refresh = sql.SQL("ALTER SUBSCRIPTION {} REFRESH PUBLICATION").format(subscription(pair))
    execute(pair.target, refresh)
    verdict = compare(pair.source, pair.target, options=Options(live=True, schema=False))
    late = {table.table: table for table in verdict.tables}["public.late"]
    assert late.reason == "the subscription has not copied it yet"
    assert not verdict.same


BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_no_false_report_in_some_seconds_of_many_changes() -> None:
    """The proof of ten minutes, `benchmarks/live.py`, made short."""
    script = BENCHMARKS / "live.py"
    options = ["--seconds", "8", "--rate", "300"]
    # Its own verdict is also about how fast the clients were, which is the machine's affair.
    done = run([sys.executable, script, *options], seconds=300, check=False)
    assert done.stdout, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["false_reports"] == []
    assert seen["found"] == seen["planted"] > 0
    assert seen["changes"] > 500
