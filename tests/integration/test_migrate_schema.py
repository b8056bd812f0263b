"""A schema with one of nearly everything arrives equal, also when the work is cut off."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from string import Template

import pytest
from psycopg import sql

from naru.migrate.archive import SchemaDump, choose_programs, dump_schema, open_dump
from naru.migrate.crew import note_done
from naru.migrate.names import Relation
from naru.migrate.schema import build, of_phase, post_data, pre_data
from naru.migrate.statements import Phase, statements_for
from naru.postgres import Dsn, LocalServer, connect, fetch_all, fetch_value, find_installations
from naru.system import run, wait_until

pytestmark = pytest.mark.integration

NASTY = Path(__file__).parent / "sql" / "nasty_schema.sql"
LAST_TABLE = Relation("app", "person")


@dataclass
class Pair:
    source: Dsn
    target: Dsn
    roles: tuple[str, str, str]


@pytest.fixture
def pair(old_server: LocalServer, new_server: LocalServer) -> Iterator[Pair]:
    tag = uuid.uuid4().hex[:8]
    name, roles = f"schema_{tag}", (f"a_{tag}", f"b_{tag}", f"c_{tag}")
    servers = (old_server, new_server)
    for server in servers:
        with connect(server.dsn(), purpose="test") as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    both = Pair(old_server.dsn(name), new_server.dsn(name), roles)
    script = Template(NASTY.read_text()).safe_substitute(a=roles[0], b=roles[1], c=roles[2])
    with connect(both.source, purpose="test") as connection:
        connection.execute(script.encode())
    yield both
    for server in servers:
        with connect(server.dsn(), purpose="test") as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )
            for role in roles:
                connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


def bring_roles(pair: Pair) -> None:
    with connect(pair.target, purpose="test") as connection:
        for role in pair.roles:
            connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))


def dumped(dsn: Dsn) -> str:
    """The schema as the newest pg_dump writes it, without what differs in every run."""
    pg_dump = find_installations()[-1].tool("pg_dump")
    text = run(
        [pg_dump, "--schema-only", "--exclude-schema=naru_migration"],
        seconds=60, env=dsn.environment(),
    ).stdout  # fmt: skip
    text = re.sub(r"(?m)^(-- Dumped|\\(un)?restrict).*\n", "", text)
    # Newer servers print a view's columns without the table where that is clear.
    return re.sub(r"\b(t|team|first|a_second)\.(?=[a-z])", "", text)


def archive(pair: Pair, folder: Path) -> SchemaDump:
    return dump_schema(pair.source, folder, choose_programs(find_installations(), 15, 17))


def copy_rows(pair: Pair) -> None:
    """Bring the rows that foreign keys and materialized views want to see."""
    with (
        connect(pair.source, purpose="test") as source,
        connect(pair.target, purpose="test") as target,
    ):
        for table, columns in (
            ("app.person", "id, code, name, size"),
            ("app.team", "id, lead"),
            ("app.event", "at, id, person, what"),
        ):
            select = f"COPY (SELECT {columns} FROM {table}) TO STDOUT"
            with source.cursor().copy(select.encode()) as rows:
                with target.cursor().copy(f"COPY {table} ({columns}) FROM STDIN".encode()) as sink:
                    for block in rows:
                        sink.write(block)


def test_a_nasty_schema_arrives_equal(pair: Pair, tmp_path: Path) -> None:
    bring_roles(pair)
    dump = archive(pair, tmp_path / "schema")
    assert pre_data(dump, pair.target) > 0
    copy_rows(pair)
    statements = post_data(dump)
    report = build(dump, statements, pair.target, jobs=3)
    assert report.problems == ()
    assert dumped(pair.target) == dumped(pair.source)
    with connect(pair.target, purpose="test") as connection:
        populated = fetch_all(
            connection,
            "SELECT relname FROM pg_class WHERE relkind = 'm' AND relispopulated ORDER BY 1",
        )
        assert [row[0] for row in populated] == ["a_second", "first", "keyed"]
        assert fetch_value(connection, "SELECT n FROM app.on_top") == 20


@pytest.mark.parametrize("size", [1, 3])
def test_tables_made_side_by_side_arrive_equal(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    bring_roles(pair)
    monkeypatch.setattr("naru.migrate.waves.BATCH", size)
    dump = archive(pair, tmp_path / "schema")
    assert pre_data(dump, pair.target, jobs=3) > 0
    copy_rows(pair)
    build(dump, post_data(dump), pair.target, jobs=3)
    assert dumped(pair.target) == dumped(pair.source)


def test_a_second_run_does_nothing(pair: Pair, tmp_path: Path) -> None:
    bring_roles(pair)
    dump = archive(pair, tmp_path / "schema")
    pre_data(dump, pair.target)
    build(dump, post_data(dump), pair.target)
    again = open_dump(dump.folder, dump.programs)
    assert pre_data(again, pair.target) == 0
    statements = post_data(again)
    report = build(again, statements, pair.target)
    assert (report.done, report.skipped) == (0, len(statements))


class KilledError(Exception):
    """What ends the work in the middle."""


def test_work_that_was_cut_off_anywhere_is_completed(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring_roles(pair)
    monkeypatch.setattr("naru.migrate.waves.BATCH", 7)
    dump = archive(pair, tmp_path / "schema")
    for limit in (1, 3, 5):
        with pytest.raises(KilledError):
            pre_data(dump, pair.target, jobs=limit, on_done=_killer(limit))
    pre_data(dump, pair.target)
    statements = post_data(dump)
    for limit in (1, 4, 9, 16):
        with pytest.raises(KilledError):
            build(dump, statements, pair.target, on_done=_killer(limit))
    build(dump, statements, pair.target)
    assert dumped(pair.target) == dumped(pair.source)


def _killer(limit: int):  # type: ignore[no-untyped-def]
    heard: list[object] = []

    def hear(what: object) -> None:
        heard.append(what)
        if len(heard) >= limit:
            raise KilledError(str(what))

    return hear


KILLED = """
import os, signal, sys
from pathlib import Path
from naru.migrate import schema
from naru.migrate.archive import choose_programs, open_dump
from naru.postgres import Dsn, find_installations

schema._BATCH = 9
count = int(sys.argv[2])

def die(_):
    global count
    count -= 1
    if count == 0:
        os.kill(os.getpid(), signal.SIGKILL)

dump = open_dump(Path(sys.argv[1]), choose_programs(find_installations(), 15, 17))
target = Dsn.parse(sys.stdin.read())
schema.pre_data(dump, target, on_done=die)
schema.build(dump, schema.post_data(dump), target, jobs=3, on_done=die)
"""


def test_work_that_was_killed_is_completed_by_the_next_run(pair: Pair, tmp_path: Path) -> None:
    bring_roles(pair)
    dump = archive(pair, tmp_path / "schema")

    def attempt(count: int) -> int:
        return subprocess.run(
            [sys.executable, "-c", KILLED, str(dump.folder), str(count)],
            input=pair.target.conninfo(), text=True, timeout=60, check=False,
        ).returncode  # fmt: skip

    kills = [attempt(count) for count in (2, 3, 8, 14)]
    assert kills == [-signal.SIGKILL] * len(kills)
    assert attempt(0) == 0
    assert dumped(pair.target) == dumped(pair.source)


def test_a_statement_that_an_orphan_completes_is_taken_as_done(pair: Pair, tmp_path: Path) -> None:
    bring_roles(pair)
    dump = archive(pair, tmp_path / "schema")
    pre_data(dump, pair.target)
    statements = post_data(dump)
    (index,) = [one for one in statements if one.name == "person_gin"]
    orphan = connect(pair.target, purpose="test", autocommit=False)
    with orphan, ThreadPoolExecutor(1) as pool:
        orphan.execute(f"{index.sql};{note_done(dump.identity, [index.id])}".encode())
        late = pool.submit(build, dump, [index], pair.target, jobs=1)
        with connect(pair.target, purpose="test") as watcher:
            waits = "SELECT true FROM pg_locks WHERE NOT granted AND database IN"
            waits += " (0, (SELECT oid FROM pg_database WHERE datname = current_database()))"
            waits += " OR NOT granted AND locktype = 'transactionid'"
            wait_until(lambda: fetch_value(watcher, waits), "the second to wait", 20)
        orphan.commit()
        assert late.result(timeout=20).problems == ()


def test_one_table_is_built_as_soon_as_its_rows_are_there(pair: Pair, tmp_path: Path) -> None:
    bring_roles(pair)
    dump = archive(pair, tmp_path / "schema")
    pre_data(dump, pair.target)
    statements = post_data(dump)
    mine = statements_for(statements, LAST_TABLE)
    assert {one.name for one in mine} >= {"person person pk", "index of -- TOC", "person_gin"}
    build(dump, mine, pair.target, jobs=1)
    keys = of_phase(statements, Phase.KEYS_AND_INDEXES)
    report = build(dump, keys, pair.target)
    assert report.skipped == len(mine)
    assert report.done == len(keys) - len(mine)


def test_keys_of_large_tables_are_built_as_indexes_first(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring_roles(pair)
    monkeypatch.setattr("naru.migrate.archive.LARGE_TABLE_BYTES", 0)
    monkeypatch.setattr("naru.migrate.schema.LARGE_TABLE_BYTES", 0)
    dump = archive(pair, tmp_path / "schema")
    pre_data(dump, pair.target)
    statements = post_data(dump)
    assert any("USING INDEX" in one.sql for one in statements)
    build(dump, statements, pair.target, jobs=3)
    assert dumped(pair.target) == dumped(pair.source)


def test_rows_that_break_a_foreign_key_are_reported_and_the_key_stays_unvalidated(
    pair: Pair, tmp_path: Path
) -> None:
    bring_roles(pair)
    dump = archive(pair, tmp_path / "schema")
    pre_data(dump, pair.target)
    with connect(pair.target, purpose="test") as connection:
        connection.execute("INSERT INTO app.team VALUES (1, 12345)")
        report = build(dump, post_data(dump), pair.target)
        assert [problem.statement.kind for problem in report.problems] == ["VALIDATE"]
        assert "12345" in report.problems[0].reason or "team" in report.problems[0].reason
        query = "SELECT convalidated FROM pg_constraint WHERE conname = 'team_lead_fkey'"
        assert fetch_value(connection, query) is False


def test_a_view_whose_owner_may_not_read_is_reported_and_the_rest_goes_on(
    pair: Pair, tmp_path: Path
) -> None:
    bring_roles(pair)
    owner = sql.Identifier(pair.roles[2])
    with connect(pair.source, purpose="test") as connection:
        connection.execute("CREATE TABLE public.closed (n int)")
        connection.execute("CREATE MATERIALIZED VIEW public.peek AS SELECT n FROM public.closed")
        connection.execute(sql.SQL("GRANT CREATE ON SCHEMA public TO {}").format(owner))
        connection.execute(sql.SQL("ALTER MATERIALIZED VIEW public.peek OWNER TO {}").format(owner))
    dump = archive(pair, tmp_path / "schema")
    pre_data(dump, pair.target)
    copy_rows(pair)
    report = build(dump, post_data(dump), pair.target)
    (problem,) = report.problems
    assert problem.statement.kind == "REFRESH"
    assert "permission denied for table closed" in problem.reason
    with connect(pair.target, purpose="test") as connection:
        assert fetch_value(connection, "SELECT n FROM app.on_top") == 20
