"""Members and nodes of the election come and go while clients are at work, and none notices."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from naru.drill import Stage, Workload, workload_on
from naru.errors import DeadlineError, NaruError, RefusedError
from naru.ground import open_ground
from naru.journal import Journal
from naru.postgres import connect, fetch_value
from naru.service import (
    GUARDIAN,
    ScalePlan,
    Service,
    asked_for,
    observe_scale,
    plan_rebuild,
    plan_scale,
    rebuild,
    scale,
    scaling,
    unfinished_scale,
    wanted_of,
)
from naru.service.election import read_keys
from naru.service.etcd_members import members as etcd_members
from naru.service.status import ServiceStatus
from naru.spec import ServiceSpec, Spec
from naru.system import wait_until
from naru.traffic import Pool

pytestmark = pytest.mark.integration


@dataclass
class Play:
    """A service that changes while a workload runs; `spec` is what it should be."""

    stage: Stage
    workload: Workload
    spec: Spec

    @property
    def service(self) -> Service:
        return Service(self.spec, self.stage.ground)

    @property
    def status(self) -> ServiceStatus:
        return self.service.status()

    def plan(self) -> ScalePlan:
        return plan_scale(observe_scale(self.service), wanted_of(self.spec))

    def scale(self) -> ScalePlan:
        """Bring it to what it should be, as the command does."""
        plan = self.plan()
        with Journal.in_folder(self.stage.ground.folder) as journal:
            run = journal.begin("service", "scale")
            scale(self.service, plan, lambda: self.stage.pool.hold(self.service, 10), run)
            assert {step.state for step in run.steps()} == {"done"}
            run.end("done")
        return plan

    def reads(self) -> tuple[str, ...]:
        """Where the read endpoint leads."""
        return next(one.nodes for one in self.status.endpoints if one.purpose == "reads")

    def reads_a_standby(self) -> bool:
        """Whether a new session at the read endpoint meets a standby."""
        with connect(self.service.reader(), purpose="test") as connection:
            return bool(fetch_value(connection, "SELECT pg_is_in_recovery()"))

    def is_fully_protected(self) -> None:
        """Soon, on a busy machine: a member may answer late."""
        sentence = ""

        def full() -> bool:
            nonlocal sentence
            protection = self.status.protection
            sentence = protection.sentence
            return protection.level == "full"

        with contextlib.suppress(DeadlineError):
            wait_until(full, "full protection", 30)
        assert "One failure survivable" in sentence

    def is_guarded(self) -> None:
        """The guardian watches exactly who belongs, asks the election's nodes of now, and has
        found nobody dead."""
        folder, layout = self.stage.ground.folder, self.service.layout
        settings = json.loads((folder / "conf" / "guardian.json").read_text())
        assert {one["name"] for one in settings["members"]} == {one.name for one in layout.nodes}
        assert settings["etcd"] == [[one.address, one.client_port] for one in layout.etcd]
        assert "because of" not in self.stage.ground.log(GUARDIAN).read_text()

    def commits_go_on(self) -> None:
        wanted = self.workload.status.acknowledged + 200
        wait_until(lambda: self.workload.status.acknowledged >= wanted, "200 commits", 60)

    def every_commit_was_kept_and_no_client_got_an_error(self) -> None:
        assert self.workload.status.reasons == {}
        verdict = self.workload.judge(self.service.writer())
        assert verdict.kept, verdict
        assert verdict.failed == verdict.unknown == 0


@pytest.fixture(scope="module")
def play(server_folder: Path) -> Iterator[Play]:
    patient = ServiceSpec(read_lag_seconds=3, settings={"max_standby_streaming_delay": "-1"})
    spec = asked_for(Spec(service=patient), members=2)
    ground = open_ground(spec, server_folder / "scale-ground")
    try:
        ground.up()
        service = Service(spec, ground)
        service.up()
        stage = Stage(spec, ground, service, Pool(spec, ground), clients=4, rate=100)
        with workload_on(stage, "scale") as workload:
            yield Play(stage, workload, spec)
    finally:
        with contextlib.suppress(NaruError):
            ground.down(purge=True)


def test_a_member_and_two_nodes_of_the_election_come_though_the_first_try_is_cut_off(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "the only synchronous standby" in play.status.protection.sentence
    play.spec = asked_for(play.spec, members=3, etcd=3)

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(scaling, "watch_copy", cut_off)
        with pytest.raises(KeyboardInterrupt):
            play.scale()
    assert play.plan().add == ("cedbserver3",)
    assert play.plan().etcd_add == ()
    assert unfinished_scale(play.service) == ("cedbserver3 was cut off while joining",)
    play.scale()
    assert play.plan().empty
    assert unfinished_scale(play.service) == ()
    play.is_fully_protected()
    wait_until(lambda: sorted(play.reads()) == ["cedbserver2", "cedbserver3"], "both read", 30)
    known = etcd_members(play.service.layout.etcd)
    assert [one.learner for one in known] == [False] * 3
    play.is_guarded()
    play.every_commit_was_kept_and_no_client_got_an_error()


def test_the_loss_of_one_of_three_nodes_of_the_election_has_no_effect(play: Play) -> None:
    leads = play.service.primary().name
    # The only one that members knew when they started.
    play.stage.ground.stop("etcd1")
    play.commits_go_on()
    wait_until(lambda: "misses 1 of 3" in play.status.protection.sentence, "it to be told", 30)
    assert play.service.primary().name == leads
    play.stage.ground.start("etcd1")
    wait_until(lambda: all(one.healthy for one in play.status.etcd), "etcd1 to be back", 60)
    play.every_commit_was_kept_and_no_client_got_an_error()


def test_a_node_of_the_election_that_lost_its_data_comes_anew_by_a_start(play: Play) -> None:
    leads = play.service.primary().name
    # By itself it would begin an election of its own, as it did when it was the only one.
    play.stage.ground.stop("etcd1")
    shutil.rmtree(play.service.layout.etcd[0].data / "member")
    play.service.up()
    assert [one.healthy for one in play.status.etcd] == [True] * 3
    assert [one.learner for one in etcd_members(play.service.layout.etcd)] == [False] * 3
    assert any(key.endswith("leader") for key in read_keys(play.service.layout))
    assert play.service.primary().name == leads
    assert play.plan().empty
    play.every_commit_was_kept_and_no_client_got_an_error()


def test_a_standby_whose_replay_stands_still_gets_no_reads_until_it_goes_on(play: Play) -> None:
    names = ("cedbserver2", "cedbserver3")
    leads = play.service.primary().name
    with ExitStack() as readers:
        holds_up_replay(play, readers, names[0])
        wait_until(lambda: play.reads() == names[1:], "it to get no reads", 60)
        holds_up_replay(play, readers, names[1])
        wait_until(lambda: play.reads() == (leads,), "reads to go to the primary", 60)
        wait_until(lambda: not play.reads_a_standby(), "a reader to meet the primary", 30)
        play.commits_go_on()
    wait_until(lambda: sorted(play.reads()) == sorted(names), "both to be read again", 60)
    play.is_guarded()


def holds_up_replay(play: Play, readers: ExitStack, name: str) -> None:
    """Read at one standby what changes at the primary: its replay waits for the reader.

    To pause replay would not do: Patroni lets it go on within a second.
    """
    with connect(play.service.writer("postgres"), purpose="test") as writer:
        writer.execute(f"CREATE TABLE held_{name} (id int)")
        member = play.service.member(name, "postgres")
        reader = readers.enter_context(connect(member, purpose="test"))
        known = f"SELECT to_regclass('held_{name}') IS NOT NULL"
        wait_until(lambda: fetch_value(reader, known), f"the table to be on {name}", 30)
        reader.execute("BEGIN")
        reader.execute(f"TABLE held_{name}")
        writer.execute(f"ALTER TABLE held_{name} ADD COLUMN more int")


def test_a_member_is_copied_anew_and_the_primary_is_not(play: Play) -> None:
    with pytest.raises(RefusedError, match="is the primary"):
        plan_rebuild(play.status, play.service.primary().name)
    node = next(one for one in play.service.layout.nodes if one.name == "cedbserver3")
    left_over = node.data / "left_over"
    left_over.touch()
    rebuild(play.service, plan_rebuild(play.status, "cedbserver3"))
    assert not left_over.exists()
    play.is_guarded()
    play.is_fully_protected()
    play.every_commit_was_kept_and_no_client_got_an_error()


def test_a_primary_leaves_and_nothing_of_it_stays_though_the_first_try_is_cut_off(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    leads, before = play.service.primary().name, play.spec
    play.spec = asked_for(play.spec, remove=[leads], etcd=1)
    began = time.time()
    plan = play.plan()
    assert (plan.leave, plan.remove) == (leads, (leads,))

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(scaling, "must_have_left", cut_off)
        with pytest.raises(KeyboardInterrupt):
            play.scale()
    assert f"{leads} was cut off while leaving" in unfinished_scale(play.service)
    going_on, play.spec = play.spec, before
    assert play.plan().add == (leads,)
    play.spec = going_on
    play.scale()
    play.commits_go_on()
    service, ground = play.service, play.stage.ground
    names = [one.name for one in play.status.members]
    assert len(names) == 2
    assert leads not in names
    assert not (ground.folder / "data" / leads).exists()
    play.is_guarded()
    certificates = {one.name for one in ground.certificates.list()}
    assert certificates.isdisjoint({leads, "etcd2", "etcd3"})
    assert {*names, "etcd1"} <= certificates
    assert not any(key.endswith(f"members/{leads}") for key in read_keys(service.layout))
    for name in names:
        with connect(service.member(name, "postgres"), purpose="test") as connection:
            slots = connection.execute("SELECT slot_name FROM pg_replication_slots").fetchall()
            waited = fetch_value(connection, "SHOW synchronized_standby_slots")
        assert leads not in str(slots)
        assert leads not in str(waited)
    assert [one.name for one in play.status.etcd] == ["etcd1"]
    assert len(etcd_members(service.layout.etcd)) == 1
    assert {one.name for one in ground.status().programs}.isdisjoint({leads, "etcd2", "etcd3"})
    gap = play.workload.longest_gap(began, time.time())
    assert gap is not None
    play.every_commit_was_kept_and_no_client_got_an_error()


def test_up_again_leaves_it_as_it_is(play: Play) -> None:
    before = {one.name: one.pid for one in play.stage.ground.status().programs}
    play.service.up()
    assert {one.name: one.pid for one in play.stage.ground.status().programs} == before
    play.every_commit_was_kept_and_no_client_got_an_error()
