"""What naru says no to: with the object, the remedy and the exit code, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import sql

from naru.errors import RefusedError, ServerError
from naru.journal import Journal
from naru.migrate import Bounds, SeenAt, Start, abort, begin_or_resume, sole
from naru.migrate.database import is_absent
from naru.postgres import LocalServer, connect, fetch_all
from tests import servers
from tests.migration import Case, catalogs, drop_database

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

_CONTENT = """
CREATE TABLE item (id int PRIMARY KEY, text text);
INSERT INTO item SELECT g, 'item ' || g FROM generate_series(1, 1000) g;
"""


@pytest.fixture
def made(tmp_path: Path, old_server: LocalServer, new_server: LocalServer) -> Iterator[Case]:
    """A small database at the source, and none at the target."""
    it = Case(tmp_path, old_server, new_server, "naru_refused")
    for server in (old_server, new_server):
        drop_database(server, it.database)
    create(old_server, it.database)
    try:
        yield it
    finally:
        it.remove()


def create(server: LocalServer, database: str) -> None:
    with connect(server.dsn(), purpose="test") as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
    with connect(server.dsn(database), purpose="test") as connection:
        connection.execute(_CONTENT)


def must_refuse(done: subprocess.CompletedProcess[str], code: int, *said: str) -> None:
    """One clear message, with a remedy, and no more."""
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    assert done.returncode == code, done.stderr[-3000:]
    for words in said:
        assert words in done.stderr, (words, done.stderr[-3000:])


def must_be_untouched(made: Case, before: dict[str, str]) -> None:
    assert catalogs(made.old, made.database) == before
    with connect(made.new.dsn(), purpose="test") as connection:
        query = "SELECT datname FROM pg_database WHERE datname = %s"
        assert fetch_all(connection, query, [made.database]) == []
        query = "SELECT slot_name FROM pg_replication_slots WHERE database = %s"
        assert fetch_all(connection, query, [made.database]) == []


def other(made: Case, side: str, uri: str) -> list[str]:
    """Both databases as options, one of them replaced."""
    options = made.uris()
    options[options.index(f"--{side}") + 1] = uri
    return options


def ok(made: Case, *words: str) -> subprocess.CompletedProcess[str]:
    done = made.command("migrate", *words, *made.uris())
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_server_that_cannot_be_reached_or_refuses_the_password_is_named(
    made: Case, side: str
) -> None:
    before = catalogs(made.old, made.database)
    port = made.old.port if side == "source" else made.new.port
    nobody = servers.free_port()
    for uri, code, said in (
        (f"postgresql://postgres@127.0.0.1:{nobody}/x", 3, "cannot reach the server"),
        (f"postgresql://postgres:wrong@127.0.0.1:{port}/x", 3, "password authentication failed"),
        (f"postgresql://postgres@127.0.0.1:{port}/x?sslmode=require", 3, "SSL"),
        ("postgresql://postgres@one,two/x", 2, "is a list of servers"),
    ):
        must_refuse(made.command("migrate", "start", *other(made, side, uri)), code, said)
    must_be_untouched(made, before)


def test_full_replication_slots_at_the_source_are_told_before_anything_is_made(
    made: Case,
) -> None:
    before = catalogs(made.old, made.database)
    taken: list[str] = []
    with connect(made.old.dsn(), purpose="test") as source:
        try:
            query = (
                "SELECT current_setting('max_replication_slots')::int - count(*)"
                " FROM pg_replication_slots"
            )
            for number in range(fetch_all(source, query)[0][0]):
                taken.append(f"filler_{number}")
                source.execute("SELECT pg_create_physical_replication_slot(%s)", [taken[-1]])
            done = made.command("migrate", "start", *made.uris())
        finally:
            for name in taken:
                source.execute("SELECT pg_drop_replication_slot(%s)", [name])
    must_refuse(done, 1, "max_replication_slots", "are taken", "ALTER SYSTEM")
    must_be_untouched(made, before)


def test_a_source_that_does_not_log_for_logical_replication_is_refused(
    made: Case, server_folder: Path
) -> None:
    plain = servers.make_server(
        server_folder, "plain", servers.old_installation(), logical=False, shared_buffers="16MB"
    )
    with plain:
        create(plain, made.database)
        case = Case(made.folder, plain, made.new, made.database)
        before = catalogs(plain, made.database)
        done = case.command("migrate", "start", *case.uris())
        must_refuse(done, 1, "wal_level is replica", "ALTER SYSTEM SET wal_level = 'logical'")
        must_be_untouched(case, before)


def test_a_target_that_holds_something_and_the_source_itself_are_refused(made: Case) -> None:
    before = catalogs(made.old, made.database)
    source = made.uris()[1]
    must_refuse(
        made.command("migrate", "start", *other(made, "target", source)), 1, "are one server"
    )
    create(made.new, made.database)
    must_refuse(made.command("migrate", "start", *made.uris()), 1, "holds", "public.item")
    assert catalogs(made.old, made.database) == before


def test_a_wrong_naru_toml_is_refused_with_its_line(made: Case) -> None:
    (made.folder / "naru.toml").write_text("[service]\n\nport = 'abc'\n")
    must_refuse(made.command("migrate", "start", *made.uris()), 2, "naru.toml:3", "service.port")


def test_a_command_out_of_its_turn_is_refused(made: Case) -> None:
    for command in ("status", "cutover", "rollback", "finish", "abort"):
        done = made.command("migrate", command, *made.uris())
        must_refuse(done, 2, "no migration is under way", "naru migrate start")
    ok(made, "start")
    ok(made, "start")
    must_refuse(made.command("migrate", "rollback", "--yes", *made.uris()), 2, "at the source")
    must_refuse(made.command("migrate", "finish", *made.uris()), 2, "at the source")
    must_refuse(made.command("migrate", "cutover", *made.uris()), 1, "add --yes")
    dry = made.command("migrate", "cutover", "--dry-run", *made.uris())
    assert dry.returncode == 0
    assert "writes move from source" in dry.stderr
    ok(made, "cutover", "--yes")
    must_refuse(made.command("migrate", "abort", "--yes", *made.uris()), 2, "would lose")
    must_refuse(made.command("migrate", "cutover", "--yes", *made.uris()), 2, "at the target")
    ok(made, "finish", "--yes")


def test_two_commands_never_work_on_one_migration_at_once(made: Case) -> None:
    with sole(made.state, made.database):
        done = made.command("migrate", "start", *made.uris())
    must_refuse(done, 3, "in the hands of another naru", f"process {os.getpid()}")
    ok(made, "start")


def test_several_open_migrations_are_told_apart_by_their_databases_or_names(made: Case) -> None:
    second = Case(made.folder, made.old, made.new, "naru_refused_2")
    for server in (made.old, made.new):
        drop_database(server, second.database)
    create(made.old, second.database)
    try:
        ok(made, "start")
        ok(second, "start")
        assert f"migration\t{made.database}\t" in ok(made, "status").stdout
        must_refuse(made.command("migrate", "status"), 2, "several", "--name")
        ok(second, "abort", "--yes")
    finally:
        for server in (made.old, made.new):
            drop_database(server, second.database)


def test_a_target_that_another_migration_fills_is_refused_and_left_alone(made: Case) -> None:
    elsewhere = made.folder / "elsewhere"
    elsewhere.mkdir()
    second = Case(elsewhere, made.old, made.new, made.database)
    ok(made, "start")
    done = second.command("migrate", "start", "--name", "second", *made.uris())
    must_refuse(done, 1, "target.begun", "has begun there", "naru migrate abort")
    # One that was admitted before the other began finds out all the same.
    with Journal.in_folder(second.state) as journal:
        late = begin_or_resume(journal, "second", made.source, made.target, SeenAt())
        with pytest.raises(RefusedError, match="another migration has begun in this database"):
            Start(late, Bounds()).perform()
        assert "is left to the other migration" in " ".join(abort(late).lines)
    shutil.rmtree(second.state)
    with connect(made.source, purpose="test") as source:
        source.execute("INSERT INTO item VALUES (0, 'later')")
    ok(made, "cutover", "--yes")
    ok(made, "finish", "--yes")


def test_a_start_that_fails_after_making_the_database_knows_that_it_has_made_it(
    made: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ServerError("roles cannot be made")

    with made.record() as record:
        with monkeypatch.context() as patched:
            patched.setattr("naru.migrate.globals.transfer_roles", refuse)
            with pytest.raises(ServerError, match="cannot be made"):
                Start(record, Bounds()).perform()
        assert not is_absent(made.target)
        assert "the migration made is dropped" in " ".join(abort(record).lines)
    assert is_absent(made.target)
