"""A comparison that was stopped goes on, and one that is repeated passes over what stood still."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from psycopg import sql

from naru.errors import NotPermittedError
from naru.postgres import Dsn, LocalServer, connect, fetch_value
from naru.system import wait_until
from naru.verify import (
    Ledger,
    Options,
    TableVerdict,
    Verdict,
    certify,
    compare,
    memory,
    relations,
)
from naru.verify.descent import Totals
from naru.verify.standing import Standing

pytestmark = pytest.mark.integration

TABLES = 12
TABLE = (
    "CREATE TABLE {0} (id int PRIMARY KEY, note text);"
    "INSERT INTO {0} SELECT n, 'note ' || n FROM generate_series(1, 500) AS n;"
)
CONTENT = "".join(TABLE.format(f"t{number:02}") for number in range(TABLES))
AGAIN = Options(schema=False, large_objects=False, again=True)
PARTED = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE parted (id int, mood mood, note text) PARTITION BY LIST (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2);
INSERT INTO parted VALUES (1, 'sad', 'a'), (2, 'ok', 'b');
"""


@dataclass(frozen=True)
class Pair:
    source: Dsn
    target: Dsn


def on(dsn: Dsn, statements: str) -> None:
    with connect(dsn, purpose="test") as connection:
        connection.execute(statements.encode())


@pytest.fixture
def pair(old_server: LocalServer, new_server: LocalServer) -> Iterator[Pair]:
    name = f"again_{uuid.uuid4().hex[:8]}"
    made = Pair(old_server.dsn(name), new_server.dsn(name))
    with contextlib.ExitStack() as stack:
        for server in (old_server, new_server):
            admin = stack.enter_context(connect(server.dsn(), purpose="test"))
            database = sql.Identifier(name)
            admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(database))
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database)
            stack.callback(admin.execute, drop)
            on(server.dsn(name), CONTENT)
        yield made


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.in_folder(tmp_path / "state") as made:
        yield made


def again(pair: Pair, ledger: Ledger, options: Options = AGAIN) -> Verdict:
    return compare(pair.source, pair.target, options=options, ledger=ledger)


def read(verdict: Verdict) -> list[str]:
    """The tables that were read, not kept."""
    return [table.table.removeprefix("public.") for table in verdict.tables if not table.kept]


def counted(dsn: Dsn, table: str, changes: int) -> None:
    """Wait until a server has counted so many changes of a table."""
    query = (
        "SELECT n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables"
        f" WHERE relid = '{table}'::regclass"
    )
    with connect(dsn, purpose="test") as connection:
        wait_until(lambda: fetch_value(connection, query) == changes, "it to be counted", 60)


def settle(pair: Pair, table: str = "t11", changes: int = 500) -> None:
    """Until what a test has written is counted; the last table speaks for all."""
    for dsn in (pair.source, pair.target):
        counted(dsn, table, changes)


CHANGES = (
    "UPDATE {0} SET note = note WHERE id = 1",
    "INSERT INTO {0} VALUES (501, 'x')",
    "DELETE FROM {0} WHERE id = 1",
    "TRUNCATE {0}",
    "ALTER TABLE {0} ALTER note TYPE varchar(90)",
    "ALTER TABLE {0} ADD more int DEFAULT 7",
    "ALTER TABLE {0} RENAME note TO line",
    "DROP TABLE {0}; CREATE TABLE {0} (id int PRIMARY KEY, note text)",
    "BEGIN; UPDATE {0} SET note = ''; ROLLBACK",
)


@pytest.mark.parametrize("side", ["source", "target"])
def test_whatever_changes_a_table_makes_it_due(pair: Pair, ledger: Ledger, side: str) -> None:
    settle(pair)
    assert len(read(again(pair, ledger))) == TABLES
    assert read(again(pair, ledger)) == []
    for number, change in enumerate(CHANGES):
        on(getattr(pair, side), change.format(f"t{number:02}"))
    due: set[str] = set()
    wanted = {f"t{number:02}" for number in range(len(CHANGES))}

    def all_due() -> bool:
        due.update(read(again(pair, ledger)))
        return due >= wanted

    wait_until(all_due, "all changes to be counted", 60)
    assert due == wanted


def test_what_a_table_reads_as_may_change_without_it(pair: Pair, ledger: Ledger) -> None:
    for dsn in (pair.source, pair.target):
        on(dsn, PARTED)
    settle(pair, "parted_2", 1)
    assert again(pair, ledger).same
    assert read(again(pair, ledger)) == []
    on(pair.target, "ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'")
    changed = again(pair, ledger)
    assert len(read(changed)) == TABLES + 1
    assert [table.table for table in changed.tables if not table.same] == ["public.parted"]
    on(pair.target, "ALTER TYPE mood RENAME VALUE 'fine' TO 'ok'")
    again(pair, ledger)
    on(pair.target, "UPDATE parted_2 SET note = 'c'")
    wait_until(lambda: read(again(pair, ledger)) == ["parted"], "the partition's change", 60)


def test_a_table_that_differs_is_read_every_time(pair: Pair, ledger: Ledger) -> None:
    on(pair.target, "UPDATE t03 SET note = 'x' WHERE id = 9")
    settle(pair)
    for _ in range(2):
        assert not again(pair, ledger).same
    verdict = again(pair, ledger)
    assert read(verdict) == ["t03"]
    assert not verdict.same


def test_other_terms_other_databases_and_reset_counts_are_no_earlier_result(
    pair: Pair, ledger: Ledger
) -> None:
    settle(pair)
    again(pair, ledger)
    assert read(again(pair, ledger)) == []
    assert len(read(again(pair, ledger, replace(AGAIN, except_columns=("*.note",))))) == TABLES
    again(pair, ledger)
    swapped = Pair(pair.target, pair.source)
    assert len(read(again(swapped, ledger))) == TABLES
    assert read(again(pair, ledger)) == []
    on(pair.source, "SELECT pg_stat_reset()")
    assert len(read(again(pair, ledger))) == TABLES


def test_without_the_right_to_see_sessions_only_a_server_at_rest_is_believed(
    pair: Pair, ledger: Ledger
) -> None:
    settle(pair)
    name, word = f"mere_{uuid.uuid4().hex[:8]}", uuid.uuid4().hex
    with connect(pair.source, purpose="test") as admin:
        role = sql.Identifier(name)
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(word)))
        grant = "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}"
        admin.execute(sql.SQL(grant).format(role))
        try:
            mere = Pair(pair.source.with_(user=name, password=word), pair.target)
            again(mere, ledger)
            admin.execute("CREATE TABLE elsewhere ()")
            # Something was written on that server; whether it was here nobody vouches.
            assert len(read(again(mere, ledger, replace(AGAIN, tables=("t*",))))) == TABLES
        finally:
            admin.execute(sql.SQL("DROP OWNED BY {}").format(role))
            admin.execute(sql.SQL("DROP ROLE {}").format(role))


def test_a_bounded_run_takes_the_oldest_first_and_says_what_it_did_not_reach(
    pair: Pair, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(pair.source, "UPDATE t02 SET note = 'x' WHERE id = 1")
    settle(pair)
    some = replace(AGAIN, tables=("t02", "t03"))
    again(pair, ledger, some)
    nothing = replace(AGAIN, at_most_seconds=0.0)
    verdict = again(pair, ledger, nothing)
    assert verdict.rows == 500
    assert [table.table for table in verdict.kept] == ["public.t03"]
    assert len(verdict.not_reached) == TABLES - 1
    assert verdict.not_reached["public.t04"] is None
    assert isinstance(verdict.not_reached["public.t02"], float)
    assert any("11 tables: not reached" in text for text in verdict.not_compared)
    assert verdict.to_json()["not_reached"]["public.t04"] is None
    # Never compared comes before compared once, so that t02 is the last of all.
    order: list[str] = []
    note = ledger.note

    def noting(verdict: TableVerdict, terms: str, source: Standing, target: Standing) -> None:
        order.append(verdict.table)
        note(verdict, terms, source, target)

    monkeypatch.setattr(ledger, "note", noting)
    again(pair, ledger, replace(AGAIN, jobs=1))
    assert len(order) == TABLES - 1
    assert order[-1] == "public.t02"


def test_what_was_found_equal_long_ago_is_read_again(pair: Pair, ledger: Ledger) -> None:
    settle(pair)
    again(pair, ledger)
    assert read(again(pair, ledger, replace(AGAIN, recheck_seconds=3600.0))) == []
    assert len(read(again(pair, ledger, replace(AGAIN, recheck_seconds=0.0)))) == TABLES


def test_the_certificate_gives_each_table_its_time(pair: Pair, ledger: Ledger) -> None:
    settle(pair)
    first = again(pair, ledger)
    on(pair.target, "UPDATE t05 SET note = note")
    counted(pair.target, "t05", 1000)
    second = again(pair, ledger)
    times = {table.table: table.compared_at for table in second.tables}
    assert times["public.t04"] == first.tables[4].compared_at
    assert (times["public.t05"] or 0) > (first.tables[-1].compared_at or 0)
    page = certify(second, pair.source, pair.target)
    assert [table.name for table in page.tables if not table.earlier] == ["public.t05"]
    assert any("11 tables marked as earlier" in text for text in page.method)
    assert second.still_until is not None
    assert second.still_until < time.time() - 50


STOPPED = """
import os
from naru.verify.ledger import Ledger
note, seen = Ledger.note, []
def counting(*args):
    note(*args)
    seen.append(1)
    if len(seen) == int(os.environ["STOP_AFTER"]):
        os.kill(os.getpid(), int(os.environ["STOP_BY"]))
Ledger.note = counting
from naru.cli import main
main()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_stopped_goes_on_with_the_tables_that_are_left(
    pair: Pair, tmp_path: Path, number: signal.Signals
) -> None:
    settle(pair)
    passfile = tmp_path / "passfile"
    lines = [f"127.0.0.1:{dsn.parameters['port']}:*:postgres:{dsn.parameters['password']}\n"
             for dsn in (pair.source, pair.target)]  # fmt: skip
    passfile.write_text("".join(lines))
    passfile.chmod(0o600)
    words = ["verify", "--jobs", "1", "--state", str(tmp_path)]
    for role, dsn in (("--source", pair.source), ("--target", pair.target)):
        port, name = dsn.parameters["port"], dsn.parameters["dbname"]
        words += [role, f"postgresql://postgres@127.0.0.1:{port}/{name}"]

    def command(limit: int, *more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", STOPPED, *words, *more],
            capture_output=True, text=True, timeout=120, check=False,
            env={**os.environ, "PGPASSFILE": str(passfile), "STOP_AFTER": str(limit),
                 "STOP_BY": str(int(number))},
        )  # fmt: skip

    stopped = command(5)
    assert stopped.returncode == (-9 if number == signal.SIGKILL else 4), stopped.stderr
    on(pair.target, "UPDATE t02 SET note = 'changed' WHERE id = 7")
    counted(pair.target, "t02", 501)
    done = command(99, "--resume")
    assert done.returncode == 1, done.stderr
    assert "differences" in done.stdout.splitlines()[0]
    kept = int(done.stdout.splitlines()[0].split("; ")[2].split(" ")[0])
    # Four of the five, since one has changed; or one more that ended before the signal was heard.
    assert kept in (4, 5), done.stdout
    assert "table public.t02: changed id=7 in note" in done.stdout
    anew = command(99, "--resume")
    assert "begins anew" in anew.stderr
    assert "unchanged since" not in anew.stdout


def test_state_that_cannot_be_kept_is_told(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotPermittedError, match="cannot be kept"):
        Ledger.in_folder(tmp_path / "file")


def test_a_big_table_goes_on_with_the_parts_that_are_left(
    pair: Pair, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for dsn in (pair.source, pair.target):
        on(dsn, "CREATE TABLE whole (id int PRIMARY KEY, note text);"
           "INSERT INTO whole SELECT n, repeat('x', 200) FROM generate_series(1, 3000) AS n;"
           "UPDATE t00 SET note = note WHERE id = 1")  # fmt: skip
    with connect(pair.source, purpose="test") as connection:
        pages = fetch_value(connection, "SELECT pg_relation_size('whole') / 8192")
    settle(pair, "whole", 3000)
    monkeypatch.setattr(relations, "PART_PAGES", 1)
    monkeypatch.setattr(memory, "EVERY", 0.0)
    read: list[object] = []
    keep, stop_at = memory.Memory.keep, [40.0]

    def keeping(self: memory.Memory, part: relations.Part, totals: Totals) -> None:
        if len(read) >= stop_at[0]:
            raise InterruptedError
        read.append(part)
        keep(self, part, totals)

    monkeypatch.setattr(memory.Memory, "keep", keeping)
    options = replace(AGAIN, again=False, tables=("whole",))

    def stopped_and_resumed(change: str = "", changes: int = 0) -> tuple[int, Verdict]:
        """How many parts are read when a comparison that was stopped goes on; what it finds."""
        stop_at[0] = 40
        read.clear()
        with pytest.raises(InterruptedError):
            compare(pair.source, pair.target, options=options, ledger=ledger)
        if change:
            on(pair.target, change)
            counted(pair.target, "whole", changes)
        stop_at[0] = math.inf
        read.clear()
        resumed = replace(options, resume=True)
        verdict = compare(pair.source, pair.target, options=resumed, ledger=ledger)
        return len(read), verdict

    left, verdict = stopped_and_resumed()
    assert verdict.same, verdict.to_json()
    assert verdict.rows == 3000
    assert 0 < left <= 2 * pages - 40
    on(pair.target, "UPDATE whole SET note = 'y' WHERE id IN (1, 1500, 3000)")
    counted(pair.target, "whole", 3003)
    left, verdict = stopped_and_resumed()
    assert {row.key["id"] for row in verdict.tables[0].differences} == {1, 1500, 3000}
    assert left <= 2 * pages - 40 + 2
    change = "UPDATE whole SET note = repeat('x', 200) WHERE id IN (1, 1500, 3000)"
    left, verdict = stopped_and_resumed(change, 3006)
    assert verdict.same, verdict.to_json()
    assert left >= pages, "the side that has changed is read anew"
