"""Who may take over, and who is restarted when, is decided from the status alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from naru.errors import RefusedError, UsageError
from naru.postgres import Dsn
from naru.service import (
    Endpoint,
    EtcdStatus,
    MemberStatus,
    Protection,
    ServiceStatus,
    plan_restart,
    plan_switchover,
    restart,
)


def member(name: str, role: str, **other: object) -> MemberStatus:
    state = "running" if role == "primary" else "streaming"
    one = MemberStatus(name, "10.1.3.41", "127.1.3.41", 2866, role, state, 3, 0, 7)
    return replace(one, **other)  # type: ignore[arg-type]


def status(*members: MemberStatus, healthy: bool = True) -> ServiceStatus:
    return ServiceStatus(
        cluster="cedbcluster",
        version="17.10",
        members=members,
        etcd=(EtcdStatus("etcd1", "127.1.3.51", 2379, healthy),),
        endpoints=(Endpoint("writes", "127.1.3.32", 2866, True, ("one",), 3),),
        protection=Protection("full", "All is well."),
    )


ONE = member("one", "primary")
TWO = member("two", "quorum_standby", lag_bytes=4096)
THREE = member("three", "quorum_standby", lag_bytes=512)


def test_the_closest_synchronous_standby_takes_over() -> None:
    plan = plan_switchover(status(ONE, TWO, THREE))
    assert (plan.leave, plan.enter, plan.warnings) == ("one", "three", ())


def test_a_member_named_by_the_user_takes_over_though_another_is_closer() -> None:
    assert plan_switchover(status(ONE, TWO, THREE), "two").enter == "two"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"state": "starting"}, "does not stream"),
        ({"role": "replica"}, "may lack acknowledged commits"),
        ({"timeline": 2}, "timeline 2"),
        ({"lag_bytes": 20_000_000}, "20000000 bytes behind"),
        ({"lag_bytes": None}, "unknown number"),
        ({"election_age": 9.5}, "not heard of the election for 9.5 s"),
        ({"failsafe": True}, "went by the failsafe just now"),
    ],
)
def test_a_member_that_could_not_take_over_is_refused_with_the_reason(
    change: dict[str, object], word: str
) -> None:
    unfit = replace(TWO, **change)  # type: ignore[arg-type]
    with pytest.raises(RefusedError, match=word):
        plan_switchover(status(ONE, unfit, THREE), "two")
    assert plan_switchover(status(ONE, unfit, THREE)).enter == "three"


def test_who_is_no_member_or_leads_already_cannot_take_over() -> None:
    with pytest.raises(UsageError, match="no member 'four'"):
        plan_switchover(status(ONE, TWO), "four")
    with pytest.raises(RefusedError, match="primary already"):
        plan_switchover(status(ONE, TWO), "one")


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (status(TWO, THREE), "no single primary"),
        (status(ONE, member("two", "primary"), THREE), "no single primary"),
        (status(ONE, TWO, THREE, healthy=False), "no majority"),
        (status(ONE), "it is alone"),
        (
            replace(status(ONE, TWO), endpoints=(Endpoint("writes", "a", 1, True, ("two",), 0),)),
            "does not lead to one",
        ),
    ],
)
def test_no_switchover_begins_that_could_not_end_well(found: ServiceStatus, word: str) -> None:
    with pytest.raises(RefusedError, match=word):
        plan_switchover(found)


def test_with_two_members_it_warns_that_clients_wait_longer() -> None:
    (warning,) = plan_switchover(status(ONE, TWO)).warnings
    assert "until one is back" in warning


def test_standbys_are_restarted_first_and_the_primary_last() -> None:
    assert plan_restart(status(ONE, TWO, THREE)).members == ("two", "three", "one")


def test_one_member_alone_or_those_that_need_it_can_be_restarted() -> None:
    assert plan_restart(status(ONE, TWO, THREE), "two").members == ("two",)
    assert plan_restart(status(ONE, TWO, THREE), "one").members == ("one",)
    needy = replace(THREE, pending_restart=True)
    assert plan_restart(status(ONE, TWO, needy), pending=True).members == ("three",)
    assert plan_restart(status(ONE, TWO, THREE), pending=True).members == ()


def test_nothing_is_restarted_while_a_member_is_away() -> None:
    with pytest.raises(RefusedError, match="no restart now"):
        plan_restart(status(ONE, TWO, replace(THREE, state="silent")))
    with pytest.raises(UsageError, match="no member 'four'"):
        plan_restart(status(ONE, TWO, THREE), "four")


class Alone:
    """A service of one member, that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def status(self) -> ServiceStatus:
        return status(ONE)

    def write_nodes(self) -> tuple[str, ...]:
        return ("one",)

    def member(self, name: str, database: str | None = None) -> Dsn:
        raise AssertionError("nobody is connected to")

    def command(
        self, name: str, method: str, path: str, document: object, *, seconds: float
    ) -> None:
        self.told.append(f"{name} {path}")

    # It is also what keeps clients waiting.

    def __enter__(self) -> Alone:
        return self

    def __exit__(self, *_: object) -> None:
        self.told.append("go on")

    def pause(self) -> None:
        self.told.append("wait")

    def resume(self) -> None: ...


def test_no_standby_is_restarted_when_the_primary_could_not_leave_the_lead_afterwards() -> None:
    closed = replace(status(ONE, TWO, THREE), endpoints=(Endpoint("writes", "a", 1, False, (), 0),))
    with pytest.raises(RefusedError, match="write endpoint does not lead to one alone"):
        plan_restart(closed)
    assert plan_restart(closed, "two").members == ("two",)


def test_a_member_alone_is_restarted_in_its_place_while_clients_wait() -> None:
    service = Alone()
    done = restart(service, plan_restart(status(ONE)), lambda: service)
    assert service.told == ["wait", "one /restart", "go on"]
    assert (done.in_place, done.switchover) == ("one", None)
