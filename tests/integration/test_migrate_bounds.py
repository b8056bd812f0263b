"""What a migration may cost the source: WAL held back, locks waited for, bytes a second."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from naru.errors import DeadlineError, RefusedError
from naru.migrate import Bounds, Start, Switcher, begin_anew, set_lock_seconds
from naru.migrate.disk import observe_disk
from naru.postgres import Connection, LocalServer, connect, fetch_all, fetch_value
from naru.system import wait_until
from tests.migration import Case, case, catalogs, found

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

MB = 1_000_000


@pytest.fixture
def made(tmp_path: Path, old_server: LocalServer, new_server: LocalServer) -> Iterator[Case]:
    with case(tmp_path, old_server, new_server, "naru_bounds") as it:
        yield it


def write_wal(connection: Connection, size: int) -> None:
    """Make the source's WAL longer by about `size`, without changing a row."""
    emit = "SELECT pg_logical_emit_message(false, 'test', repeat('x', 1000000))"
    for _ in range(size // MB):
        connection.execute(emit)


@contextlib.contextmanager
def writing_wal(made: Case) -> Iterator[None]:
    """A source that goes on writing, ten megabytes a second."""
    stop = threading.Event()

    def work() -> None:
        with connect(made.source, purpose="app") as source:
            while not stop.wait(0.1):
                write_wal(source, MB)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def refuses(made: Case) -> None:
    """A start names the way out, since it cannot go on."""
    done = made.command("migrate", "start", *made.uris())
    assert done.returncode == 4, done.stderr[-3000:]
    assert "naru migrate start --anew" in done.stderr


def begins_anew(made: Case) -> None:
    """One command leads from there to a target that is the same."""
    done = made.command("migrate", "start", "--anew", "--yes", *made.uris())
    assert done.returncode == 0, done.stderr[-3000:]
    with made.record() as record:
        verdict = made.switcher(record).cross().verdict
    assert verdict is not None
    assert verdict.same, found(verdict)


def slots(made: Case) -> int:
    with connect(made.source, purpose="test") as source:
        query = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()"
        return int(fetch_value(source, query))


def test_a_start_gives_up_when_the_source_holds_too_much_wal_back(made: Case) -> None:
    with writing_wal(made):
        done = made.command(
            "migrate", "start", "--rate", "0.05", "--retain-at-most", "30MB", *made.uris()
        )
    assert done.returncode == 4, done.stderr[-3000:]
    assert "the slots were dropped before its disk could fill" in done.stderr
    assert "Traceback" not in done.stderr
    assert slots(made) == 0
    refuses(made)
    begins_anew(made)


def test_a_watch_warns_and_then_drops_the_slots_while_nobody_reads_them(made: Case) -> None:
    made.start()
    watch = ("migrate", "watch", "--looks", "1", "--retain-at-most")
    done = made.command(*watch, "1GB", *made.uris())
    assert (done.returncode, done.stdout[:2]) == (0, "ok"), done.stderr
    with connect(made.target, purpose="test") as target:
        target.execute("ALTER SUBSCRIPTION naru_naru_bounds_1 DISABLE")
    with connect(made.source, purpose="test") as source:
        write_wal(source, 60 * MB)
    done = made.command(*watch, "100MB", *made.uris())
    assert (done.returncode, done.stdout[:7]) == (1, "warning"), done.stderr
    assert slots(made) == 1
    done = made.command(*watch, "50MB", *made.uris())
    assert done.returncode == 4, done.stdout
    assert "--retain-at-most is 50.0 MB" in done.stderr
    assert slots(made) == 0
    told = made.command("migrate", "status", "--json", *made.uris())
    assert told.returncode == 1
    assert "start --anew" in json.loads(told.stdout)["problem"]
    refuses(made)


def test_wal_that_the_server_itself_has_dropped_is_told_with_the_way_out(made: Case) -> None:
    made.start()
    with connect(made.target, purpose="test") as target:
        target.execute("ALTER SUBSCRIPTION naru_naru_bounds_1 DISABLE")
    with connect(made.source, purpose="test") as source:
        source.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'")
        source.execute("SELECT pg_reload_conf()")
        try:
            write_wal(source, 60 * MB)
            source.execute("CHECKPOINT")
            told = made.command("migrate", "status", "--json", *made.uris())
            assert told.returncode == 1
            document = json.loads(told.stdout)
            assert document["retention"]["level"] == "lost"
            assert "max_slot_wal_keep_size" in document["problem"]
        finally:
            source.execute("ALTER SYSTEM RESET max_slot_wal_keep_size")
            source.execute("SELECT pg_reload_conf()")
    refuses(made)


def test_a_database_that_was_there_before_is_empty_and_its_own_after_beginning_anew(
    made: Case,
) -> None:
    name = made.database
    with connect(made.new.dsn(), purpose="test") as server:
        server.execute("CREATE ROLE naru_bounds_owner")
        server.execute(f"CREATE DATABASE {name} TEMPLATE template0 OWNER naru_bounds_owner")
        server.execute(f"ALTER DATABASE {name} SET work_mem = '7MB'")
    try:
        made.start()
        with made.record() as record:
            begin_anew(record)
        with connect(made.target, purpose="test") as target:
            assert fetch_all(target, "SELECT FROM pg_class WHERE relnamespace >= 16384") == []
            assert fetch_value(target, "SHOW work_mem") == "7MB"
            owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s"
            assert fetch_value(target, owner, [name]) == "naru_bounds_owner"
    finally:
        made.remove()
        with connect(made.new.dsn(), purpose="test") as server:
            server.execute("DROP ROLE naru_bounds_owner")


def test_the_disk_of_a_server_is_known_and_nothing_of_asking_is_left(made: Case) -> None:
    real = os.statvfs(made.old.data)
    with connect(made.source, purpose="test") as source:
        source.execute(
            "CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS"
            " 'BEGIN RAISE EXCEPTION ''no DDL''; END';"
            "CREATE EVENT TRIGGER no ON ddl_command_start EXECUTE FUNCTION no()"
        )
        before = catalogs(made.old, made.database)
        disk = observe_disk(source)
        assert disk is not None
        assert disk.total == real.f_frsize * real.f_blocks
        assert 0 < disk.free <= disk.total
        assert observe_disk(source, "no/such/folder") is None
        source.execute("SELECT 1")
    assert catalogs(made.old, made.database) == before


def test_a_lock_in_the_way_is_asked_for_again_and_then_named(made: Case) -> None:
    with connect(made.source, purpose="test") as source:
        source.execute("CREATE TABLE busy (id int)")
    with made.record() as record, connect(made.source, purpose="holder") as holder:
        record = set_lock_seconds(record, 0.05)
        holder.execute("BEGIN; SELECT count(*) FROM busy")
        with pytest.raises(DeadlineError) as caught:
            Start(record, Bounds()).perform()
        pid = holder.info.backend_pid
        assert f"public.busy is locked by process {pid} (postgres, naru: holder" in str(
            caught.value
        )
        assert f"pg_terminate_backend({pid})" in str(caught.value)
        waiting = threading.Timer(0.3, lambda: holder.execute("COMMIT"))
        waiting.start()
        Start(set_lock_seconds(record, 0.2), Bounds()).perform()
        waiting.join()


def test_a_table_that_is_made_while_rows_are_copied_stays_writable(
    made: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("naru.journal.steps.at_boundary", lambda step: make(step, "copy"))

    def make(step: str, wanted: str) -> None:
        if step == wanted:
            with connect(made.source, purpose="app") as source:
                source.execute("CREATE TABLE late AS SELECT 1 AS id")

    made.start()
    with connect(made.source, purpose="app") as source:
        source.execute("UPDATE late SET id = 2")
    with connect(made.target, purpose="app") as target:
        target.execute("CREATE TABLE later (id int)")
    with connect(made.source, purpose="app") as source:
        source.execute("CREATE TABLE later (id int)")
        source.execute("ALTER PUBLICATION naru_naru_bounds_1 ADD TABLE later")
    with connect(made.target, purpose="app") as target:
        target.execute("ALTER SUBSCRIPTION naru_naru_bounds_1 REFRESH PUBLICATION")
    with made.record() as record:
        refused = made.switcher(record)
        wait_until(lambda: not shut(refused), "the gates to open", 60)
        with pytest.raises(RefusedError, match=r"public\.later has no replica identity"):
            refused.cross()
        assert record.at == "source"


def shut(switcher: Switcher) -> bool:
    return any(gate.severity == "shut" for gate in switcher.gates())


def test_a_copy_is_no_faster_than_its_rate(made: Case) -> None:
    with made.record() as record:
        began = time.monotonic()
        Start(record, Bounds(rate=2 * MB)).perform()
        copied = record.run.figures()["copy.bytes"].value
        assert copied > 2 * MB
        assert time.monotonic() - began > 0.8 * copied / (2 * MB)
