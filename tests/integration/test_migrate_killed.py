"""naru is killed with -9 wherever it can be, and the same command goes on from there."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from naru.drill import judge
from naru.migrate import Record
from naru.migrate.ledger import totals
from naru.migrate.plan import SWITCH
from naru.postgres import LocalServer, connect, fetch_value
from naru.system import wait_until
from tests.migration import (
    Case,
    case,
    catalogs,
    clients_of,
    found,
    options_of,
    pooler_of,
    wait_for_writes,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

STEPS = (
    "roles", "identity", "copy", "indexes", "constraints", "rest", "analyze",
    "large objects", "sequences", "subscribe", "follow", "durable",
)  # fmt: skip
PAUSE = (
    "pause", "fence", "drain", "sequences", "large objects", "stop following", "way back",
    "snapshots", "re-point", "journal",
)  # fmt: skip


@pytest.fixture
def made(tmp_path: Path, old_server: LocalServer, new_server: LocalServer) -> Iterator[Case]:
    with case(tmp_path, old_server, new_server, "naru_killed") as it:
        yield it


def _killed(made: Case, *words: str, where: str) -> None:
    done = made.command("migrate", *words, *made.uris(), where=where)
    assert done.returncode == -signal.SIGKILL, (where, done.stderr[-2000:])


def test_a_start_that_is_killed_at_every_step_ends_with_the_same_data(made: Case) -> None:
    for step in STEPS:
        _killed(made, "start", where=f"step {step}")
    _finishes(made)


def test_a_copy_that_is_killed_goes_on_without_copying_finished_tables_again(made: Case) -> None:
    _killed(made, "start", where="part 12")
    with connect(made.target, purpose="test") as target:
        first = totals(target)
        moment = fetch_value(target, "SELECT max(at) FROM naru_migration.part")
    assert first.tables >= 12
    with connect(made.source, purpose="app") as source:
        source.execute("UPDATE users SET updated_at = now() WHERE id % 3 = 0")
    _killed(made, "start", where="part 20")
    with connect(made.target, purpose="test") as target:
        query = "SELECT count(*) FROM naru_migration.part WHERE at <= %s"
        assert fetch_value(target, query, [moment]) >= first.tables
    with connect(made.source, purpose="app") as source:
        source.execute("UPDATE users SET updated_at = now() WHERE id % 5 = 0")
        source.execute("DELETE FROM notifications WHERE id % 7 = 0")
    _killed(made, "start", where="index 15")
    _finishes(made)


def _finishes(made: Case) -> None:
    done = made.command("migrate", "start", *made.uris())
    assert done.returncode == 0, done.stderr[-3000:]
    with made.record() as record:
        crossing = made.switcher(record).cross()
        assert crossing.verdict is not None
        assert crossing.verdict.same, found(crossing.verdict)


def test_a_switch_that_is_killed_lets_clients_go_on(
    made: Case, server_folder: Path, tmp_path: Path
) -> None:
    with pooler_of(made, server_folder / "pool-killed") as pooler:
        with clients_of(made, pooler, tmp_path / "work") as workload:
            made.start()
            before, there = (catalogs(one, made.database) for one in (made.old, made.new))
            for step in PAUSE:
                _killed(made, "cutover", "--yes", *options_of(pooler), where=f"pause {step}")
                wait_for_writes(workload, 30)
                with made.record() as record:
                    _guard_is_done(record)
                    assert record.at == "source", step
                    assert catalogs(made.old, made.database) == before, step
                    assert catalogs(made.new, made.database) == there, step
                    assert not pooler.control.observe(made.database).paused, step
            _killed(made, "cutover", "--yes", *options_of(pooler), where="committed")
            wait_for_writes(workload, 30)
            with made.record() as record:
                _guard_is_done(record)
                assert record.at == "target"
                assert pooler.control.observe(made.database).port == made.new.port
                crossing = made.switcher(record, pooler).cross()
                assert crossing.verdict is not None
                assert crossing.verdict.same, found(crossing.verdict)
    verdict = judge(made.source, tmp_path / "work", "work")
    assert (verdict.failed, verdict.lost, verdict.duplicated) == (0, 0, 0)


def test_a_switch_that_is_interrupted_once_committed_is_completed_all_the_same(
    made: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    made.start()
    with made.record() as record:
        with monkeypatch.context() as patched:
            patched.setattr("naru.migrate.outcome.open_side", interrupt)
            with pytest.raises(KeyboardInterrupt):
                made.switcher(record).cross()
        _guard_is_done(record)
        assert record.at == "target"
        crossing = made.switcher(record).cross()
        assert crossing.verdict is not None
        assert crossing.verdict.same, found(crossing.verdict)


def _guard_is_done(record: Record) -> None:
    """The guard has brought the switch to an end, and was not itself in trouble."""
    wait_until(lambda: record.run.recall(SWITCH) is None, "the guard to end its work", 30)
    assert record.run.events("guard.failed") == []
