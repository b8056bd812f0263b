"""Whoever is cut off between two steps leaves nothing behind that a start would make worse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from naru.backup import Backups, InPlace
from naru.cli import scaling as command
from naru.errors import RefusedError
from naru.ground import Ground, Program, open_ground
from naru.journal import Journal
from naru.lab.alone import alone_at_work
from naru.lab.environment import Environment
from naru.lab.noting import note_changes
from naru.postgres import Dsn, Installation
from naru.service import (
    ChangePlan,
    PlannedChange,
    ScalePlan,
    Service,
    election,
    etcd,
    etcd_members,
    haproxy,
    haproxy_live,
    rest,
    storage,
    unfinished_scale,
)
from naru.service import patroni as patroni_file
from naru.service.layout import Layout, is_whole, layout_of
from naru.service.membership import IN, JOINING, LEAVING, Membership, MembershipFile, Seat
from naru.service.parts import HAPROXY, Parts
from naru.service.rest import Answer, Door
from naru.service.storage import place_storage_guard
from naru.spec import ServiceSpec, Spec

OURS = Installation((17, 10), Path("/usr/lib/postgresql/17/bin"), "distribution")


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    for name in ("data", "conf", "run", "logs", "programs"):
        (tmp_path / name).mkdir()
    (tmp_path / "ground.json").write_text('{"kind": "loopback", "network": "127.1.0.0/16"}')
    return open_ground(Spec(), tmp_path)


class Programs:
    """The programs of a ground, without any process; `place` fails when it is cut off."""

    def __init__(self, ground: Ground, patch: pytest.MonkeyPatch) -> None:
        self.placed: dict[str, Program] = {}
        self.told: list[str] = []
        self.cut_off = False
        patch.setattr(ground, "place", self.place)
        patch.setattr(ground, "pid", lambda name: 7 if name in self.placed else None)
        patch.setattr(ground, "stop", lambda name: self.placed.pop(name, None))
        patch.setattr(ground, "remove", lambda name: self.placed.pop(name, None))
        patch.setattr(ground, "wait", lambda name, probe, what, seconds: self.told.append(what))

    def place(self, program: Program) -> None:
        if self.cut_off:
            raise KeyboardInterrupt
        self.placed[program.name] = program


@pytest.fixture
def programs(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> Programs:
    return Programs(ground, monkeypatch)


def parts_of(ground: Ground, membership: Membership, spec: Spec | None = None) -> Parts:
    spec = spec or Spec()
    layout = layout_of(spec, ground, membership)
    return Parts(spec, ground, layout, installation=OURS, user_password="a password")


# Members


def server_in(data: Path, *, copied: bool) -> None:
    """What is in a data folder: of a server, or of a base backup that was cut off."""
    (data / "global").mkdir(parents=True)
    (data / "PG_VERSION").write_text("17\n")
    (data / ("global/pg_control" if copied else "backup_label")).write_text("")


@pytest.mark.parametrize("copied", [True, False])
def test_a_start_gives_up_half_a_copy_and_nothing_that_may_have_led(
    ground: Ground, programs: Programs, copied: bool
) -> None:
    membership = Membership.of(Spec()).with_member(3, JOINING)
    parts = parts_of(ground, membership)
    node = layout_of(Spec(), ground, membership).nodes[2]
    server_in(node.data, copied=copied)
    assert is_whole(node.data) is copied
    parts._place_member(node)
    assert node.name in programs.placed
    assert node.data.exists() is copied


def test_a_scale_that_goes_on_copies_a_member_that_does_not_run_from_the_beginning(
    ground: Ground, programs: Programs
) -> None:
    membership = Membership.of(Spec()).with_member(3, JOINING)
    node = layout_of(Spec(), ground, membership).nodes[2]
    server_in(node.data, copied=True)
    parts_of(ground, membership)._place_member(node, anew=True)
    assert not node.data.exists()


def waited_for(layout: Layout) -> str:
    text = patroni_file.render(
        layout, layout.nodes[0], bin_folder=OURS.bin, callback=None, major=17,
        passwords=patroni_file.Passwords("", "", "", ""), settings={}, encoding="UTF8",
        locale="C.UTF-8",
    )  # fmt: skip
    return str(json.loads(text)["postgresql"]["parameters"]["synchronized_standby_slots"])


def test_no_logical_consumer_waits_for_a_member_on_its_way_in_or_out(ground: Ground) -> None:
    whole = Membership.of(Spec())
    assert waited_for(layout_of(Spec(), ground, whole)) == "cedbserver2,cedbserver3"
    for state in (JOINING, LEAVING):
        going = layout_of(Spec(), ground, whole.with_member(3, state))
        assert waited_for(going) == "cedbserver2"


def test_no_restore_in_place_while_a_member_is_on_its_way(ground: Ground) -> None:
    service = Service(Spec(), ground)
    service.membership.write(Membership.of(Spec()).with_member(1, LEAVING))
    backups = Backups(Spec(), ground, service)
    plan: Any = SimpleNamespace(size=0, replay=0)
    restore = InPlace(ground, service, backups)
    restore._wal = SimpleNamespace(subscriptions=lambda: [])  # type: ignore[assignment]
    (found,) = restore.hindrances(plan)
    assert found.startswith("cedbserver1 is on its way in or out")


# Endpoints


def test_a_configuration_of_haproxy_is_brought_into_force_by_the_next_start(
    ground: Ground, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(haproxy, "allow", lambda *_: True)
    monkeypatch.setattr(haproxy_live, "converge", lambda *_: None)
    before, after = Spec(), Spec(service=ServiceSpec(read_port=2999))
    whole = Membership.of(Spec())
    parts_of(ground, whole, before).place_haproxy(lambda: True)
    first = programs.placed[HAPROXY]
    parts_of(ground, whole.with_member(4, IN), before).place_haproxy(lambda: True)
    assert programs.placed[HAPROXY] == first, "members come without a restart"
    programs.cut_off = True
    with pytest.raises(KeyboardInterrupt):
        parts_of(ground, whole, after).place_haproxy(lambda: True)
    assert ":2999" in (ground.folder / "conf" / "haproxy.cfg").read_text()
    programs.cut_off = False
    parts_of(ground, whole, after).place_haproxy(lambda: True)
    assert programs.placed[HAPROXY] != first, "what another text reads is another program"


def test_the_guard_of_the_datas_size_learns_of_members_though_the_first_try_was_cut_off(
    ground: Ground, programs: Programs
) -> None:
    def place(membership: Membership) -> Program:
        layout = layout_of(Spec(), ground, membership)
        place_storage_guard(Spec(), ground, layout, Dsn.of("127.1.3.32", 2866, "cedb", "postgres"))
        return programs.placed[storage.PROGRAM]

    three = Membership.of(Spec())
    first = place(three)
    assert place(three) == first
    programs.cut_off = True
    with pytest.raises(KeyboardInterrupt):
        place(three.with_member(4, IN))
    programs.cut_off = False
    assert place(three.with_member(4, IN)) != first


def test_who_is_let_in_is_told_to_haproxy_at_every_start(
    ground: Ground, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Path] = []

    def allow(_: Path, file: Path) -> bool:
        told.append(file)
        return True

    monkeypatch.setattr(haproxy, "allow", allow)
    monkeypatch.setattr(haproxy_live, "converge", lambda *_: None)
    for _ in range(3):
        parts_of(ground, Membership.of(Spec())).place_haproxy(lambda: True)
    assert len(told) == 2, "not to one that starts with it"


# The election


class Votes:
    """What the election's store was told."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.said: list[str] = []
        patch.setattr(etcd, "is_healthy", lambda *_: True)
        patch.setattr(etcd_members, "remove", self._saying("remove"))
        patch.setattr(etcd_members, "add_learner", self._saying("add"))

    def _saying(self, word: str) -> Callable[..., None]:
        def say(nodes: Any, node: Any) -> None:
            self.said.append(f"{word} {node.name} by {','.join(one.name for one in nodes)}")

        return say


def grown(ground: Ground, *with_data: int) -> MembershipFile:
    """An election that began with one node, and of which those of `with_data` have data."""
    seats = {1: Seat((1,)), 2: Seat((1, 2), joined=True), 3: Seat((1, 2, 3), joined=True)}
    file = MembershipFile(Spec(), ground)
    file.write(Membership({1: IN, 2: IN, 3: IN}, seats))
    for number in with_data:
        (ground.folder / "data" / f"etcd{number}" / "member").mkdir(parents=True)
    (ground.folder / "data" / "cedbcluster.founded").touch()
    return file


def arguments(program: Program, name: str) -> str:
    return next(one for one in program.argv if one.startswith(f"--{name}="))


def test_an_election_that_lost_everything_begins_together(
    ground: Ground, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    votes, file = Votes(monkeypatch), grown(ground)
    file.write(file.read().with_etcd(3, Seat((1, 2, 3), joined=True, state=JOINING)))
    parts_of(ground, file.read()).election.place()
    assert file.read().etcd == {1: Seat((1, 2)), 2: Seat((1, 2))}
    assert set(programs.placed) == {"etcd1", "etcd2"}
    for one in programs.placed.values():
        assert arguments(one, "initial-cluster-state").endswith("=new")
        assert arguments(one, "initial-cluster").count("https") == 2
    assert votes.said == []


def test_nodes_that_begin_together_do_so_though_the_first_try_was_cut_off(
    ground: Ground, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    votes, spec = Votes(monkeypatch), Spec(service=ServiceSpec(etcd_members=3))
    (ground.folder / "data" / "etcd1" / "member").mkdir(parents=True)
    parts_of(ground, Membership.of(spec), spec).election.place()
    assert set(programs.placed) == {"etcd1", "etcd2", "etcd3"}
    assert votes.said == []
    assert not MembershipFile(spec, ground).exists


def test_a_node_that_lost_its_data_never_begins_an_election_of_its_own(
    ground: Ground, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    votes, file = Votes(monkeypatch), grown(ground, 2, 3)
    parts_of(ground, file.read()).election.place()
    assert votes.said == ["remove etcd1 by etcd1,etcd2,etcd3", "add etcd1 by etcd2,etcd3"]
    assert file.read().etcd[1] == Seat((2, 3, 1), joined=True)
    assert arguments(programs.placed["etcd1"], "initial-cluster-state").endswith("=existing")
    assert file.read().voters == (1, 2, 3)


def test_a_node_without_a_vote_is_not_the_one_that_is_asked(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """etcd1 comes before the others, and says that it is healthy."""
    layout = layout_of(Spec(), ground, grown(ground, 1, 2, 3).read())
    monkeypatch.setattr(etcd_members, "is_healthy", lambda _: True)
    monkeypatch.setattr(election, "is_healthy", lambda _: True)
    members = [
        {"ID": one.name, "peerURLs": [one.peer_url], "isLearner": one.name == "etcd1"}
        for one in layout.etcd
    ]
    promoted: list[Any] = []

    def post(door: Door, path: str, document: Any, *, seconds: float) -> Answer:
        if door.host == layout.etcd[0].address:
            return Answer(400, {"error": "etcdserver: rpc not supported for learner"})
        if path.endswith("promote"):
            promoted.append(document)
        return Answer(200, {"members": members, "kvs": []})

    monkeypatch.setattr(rest, "post", post)
    assert etcd_members.votes(layout.etcd, layout.etcd[0])
    assert promoted == [{"ID": "etcd1"}]
    assert election.read_keys(layout) == {}


def test_a_node_whose_vote_was_taken_is_not_started_with_it_again(
    ground: Ground, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    Votes(monkeypatch)
    file = grown(ground, 1, 2)
    monkeypatch.setattr(etcd_members, "add_learner", _cut_off)
    with pytest.raises(KeyboardInterrupt):
        parts_of(ground, file.read()).election.place()
    assert file.read().etcd[3].state == JOINING
    programs.placed.clear()
    parts_of(ground, file.read()).election.place()
    assert set(programs.placed) == {"etcd1", "etcd2"}


def test_a_node_that_has_left_with_its_data_is_not_started_again(
    ground: Ground, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    Votes(monkeypatch)
    file = grown(ground, 1, 2)
    file.write(file.read().with_etcd(3, Seat((1, 2, 3), joined=True, state=LEAVING)))
    parts_of(ground, file.read()).election.place()
    assert set(programs.placed) == {"etcd1", "etcd2"}


def _cut_off(*_: object) -> None:
    raise KeyboardInterrupt


# Works on one service


def test_a_scale_that_was_cut_off_is_told_until_one_has_come_to_its_end(ground: Ground) -> None:
    service = Service(Spec(), ground)
    with Journal.in_folder(ground.folder) as journal:
        assert unfinished_scale(service) == ()
        run = journal.begin("service", "scale")
        assert unfinished_scale(service) == ("the last scale did not come to its end",)
        run.end("done")
    assert unfinished_scale(service) == ()


def test_a_scale_that_is_refused_leaves_naru_toml_as_it_is(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = ground.folder / "naru.toml"
    file.write_text("[service]\nmembers = 3\n")
    environment: Any = SimpleNamespace(ground=ground, spec=Spec())
    plans = iter((ScalePlan(add=("m4",)), ScalePlan(add=("m4",), remove=("m1",))))
    monkeypatch.setattr(command, "running", lambda _: environment)
    monkeypatch.setattr(command, "_plan", lambda *_: next(plans))
    with alone_at_work(ground, "restart"), pytest.raises(RefusedError, match="restart, begun at"):
        command.scale(members=4, spec=file, yes=True)
    plans = iter((ScalePlan(add=("m4",)), ScalePlan(add=("m4",), remove=("m1",))))
    with pytest.raises(RefusedError, match="not as it was when the plan was shown"):
        command.scale(members=4, spec=file, yes=True)
    assert file.read_text() == "[service]\nmembers = 3\n"


def test_what_differs_in_its_notes_alone_is_the_same_work() -> None:
    assert ScalePlan(add=("m4",), notes=("m2 does not follow",)).does_as(ScalePlan(add=("m4",)))
    assert not ScalePlan(add=("m4",)).does_as(ScalePlan(add=("m5",)))


def test_nothing_is_started_while_another_work_goes_on(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = Environment(Spec(), ground.folder)
    monkeypatch.setattr(environment.ground, "up", lambda: None)
    monkeypatch.setattr("naru.lab.environment.OTHER_SECONDS", 0.1)
    monkeypatch.setattr(environment, "_have_running", _cut_off)
    with alone_at_work(ground, "restore in place"):
        with pytest.raises(RefusedError, match="restore in place, begun at"):
            environment.up(plan=ChangePlan())
    with pytest.raises(KeyboardInterrupt):
        environment.up(plan=ChangePlan())


def test_a_start_does_not_note_as_done_what_only_a_scale_does(ground: Ground) -> None:
    members = PlannedChange("service.members", "m1, m2", "m1, m2, m3", "members")
    note_changes(ground.folder, ChangePlan((members,)))
    note_changes(ground.folder, ChangePlan((members, PlannedChange("a.b", "1", "2", "reload"))))
    with Journal.in_folder(ground.folder) as journal:
        (run,) = journal.runs()
        assert [one.text for one in run.events()] == ["a.b: 1 → 2"]
