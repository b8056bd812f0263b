"""Drills on a real service under load: faults, and planned work that gives no client an error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from naru.cli.main import app
from naru.drill import Stage, find_drill
from naru.errors import DeadlineError, RefusedError
from naru.ground import open_ground
from naru.journal import Journal
from naru.postgres import connect, fetch_value
from naru.service import Service, plan_restart, plan_switchover, restart, switch_over
from naru.service.restart import settled
from naru.spec import Spec
from naru.system import wait_until
from naru.traffic import Pool
from tests.servers import wipe

pytestmark = pytest.mark.integration

SHORT = ("kill-primary", "switchover", "die-in-switchover", "certificates-due")


@pytest.fixture(scope="module")
def stage(server_folder: Path) -> Iterator[Stage]:
    spec = Spec()
    ground = open_ground(spec, server_folder / "drills-ground")
    try:
        ground.up()
        service = Service(spec, ground)
        service.up()
        yield Stage(spec, ground, service, Pool(spec, ground))
    finally:
        wipe(ground)


def settle(stage: Stage) -> None:
    wait_until(lambda: settled(stage.service.status()), "every member to follow", 60)


@pytest.fixture(scope="module")
def series(
    stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, dict[str, Any]]]:
    """A short series, run as people run it; the verdicts by drill, from the file beside the page.

    Time is not promised on a machine that does other work beside: see `but_for_time`.
    """
    folder = tmp_path_factory.mktemp("series")
    (folder / "naru.toml").touch()
    chosen = [word for name in SHORT for word in ("--only", name)]
    page = folder / "out.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("naru.ground.state_folder", lambda _: stage.ground.folder)
        done = CliRunner().invoke(
            app,
            ["drill", "run", "all", *chosen, "--yes", "--report", str(page),
             "--spec", str(folder / "naru.toml")],
        )  # fmt: skip
    document = json.loads((folder / "out.json").read_text())
    found = {one["drill"]: one for one in document["drills"]}
    assert tuple(found) == SHORT, done.output
    assert (done.exception is None) == all(one["kept"] for one in found.values())
    assert f"{len(SHORT)} promises" in page.read_text()
    yield found


def but_for_time(verdict: dict[str, Any]) -> list[str]:
    """What did not hold, besides bounds of time."""
    late = ("s to work again", "nothing was acknowledged for", "members were back after")
    return [one for one in verdict["broken"] if not any(words in one for words in late)]


@pytest.mark.parametrize("name", SHORT)
def test_nothing_is_lost_and_no_promise_breaks_but_by_time(
    series: dict[str, dict[str, Any]], name: str
) -> None:
    verdict = series[name]
    assert but_for_time(verdict) == []
    assert (verdict["lost"], verdict["duplicated"], verdict["phantom"]) == (0, 0, 0)
    assert verdict["acknowledged"] > 200
    assert verdict["took_seconds"] > 0
    assert verdict["primary_after"] is not None


def test_a_dead_primary_is_replaced_and_all_of_it_is_in_the_journal(
    series: dict[str, dict[str, Any]], stage: Stage
) -> None:
    verdict = series["kill-primary"]
    assert verdict["kept"] == (verdict["seconds"] <= 5.0), verdict
    assert verdict["primary_after"] != verdict["primary_before"]
    with Journal.in_folder(stage.ground.folder) as journal:
        run = journal.latest("drill", "kill-primary")
        assert run is not None and run.outcome == ("kept" if verdict["kept"] else "broken")
        kinds = [event.kind for event in run.events()]
        assert kinds[0] == "drill.kill"
        assert sorted(kinds[1:]) == ["drill.recovered", "drill.whole"]
        assert run.figures()["seconds"].value == verdict["seconds"]
        commits = sum(one.data["commits"] for one in run.samples("workload"))
        assert commits > verdict["acknowledged"] / 2
        (close,) = run.samples("commit-times")
        assert close.data["around"] == "kill-primary"


def test_a_switchover_under_load_tells_its_steps(series: dict[str, dict[str, Any]]) -> None:
    verdict = series["switchover"]
    assert verdict["client_errors"] == 0
    assert verdict["primary_after"] != verdict["primary_before"]
    steps = verdict["details"]["steps"]
    assert next(iter(steps)) == "checkpoint"
    assert set(steps) >= {"pause", "promote", "endpoint", "standby", "resume"}


def test_clients_go_on_with_one_primary_when_naru_dies_in_a_switchover(
    series: dict[str, dict[str, Any]], stage: Stage
) -> None:
    assert series["die-in-switchover"]["client_errors"] == 0
    assert not stage.pool.pooler.observe(stage.spec.service.database).paused


def test_certificates_that_are_due_are_told_and_renewed_and_no_client_notices(
    series: dict[str, dict[str, Any]], stage: Stage
) -> None:
    verdict = series["certificates-due"]
    assert (verdict["client_errors"], verdict["details"]["new_clients_refused"]) == (0, 0)
    assert verdict["details"]["new_clients_let_in"] > 0
    assert "ends in 2 days" in verdict["details"]["warned"]
    assert min(one.days_left for one in stage.ground.certificates.list()) > 300


def test_a_series_leaves_no_ledger_behind(series: dict[str, dict[str, Any]], stage: Stage) -> None:
    if all(one["kept"] for one in series.values()):
        with connect(stage.service.writer(), purpose="test") as connection:
            left = fetch_value(connection, "SELECT to_regnamespace('naru_ledger') IS NOT NULL")
        assert left is False


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
