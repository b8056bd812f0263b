"""The primary of a real service is killed under load, and the promise is held against it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from naru.drill import Stage, find_drill
from naru.ground import open_ground
from naru.journal import Journal
from naru.postgres import connect, fetch_value
from naru.service import Service
from naru.spec import Spec
from naru.traffic import Pool

pytestmark = pytest.mark.integration


@pytest.fixture
def stage(server_folder: Path) -> Iterator[Stage]:
    spec = Spec()
    ground = open_ground(spec, server_folder / "drill-ground")
    try:
        ground.up()
        service = Service(spec, ground)
        service.up()
        with Journal.in_folder(ground.folder) as journal:
            run = journal.begin("drill", "kill-primary")
            yield Stage(spec, ground, service, Pool(spec, ground), run)
    finally:
        ground.down(purge=True)


def test_nothing_acknowledged_is_lost_when_the_primary_is_killed(stage: Stage) -> None:
    verdict = find_drill("kill-primary").run(stage)
    assert verdict.seconds is not None and verdict.whole_after_seconds is not None, verdict
    assert verdict.kept == (verdict.seconds <= 5.0), verdict
    assert (verdict.lost, verdict.duplicated, verdict.phantom) == (0, 0, 0)
    assert verdict.acknowledged is not None and verdict.acknowledged > 200
    assert verdict.primary_after not in (None, verdict.primary_before)
    run = stage.run
    assert run is not None
    kinds = [event.kind for event in run.events()]
    assert kinds[0] == "drill.kill"
    assert sorted(kinds[1:]) == ["drill.recovered", "drill.whole"]
    assert run.figures()["seconds"].value == verdict.seconds
    assert sum(one.data["commits"] for one in run.samples("workload")) > verdict.acknowledged / 2
    (close,) = run.samples("commit-times")
    assert close.data["around"] == "kill-primary"
    with connect(stage.service.writer(), purpose="test") as connection:
        left = fetch_value(connection, "SELECT to_regnamespace('naru_ledger') IS NOT NULL")
    assert left is False
