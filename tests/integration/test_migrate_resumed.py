"""A copy that stops goes on under the same snapshot: finished parts are not copied again."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from naru.drill import judge
from naru.migrate import Record, snapshot
from naru.postgres import LocalServer, connect, fetch_all, fetch_value
from naru.system import is_alive, wait_until
from naru.verify import Options, compare
from tests.migration import (
    Case,
    case,
    catalogs,
    clients_of,
    found,
    pooler_of,
    wait_for_writes,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

PART_BYTES = 512 * 1024
_BIG = """
CREATE TABLE big (id int PRIMARY KEY, body text NOT NULL);
INSERT INTO big SELECT g, repeat(md5(g::text), 8) FROM generate_series(1, 45000) g;
CREATE INDEX big_body ON big (left(body, 20));
CREATE TABLE whole AS SELECT id, body FROM big WHERE id <= 9000;
ALTER TABLE whole ADD PRIMARY KEY (id);
ANALYZE big, whole;
"""
"""About 14 and 3 MB: the first is copied in parts, the second in one piece, frozen."""

Ledger = dict[tuple[str, str, int], tuple[int, Any, Any]]


@pytest.fixture
def made(tmp_path: Path, old_server: LocalServer, new_server: LocalServer) -> Iterator[Case]:
    with case(tmp_path, old_server, new_server, "naru_resumed") as it:
        with connect(it.source, purpose="test") as source:
            source.execute(_BIG)
        yield it


def start(made: Case, *options: str, code: int | set[int] = 0, where: str = "") -> str:
    """Run `naru migrate start` with small parts; give what it told people."""
    codes = code if isinstance(code, set) else {code}
    done = made.command(
        "migrate", "start", *options, *made.uris(), where=where, part_bytes=PART_BYTES
    )
    assert done.returncode in codes, (where, done.stderr[-3000:])
    return done.stderr


def killed(made: Case, where: str, *options: str) -> None:
    start(made, *options, code=-signal.SIGKILL, where=where)


def ledger_of(made: Case) -> Ledger:
    """Rows, time and transaction of every part that is copied."""
    query = "SELECT schema, relation, number, rows, at, xmin::text FROM naru_migration.part"
    with connect(made.target, purpose="test") as target:
        return {(one[0], one[1], one[2]): one[3:] for one in fetch_all(target, query)}


def rows_of(ledger: Ledger) -> int:
    return sum(rows for rows, _, _ in ledger.values())


def keepers(made: Case) -> int:
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'naru: keep %'"
    with connect(made.source, purpose="test") as source:
        return int(fetch_value(source, query))


def finishes(made: Case, *batches: int) -> None:
    """Everything is the same at the moment of the switch, and nothing holds a snapshot."""
    with made.record() as record:
        assert record.batches == list(batches)
        wait_until(lambda: not keepers(made), "the keeper to end", 30)
        crossing = made.switcher(record).cross()
        assert crossing.verdict is not None
        assert crossing.verdict.same, found(crossing.verdict)


def test_a_copy_that_is_killed_again_and_again_copies_no_part_twice(
    made: Case, server_folder: Path, tmp_path: Path
) -> None:
    with pooler_of(made, server_folder / "pool-resumed") as pooler:
        with clients_of(made, pooler, tmp_path / "work") as workload:
            killed(made, "part 9")
            first = ledger_of(made)
            assert ("public", "big", 0) in first
            _status_tells_of_the_snapshot(made)
            with connect(made.source, purpose="app") as source:
                source.execute("UPDATE big SET body = 'changed' || body WHERE id % 3 = 0")
                source.execute("DELETE FROM whole WHERE id % 7 = 0")
                source.execute("VACUUM big")
            wait_for_writes(workload)
            killed(made, "part 6")
            second = ledger_of(made)
            assert first.items() <= second.items()
            assert len(second) > len(first)
            wait_for_writes(workload)
            killed(made, "index 0")  # of the big table, while others are still copied
            third = ledger_of(made)
            assert second.items() <= third.items()
            killed(made, "step indexes")
            fourth = ledger_of(made)
            assert third.items() <= fourth.items()
            killed(made, "index 15")
            start(made)
            assert ledger_of(made) == fourth
            with made.record() as record:
                _moved_only_what_was_missing(record, fourth, third)
                assert record.run.figures()["copy.rows"].value == rows_of(fourth)
                assert record.batches == [1]
            wait_for_writes(workload)
            with made.record() as record:
                crossing = made.switcher(record, pooler).cross()
                assert crossing.verdict is not None
                assert crossing.verdict.same, found(crossing.verdict)
            assert keepers(made) == 0
    verdict = judge(made.target, tmp_path / "work", "work")
    assert (verdict.failed, verdict.lost, verdict.duplicated) == (0, 0, 0)


def _status_tells_of_the_snapshot(made: Case) -> None:
    with made.record() as record:
        # Until the keeper has looked around it does not know that nobody works any more.
        wait_until(
            lambda: (held := snapshot.recall(record.run)) and held.alone_since, "it to look", 30
        )
    done = made.command("migrate", "status", "--json", *made.uris())
    document = json.loads(done.stdout)
    held = document["snapshot"]
    assert document["state"] == "stopped"
    assert is_alive(held["process"])
    assert held["transactions_held_back"] > 0
    assert 0 < held["left_seconds"] < 30 * 60
    assert document["copied"]["tables"] == 0
    done = made.command("migrate", "status", *made.uris())
    assert f"by process {held['process']}\tvacuum held back by" in done.stdout


def _moved_only_what_was_missing(record: Record, after: Ledger, before: Ledger) -> None:
    """The last copy's own count of rows is what the ledger has gained by it, and no more."""
    (ended,) = record.run.events("copy.end")
    assert ended.data["rows"] == rows_of(after) - rows_of(before)
    begun = record.run.events("copy.begin")
    assert begun[0].data["kept"] == 0
    assert [one.data["batch"] for one in begun] == [1] * len(begun)


@pytest.mark.parametrize("where", ["slot", "schema", "held", "part 9"])
def test_abort_ends_the_hold_on_the_snapshot_wherever_start_was_killed(
    made: Case, where: str
) -> None:
    before = catalogs(made.old, made.database)
    killed(made, where)
    with made.record() as record:
        held = snapshot.recall(record.run)
        assert where == "schema" or (held is not None) == (where != "slot")
    done = made.command("migrate", "abort", "--yes", *made.uris())
    assert done.returncode == 0, done.stderr
    assert catalogs(made.old, made.database) == before
    wait_until(lambda: keepers(made) == 0, "no session to hold a snapshot", 10)
    if held is not None:
        assert where == "schema" or "snapshot is given back" in done.stdout
        wait_until(lambda: not is_alive(held.process), "the keeper to end", 30)


def test_a_keeper_that_hangs_loses_its_session_at_abort(made: Case) -> None:
    killed(made, "held")
    with made.record() as record:
        held = snapshot.recall(record.run)
    assert held is not None
    os.kill(held.process, signal.SIGSTOP)
    try:
        done = made.command("migrate", "abort", "--yes", *made.uris())
        assert done.returncode == 0, done.stderr
        assert keepers(made) == 0
    finally:
        os.kill(held.process, signal.SIGCONT)
    wait_until(lambda: not is_alive(held.process), "the keeper to end", 30)
    with made.ended_run() as run:
        assert snapshot.recall(run) is None


def test_a_snapshot_that_nobody_comes_back_for_is_given_back_and_start_says_so(
    made: Case,
) -> None:
    killed(made, "part 9", "--keep-snapshot-for", "0.01")
    wait_until(lambda: keepers(made) == 0, "the snapshot to be given back", 60)
    first = ledger_of(made)
    said = start(made)
    assert "nobody went on with the copy" in said
    assert "public.big was copied in part; it is copied anew" in said
    assert not first.items() & ledger_of(made).items()
    finishes(made, 2)


def test_a_snapshot_gets_no_older_than_its_bound(made: Case) -> None:
    said = start(made, "--longest-snapshot", "0.001", code=4)
    assert "--longest-snapshot" in said
    assert "→ run `naru migrate start` again" in said
    wait_until(lambda: keepers(made) == 0, "the snapshot to be given back", 30)
    assert "its bound (--longest-snapshot)" in start(made, "--longest-snapshot", "0")
    finishes(made, 2)


def test_a_table_that_is_rewritten_meanwhile_is_copied_anew_under_the_same_snapshot(
    made: Case,
) -> None:
    killed(made, "part 12")
    first = ledger_of(made)
    with connect(made.source, purpose="app") as source:
        source.execute("DELETE FROM big WHERE id % 2 = 0")
        source.execute("VACUUM FULL big")
    said = start(made)
    assert "public.big was written anew at the source" in said
    assert {relation for _, relation, _ in first} == {"big"}
    assert not first.items() & ledger_of(made).items()
    finishes(made, 1)


def test_a_copy_that_loses_the_target_goes_on_with_the_parts_that_are_missing(made: Case) -> None:
    said = start(made, code={3, 4}, where="cut 9")
    assert "the copy's snapshot stays for 30 min" in said
    first = ledger_of(made)
    # A backend that the stopped copy has left behind, with a part that it did not commit.
    with connect(made.target, purpose="copy 3", autocommit=False) as left_behind:
        left_behind.execute(
            "INSERT INTO naru_migration.part SELECT relation, schema, 1 + max(number), of, pages,"
            " filenode, batch, 7, 7 FROM naru_migration.part WHERE relation = 'big'"
            " GROUP BY relation, schema, of, pages, filenode, batch"
        )
        said = start(made)
        with pytest.raises(psycopg.OperationalError):
            left_behind.execute("COMMIT")
    assert "finished parts are not copied again" in said
    assert first.items() <= ledger_of(made).items()
    finishes(made, 1)


def test_tables_of_two_snapshots_are_followed_by_two_slots_and_compared_live(made: Case) -> None:
    killed(made, "part 34", "--keep-snapshot-for", "0.01")
    wait_until(lambda: keepers(made) == 0, "the snapshot to be given back", 60)
    with connect(made.source, purpose="app") as source:
        source.execute("UPDATE big SET body = 'changed' || body WHERE id % 3 = 0")
        source.execute("DELETE FROM whole WHERE id % 7 = 0")
    start(made)
    live = compare(made.source, made.target, options=Options(live=True))
    assert live.same, found(live)
    finishes(made, 1, 2)
