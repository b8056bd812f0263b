"""What a comparison's snapshots hold back is seen, and given back when it gets too much."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from psycopg import sql

from naru.errors import StoppedError, UnreachableError
from naru.postgres import Dsn, LocalServer, connect, fetch_value
from naru.system import wait_until
from naru.verify import HeldLimit, Ledger, Options, Rate, Restraint, certify, compare
from tests.integration.test_verify_throttle import Listener

pytestmark = pytest.mark.integration

CONTENT = """
CREATE TABLE alone (id int PRIMARY KEY, note text);
INSERT INTO alone VALUES (1, 'a');
CREATE TABLE big (id int PRIMARY KEY, note text);
INSERT INTO big SELECT n, repeat('x', 400) FROM generate_series(1, 12000) AS n;
CREATE TABLE work (id int PRIMARY KEY, note text);
INSERT INTO work SELECT n, 'x' FROM generate_series(1, 300) AS n;
"""
SLOW = Options(
    jobs=1, schema=False, large_objects=False, except_tables=("work",),
    restraint=Restraint(rate=Rate.parse("1MB")),
)  # fmt: skip
OURS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name = 'naru: verify'"
)


@dataclass(frozen=True)
class Pair:
    source: Dsn
    target: Dsn


@pytest.fixture
def pair(old_server: LocalServer, new_server: LocalServer) -> Iterator[Pair]:
    name = f"held_{uuid.uuid4().hex[:8]}"
    with contextlib.ExitStack() as stack:
        for server in (old_server, new_server):
            admin = stack.enter_context(connect(server.dsn(), purpose="test"))
            database = sql.Identifier(name)
            admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(database))
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database)
            stack.callback(admin.execute, drop)
            with connect(server.dsn(name), purpose="test") as connection:
                connection.execute(CONTENT)
        yield Pair(old_server.dsn(name), new_server.dsn(name))


class Writer(Listener):
    """An observer at whose every word a row of another table changes on the target."""

    def __init__(self, target: Dsn) -> None:
        super().__init__()
        self._connection = connect(target, purpose="test")

    def progress(
        self, what: str, done: int, total: int | None, unit: str, *, detail: str = ""
    ) -> None:
        super().progress(what, done, total, unit, detail=detail)
        self._connection.execute("UPDATE work SET note = note || 'x'")
        self._connection.execute("SELECT pg_stat_force_next_flush()")


def test_a_bound_ends_a_comparison_which_can_be_resumed(pair: Pair, tmp_path: Path) -> None:
    options = replace(SLOW, stop_when=(HeldLimit("dead", 500),))
    with Ledger.in_folder(tmp_path) as ledger:
        with pytest.raises(StoppedError, match="500 row versions died since") as caught:
            compare(
                pair.source, pair.target, options=options, ledger=ledger,
                observer=Writer(pair.target),
            )  # fmt: skip
        assert "the snapshot on the target" in caught.value.message
        assert "--resume" in (caught.value.remedy or "")
        with connect(pair.target, purpose="test") as connection:
            wait_until(lambda: fetch_value(connection, OURS) == 0, "sessions to end", 10)
        fast = replace(SLOW, restraint=Restraint(), resume=True)
        verdict = compare(pair.source, pair.target, options=fast, ledger=ledger)
    assert verdict.same
    assert verdict.whole
    assert verdict.rows == 12001


@contextlib.contextmanager
def exported(dsn: Dsn) -> Iterator[str]:
    """A snapshot that somebody holds, as at a cutover."""
    with connect(dsn, purpose="test") as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield str(fetch_value(connection, "SELECT pg_export_snapshot()"))


def test_at_a_given_moment_what_was_compared_until_then_counts(pair: Pair) -> None:
    options = replace(SLOW, large_objects=True, stop_when=(HeldLimit("held", 2.0),))
    writer = Writer(pair.target)
    with exported(pair.source) as here, exported(pair.target) as there:
        verdict = compare(
            pair.source, pair.target, options=options, observer=writer,
            source_snapshot=here, target_snapshot=there,
        )  # fmt: skip
    assert verdict.same
    assert not verdict.whole
    assert [table.table for table in verdict.tables] == ["public.alone"]
    assert list(verdict.not_reached) == ["public.big"]
    assert not verdict.large_objects.compared
    assert len(verdict.cut_off) == 2
    assert all("it was held for 2.0 s" in text for text in verdict.cut_off)
    held = verdict.method["held"]
    assert 2.0 < held["target"]["seconds"] < 30
    assert held["target"]["dead_row_versions"] >= 300
    assert held["target"]["transactions"] > 0
    assert held["source"]["dead_row_versions"] == 0
    page = certify(verdict, pair.source, pair.target)
    assert "the rest was not compared" in page.sentence
    assert any("the oldest snapshot on the target was held for" in text for text in page.method)


def test_what_a_difference_was_found_in_is_told_though_a_bound_was_reached(pair: Pair) -> None:
    with connect(pair.target, purpose="test") as connection:
        connection.execute("UPDATE alone SET note = 'b'")
    options = replace(SLOW, stop_when=(HeldLimit("held", 1.0),))
    with exported(pair.source) as here, exported(pair.target) as there:
        verdict = compare(
            pair.source, pair.target, options=options, source_snapshot=here, target_snapshot=there
        )
    assert not verdict.same
    assert [table.table for table in verdict.tables if not table.same] == ["public.alone"]
    assert list(verdict.not_reached) == ["public.big"]


class Ender(Listener):
    """An observer that ends our sessions on the target when the first rows were read."""

    def __init__(self, target: Dsn) -> None:
        super().__init__()
        self._connection = connect(target, purpose="test")
        self._ended = False

    def progress(
        self, what: str, done: int, total: int | None, unit: str, *, detail: str = ""
    ) -> None:
        if not self._ended and done:
            self._ended = True
            self._connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'naru: verify' AND datname = current_database()"
            )


def test_what_one_side_fails_with_does_not_wait_for_the_other(pair: Pair) -> None:
    options = replace(SLOW, restraint=Restraint(rate=Rate.parse("200kB")))
    began = time.monotonic()
    with pytest.raises(UnreachableError, match="connection"):
        compare(pair.source, pair.target, options=options, observer=Ender(pair.target))
    # The source alone would take half a minute.
    assert time.monotonic() - began < 15
