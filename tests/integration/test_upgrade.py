"""The service goes from 17 to 18 under load, back, and there again for good; killed on the way."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from naru.backup import earlier_backups, earlier_of, target_of
from naru.drill import Workload, WorkloadSettings, prepare
from naru.errors import NaruError, UsageError
from naru.ground import open_ground
from naru.ground.processes import processes_of
from naru.journal import Journal, steps
from naru.lab.environment import Environment
from naru.migrate import SeenAt, observe_status, resume
from naru.postgres import connect, fetch_all, fetch_value
from naru.service import Clusters, Place, read_clusters
from naru.service.election import read_keys
from naru.spec import Spec
from naru.system import wait_until
from naru.upgrade import Sides, Upgrade, begin, observe, plan_upgrade
from tests.migration import wait_for_writes
from tests.servers import whole_newest

pytestmark = pytest.mark.integration


@dataclass
class Scene:
    """A service of version 17 with its pool, a workload, and another database."""

    spec: Spec
    folder: Path
    journal: Journal
    workload: Workload

    @property
    def environment(self) -> Environment:
        return Environment(self.spec, self.folder)

    def upgrade(self) -> Upgrade:
        """The upgrade that is under way, as a new process would find it."""
        run = self.journal.latest("upgrade", open_only=True)
        assert run is not None
        here = self.environment
        return Upgrade(Sides(self.spec, here.ground, here.pool, run))

    def major(self) -> int:
        """What answers at the service's own address, for writes and for reads."""
        service = self.environment.service
        found = set()
        for dsn in (service.writer("other"), service.reader("other")):
            with connect(dsn, purpose="test") as connection:
                found.add(connection.info.server_version // 10000)
        assert len(found) == 1
        return found.pop()


@pytest.fixture(scope="module")
def scene(server_folder: Path) -> Iterator[Scene]:
    spec = Spec.model_validate({
        "ground": {"postgres": [str(whole_newest().bin)]},
        "service": {"members": 2, "version": "17"},
        "backup": {"enabled": True},
    })  # fmt: skip
    folder = server_folder / "upgrade"
    environment = Environment(spec, folder)
    try:
        environment.ground.up()
        environment.service.up()
        environment._pool_up()
        environment.backups.up()
        service = environment.service
        with connect(service.writer("postgres"), purpose="test") as connection:
            connection.execute("CREATE ROLE chief SUPERUSER LOGIN PASSWORD 'chief'")
            connection.execute("CREATE DATABASE other")
        with connect(service.writer("other"), purpose="test") as connection:
            connection.execute("CREATE TABLE kept (id serial PRIMARY KEY, note text)")
            connection.execute("INSERT INTO kept (note) SELECT md5(i::text)"
                               " FROM generate_series(1, 1000) AS i")  # fmt: skip
        prepare(service.writer(), spec.service.user)
        settings = WorkloadSettings(
            environment.pool.dsn(spec.service.user, spec.service.database), "upgrade", 4, 60.0
        )
        workload = Workload.start(folder / "drills" / "upgrade", settings)
        try:
            with Journal.in_folder(folder) as journal:
                yield Scene(spec, folder, journal, workload)
        finally:
            workload.stop()
    finally:
        with contextlib.suppress(NaruError):
            Environment(spec, folder).down()
        left = processes_of(folder)
        open_ground(spec, folder).down(purge=True)
    assert left == []


class _KilledError(BaseException):
    pass


@contextlib.contextmanager
def killed_before(step: str) -> Iterator[None]:
    """The work in the block ends before `step`, as if its process had."""

    def at_boundary(name: str) -> None:
        if name == step:
            raise _KilledError

    before, steps.at_boundary = steps.at_boundary, at_boundary
    try:
        with pytest.raises(_KilledError):
            yield
    finally:
        steps.at_boundary = before


def test_the_databases_follow_in_a_second_cluster_and_clients_notice_nothing(
    scene: Scene,
) -> None:
    here = scene.environment
    wait_until(lambda: here.service.status().protection.level != "none", "a standby", 60)
    facts = observe(scene.spec, here.ground, here.service, here.pool, scene.journal, 18)
    begin(scene.journal, plan_upgrade(facts))
    with killed_before("copy other"):
        scene.upgrade().prepare()
    scene.upgrade().prepare()
    assert scene.major() == 17
    shown = observe_status(
        resume(scene.journal, "upgrade_18_other", None, None, SeenAt(), to_look=True)
    )
    assert (shown.state, shown.problem) == ("following", None)
    assert shown.owner is not None
    assert shown.owner.what == "the upgrade 17 to 18"
    beside = scene.environment.beside_service
    assert beside is not None
    with connect(beside.own_writer("other"), purpose="test") as connection:
        assert connection.info.server_version // 10000 == 18
        assert fetch_value(connection, "SELECT count(*) FROM kept") == 1000
        assert fetch_value(connection, "SELECT rolsuper FROM pg_roles WHERE rolname = 'chief'")


def test_the_clients_move_to_18_and_each_database_is_the_same_there(scene: Scene) -> None:
    with killed_before("1 lead"):
        scene.upgrade().switch("new")
    crossed = scene.upgrade().switch("new")
    assert crossed == ()
    figures = scene.upgrade().sides.run.figures()
    assert {figures[f"{name}.differences"].value for name in ("cedb", "other")} == {0}
    assert scene.major() == 18
    here = scene.environment
    assert here.pool.leading_to(here.service.address) == ("cedb",)
    primary = here.service.status().primary
    assert primary is not None
    assert primary.name in ("cedbserver6", "cedbserver7")


def test_the_way_back_takes_what_was_written_at_18_along(scene: Scene) -> None:
    with connect(scene.environment.service.writer("other"), purpose="test") as connection:
        connection.execute("INSERT INTO kept (note) VALUES ('written at 18')")
    with pytest.raises(UsageError, match="not at the old"):
        scene.upgrade().abort()
    crossed = scene.upgrade().switch("old")
    assert [one.crossing.verdict is not None and one.crossing.verdict.same for one in crossed] == [
        True, True,
    ]  # fmt: skip
    assert scene.major() == 17
    with connect(scene.environment.service.writer("other"), purpose="test") as connection:
        rows = fetch_all(connection, "SELECT id FROM kept WHERE note = 'written at 18'")
        assert rows == [(1001,)]
    with pytest.raises(UsageError, match="not at the new"):
        scene.upgrade().finish()


def test_for_good_one_cluster_is_left_and_no_client_had_an_error(scene: Scene) -> None:
    scene.upgrade().switch("new", verify=False)
    ended = scene.upgrade()
    with killed_before("finish endpoints"):
        ended.finish()
    scene.upgrade().finish()
    clusters = read_clusters(scene.folder)
    old = Place("cedbcluster", "17")
    assert clusters == Clusters(Place("cedbcluster-18", "18", 6), None, (old,))
    assert scene.major() == 18
    here = scene.environment
    assert here.ground.pid("cedbserver1") is None
    assert not (scene.folder / "data" / "cedbserver1").exists()
    guarded = json.loads((scene.folder / "conf" / "guardian.json").read_text())["members"]
    assert [one["name"] for one in guarded] == ["cedbserver6", "cedbserver7"]
    assert read_keys(Environment(scene.spec, scene.folder).service.layout)
    wait_for_writes(scene.workload)
    status = scene.workload.stop()
    assert status.failed == 0, status.reasons
    assert status.unknown == 0, status.reasons
    verdict = scene.workload.judge(here.service.writer())
    assert verdict.acknowledged > 500
    assert verdict.kept, verdict


def test_what_was_kept_at_17_comes_back_beside_18(scene: Scene) -> None:
    here = scene.environment
    (kept,) = earlier_backups(scene.spec, here.ground)
    assert (kept.name, kept.place.version) == ("cedbcluster", "17")
    assert kept.to_json()["limits"] is not None
    with pytest.raises(UsageError, match="cedbcluster-18"):
        earlier_of(scene.spec, here.ground, "cedbcluster-18")
    kept.prepare()
    plan = kept.backups.plan(target_of(latest=True))
    kept.beside.restore(plan, "before")
    with connect(here.beside.dsn("before", "other"), purpose="test") as connection:
        assert connection.info.server_version // 10000 == 17
        # What was written at 18 came back to 17 with the clients.
        assert fetch_value(connection, "SELECT count(*) FROM kept") == 1001
    here.beside.stop()
    here.beside.up()
    assert here.beside.find("before").running
    here.beside.remove("before")
    kept.forget()
    assert earlier_backups(scene.spec, here.ground) == ()
    assert here.backups.limits()


def test_up_and_down_know_the_new_cluster(scene: Scene) -> None:
    here = scene.environment
    before = {one.name: one.pid for one in here.ground.status().programs}
    here.service.up()
    assert {one.name: one.pid for one in here.ground.status().programs} == before
