"""A whole environment: up, a failover slot through a failover, a power cut, and down."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from naru.errors import NaruError
from naru.ground.processes import processes_of
from naru.lab.environment import Environment
from naru.postgres import Dsn, connect, fetch_value
from naru.spec import Spec
from naru.system import wait_until

pytestmark = pytest.mark.integration

_SLOT = "SELECT pg_create_logical_replication_slot('naru_test', 'pgoutput', false, false, true)"
_CONSUME = """SELECT count(*) FROM pg_logical_slot_get_binary_changes(
    'naru_test', NULL, NULL, 'proto_version', '1', 'publication_names', 'naru_test')"""


@pytest.fixture(scope="module")
def environment(server_folder: Path) -> Iterator[Environment]:
    environment = Environment(Spec(), server_folder / "whole")
    try:
        environment.up()
        yield environment
    finally:
        with contextlib.suppress(NaruError):
            environment.down()
        left = processes_of(environment.ground.folder)
        environment.ground.down(purge=True)
    assert left == []
    assert not environment.ground.folder.exists()


def rows(dsn: Dsn) -> int:
    with connect(dsn, purpose="test") as connection:
        return int(fetch_value(connection, "SELECT count(*) FROM kept"))


def everything_is_well(environment: Environment) -> None:
    wait_until(
        lambda: environment.service.status().protection.level == "full", "full protection", 90
    )


def writes_work(dsn: Dsn) -> bool:
    # The endpoint may lead to a member for a moment that is not the primary yet.
    with contextlib.suppress(NaruError, psycopg.Error):
        with connect(dsn, purpose="test", seconds=2) as connection:
            connection.execute("INSERT INTO kept DEFAULT VALUES")
            return True
    return False


def consumed_until_it_survives(environment: Environment) -> bool:
    """A step of a consumer; true once a failover would keep its slot."""
    with connect(environment.service.writer(), purpose="test") as connection:
        connection.execute("INSERT INTO kept DEFAULT VALUES")
        connection.execute("SELECT pg_log_standby_snapshot()")
        connection.execute(_CONSUME)
    return environment.service.slot_survives("naru_test")


def test_status_shows_one_primary_two_standbys_and_both_endpoints(
    environment: Environment,
) -> None:
    everything_is_well(environment)
    status = environment.service.status()
    assert sorted(one.role for one in status.members) == ["primary"] + ["quorum_standby"] * 2
    assert [one.up for one in status.endpoints] == [True, True]
    assert status.primary is not None
    assert status.endpoints[0].nodes == (status.primary.name,)
    assert status.primary.name not in status.endpoints[1].nodes
    document = json.loads(json.dumps(status.to_json()))
    assert document["protection"]["level"] == "full"
    assert {one["timeline"] for one in document["members"]} == {1}


def test_writes_and_reads_go_where_they_should(environment: Environment) -> None:
    for dsn, in_recovery in (
        (environment.service.writer(), False),
        (environment.service.reader(), True),
    ):
        with connect(dsn, purpose="test") as connection:
            assert fetch_value(connection, "SELECT pg_is_in_recovery()") is in_recovery


def test_the_services_user_logs_in_and_owns_the_database(environment: Environment) -> None:
    service = environment.spec.service
    dsn = environment.service.writer().with_(user=service.user)
    with connect(dsn, purpose="test") as connection:
        assert fetch_value(connection, "SHOW timezone") == service.timezone
        connection.execute("CREATE TABLE mine (id int)")
        connection.execute("DROP TABLE mine")


def test_up_again_is_harmless(environment: Environment) -> None:
    before = {one.name: one.pid for one in environment.ground.status().programs}
    postmasters = [one.pid for one in environment.service.members()]
    environment.up()
    assert {one.name: one.pid for one in environment.ground.status().programs} == before
    assert [one.pid for one in environment.service.members()] == postmasters


def test_a_failover_slot_is_there_after_the_primary_is_killed(environment: Environment) -> None:
    service = environment.service
    with connect(service.writer(), purpose="test") as connection:
        connection.execute("CREATE TABLE kept (id serial PRIMARY KEY)")
        connection.execute("CREATE PUBLICATION naru_test FOR TABLE kept")
        connection.execute(_SLOT)
    wait_until(lambda: consumed_until_it_survives(environment), "the slot on all nodes", 60)
    acknowledged = rows(service.writer())
    killed = service.primary().name
    service.kill_postmaster(killed)
    wait_until(lambda: writes_work(service.writer()), "writes after the failover", 60)
    assert service.primary().name != killed
    everything_is_well(environment)
    with connect(service.writer(), purpose="test") as connection:
        assert fetch_value(connection, "SELECT count(*) FROM kept") == acknowledged + 1
        assert fetch_value(connection, _CONSUME) > 0
    wait_until(lambda: consumed_until_it_survives(environment), "the slot on all again", 60)


def test_after_a_power_cut_everything_comes_up_with_its_data(environment: Environment) -> None:
    source = environment.source.dsn("postgres")
    with connect(source, purpose="test") as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 7) AS id")
    written = rows(environment.service.writer())
    folder = environment.ground.folder
    for pid in processes_of(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not processes_of(folder), "the power cut", 30)
    environment.up()
    assert rows(environment.service.writer()) == written
    assert rows(source) == 7
    everything_is_well(environment)


def test_down_leaves_nothing_running_and_the_data_stay(environment: Environment) -> None:
    written = rows(environment.service.writer())
    environment.down()
    assert processes_of(environment.ground.folder) == []
    environment.up()
    assert rows(environment.service.writer()) == written
