"""By dump, when something is wrong: locks, full disks, damage, older servers, kill -9."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from naru.errors import DeadlineError, NaruError, RefusedError, TakenError
from naru.journal import Journal
from naru.migrate import DumpOptions, Restore, RestoreOptions, dump_databases
from naru.migrate.dump_archive import write_archive
from naru.migrate.dump_folder import partial_of, read_manifest, writing
from naru.migrate.leftovers import running_on
from naru.migrate.restore_marker import hold_alone
from naru.postgres import Dsn, LocalServer, connect, fetch_value
from naru.system import wait_until
from naru.verify import compare
from tests.lab import PASSWORDS, make_lab
from tests.migration import Case, drop_database, found

pytestmark = pytest.mark.integration

DATABASE = "naru_dump_trouble"


@pytest.fixture(scope="module")
def source(old_server: LocalServer) -> Iterator[Dsn]:
    drop_database(old_server, DATABASE)
    make_lab(old_server, DATABASE)
    yield old_server.dsn(DATABASE)
    drop_database(old_server, DATABASE)


@pytest.fixture
def target(new_server: LocalServer) -> Iterator[Dsn]:
    drop_database(new_server, DATABASE)
    yield new_server.dsn(DATABASE)
    drop_database(new_server, DATABASE)


@pytest.fixture(scope="module")
def whole(source: Dsn, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dumps") / "whole"
    dump_databases(source, folder, DumpOptions(rows="hashes"))
    return folder


@pytest.fixture
def made(
    source: Dsn, target: Dsn, tmp_path: Path, old_server: LocalServer, new_server: LocalServer
) -> Case:
    return Case(tmp_path, old_server, new_server, DATABASE)


def started(made: Case, *words: str) -> subprocess.Popen[str]:
    """`naru migrate …` as a process, not waited for."""
    script = (
        f"import sys; sys.argv = {['naru', 'migrate', *words]!r}\nfrom naru.cli import main; main()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=made.folder, env={**os.environ, **made.secrets()}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for_blocked(dsn: Dsn) -> None:
    """Until a session of pg_dump or pg_restore waits for a lock."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"
        " AND application_name IN ('naru: dump', 'naru: restore rows')"
    )
    with connect(dsn.with_(dbname="postgres"), purpose="test") as connection:
        wait_until(
            lambda: fetch_value(connection, query, [dsn.database]), "a program to be blocked", 60
        )


def test_a_dump_that_is_killed_is_never_taken_for_one_and_the_next_run_begins_anew(
    made: Case, source: Dsn
) -> None:
    folder = made.folder / "dumped"
    words = ["dump", *made.uris()[:2], "--to", str(folder)]
    with connect(source, purpose="app", autocommit=False) as client:
        client.execute("DROP SEQUENCE invoice_number_seq")
        first = started(made, *words)
        wait_for_blocked(source)
        first.kill()
        first.communicate()
        partial = partial_of(folder)
        (left,) = running_on(partial)
        assert not folder.exists()
        for one in (folder, partial):
            with pytest.raises(RefusedError):
                read_manifest(one)
        with pytest.raises(RefusedError, match="was not completed"):
            Restore(partial, source, RestoreOptions()).check()
        second = started(made, *words)
        wait_until(lambda: left not in running_on(partial), "what was left to be ended", 60)
        client.rollback()
    _, said = second.communicate(timeout=120)
    assert second.returncode == 0, said
    assert "an earlier dump was not completed; what it left was removed" in said
    assert not partial.exists()
    Restore(folder, made.target, RestoreOptions(create=True)).check()


def test_a_restore_that_is_killed_at_every_step_and_among_the_rows_goes_on(
    made: Case, source: Dsn, target: Dsn, whole: Path
) -> None:
    words = ["restore", "--from", str(whole), *made.uris()[2:], "--create"]
    for step in ("roles", "schema", "rows"):
        done = made.command("migrate", *words, where=f"step {step}")
        assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    with connect(target, purpose="app", autocommit=False) as client:
        # COPY waits for it, and what looks for rows that have arrived does not.
        client.execute("LOCK TABLE tags IN SHARE MODE")
        process = started(made, *words)
        wait_for_blocked(target)
        process.kill()
        process.communicate()
        # pg_restore, or at least its session at that table, lives on.
        client.rollback()
    for step in ("others", "indexes", "constraints", "rest", "analyze"):
        done = made.command("migrate", *words, where=f"step {step}")
        assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    done = made.command("migrate", *words, "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    (one,) = json.loads(done.stdout)["databases"]
    assert one["created"]
    assert one["proven"]
    verdict = compare(source, target)
    assert verdict.same, found(verdict)
    with connect(target, purpose="test") as connection:
        assert fetch_value(connection, "SELECT to_regnamespace('naru_migration')") is None


def test_a_target_that_another_restore_works_on_is_left_alone(
    target: Dsn, whole: Path, tmp_path: Path
) -> None:
    with connect(target.with_(dbname="postgres"), purpose="test") as connection:
        connection.execute(f"CREATE DATABASE {DATABASE}")
    with connect(target, purpose="test") as other:
        hold_alone(other)
        with pytest.raises(TakenError, match="another naru is restoring"):
            restore(whole, target, tmp_path)


def restore(folder: Path, target: Dsn, state: Path) -> None:
    with Journal.in_folder(state) as journal:
        Restore(folder, target, RestoreOptions(create=True)).perform(journal)


def test_a_locked_table_is_named_with_who_holds_it(source: Dsn, tmp_path: Path) -> None:
    with connect(source, purpose="slow report", autocommit=False) as client:
        client.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        pid = client.info.backend_pid
        with pytest.raises(DeadlineError) as refused:
            dump_databases(source, tmp_path / "one", DumpOptions(lock_seconds=0.3))
    assert f"process {pid} (postgres, naru: slow report) holds public.users" in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_table_that_is_locked_while_pg_dump_is_at_it_is_named_too(
    source: Dsn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is taken between our own look and pg_dump's."""
    with connect(source, purpose="slow report", autocommit=False) as client:

        def locking(*values: Any, **named: Any) -> None:
            client.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
            write_archive(*values, **named)

        monkeypatch.setattr("naru.migrate.dump_one.write_archive", locking)
        with pytest.raises(DeadlineError, match=r"slow report\) holds public\.users"):
            dump_databases(source, tmp_path / "one", DumpOptions(lock_seconds=0.3))
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_leaves_nothing_that_looks_like_a_dump(made: Case) -> None:
    """Files of this process may grow to a limit, as on a disk that is full."""
    words = ["migrate", "dump", *made.uris()[:2], "--to", str(made.folder / "dumped")]
    script = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        f"sys.argv = {['naru', *words]!r}\n"
        "from naru.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=made.folder, env={**os.environ, **made.secrets()},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "pg_dump was ended by SIGXFSZ" in done.stderr
    assert [one.name for one in made.folder.iterdir()] == ["passfile"]


def test_a_dump_that_would_not_fit_is_not_begun(
    source: Dsn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 10**6, 5))
    with pytest.raises(RefusedError, match="5 B are free"):
        dump_databases(source, tmp_path / "one", DumpOptions())
    assert list(tmp_path.iterdir()) == []
    dump_databases(source, tmp_path / "one", DumpOptions(check_room=False, content="schema"))


def test_a_folder_that_holds_something_is_refused(source: Dsn, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="already holds a dump"):
        dump_databases(source, whole, DumpOptions())
    (tmp_path / "letters").write_text("x")
    with pytest.raises(RefusedError, match="is not empty"):
        dump_databases(source, tmp_path, DumpOptions())
    with writing(tmp_path / "new"), pytest.raises(TakenError, match="another naru"):
        dump_databases(source, tmp_path / "new", DumpOptions())


def test_a_login_that_may_not_read_everything_is_told_before_anything_is_done(
    source: Dsn, tmp_path: Path
) -> None:
    dsn = source.with_(user="web_user", password=PASSWORDS["web_user"])
    with pytest.raises(RefusedError, match="this login may not read"):
        dump_databases(dsn, tmp_path / "one", DumpOptions())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: flip(path), "is damaged: its checksum is not the manifest's"),
        (lambda path: path.write_bytes(path.read_bytes()[:-10]), "bytes instead of"),
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.with_name("extra").write_text("x"), "does not belong to it"),
    ],
    ids=["bit flip", "truncated", "missing", "additional"],
)
def test_a_damaged_dump_is_refused_by_the_names_of_its_files(
    target: Dsn, whole: Path, tmp_path: Path, change: Callable[[Path], object], said: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(whole, copy)
    victim = max(copy.rglob("*.dat*"), key=lambda one: one.stat().st_size)
    change(victim)
    name = "extra" if said.startswith("does not") else victim.name
    with pytest.raises(RefusedError) as refused:
        Restore(copy, target, RestoreOptions(create=True)).check()
    assert f"{name} {said}".split(" bytes")[0].split(" is ")[0] in refused.value.message
    assert said in refused.value.message


def flip(path: Path) -> None:
    """One bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def test_a_damaged_manifest_is_refused(target: Dsn, whole: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(whole, copy)
    flip(copy / "manifest.json")
    with pytest.raises(RefusedError, match=r"manifest\.json is not as it was written"):
        Restore(copy, target, RestoreOptions()).check()


def test_a_newer_dump_does_not_go_into_an_older_server(
    old_server: LocalServer, new_server: LocalServer, target: Dsn, tmp_path: Path
) -> None:
    with connect(target.with_(dbname="postgres"), purpose="test") as connection:
        connection.execute(f"CREATE DATABASE {DATABASE}")
    dump_databases(target, tmp_path / "new", DumpOptions())
    older = old_server.dsn("naru_older")
    with pytest.raises(RefusedError, match=r"database naru_older: its server is PostgreSQL 15"):
        Restore(tmp_path / "new", older, RestoreOptions(create=True)).check()


def test_a_target_with_content_or_without_a_database_is_refused(target: Dsn, whole: Path) -> None:
    with pytest.raises(RefusedError, match="it does not exist"):
        Restore(whole, target, RestoreOptions()).check()
    with connect(target.with_(dbname="postgres"), purpose="test") as connection:
        connection.execute(f"CREATE DATABASE {DATABASE}")
    with connect(target, purpose="test") as connection:
        connection.execute("CREATE TABLE mine ()")
    with pytest.raises(NaruError, match=r"it is not empty: it holds public\.mine"):
        Restore(whole, target, RestoreOptions(create=True)).check()
