"""The workload measures what clients see, and the ledger tells whether every word was kept."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from naru.drill import (
    LEDGER_ALONE,
    Business,
    Change,
    Workload,
    WorkloadSettings,
    clean,
    judge,
    prepare,
    read_series,
)
from naru.drill.records import IDS_PER_CLIENT, Outcome, read_by_id
from naru.errors import DeadlineError, ServerError, UsageError
from naru.postgres import Dsn, LocalServer, connect, fetch_value
from naru.system import Deadline, is_alive, wait_until
from tests.poolers import TestPooler, application
from tests.servers import free_port

pytestmark = pytest.mark.integration

DATABASE = "naru_drill"
ROLE = "naru_drill_app"


@dataclass(frozen=True)
class Scene:
    old: LocalServer
    new: LocalServer
    pooler: TestPooler
    client: Dsn

    def start(self, folder: Path, business: Business = LEDGER_ALONE) -> Workload:
        settings = WorkloadSettings(self.client, folder.name, 4, 200, business, seconds=60)
        return Workload.start(folder, settings)


@pytest.fixture(scope="module")
def scene(server_folder: Path, old_server: LocalServer, new_server: LocalServer) -> Iterator[Scene]:
    with application([old_server, new_server], DATABASE, ROLE) as (password, secret):
        for server in (old_server, new_server):
            prepare(server.dsn(DATABASE), ROLE)
        pooler = TestPooler(
            server_folder / "drill-pooler",
            entries=f"{DATABASE} = host=127.0.0.1 port={old_server.port} pool_size=4",
            users=f'"{ROLE}" "{secret}"\n',
        )
        with pooler:
            client = pooler.dsn(DATABASE, ROLE, password)
            yield Scene(old_server, new_server, pooler, client)


def _commits(workload: Workload, more: int) -> None:
    wanted = workload.status.acknowledged + more
    wait_until(lambda: workload.status.acknowledged >= wanted, f"{more} commits", 30)


def test_a_switch_under_pause_is_not_an_error_for_any_client(scene: Scene, tmp_path: Path) -> None:
    workload = scene.start(tmp_path / "switch")
    control = scene.pooler.control
    try:
        _commits(workload, 50)
        began = time.time()
        control.pause(DATABASE, Deadline(5, "the pause"))
        control.point(DATABASE, "127.0.0.1", scene.new.port)
        control.resume(DATABASE)
        ended = time.time()
        _commits(workload, 50)
    finally:
        status = workload.stop()
        control.point(DATABASE, "127.0.0.1", scene.old.port)
    assert (status.failed, status.unknown) == (0, 0), status.reasons
    on_old, on_new = (_ids(server, workload) for server in (scene.old, scene.new))
    acknowledged = {record.id for record in read_by_id(workload.folder)}
    assert on_old | on_new == acknowledged
    assert not on_old & on_new
    assert on_old and on_new
    gap = workload.longest_gap(began, ended)
    assert gap is not None and gap.closed
    assert gap.end > began


def _ids(server: LocalServer, workload: Workload) -> set[int]:
    with connect(server.dsn(DATABASE), purpose="test") as connection:
        rows = connection.execute(
            "SELECT id FROM naru_ledger.entry WHERE run = %s", [workload.settings.run]
        )
        return {int(row[0]) for row in rows}


def test_a_pause_that_gives_up_lets_the_clients_go_on(scene: Scene, tmp_path: Path) -> None:
    workload = scene.start(tmp_path / "gives-up")
    try:
        with connect(scene.client, purpose="holder", prepare=False, autocommit=False) as holder:
            holder.execute("SELECT 1")
            with pytest.raises(DeadlineError, match="naru: holder"):
                scene.pooler.control.pause(DATABASE, Deadline(0.5, "the pause"))
            _commits(workload, 50)
    finally:
        status = workload.stop()
    assert (status.failed, status.unknown) == (0, 0), status.reasons
    verdict = workload.judge(scene.old.dsn(DATABASE))
    assert verdict.kept
    assert verdict.acknowledged == status.acknowledged


def test_a_planted_loss_and_a_planted_duplicate_are_found(scene: Scene, tmp_path: Path) -> None:
    workload = scene.start(tmp_path / "planted")
    _commits(workload, 50)
    workload.stop()
    server = scene.old.dsn(DATABASE)
    assert workload.judge(server).kept
    ids = [record.id for record in read_by_id(workload.folder)]
    run, ghost = workload.settings.run, 9 * IDS_PER_CLIENT + 77
    with connect(server, purpose="test") as connection:
        connection.execute(
            "DELETE FROM naru_ledger.entry WHERE run = %s AND id = %s", [run, ids[7]]
        )
        connection.execute(
            "INSERT INTO naru_ledger.entry (run, id) VALUES (%s, %s), (%s, %s)",
            [run, ids[9], run, ghost],
        )
    verdict = judge(server, workload.folder, run)
    assert not verdict.kept
    assert verdict.examples == {"lost": [ids[7]], "duplicated": [ids[9]], "phantom": [ghost]}


def test_errors_are_classified_and_outlived(scene: Scene, tmp_path: Path) -> None:
    """The pooler dies and comes back: no client gives up, and the ledger settles every case."""
    workload = scene.start(tmp_path / "errors")
    try:
        _commits(workload, 30)
        scene.pooler.stop()
        wait_until(lambda: workload.status.failed, "errors", 20)
        scene.pooler.start()
        _commits(workload, 50)
    finally:
        status = workload.stop()
    assert status.failed > 0
    verdict = workload.judge(scene.old.dsn(DATABASE))
    assert verdict.kept, verdict.examples
    assert verdict.failed + verdict.unknown == status.failed + status.unknown
    intervals = list(read_series(workload.folder))
    assert sum(one.commits for one in intervals) <= status.acknowledged
    assert any(one.errors for one in intervals)


def test_a_business_change_goes_into_the_same_transaction(scene: Scene, tmp_path: Path) -> None:
    server = scene.old.dsn(DATABASE)
    with connect(server, purpose="test") as connection:
        connection.execute("CREATE TABLE stock (id int, taken int NOT NULL)")
        connection.execute(f"GRANT ALL ON stock TO {ROLE}")
        connection.execute("INSERT INTO stock SELECT i, 0 FROM generate_series(1, 50) i")
    take = Change("take", "UPDATE stock SET taken = taken + 1 WHERE id = %(item)s")
    workload = scene.start(tmp_path / "business", Business((take,), {"item": (1, 50)}))
    _commits(workload, 50)
    status = workload.stop()
    with connect(server, purpose="test") as connection:
        taken = fetch_value(connection, "SELECT sum(taken) FROM stock")
    assert taken == status.acknowledged + workload.judge(server).unrecorded


def test_the_password_is_in_no_argument_and_gone_afterwards(scene: Scene, tmp_path: Path) -> None:
    workload = scene.start(tmp_path / "secret")
    password = scene.client.parameters["password"]
    assert workload.pid is not None
    told = Path(f"/proc/{workload.pid}/cmdline").read_text()
    settings = (workload.folder / "workload.json").read_text()
    resident = next(
        int(line.split()[1])
        for line in Path(f"/proc/{workload.pid}/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    pid = workload.pid
    Workload(workload.folder).stop()
    assert password not in told + settings
    assert not (workload.folder / "passfile").exists()
    assert not is_alive(pid)
    assert workload.status.state == "stopped"
    assert resident < 100_000


def test_a_workload_that_cannot_work_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("naru.drill.workload.START_SECONDS", 8.0)
    nobody = Dsn.of("127.0.0.1", free_port(), DATABASE, ROLE, password="some-1-word")
    with pytest.raises(ServerError, match="UnreachableError"):
        Workload.start(tmp_path / "dead", WorkloadSettings(nobody, "dead"))
    with pytest.raises(UsageError, match="not empty"):
        Workload.start(tmp_path / "dead", WorkloadSettings(nobody, "dead"))


def test_records_survive_the_workload_s_own_death(scene: Scene, tmp_path: Path) -> None:
    workload = scene.start(tmp_path / "killed")
    _commits(workload, 50)
    assert workload.pid is not None
    os.kill(workload.pid, signal.SIGKILL)
    wait_until(lambda: workload.pid is None, "its end", 10)
    verdict = workload.judge(scene.old.dsn(DATABASE))
    assert verdict.kept, verdict.examples
    assert {r.outcome for r in read_by_id(workload.folder)} == {Outcome.ACKNOWLEDGED}


def test_the_ledger_is_taken_away(scene: Scene) -> None:
    server = scene.new.dsn(DATABASE)
    prepare(server, ROLE)
    clean(server)
    clean(server)
    with pytest.raises(UsageError, match="no ledger"):
        judge(server, Path("/nowhere"), "x")
    prepare(server, ROLE)
