"""Planned work on a real service under load: no client gets an error, whoever dies meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from naru.drill import Stage, find_drill
from naru.errors import DeadlineError, RefusedError
from naru.ground import open_ground
from naru.postgres import connect, fetch_value
from naru.service import Service, plan_restart, plan_switchover, restart, switch_over
from naru.service.restart import settled
from naru.spec import Spec
from naru.system import wait_until
from naru.traffic import Pool

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def stage(server_folder: Path) -> Iterator[Stage]:
    spec = Spec()
    ground = open_ground(spec, server_folder / "planned-ground")
    try:
        ground.up()
        service = Service(spec, ground)
        service.up()
        yield Stage(spec, ground, service, Pool(spec, ground))
    finally:
        ground.down(purge=True)


def settle(stage: Stage) -> None:
    wait_until(lambda: settled(stage.service.status()), "every member to follow", 60)


def test_a_switchover_under_load_gives_no_client_an_error(stage: Stage) -> None:
    verdict = find_drill("switchover").run(stage)
    assert verdict.client_errors == 0, verdict
    assert (verdict.lost, verdict.duplicated, verdict.phantom) == (0, 0, 0)
    assert verdict.primary_after not in (None, verdict.primary_before)
    assert next(iter(verdict.details["steps"])) == "checkpoint"
    assert set(verdict.details["steps"]) >= {"pause", "promote", "endpoint", "standby", "resume"}


def test_clients_go_on_with_one_primary_when_naru_dies_in_a_switchover(stage: Stage) -> None:
    settle(stage)
    verdict = find_drill("die-in-switchover").run(stage)
    assert verdict.client_errors == 0, verdict
    assert (verdict.lost, verdict.duplicated, verdict.phantom) == (0, 0, 0)
    assert verdict.primary_after is not None
    assert not stage.pool.pooler.observe(stage.spec.service.database).paused


def test_a_drill_undoes_what_a_killed_one_left_and_a_cancelled_wait_is_told_as_unknown(
    stage: Stage,
) -> None:
    settle(stage)
    away = next(one.name for one in stage.service.status().members if one.role != "primary")
    stage.wounds.note("away", away)
    stage.ground.stop(away)
    verdict = find_drill("cancel-sync-wait").run(stage)
    assert verdict.kept, verdict.broken
    assert verdict.details["told_as_unknown"] > 0
    assert (verdict.lost, verdict.stale_reads) == (0, 0)
    assert verdict.reads["reads"]["answered"] > 0
    assert [lead["member"] for lead in verdict.leads] == [verdict.primary_before]
    assert stage.wounds.open() == ()


def test_a_transaction_that_does_not_end_stops_the_switchover_and_nothing_has_changed(
    stage: Stage,
) -> None:
    settle(stage)
    service, database = stage.service, stage.spec.service.database
    stage.pool.remember(stage.spec.service.user, service.password)
    plan = plan_switchover(service.status())
    client = stage.pool.dsn(stage.spec.service.user, database)
    with connect(client, purpose="test", autocommit=False, prepare=False) as connection:
        fetch_value(connection, "SELECT 1")
        with pytest.raises(DeadlineError, match="still open"):
            switch_over(service, plan, stage.pool.hold(service, 0.5))
        assert fetch_value(connection, "SELECT 2") == 2
    assert not stage.pool.pooler.observe(database).paused
    assert service.primary().name == plan.leave


def test_a_setting_that_needs_a_restart_comes_into_force_member_by_member(stage: Stage) -> None:
    settle(stage)
    with pytest.raises(RefusedError, match="primary already"):
        plan_switchover(stage.service.status(), stage.service.primary().name)
    changed = stage.spec.service.model_copy(update={"settings": {"max_connections": "310"}})
    spec = stage.spec.model_copy(update={"service": changed})
    service = Service(spec, stage.ground)
    service.up()
    names = {one.name for one in service.members()}

    def in_need() -> set[str]:
        return {one.name for one in service.status().members if one.pending_restart}

    wait_until(lambda: in_need() == names, "every member to need a restart", 60)
    changed_stage = replace(stage, spec=spec, service=service)
    plan = plan_restart(service.status(), pending=True)
    done = restart(service, plan, lambda: changed_stage.pool.hold(service, 5.0))
    assert set(done.members) == names
    assert done.switchover is not None
    assert in_need() == set()
    for name in names:
        with connect(service.member(name, "postgres"), purpose="test") as connection:
            assert fetch_value(connection, "SHOW max_connections") == "310"
