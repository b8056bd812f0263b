"""The service fails over the moment clients go on there; the way back is kept, nothing lost."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from naru.drill import Workload, WorkloadSettings, judge, prepare
from naru.errors import StoppedError
from naru.journal import Journal
from naru.lab.content import APPLICATION, fill
from naru.lab.environment import Environment
from naru.migrate import (
    Bounds,
    Limits,
    PooledDatabase,
    Record,
    SeenAt,
    Start,
    Switcher,
    begin_or_resume,
    catch_up,
    finish,
)
from naru.spec import Spec
from naru.system import wait_until
from tests.migration import found, wait_for_writes
from tests.servers import wipe

pytestmark = pytest.mark.integration


@pytest.fixture
def environment(server_folder: Path) -> Iterator[Environment]:
    spec = Spec()
    small = spec.source.model_copy(update={"scale": 0.01})
    made = Environment(spec.model_copy(update={"source": small}), server_folder / "failing-over")
    try:
        made.up()
        fill(made)
        yield made
    finally:
        wipe(made.ground)


@contextlib.contextmanager
def clients_of(environment: Environment, folder: Path) -> Iterator[Workload]:
    database = environment.spec.source.database
    prepare(environment.source.dsn(database), APPLICATION)
    dsn = environment.pool.dsn(APPLICATION, database)
    settings = WorkloadSettings(dsn, run=folder.name, clients=4, rate=100, seconds=900)
    workload = Workload.start(folder, settings)
    try:
        yield workload
    finally:
        workload.stop()


def switcher(environment: Environment, record: Record) -> Switcher:
    pooled = PooledDatabase(environment.pool.pooler, environment.spec.source.database)
    return Switcher(
        record, (pooled,), Limits(pause_seconds=20.0),
        keeps_slot=environment.service.keep_slot,
    )  # fmt: skip


def no_switch_without_a_standby(environment: Environment, record: Record) -> None:
    """The way back would wait for a standby that is away, and the gate says so."""
    service = environment.service
    away = next(one for one in service.members() if one.name != service.primary().name)
    environment.ground.stop(away.name)
    shut = [gate.code for gate in switcher(environment, record).gates() if gate.severity == "shut"]
    assert shut == ["other.standby-away"]
    service.up()


def wait_for_open_gates(environment: Environment, record: Record) -> None:
    def are_open() -> bool:
        gates = switcher(environment, record).gates()
        return not [gate for gate in gates if gate.severity == "shut"]

    wait_until(are_open, "every standby to be there", 90)


def test_forward_with_a_failover_and_back_and_forward_again_loses_nothing(
    environment: Environment, tmp_path: Path
) -> None:
    service, database = environment.service, environment.spec.source.database
    source, target = environment.source.dsn(database), service.writer(database)
    primary = service.primary().name

    def kill() -> None:
        service.kill_postmaster(primary)

    with (
        clients_of(environment, tmp_path / "work") as workload,
        Journal.in_folder(tmp_path) as journal,
    ):
        record = begin_or_resume(journal, database, source, target, SeenAt())
        Start(record, Bounds()).perform()
        with pytest.raises(StoppedError, match="writes are at the target; the comparison"):
            switcher(environment, record).cross(after_resume=kill)
        assert record.at == "target"
        wait_for_writes(workload)
        catch_up(record)
        assert service.primary().name != primary
        for at in ("source", "target"):
            if at == "target":
                no_switch_without_a_standby(environment, record)
            # The member that was killed comes back as a standby, and changes wait for it.
            wait_for_open_gates(environment, record)
            crossing = switcher(environment, record).cross()
            assert crossing.at == at
            assert crossing.verdict is not None
            assert crossing.verdict.same, found(crossing.verdict)
            assert crossing.way_back.survives is (True if at == "target" else None)
            wait_for_writes(workload)
            catch_up(record)
        finish(record)
        workload.stop()
    ledger = judge(target, tmp_path / "work", "work")
    assert ledger.acknowledged > 200
    assert (ledger.lost, ledger.duplicated, ledger.phantom) == (0, 0, 0)
