"""Small tables that are copied together arrive exactly, and trouble names the one it is with."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import pytest

from naru.errors import NaruError, ServerError, StoppedError
from naru.migrate.names import Relation
from naru.migrate.parts import Part, cut, read_tables
from naru.migrate.reading import Reader
from naru.migrate.sides import Side
from naru.migrate.transfer import Worker
from naru.postgres import LocalServer, connect, fetch_all, fetch_value
from naru.system import wait_until
from tests.integration.test_migrate_wire import Pair, pair_of, stopped, waiting_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

NAMES = ("a_few", "b_none", "c_bare", "d_wide", "e_text", "f odd\"'; name", "g_many", "h_last")
SCHEMA = """
CREATE TYPE mood AS ENUM ('well', 'ill');
CREATE TABLE a_few (id int PRIMARY KEY, body text);
CREATE TABLE b_none (id int);
CREATE TABLE c_bare ();
CREATE TABLE d_wide (id int, body bytea);
CREATE TABLE e_text (moods mood[], double int GENERATED ALWAYS AS (2) STORED, body text);
CREATE TABLE "f odd""'; name" ("x"";y" int, "Ünï" text);
CREATE TABLE g_many (id int);
CREATE TABLE h_last (id int);
"""
ROWS = """
INSERT INTO a_few SELECT g, repeat('é', g) FROM generate_series(1, 5) g;
INSERT INTO c_bare SELECT FROM generate_series(1, 4);
INSERT INTO d_wide VALUES (1, repeat('x', 20000000)::bytea), (2, ''), (3, NULL);
INSERT INTO e_text VALUES ('{well,ill}', DEFAULT, E'a\\tb\\\\.\\n\\\\N'), (NULL, DEFAULT, NULL);
INSERT INTO "f odd""'; name" VALUES (1, repeat('COPY 5', 3000000)), (NULL, '');
INSERT INTO g_many SELECT generate_series(1, 25000);
INSERT INTO h_last VALUES (7);
"""
COUNTS = [5, 0, 4, 3, 2, 2, 25000, 1]


@pytest.fixture(scope="module")
def shared(old_server: LocalServer, new_server: LocalServer) -> Iterator[Pair]:
    with pair_of(old_server, new_server) as made:
        yield made


@pytest.fixture
def pair(shared: Pair) -> Pair:
    shared.both("DROP SCHEMA public CASCADE; CREATE SCHEMA public; " + SCHEMA)
    shared.do(shared.source, ROWS)
    shared.do(shared.target, "TRUNCATE naru_migration.part")
    return shared


@contextlib.contextmanager
def working(pair: Pair) -> Iterator[tuple[Worker, list[Part]]]:
    """A worker with a snapshot, and all tables as parts that are copied together."""
    with connect(pair.source, purpose="test") as holding:
        holding.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        snapshot = str(fetch_value(holding, "SELECT pg_export_snapshot()"))
        with connect(pair.source, purpose="test", autocommit=False) as reading:
            found = {one.relation: one for one in read_tables(reading)}
        parts = [cut(found[Relation("public", name)])[0] for name in NAMES]
        assert all(part.is_small for part in parts)
        reader = Reader(Side.of("source", pair.source), pair.psql, snapshot, "UTF8")
        worker = Worker(reader, Side.of("target", pair.target), 1)
        try:
            yield worker, parts
        finally:
            worker.close()


def copy(
    worker: Worker, parts: list[Part], moved: Callable[[int], None] = lambda _: None
) -> object:
    return worker.copy(parts, 1, moved, threading.Event())


def rows_of(pair: Pair, side: str, name: str) -> list[tuple[object, ...]]:
    quoted = Relation("public", name).identifier.as_string()
    query = f"SELECT md5(t::text), count(*) FROM {quoted} t GROUP BY 1 ORDER BY 1"
    with connect(getattr(pair, side), purpose="test") as connection:
        return fetch_all(connection, query)


def nothing_arrived(pair: Pair) -> bool:
    noted = pair.ask(pair.target, "SELECT count(*) FROM naru_migration.part")
    return bool(noted == 0 and not any(rows_of(pair, "target", name) for name in NAMES))


def test_tables_of_every_sort_arrive_and_each_is_noted(pair: Pair) -> None:
    sizes: list[int] = []
    with working(pair) as (worker, parts):
        assert {part.table.binary for part in parts} == {True, False}
        assert copy(worker, parts[:5], sizes.append) == COUNTS[:5]
        assert copy(worker, parts[5:], sizes.append) == COUNTS[5:]
    for name in NAMES:
        assert rows_of(pair, "source", name) == rows_of(pair, "target", name)
    with connect(pair.target, purpose="test") as target:
        noted = fetch_all(
            target, "SELECT relation, rows, bytes FROM naru_migration.part ORDER BY 1"
        )
    assert [(name, rows) for name, rows, _ in noted] == list(zip(NAMES, COUNTS, strict=True))
    assert sum(size for _, _, size in noted) == sum(sizes)


def test_a_table_that_the_source_refuses_is_named_and_nothing_arrives(pair: Pair) -> None:
    with working(pair) as (worker, parts):
        pair.do(pair.source, "DROP TABLE d_wide")
        with pytest.raises(ServerError, match=r"public\.d_wide.*source.*does not exist"):
            copy(worker, parts)
    assert nothing_arrived(pair)


@pytest.mark.parametrize(
    ("name", "check"),
    [("a_few", "id < 5"), ("g_many", "id < 24999"), ("h_last", "id < 7"), ("b_none", None)],
)
def test_a_table_that_the_target_refuses_is_named_and_nothing_arrives(
    pair: Pair, name: str, check: str | None
) -> None:
    act = f"ALTER TABLE {name} ADD CHECK ({check})" if check else f"ALTER TABLE {name} DROP id"
    pair.do(pair.target, act)
    words = "violates check constraint" if check else "does not exist"
    with working(pair) as (worker, parts), pytest.raises(NaruError) as caught:
        copy(worker, parts)
    assert f"copying public.{name}" in str(caught.value)
    assert words in str(caught.value)
    assert nothing_arrived(pair)


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_session_that_is_terminated_ends_the_copy(pair: Pair, side: str) -> None:
    dsn = getattr(pair, side)
    end = (
        "SELECT bool_or(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'naru: copy 1'"
    )
    ended: list[object] = []

    def passed(count: int) -> None:
        if count and not ended:
            ended.append(pair.ask(dsn, end))

    with working(pair) as (worker, parts), pytest.raises(NaruError) as caught:
        copy(worker, parts, passed)
    assert ended == [True]
    assert "again" in str(caught.value)
    assert nothing_arrived(pair)


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_table_that_is_locked_does_not_keep_the_copy_from_stopping(pair: Pair, side: str) -> None:
    dsn = getattr(pair, side)
    locking, waits = pair.open(dsn), waiting_for(pair, dsn, "relation")
    with working(pair) as (worker, parts):
        locking.execute("BEGIN; LOCK TABLE e_text")
        stopped(lambda passed: copy(worker, parts, passed), waits)
        wait_until(lambda: not waits(), f"the {side} to be let go", 10)
    locking.execute("ROLLBACK")
    assert nothing_arrived(pair)


def test_a_lock_that_lasts_is_told_with_who_holds_it(pair: Pair) -> None:
    locking = pair.open(pair.source)
    with working(pair) as (worker, parts):
        locking.execute("BEGIN; LOCK TABLE g_many")
        worker._reader = Reader(
            Side.of("source", pair.source, lock_seconds=0.3), pair.psql,
            worker._reader.snapshot, "UTF8",
        )  # fmt: skip
        with pytest.raises(StoppedError, match=r"public\.g_many is locked by process \d+"):
            copy(worker, parts)
    locking.execute("ROLLBACK")
    assert nothing_arrived(pair)
