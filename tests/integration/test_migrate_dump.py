"""By dump: what comes out of a folder is what went in, and it can be proven from the folder."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from naru.errors import RefusedError, StoppedError
from naru.journal import Journal
from naru.migrate import (
    DumpOptions,
    Restore,
    RestoredDatabase,
    RestoreOptions,
    dump_databases,
)
from naru.migrate.dump_manifest import Contents
from naru.migrate.restore_proof import prove_rows
from naru.postgres import Dsn, LocalServer, connect, fetch_value
from naru.verify import compare
from tests.lab import make_lab
from tests.migration import Case, drop_database, found

pytestmark = pytest.mark.integration

DATABASE = "naru_dumped"
SECOND = "Zweite Datenbank/€"


@pytest.fixture(scope="module")
def source(old_server: LocalServer) -> Iterator[Dsn]:
    """The lab's content, and beside it a small database with a difficult name."""
    for name in (DATABASE, SECOND):
        drop_database(old_server, name)
    make_lab(old_server, DATABASE)
    with connect(old_server.dsn(), purpose="test") as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(SECOND)))
    with connect(old_server.dsn(SECOND), purpose="test") as connection:
        connection.execute('CREATE TABLE "a.b" (id int PRIMARY KEY, "Größe" numeric)')
        connection.execute('INSERT INTO "a.b" SELECT n, n / 7.0 FROM generate_series(1, 500) AS n')
    yield old_server.dsn(DATABASE)
    for name in (DATABASE, SECOND):
        drop_database(old_server, name)


@pytest.fixture
def target(new_server: LocalServer) -> Iterator[Dsn]:
    for name in (DATABASE, SECOND):
        drop_database(new_server, name)
    yield new_server.dsn(DATABASE)
    for name in (DATABASE, SECOND):
        drop_database(new_server, name)


@pytest.fixture(scope="module")
def whole(source: Dsn, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole dump with hashes, for tests that only read it."""
    folder = tmp_path_factory.mktemp("dumps") / "whole"
    dump_databases(source, folder, DumpOptions(rows="hashes"))
    return folder


def restored(
    folder: Path, target: Dsn, state: Path, options: RestoreOptions | None = None
) -> list[RestoredDatabase]:
    with Journal.in_folder(state) as journal:
        return Restore(folder, target, options or RestoreOptions(create=True)).perform(journal)


def test_the_scenario_of_the_lab_works_from_its_first_command_to_its_last(
    source: Dsn, target: Dsn, tmp_path: Path, old_server: LocalServer, new_server: LocalServer
) -> None:
    made = Case(tmp_path, old_server, new_server, DATABASE)
    uris = dict(zip(*[iter(made.uris())] * 2, strict=True))
    leave, enter = uris["--source"], uris["--target"]

    def naru(*words: str) -> str:
        done = made.command("migrate", *words)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    (tmp_path / "shared").mkdir()
    naru("dump", "--source", leave, "--to", "shared/backup_before_migration", "--hashes")
    naru("dump", "--source", leave, "--to", "shared/schema_backup", "--schema-only")
    naru("dump", "--source", leave, "--to", "shared/data_backup", "--data-only")
    said = naru("restore", "--from", "shared/backup_before_migration", "--target", enter,
                "--create", "--verify", "--source", leave, "--json")  # fmt: skip
    (one,) = json.loads(said)["databases"]
    assert one["proven"]
    assert one["rows"]["hashed"] == one["rows"]["tables"] > 20
    assert one["source"]["same"]
    with connect(source, purpose="test") as here, connect(target, purpose="test") as there:
        query = "SELECT count(*) FROM users"
        assert fetch_value(there, query) == fetch_value(here, query) > 0

    drop_database(new_server, DATABASE)
    naru("restore", "--from", "shared/schema_backup", "--target", enter, "--create")
    naru("restore", "--from", "shared/data_backup", "--target", enter)
    verdict = compare(source, target)
    assert verdict.same, found(verdict)


def test_the_manifest_says_what_the_dump_is(source: Dsn, whole: Path) -> None:
    manifest = json.loads((whole / "manifest.json").read_text())
    (database,) = manifest["databases"]
    contents = json.loads((whole / database["folder"] / "contents.json").read_text())
    with connect(source, purpose="test") as connection:
        users = fetch_value(connection, "SELECT count(*) FROM users")
        assert manifest["server"] == fetch_value(connection, "SHOW server_version")
    assert contents["digest"]["tables"]["public.users"]["rows"] == users
    assert database["name"] == DATABASE
    assert database["encoding"] == "UTF8"
    assert manifest["content"] == "all"
    listed = {one["path"] for one in manifest["files"]}
    there = {one.relative_to(whole).as_posix() for one in whole.rglob("*") if one.is_file()}
    assert there - listed == {"manifest.json", "manifest.json.sha256"}


def test_nobody_else_may_read_a_dump_and_secrets_can_be_left_out(
    source: Dsn, whole: Path, tmp_path: Path
) -> None:
    for one in [whole, *whole.rglob("*")]:
        assert stat.S_IMODE(one.stat().st_mode) == (0o700 if one.is_dir() else 0o600), one
    assert "SCRAM-SHA-256" in (whole / "role-secrets.json").read_text()
    bare = tmp_path / "bare"
    dump_databases(source, bare, DumpOptions(passwords=False, content="schema", compress="none"))
    texts = [one.read_bytes() for one in bare.rglob("*") if one.is_file()]
    assert not any(b"SCRAM-SHA-256" in text for text in texts)


def test_a_changed_row_is_found_without_the_source(
    source: Dsn, target: Dsn, whole: Path, tmp_path: Path
) -> None:
    """After the rows are in and before they are proven, somebody changes one of them."""

    def meddling(*values: object, **named: object) -> object:
        with connect(target, purpose="test") as connection:
            connection.execute("UPDATE users SET email = email || 'x' WHERE id = 17")
            connection.execute("SELECT setval('users_id_seq', 5)")
        return prove_rows(*values, **named)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("naru.migrate.restore_run.prove_rows", meddling)
        (one,) = restored(whole, target, tmp_path)
    assert not one.proven
    assert one.rows is not None
    assert [difference.object for difference in one.rows.differences] == ["public.users"]
    assert "not the same ones" in one.rows.differences[0].text
    assert [text.split()[1] for text in one.sequences] == ["public.users_id_seq"]


def test_several_databases_come_across_in_one_folder_also_when_cut_off_at_the_last(
    source: Dsn, target: Dsn, tmp_path: Path
) -> None:
    options = DumpOptions(databases=(DATABASE, SECOND), rows="hashes", compress="none", jobs=1)
    manifest = dump_databases(source, tmp_path / "both", options)
    assert [one.name for one in manifest.databases] == [DATABASE, SECOND]
    verify = RestoreOptions(create=True, verify=source, jobs=1)

    def stopping(contents: Contents, target: Dsn, **named: Any) -> object:
        if target.database == SECOND:
            raise StoppedError("cut off")
        return prove_rows(contents, target, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("naru.migrate.restore_run.prove_rows", stopping)
        with pytest.raises(StoppedError):
            restored(tmp_path / "both", target, tmp_path, verify)
    both = restored(tmp_path / "both", target, tmp_path, verify)
    assert [(one.name, one.created, one.proven) for one in both] == [
        (DATABASE, True, True),
        (SECOND, True, True),
    ]
    with connect(target.with_(dbname=SECOND), purpose="test") as connection:
        assert fetch_value(connection, 'SELECT count(*) FROM "a.b"') == 500


def test_all_databases_are_dumped_but_an_empty_one_for_maintenance(
    source: Dsn, tmp_path: Path
) -> None:
    options = DumpOptions(all_databases=True, content="schema", rows="estimates")
    names = [one.name for one in dump_databases(source, tmp_path / "all", options).databases]
    assert {DATABASE, SECOND} <= set(names)
    assert not {"postgres", "template1"} & set(names)


def test_rows_alone_go_into_empty_tables_without_their_triggers_and_foreign_keys_are_asked(
    source: Dsn, target: Dsn, whole: Path, tmp_path: Path
) -> None:
    schema = RestoreOptions(create=True, content="schema")
    assert restored(whole, target, tmp_path / "a", schema)[0].proven
    rows = RestoreOptions(content="data")
    with connect(target, purpose="test") as connection:
        connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE 'fired'; END $$;"
            "CREATE TRIGGER refuse BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION refuse();"
            "ALTER TABLE users ENABLE ALWAYS TRIGGER refuse"
        )
        with pytest.raises(RefusedError, match=r"would fire at every row: refuse on public\.users"):
            restored(whole, target, tmp_path / "b", rows)
        connection.execute("ALTER TABLE users ENABLE TRIGGER refuse")
    (one,) = restored(whole, target, tmp_path / "c", rows)
    assert one.proven, one
    with pytest.raises(RefusedError, match="tables have rows already"):
        restored(whole, target, tmp_path / "d", rows)


def test_a_foreign_key_that_the_rows_break_is_named(
    old_server: LocalServer, target: Dsn, tmp_path: Path
) -> None:
    """The dump's parents are fewer than the target's keys ask for."""
    dsn = old_server.dsn(SECOND)
    dump_databases(dsn, tmp_path / "one", DumpOptions())
    enter = target.with_(dbname=SECOND)
    schema = RestoreOptions(create=True, content="schema")
    restored(tmp_path / "one", enter, tmp_path / "a", schema)
    with connect(enter, purpose="test") as connection:
        connection.execute(
            "CREATE TABLE known (id int PRIMARY KEY); INSERT INTO known VALUES (1), (2);"
            'ALTER TABLE "a.b" ADD FOREIGN KEY (id) REFERENCES known'
        )
    options = RestoreOptions(content="data")
    (one,) = restored(tmp_path / "one", enter, tmp_path / "b", options)
    assert not one.proven
    assert one.problems == (
        "498 rows of public.a.b break a.b_id_fkey: they refer to nothing in public.known",
    )


def test_a_login_that_may_only_make_databases_restores_without_owners(
    old_server: LocalServer, target: Dsn, tmp_path: Path
) -> None:
    """As a managed service has it: no superuser, and none of the source's roles."""
    dump_databases(old_server.dsn(SECOND), tmp_path / "one", DumpOptions(rows="hashes"))
    with connect(target.with_(dbname="postgres"), purpose="test") as connection:
        connection.execute("CREATE ROLE naru_tenant LOGIN CREATEDB PASSWORD 'tenant-Pass.1'")
    enter = target.with_(dbname=SECOND)
    try:
        tenant = enter.with_(user="naru_tenant", password="tenant-Pass.1")
        options = RestoreOptions(create=True, roles=False, owner=False, privileges=False)
        (one,) = restored(tmp_path / "one", tenant, tmp_path, options)
        assert one.proven, one
        with connect(enter, purpose="test") as connection:
            owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'a.b'"
            assert fetch_value(connection, owner) == "naru_tenant"
    finally:
        with connect(target.with_(dbname="postgres"), purpose="test") as connection:
            name = sql.Identifier(SECOND)
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
            connection.execute("DROP ROLE naru_tenant")
