"""A real service whose Patroni is frozen for good, with and without a guardian, and its
supervisor killed: at no time do two members answer as primary."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from naru.drill.witness import Witness, stale_answers
from naru.errors import NaruError
from naru.ground import Loopback, open_ground
from naru.postgres import connect, fetch_value
from naru.service import GUARDIAN, Service
from naru.spec import ServiceSpec, Spec
from naru.system import wait_until
from tests.servers import wipe

pytestmark = pytest.mark.integration

SPEC = Spec(service=ServiceSpec(members=2))
WRITES_SECONDS = 90


@pytest.fixture(scope="module")
def ground(server_folder: Path) -> Iterator[Loopback]:
    ground = open_ground(SPEC, server_folder / "fencing")
    try:
        ground.up()
        Service(SPEC, ground).up()
        yield ground
    finally:
        wipe(ground)


def is_whole(service: Service) -> bool:
    status = service.status()
    states = sorted(one.state for one in status.members)
    # A standby that the election does not yet name as synchronous may not be promoted.
    named = any(one.role in {"sync_standby", "quorum_standby"} for one in status.members)
    return states == ["running", "streaming"] and named and writes(service)


def writes(service: Service) -> bool:
    try:
        with connect(service.writer("postgres"), purpose="test", seconds=2) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS kept (id serial)")
            connection.execute("INSERT INTO kept DEFAULT VALUES")
    except (NaruError, psycopg.Error):
        return False
    return True


def rows(service: Service) -> int:
    with connect(service.writer("postgres"), purpose="test") as connection:
        return int(fetch_value(connection, "SELECT count(*) FROM kept"))


def freeze_patroni(ground: Loopback, service: Service) -> tuple[str, Witness]:
    """SIGSTOP of the primary's Patroni, with a witness at both members; who was primary."""
    wait_until(lambda: is_whole(service), "a whole service", WRITES_SECONDS)
    primary = service.primary().name
    witness = Witness((one.name, service.member(one.name, "postgres")) for one in service.members())
    wait_until(lambda: primary in witness.members, "the witness to see the primary", 30)
    ground.kill(primary, signal.SIGSTOP)
    return primary, witness


def another_leads(service: Service, before: str) -> bool:
    status = service.status()
    return status.primary is not None and status.primary.name != before


def judge(witness: Witness) -> None:
    wait_until(lambda: len(witness.members) == 2, "the witness to see both", 30)
    assert stale_answers(witness.stop()) == []


def test_a_member_whose_patroni_is_frozen_for_good_is_fenced_before_another_leads(
    ground: Loopback,
) -> None:
    service = Service(SPEC, ground)
    primary, witness = freeze_patroni(ground, service)
    written = rows(service)
    wait_until(lambda: another_leads(service, primary), "another primary", WRITES_SECONDS)
    judge(witness)
    wait_until(lambda: is_whole(service), "the member to be back", WRITES_SECONDS)
    assert rows(service) > written


def test_without_a_guardian_the_watchdog_ends_the_server_before_another_leads(
    ground: Loopback,
) -> None:
    service = Service(SPEC, ground)
    wait_until(lambda: is_whole(service), "a whole service", WRITES_SECONDS)
    guardian = ground.kill(GUARDIAN, signal.SIGSTOP)
    try:
        primary, witness = freeze_patroni(ground, service)
        wait_until(lambda: another_leads(service, primary), "another primary", WRITES_SECONDS)
        judge(witness)
        ground.kill(primary, signal.SIGCONT)
    finally:
        os.kill(guardian, signal.SIGCONT)
    assert "its server is killed" in ground.log(primary).read_text()


def test_the_service_goes_on_when_its_supervisor_is_killed_and_taken_over(
    ground: Loopback,
) -> None:
    service = Service(SPEC, ground)
    wait_until(lambda: is_whole(service), "a whole service", WRITES_SECONDS)
    before = {one.name: one.pid for one in ground.status().programs}
    postmasters = [one.pid for one in service.members()]
    supervisor = ground.status().supervisor_pid
    assert supervisor is not None
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: ground.status().orphaned, "the supervisor's end", 20)
    assert writes(service)
    service_again = Service(SPEC, ground)
    ground.up()
    service_again.up()
    assert {one.name: one.pid for one in ground.status().programs} == before
    assert [one.pid for one in service.members()] == postmasters
    service.kill_postmaster(service.primary().name)
    wait_until(lambda: is_whole(service), "the service whole again", WRITES_SECONDS)
