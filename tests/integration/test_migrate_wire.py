"""Rows that go from socket to socket arrive exactly, and every trouble ends the copy at once."""

from __future__ import annotations

import contextlib
import math
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from naru.errors import NaruError, ServerError, StoppedError, UnreachableError
from naru.migrate import ledger, wire
from naru.migrate.names import Relation
from naru.migrate.parts import Part, cut, cut_into, read_tables
from naru.migrate.reading import Reader
from naru.migrate.sides import Side
from naru.migrate.transfer import Worker
from naru.postgres import Connection, Dsn, LocalServer, connect, fetch_value
from naru.system import give_to, need_program, server_account, wait_until
from tests import servers

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

COPY_IN = b"COPY taken FROM STDIN (FORMAT binary)"


@dataclass
class Pair:
    """A database of one name on either side, each with an empty ledger."""

    source: Dsn
    target: Dsn
    psql: Path
    connections: list[Connection] = field(default_factory=list)

    def open(self, dsn: Dsn, **settings: str) -> Connection:
        made = connect(dsn, purpose="test", settings=settings)
        self.connections.append(made)
        return made

    def ready(self) -> tuple[Connection, Connection]:
        """Two connections as `carry` wants them."""
        source = self.open(self.source, client_min_messages="error")
        target = self.open(self.target, client_min_messages="error")
        source.execute(f"BEGIN; SAVEPOINT {wire.SAVEPOINT}")
        target.execute("BEGIN")
        return source, target

    def carry(
        self, select: str, passed: Callable[[int], None] = lambda _: None, into: bytes = COPY_IN
    ) -> int:
        source, target = self.ready()
        count = wire.carry(source, reading(select), target, into, passed)
        target.execute("COMMIT")
        source.execute("COMMIT")
        return count

    def ask(self, dsn: Dsn, query: str) -> Any:
        with connect(dsn, purpose="test") as connection:
            return fetch_value(connection, sql.SQL(query))

    def do(self, dsn: Dsn, text: str) -> None:
        with connect(dsn, purpose="test") as connection:
            connection.execute(text.encode())

    def both(self, text: str) -> None:
        self.do(self.source, text)
        self.do(self.target, text)


def reading(select: str) -> bytes:
    return f"COPY ({select}) TO STDOUT (FORMAT binary)".encode()


@contextlib.contextmanager
def pair_of(old: LocalServer, new: LocalServer) -> Iterator[Pair]:
    name = f"wire_{uuid.uuid4().hex[:8]}"
    for server in (old, new):
        with connect(server.dsn(), purpose="test") as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    made = Pair(old.dsn(name), new.dsn(name), new.installation.tool("psql"))
    with connect(made.target, purpose="test") as connection:
        ledger.create(connection)
    try:
        yield made
    finally:
        for one in made.connections:
            one.close()
        for server in (old, new):
            with connect(server.dsn(), purpose="test") as connection:
                connection.execute(
                    sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
                )


@pytest.fixture
def pair(old_server: LocalServer, new_server: LocalServer) -> Iterator[Pair]:
    with pair_of(old_server, new_server) as made:
        yield made


@contextlib.contextmanager
def working(
    pair: Pair, name: str = "item", *, until: float = math.inf
) -> Iterator[tuple[Worker, Part]]:
    """A worker with a snapshot, and the table `name` as one part that counts as large."""
    with connect(pair.source, purpose="test") as holding:
        holding.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        snapshot = str(fetch_value(holding, "SELECT pg_export_snapshot()"))
        with connect(pair.source, purpose="test", autocommit=False) as reading_tables:
            table = next(
                one for one in read_tables(reading_tables)
                if one.relation == Relation("public", name)
            )  # fmt: skip
        reader = Reader(Side.of("source", pair.source), pair.psql, snapshot, "UTF8", until=until)
        worker = Worker(reader, Side.of("target", pair.target), 1)
        try:
            yield worker, cut(table)[0]
        finally:
            worker.close()


def copy(worker: Worker, part: Part, stop: threading.Event | None = None) -> list[int]:
    return worker.copy([part], 1, lambda _: None, stop or threading.Event())


def nothing_arrived(pair: Pair, table: str) -> bool:
    noted = pair.ask(pair.target, "SELECT count(*) FROM naru_migration.part")
    return bool(noted == 0 and pair.ask(pair.target, f"SELECT count(*) FROM {table}") == 0)


DIGEST = "SELECT count(*) || md5(string_agg(id || md5(body), ',' ORDER BY id)) FROM {}"


def bodies(*sizes: int) -> str:
    """Rows of just these sizes, each of other bytes."""
    values = ", ".join(f"({number}, {size})" for number, size in enumerate(sizes))
    return (
        "SELECT id, convert_to(repeat(chr(33 + id % 90), size), 'UTF8') AS body"
        f" FROM (VALUES {values}) v (id, size)"
    )


EDGES = [
    edge + off
    for edge in (wire._TAIL, wire._ENOUGH, wire._BLOCK, wire._TAIL + wire._BLOCK)
    # A message is 5 bytes and a row's frame 14 more, so ends fall on both sides of an edge.
    for off in (-20, -19, -18, -1, 0, 1)
]
LOOKS_LIKE_PROTOCOL = [
    b"c\x00\x00\x00\x04C\x00\x00\x00\x0bCOPY 5\x00Z\x00\x00\x00\x05T",
    b"Z\x00\x00\x00\x05T",
    b"C\x00\x00\x00\x0dSELECT 1\x00Z\x00\x00\x00\x05T",
    b"E\x00\x00\x00\x16SERROR\x00C22012\x00Mno\x00\x00Z\x00\x00\x00\x05E",
    b"\xff\xff\\.\n\\.\x00X\x00\x00\x00\x04",
]


@pytest.mark.parametrize(
    "sizes",
    [(), (1,), (0,), (0, 0, 0), (20_000_000,), (5, 20_000_000, 0, 5), tuple(EDGES)]
    + [(edge,) for edge in EDGES],
    ids=lambda sizes: "-".join(map(str, sizes[:5])) or "none",
)
def test_rows_of_any_size_arrive_exactly(pair: Pair, sizes: tuple[int, ...]) -> None:
    pair.both("CREATE TABLE taken (id int, body bytea)")
    if sizes:
        pair.do(pair.source, f"INSERT INTO taken {bodies(*sizes)}")
    moved: list[int] = []
    assert pair.carry("SELECT * FROM taken", moved.append) == len(sizes)
    assert pair.ask(pair.source, DIGEST.format("taken")) == pair.ask(
        pair.target, DIGEST.format("taken")
    )
    assert sum(moved) >= sum(sizes)


@pytest.mark.parametrize("content", LOOKS_LIKE_PROTOCOL)
@pytest.mark.parametrize("times", [1, 700])
def test_rows_that_look_like_the_protocol_are_rows(pair: Pair, content: bytes, times: int) -> None:
    pair.both("CREATE TABLE taken (id int, body bytea)")
    count = 3000 if times == 1 else 30
    with connect(pair.source, purpose="test") as source:
        source.execute(
            "INSERT INTO taken SELECT g, %s FROM generate_series(1, %s) g", [content * times, count]
        )
    assert pair.carry("SELECT * FROM taken") == count
    assert pair.ask(pair.source, DIGEST.format("taken")) == pair.ask(
        pair.target, DIGEST.format("taken")
    )


def test_one_pair_of_connections_carries_copy_after_copy(pair: Pair) -> None:
    pair.both("CREATE TABLE taken (id int, body bytea)")
    source, target = pair.ready()
    for sizes in ((), (3,), (70_000, 1), ()):
        select = (
            f"SELECT id, body FROM ({bodies(*sizes)}) x" if sizes else "SELECT 1, ''::bytea LIMIT 0"
        )
        assert wire.carry(source, reading(select), target, COPY_IN, lambda _: None) == len(sizes)
    target.execute("COMMIT")
    assert pair.ask(pair.target, "SELECT count(*) FROM taken") == 3


FAILING = "SELECT 1 / (400000 - g), ''::bytea FROM generate_series(1, 500000) g"


@pytest.mark.parametrize("last", [b"", *LOOKS_LIKE_PROTOCOL[:2]])
def test_a_source_that_fails_after_many_rows_is_quoted(pair: Pair, last: bytes) -> None:
    pair.both("CREATE TABLE taken (id int, body bytea)")
    select = FAILING.replace("''", f"'\\x{last.hex()}'")
    with pytest.raises(ServerError, match="division by zero") as caught:
        pair.carry(select)
    assert caught.value.sqlstate == "22012"
    assert pair.ask(pair.target, "SELECT count(*) FROM taken") == 0


def test_a_source_that_refuses_at_once_is_quoted(pair: Pair) -> None:
    pair.both("CREATE TABLE taken (id int, body bytea)")
    with pytest.raises(ServerError, match="does not exist"):
        pair.carry("SELECT * FROM absent")


def terminate_on(pair: Pair, dsn: Dsn, words: str) -> Callable[[int], None]:
    """Ends the backend that runs `words` as soon as a block has passed."""
    ended: list[object] = []

    def passed(count: int) -> None:
        if count and not ended:
            query = (
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE"
                f" datname = current_database() AND pid <> pg_backend_pid()"
                f" AND state = 'active' AND query LIKE '{words}%'"
            )
            ended.append(pair.ask(dsn, query))
            assert ended == [True]

    return passed


MANY = "SELECT g, repeat('x', 1000)::bytea FROM generate_series(1, 300000) g"


def test_a_source_backend_that_is_terminated_ends_the_copy(pair: Pair) -> None:
    pair.both("CREATE TABLE taken (id int, body bytea)")
    passed = terminate_on(pair, pair.source, "COPY (SELECT g")
    with pytest.raises(UnreachableError, match="source"):
        pair.carry(MANY, passed)
    assert pair.ask(pair.target, "SELECT count(*) FROM taken") == 0


def test_a_target_backend_that_is_terminated_ends_the_copy(pair: Pair) -> None:
    pair.both("CREATE TABLE taken (id int, body bytea)")
    passed = terminate_on(pair, pair.target, "COPY taken")
    with pytest.raises(psycopg.Error, match=r"terminat|closed|lost"):
        pair.carry(MANY, passed)
    assert pair.ask(pair.target, "SELECT count(*) FROM taken") == 0


@pytest.mark.parametrize(
    ("table", "select", "words"),
    [
        ("taken (id int CHECK (id <> 1000), body bytea)", MANY, "check constraint"),
        ("taken (id int, body text)", MANY.replace("'x'", "'x\\377'").replace(
            "::bytea", "").replace("repeat('x\\377', 1000)", "'\\xff'::bytea"), "invalid byte"),
    ],
)  # fmt: skip
def test_a_target_that_refuses_a_row_is_quoted_at_once(
    pair: Pair, table: str, select: str, words: str
) -> None:
    pair.do(pair.target, f"CREATE TABLE {table}")
    moved: list[int] = []
    with pytest.raises(psycopg.Error, match=words):
        pair.carry(select.replace("300000", "30000000"), moved.append)
    assert sum(moved) < 2_000_000_000
    assert pair.ask(pair.target, "SELECT count(*) FROM taken") == 0


def stopped(run: Callable[[Callable[[int], None]], object], ready: Callable[[], object]) -> None:
    """Runs a copy in a thread, stops it once it is `ready`, and sees it end."""
    stop = threading.Event()

    def passed(_: int) -> None:
        if stop.is_set():
            raise StoppedError("stop")

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, passed)
        try:
            wait_until(ready, "the copy to stand still", 30)
        finally:
            stop.set()
        with pytest.raises(StoppedError):
            running.result(timeout=15)


def waiting_for(pair: Pair, dsn: Dsn, event: str) -> Callable[[], object]:
    query = (
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database()"
        f" AND wait_event = '{event}' AND query LIKE 'COPY%'"
    )
    return lambda: pair.ask(dsn, query)


@pytest.mark.parametrize("rows", [0, 500, 100_000])
def test_a_silent_source_does_not_keep_the_copy_from_stopping(pair: Pair, rows: int) -> None:
    pair.both("CREATE TABLE taken (id int, body bytea)")
    select = (
        f"SELECT g, repeat('x', 100)::bytea FROM generate_series(0, {rows}) g"
        f" WHERE g < {rows} OR pg_sleep(100)::text = ''"
    )
    stopped(lambda passed: pair.carry(select, passed), waiting_for(pair, pair.source, "PgSleep"))
    wait_until(
        lambda: not waiting_for(pair, pair.source, "PgSleep")(), "the source to be let go", 10
    )


def test_a_locked_target_does_not_keep_the_copy_from_stopping(pair: Pair) -> None:
    pair.both("CREATE TABLE taken (id int, body bytea)")
    locking = pair.open(pair.target)
    locking.execute("BEGIN; LOCK TABLE taken")
    stopped(lambda passed: pair.carry(MANY, passed), waiting_for(pair, pair.target, "relation"))


@pytest.mark.parametrize("select", [MANY, "SELECT 5, ''::bytea"])
def test_a_row_that_waits_for_another_does_not_keep_the_copy_from_stopping(
    pair: Pair, select: str
) -> None:
    pair.both("CREATE TABLE taken (id int PRIMARY KEY, body bytea)")
    locking = pair.open(pair.target)
    locking.execute("BEGIN; INSERT INTO taken VALUES (5, '')")
    stopped(
        lambda passed: pair.carry(select, passed), waiting_for(pair, pair.target, "transactionid")
    )


def test_notices_and_reloaded_settings_do_not_come_among_the_rows(
    pair: Pair, old_server: LocalServer
) -> None:
    pair.both("CREATE TABLE taken (id int, body bytea)")
    pair.do(
        pair.source,
        "CREATE FUNCTION loud(i int) RETURNS int LANGUAGE plpgsql AS"
        " 'BEGIN RAISE NOTICE ''row %'', i; RAISE WARNING ''row %'', i; RETURN i; END'",
    )
    zones = iter(["Asia/Tokyo", "Europe/Paris"])

    def passed(count: int) -> None:
        if count and (zone := next(zones, None)):
            pair.do(old_server.dsn(), f"ALTER SYSTEM SET timezone = '{zone}'")
            pair.do(old_server.dsn(), "SELECT pg_reload_conf()")

    try:
        select = "SELECT loud(g), repeat('x', 100)::bytea FROM generate_series(1, 30000) g"
        assert pair.carry(select, passed) == 30000
    finally:
        pair.do(old_server.dsn(), "ALTER SYSTEM RESET timezone")
        pair.do(old_server.dsn(), "SELECT pg_reload_conf()")
    assert pair.ask(pair.target, "SELECT sum(id) FROM taken") == 450015000


FILL = (
    "CREATE TABLE item (id int PRIMARY KEY, body bytea);"
    "ALTER TABLE item ALTER body SET STORAGE EXTERNAL;"
    "INSERT INTO item SELECT g, repeat(chr(65 + g % 26), 1000)::bytea"
    " FROM generate_series(1, 4000) g"
)
EMPTY = "CREATE TABLE item (id int PRIMARY KEY, body bytea{check})"


def test_a_worker_copies_and_notes(pair: Pair) -> None:
    pair.do(pair.source, FILL)
    pair.do(pair.target, EMPTY.format(check=""))
    with working(pair) as (worker, part):
        assert not part.is_small
        assert copy(worker, part) == [4000]
    assert pair.ask(pair.source, DIGEST.format("item")) == pair.ask(
        pair.target, DIGEST.format("item")
    )
    assert pair.ask(pair.target, "SELECT rows FROM naru_migration.part") == 4000


def test_a_worker_stops_when_rows_move_to_another_file_between_two_parts(pair: Pair) -> None:
    pair.do(pair.source, FILL)
    pair.do(pair.target, EMPTY.format(check=""))
    with working(pair) as (worker, part):
        first, second = cut_into(part.table, 2)
        assert copy(worker, first) > [0]
        pair.do(pair.source, "DELETE FROM item WHERE id < 800")
        pair.do(pair.source, "VACUUM FULL item")
        with pytest.raises(StoppedError, match=r"public\.item was written anew"):
            copy(worker, second)
    assert pair.ask(pair.target, "SELECT array_agg(number) FROM naru_migration.part") == [0]


def test_a_snapshot_that_is_too_old_is_read_no_further(pair: Pair) -> None:
    pair.do(pair.source, FILL)
    pair.do(pair.target, EMPTY.format(check=""))
    with working(pair, until=time.time()) as (worker, part):
        with pytest.raises(StoppedError, match="--longest-snapshot"):
            copy(worker, part)
    assert nothing_arrived(pair, "item")


def test_a_worker_that_the_target_refuses_names_the_table_and_notes_nothing(pair: Pair) -> None:
    pair.do(pair.source, FILL)
    pair.do(pair.target, EMPTY.format(check=" CHECK (body <> '')"))
    pair.do(pair.target, "ALTER TABLE item ADD CHECK (id <> 3000)")
    with working(pair) as (worker, part), pytest.raises(NaruError) as caught:
        copy(worker, part)
    assert "public.item" in str(caught.value)
    assert "item_id_check" in str(caught.value)
    assert nothing_arrived(pair, "item")


def test_a_worker_whose_source_is_lost_names_both_sides_and_the_table(pair: Pair) -> None:
    pair.do(pair.source, FILL.replace("4000", "100000"))
    pair.do(pair.target, EMPTY.format(check=""))
    end = terminate_on(pair, pair.source, "COPY")
    with working(pair) as (worker, part), pytest.raises(StoppedError) as caught:
        worker.copy([part], 1, end, threading.Event())
    said = str(caught.value)
    assert f"source {pair.source}" in said
    assert f"target {pair.target}" in said
    assert "public.item" in said
    assert nothing_arrived(pair, "item")


@pytest.fixture(scope="module")
def encrypted(server_folder: Path) -> Iterator[LocalServer]:
    """A server whose connections are encrypted, with a certificate of its own."""
    made = servers.make_server(server_folder, "tls", servers.old_installation())
    made.start()
    try:
        subprocess.run(
            [need_program("openssl"), "req", "-new", "-x509", "-nodes", "-days", "1", "-subj",
             "/CN=naru", "-keyout", made.data / "server.key", "-out", made.data / "server.crt"],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        for name in ("server.key", "server.crt"):
            (made.data / name).chmod(0o600)
            give_to(made.data / name, server_account())
        with connect(made.dsn(), purpose="test") as connection:
            connection.execute("ALTER SYSTEM SET ssl = on")
            connection.execute("SELECT pg_reload_conf()")

        def is_encrypted() -> bool:
            with connect(made.dsn(), purpose="test") as connection:
                return bool(connection.pgconn.ssl_in_use)

        wait_until(is_encrypted, "encryption", 30)
        yield made
    finally:
        made.stop()


def test_rows_from_an_encrypted_source_arrive_the_same_through_psql(
    encrypted: LocalServer, new_server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> int:
        raise AssertionError("an encrypted socket must not be read past libpq")

    monkeypatch.setattr("naru.migrate.transfer.carry", never)
    with pair_of(encrypted, new_server) as pair:
        pair.do(pair.source, FILL)
        pair.do(pair.target, EMPTY.format(check=""))
        assert not wire.is_plain(pair.open(pair.source))
        assert wire.is_plain(pair.open(pair.target))
        with working(pair) as (worker, part):
            assert copy(worker, part) == [4000]
        assert pair.ask(pair.source, DIGEST.format("item")) == pair.ask(
            pair.target, DIGEST.format("item")
        )


def test_a_worker_that_reads_through_psql_stops_while_the_source_is_silent(
    encrypted: LocalServer, new_server: LocalServer
) -> None:
    with pair_of(encrypted, new_server) as pair:
        pair.do(pair.source, FILL)
        pair.do(pair.target, EMPTY.format(check=""))
        locking = pair.open(pair.source)
        with working(pair) as (worker, part):
            locking.execute("BEGIN; LOCK TABLE item")
            stop = threading.Event()
            with ThreadPoolExecutor(1) as pool:
                running = pool.submit(copy, worker, part, stop)
                try:
                    wait_until(waiting_for(pair, pair.source, "relation"), "psql to wait", 30)
                finally:
                    stop.set()
                with pytest.raises(StoppedError):
                    running.result(timeout=15)
            gone = waiting_for(pair, pair.source, "relation")
            wait_until(lambda: not gone(), "the source to be let go", 10)
        assert nothing_arrived(pair, "item")


def test_no_session_of_a_copy_is_left_on_either_server(pair: Pair) -> None:
    pair.both("CREATE TABLE taken (id int, body bytea)")
    with pytest.raises(ServerError):
        pair.carry(FAILING)
    query = (
        "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'naru: test' AND pid <> pg_backend_pid()"
    )

    def are_gone() -> bool:
        return all(pair.ask(dsn, query) for dsn in (pair.source, pair.target))

    wait_until(are_gone, "sessions to end", 20)
