"""A database crosses over, comes back, crosses again, and nothing is lost on the way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from naru.drill import judge
from naru.errors import NaruError, NotPermittedError, RefusedError, UsageError
from naru.migrate import Crossing, PartlyComparedError, abort, finish, observe_status
from naru.migrate.follow import catch_up
from naru.postgres import LocalServer, connect, fetch_value
from naru.system import wait_until
from naru.verify import HeldLimit, flows_back, holding
from tests.lab import PASSWORDS
from tests.migration import (
    Case,
    case,
    catalogs,
    clients_of,
    found,
    pooler_of,
    wait_for_writes,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def made(tmp_path: Path, old_server: LocalServer, new_server: LocalServer) -> Iterator[Case]:
    with case(tmp_path, old_server, new_server, "naru_whole") as it:
        yield it


def _must_be_same(crossing: Crossing) -> None:
    verdict = crossing.verdict
    assert verdict is not None
    assert verdict.same, found(verdict)
    assert verdict.rows > 20_000


def test_writes_cross_and_come_back_and_cross_again_under_load(
    made: Case, server_folder: Path, tmp_path: Path
) -> None:
    with pooler_of(made, server_folder / "pool-whole") as pooler:
        with clients_of(made, pooler, tmp_path / "work") as workload:
            made.start()
            with made.record() as record:
                seen = observe_status(record)
                assert (seen.state, seen.at) == ("following", "source")
                assert seen.copied is not None
                assert seen.copied.rows > 20_000
                for at in ("target", "source", "target"):
                    switcher = made.switcher(record, pooler)
                    assert [gate for gate in switcher.gates() if gate.severity == "shut"] == []
                    crossing = switcher.cross()
                    assert crossing.at == at == record.at
                    _must_be_same(crossing)
                    wait_for_writes(workload)
                    catch_up(record)
        with made.record() as record:
            finish(record)
    verdict = judge(made.target, tmp_path / "work", "work")
    assert verdict.acknowledged > 200
    assert (verdict.failed, verdict.unknown) == (0, 0)
    assert (verdict.lost, verdict.duplicated, verdict.phantom) == (0, 0, 0)


def test_finish_leaves_the_source_as_it_was(made: Case) -> None:
    before = catalogs(made.old, made.database)
    made.start()
    with made.record() as record:
        made.switcher(record).cross(verify=False)
        client = made.source.with_(user="app_user", password=PASSWORDS["app_user"])
        with pytest.raises(NotPermittedError, match="too many connections"):
            connect(client, purpose="app")
        finish(record)
        connect(client, purpose="app").close()
    assert catalogs(made.old, made.database) == before
    after = catalogs(made.new, made.database)
    assert (after["slots"], after["publications"], after["subscriptions"]) == ("[]", "[]", "[]")
    with connect(made.target, purpose="test") as target:
        assert fetch_value(target, "SELECT to_regnamespace('naru_migration') IS NULL")


@pytest.mark.parametrize("after", ["start", "rollback"])
def test_abort_leaves_the_source_as_it_was(made: Case, after: str) -> None:
    before = catalogs(made.old, made.database)
    made.start()
    with made.record() as record:
        if after == "rollback":
            made.switcher(record).cross(verify=False)
            with pytest.raises(UsageError, match="would lose"):
                abort(record)
            made.switcher(record).cross(verify=False)
        abort(record)
    assert catalogs(made.old, made.database) == before
    with connect(made.new.dsn(), purpose="test") as server:
        query = "SELECT count(*) FROM pg_database WHERE datname = %s"
        assert fetch_value(server, query, [made.database]) == 0


def test_what_is_written_on_each_side_is_on_the_other_after_the_switch(
    made: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = "INSERT INTO incident_log (at, event) VALUES (now(), %s)"
    made.start()
    with made.record() as record:
        with connect(made.source, purpose="app") as source:
            columns = _columns(made)
            source.execute(insert.replace("at, event", columns), ["before"])
            large = fetch_value(source, "SELECT lo_from_bytea(0, 'before')")
        # Nothing may be held back at all: the switch stands, and says what was not compared.
        monkeypatch.setattr(holding, "_FIRST", 0.0)
        with pytest.raises(PartlyComparedError, match="that moment is gone") as caught:
            made.switcher(record).cross(stop_when=(HeldLimit("held", -1.0),))
        assert caught.value.exit_code == 4
        assert caught.value.crossing.at == record.at == "target"
        verdict = caught.value.crossing.verdict
        assert verdict is not None
        assert verdict.not_reached
        figures = {name: one.value for name, one in record.run.figures().items()}
        assert figures["verify.not_reached"] == len(verdict.not_reached)
        assert figures["cutover.pause_ms"] > 0
        assert flows_back(made.source, made.target, None)
        with connect(made.target, purpose="app") as target:
            assert bytes(fetch_value(target, "SELECT lo_get(%s)", [large])) == b"before"
            target.execute(insert.replace("at, event", columns), ["after"])
            target.execute("SELECT lo_put(%s, 0, 'AFTER')", [large])
        crossing = made.switcher(record).cross()
        _must_be_same(crossing)
        with connect(made.source, purpose="app") as source:
            assert bytes(fetch_value(source, "SELECT lo_get(%s)", [large])) == b"AFTERe"
        abort(record)


def _columns(made: Case) -> str:
    with connect(made.source, purpose="test") as source:
        names = source.execute(
            "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute"
            " WHERE attrelid = 'incident_log'::regclass AND attnum > 0 AND NOT attisdropped"
            " AND attidentity = '' AND NOT atthasdef"
        ).fetchone()
    assert names is not None
    return str(names[0])


def test_a_pause_that_misses_its_deadline_changes_nothing(
    made: Case, server_folder: Path, tmp_path: Path
) -> None:
    with pooler_of(made, server_folder / "pool-late") as pooler:
        client = pooler.dsn(made.database, "app_user", PASSWORDS["app_user"])
        with clients_of(made, pooler, tmp_path / "work") as workload:
            made.start()
            with made.record() as record:
                before, there = (catalogs(one, made.database) for one in (made.old, made.new))
                with connect(client, purpose="holder", prepare=False, autocommit=False) as holder:
                    holder.execute("SELECT 1")
                    began = time.time()
                    with pytest.raises(RefusedError, match="nothing has changed"):
                        made.switcher(record, pooler, seconds=0.5).cross()
                    wait_for_writes(workload)
                    assert workload.errors_within(began, time.time()) == 0
                    assert record.at == "source"
                assert catalogs(made.old, made.database) == before
                assert catalogs(made.new, made.database) == there
                _must_be_same(made.switcher(record, pooler).cross())
    verdict = judge(made.target, tmp_path / "work", "work")
    assert (verdict.failed, verdict.lost, verdict.duplicated) == (0, 0, 0)


def test_a_schema_that_changed_since_the_start_shuts_the_gate(made: Case) -> None:
    made.start()
    with connect(made.source, purpose="test") as source:
        source.execute("CREATE TABLE came_later (id int PRIMARY KEY)")
    with made.record() as record:
        with pytest.raises(RefusedError, match="came_later"):
            made.switcher(record).cross()
        assert record.at == "source"


def test_a_transaction_that_is_older_than_the_pause_shuts_the_gate(made: Case) -> None:
    made.start()
    with connect(made.source, purpose="test", autocommit=False) as holder, made.record() as record:
        holder.execute("SET application_name = 'nightly report'")
        holder.execute("SELECT 1")
        age = "SELECT clock_timestamp() - xact_start > '0.2 s' FROM pg_stat_activity WHERE pid = %s"
        with connect(made.source, purpose="look") as look:
            wait_until(lambda: fetch_value(look, age, [holder.info.backend_pid]), "it to age", 20)
        with pytest.raises(RefusedError, match="nightly report"):
            made.switcher(record, seconds=0.1).cross()


def test_a_guard_that_does_not_start_leaves_everything_as_it_was(
    made: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.start()
    before = [catalogs(server, made.database) for server in (made.old, made.new)]
    with made.record() as record:
        with monkeypatch.context() as without:
            without.setattr("sys.executable", "/bin/false")
            with pytest.raises(NaruError, match="nothing has changed"):
                made.switcher(record).cross()
        assert record.at == "source"
        assert [catalogs(server, made.database) for server in (made.old, made.new)] == before
        _must_be_same(made.switcher(record).cross())
