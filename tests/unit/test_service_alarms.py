"""Each alarm is raised by what it is for, and has its place in the runbooks."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from naru.ground import GroundStatus, ProgramStatus
from naru.ground.doctor import OPTIONAL, REQUIRED, MachineFacts, ProgramFacts, diagnose
from naru.service import (
    ALARMS,
    AlarmFacts,
    Endpoint,
    EtcdStatus,
    Fenced,
    MemberStatus,
    PoolState,
    Protection,
    ServiceStatus,
    Storage,
    alarms_of_ground,
    alarms_of_service,
)
from naru.service.fencing import read_guardian, read_watchdog
from naru.system import server_account

RUNBOOKS = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "runbooks.md"
WELL = {"gap": {"closed": True}, "trouble": None, "limits": {}, "sentence": "gap: none"}


def member(name: str, role: str, **more: Any) -> MemberStatus:
    one = MemberStatus(name, "10.1.3.41", "127.7.3.41", 2866, role, "running", 1, 0, 99)
    return replace(one, **more)


def program(name: str, state: str = "running") -> ProgramStatus:
    return ProgramStatus(name, "10.1.3.41", state, 1, 1, Path("x.log"))


def ground(*programs: ProgramStatus, up: bool = True) -> GroundStatus:
    return GroundStatus("lab", "loopback", Path("/s"), "127.7.0.0/16", up, 1, (), programs)


def etcd(*healthy: bool) -> tuple[EtcdStatus, ...]:
    return tuple(EtcdStatus(f"etcd{n}", "127.7.3.51", 2379, one) for n, one in enumerate(healthy))


def stored(level: str, *, read_only: bool = False) -> Storage:
    return Storage(level, 2**30, 0.5, "a", read_only, {"a": 2**29}, 0.0)


STATUS = ServiceStatus(
    "cedbcluster", "17.10",
    (member("a", "primary"), member("b", "quorum_standby"), member("c", "quorum_standby")),
    etcd(True), (Endpoint("writes", "127.7.3.32", 2866, True, ("a",), 3),),
    Protection("full", "One failure survivable."),
)  # fmt: skip
CALM = AlarmFacts(status=STATUS, ground=ground(program("a")), storage=stored("fine"), backup=WELL)


def in_status(**more: Any) -> AlarmFacts:
    return replace(CALM, status=replace(STATUS, **more))


REDUCED, NONE = Protection("reduced", "Reduced."), Protection("none", "Writes wait.")
TWO = (member("a", "primary"), member("b", "primary"))
RAISED: dict[str, AlarmFacts] = {
    "environment-down": replace(CALM, ground=ground(up=False)),
    "supervisor-dead": replace(CALM, ground=ground(program("a", "unsupervised"), up=False)),
    "program-down": replace(CALM, ground=ground(program("pool", "fatal"))),
    "guardian-down": replace(CALM, ground=ground(program("guardian", "stopped"))),
    "writes-wait": in_status(protection=NONE),
    "two-primaries": in_status(members=TWO, protection=REDUCED),
    "no-failover": in_status(etcd=etcd(True, False, False), protection=REDUCED),
    "cluster-paused": in_status(paused=True, protection=REDUCED),
    "scale-open": replace(CALM, unfinished=("cedbserver3 was cut off while joining",)),
    "pools-too-large": replace(CALM, too_large="the pools may ask for 300 connections"),
    "next-fault-stops-writes": in_status(protection=REDUCED),
    "member-away": in_status(protection=Protection("reduced", "One failure.", survives=1)),
    "etcd-down": in_status(etcd=etcd(True, True, False)),
    "member-fenced": replace(CALM, fenced=(Fenced("b", 0.0, "the guardian"),)),
    "damaged-pages": replace(CALM, damaged={"b": 2}),
    "endpoint-down": in_status(endpoints=(Endpoint("reads", "127.7.3.32", 2867, False, (), 0),)),
    "pool-silent": replace(CALM, pools=None),
    "pool-paused": replace(CALM, pools=(PoolState("cedb", True, 3),)),
    "clients-wait": replace(CALM, pools=(PoolState("cedb", False, 3),)),
    "data-filling": replace(CALM, storage=stored("warning")),
    "data-read-only": replace(CALM, storage=stored("notice", read_only=True)),
    "data-unwatched": replace(CALM, storage=stored("unknown")),
    "certificate-ends": replace(CALM, certificates="the certificate of pool ends in 9 days"),
    "certificate-expired": replace(CALM, certificates="the certificate of pool has expired"),
    "outsiders-connected": replace(CALM, outsiders=1),
    "restart-due": in_status(members=(member("a", "primary", pending_restart=True),)),
    "backup-gap": replace(CALM, backup={**WELL, "gap": {"closed": False}}),
    "backup-failed": replace(CALM, backup={**WELL, "trouble": "barman said no"}),
    "backup-silent": replace(CALM, backup={"trouble": "no such file"}),
    "upgrade-open": replace(CALM, upgrade="17 to 18"),
}


@pytest.mark.parametrize("word", ALARMS)
def test_each_alarm_is_raised_by_what_it_is_for_and_by_nothing_else(word: str) -> None:
    found = alarms_of_service(RAISED[word])
    assert word in [one.word for one in found]
    companions = {"no-failover": {"etcd-down"}}.get(word, set())
    assert {one.word for one in found} - companions == {word}
    assert found[0].to_json()["runbook"] == f"docs/how-to/runbooks.md#{found[0].word}"


def test_while_all_is_well_there_is_none() -> None:
    assert alarms_of_service(CALM) == ()
    assert alarms_of_ground(CALM.ground, CALM.storage) == ()


def test_an_environment_that_is_down_says_only_that() -> None:
    found = alarms_of_ground(ground(up=False), stored("unknown"))
    assert [one.word for one in found] == ["environment-down"]


def test_the_runbooks_have_a_section_for_each_alarm_and_for_no_other() -> None:
    found = re.findall(r"^### `([a-z-]+)`", RUNBOOKS.read_text(), re.MULTILINE)
    assert sorted(found) == sorted(ALARMS)


def test_the_runbook_of_the_doctor_names_each_thing_that_may_be_wrong() -> None:
    nothing = MachineFacts(
        installations=(),
        programs=tuple(ProgramFacts(name, None, None) for name in (*REQUIRED, *OPTIONAL)),
        python="3.11", interpreter=Path("python"), account=None, reaches_interpreter=False,
        state=Path("/s"), reaches_state=False, memory_free=0, disk_free=0, shared_free=0,
        open_files=0, loopback=False,
    )  # fmt: skip
    someone = replace(nothing, account=server_account())
    wrong = {one.name for facts in (nothing, someone) for one in diagnose(facts).findings
             if one.state != "ok"} | {"certificates"}  # fmt: skip
    _, _, text = RUNBOOKS.read_text().partition("## naru doctor")
    section, _, _ = text.partition("\n## ")
    assert sorted(name for name in wrong if f"`{name}`" not in section) == []


def test_fencing_is_read_from_what_the_guardian_and_the_watchdogs_write() -> None:
    guardian = (
        "2026-11-23 03:09:22 cedbserver1: kill the server, because of Facts()\n"
        "2026-11-23 03:09:23 cedbserver1: fenced in 0.05 s, its lock freed\n"
    )
    own = (
        "2026-11-23 03:09:20,105 INFO: no action\n"
        "2026-11-23 03:09:24 watchdog: the lease of a primary ran out; its server is killed\n"
    )
    (one,) = read_guardian(guardian)
    (other,) = read_watchdog("cedbserver2", own)
    assert (one.member, other.member) == ("cedbserver1", "cedbserver2")
    assert time.strftime("%H:%M:%S", time.localtime(one.at)) == "03:09:23"
    assert other.at - one.at == 1.0
