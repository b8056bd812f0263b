"""The target is a service, and its primary is killed: in the copy, before and after it is safe."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from naru.errors import NaruError, StoppedError
from naru.journal import Journal, steps
from naru.lab.creativity import create
from naru.lab.environment import Environment
from naru.migrate import (
    Bounds,
    Limits,
    Record,
    SeenAt,
    Start,
    Switcher,
    abort,
    begin_anew,
    begin_or_resume,
    must_be_whole,
)
from naru.migrate.follow import catch_up
from naru.postgres import connect, fetch_value
from naru.spec import Spec
from naru.system import wait_until
from tests.lab import PASSWORDS
from tests.migration import found
from tests.servers import wipe

pytestmark = [pytest.mark.integration, pytest.mark.timeout(420)]

DATABASE = "naru_failover"


@pytest.fixture
def environment(server_folder: Path) -> Iterator[Environment]:
    environment = Environment(Spec(), server_folder / "failover")
    try:
        environment.up()
        yield environment
    finally:
        wipe(environment.ground)


def begun(environment: Environment, journal: Journal) -> Record:
    source = environment.source.dsn(DATABASE)
    target = environment.service.writer(DATABASE)
    return begin_or_resume(journal, DATABASE, source, target, SeenAt())


def fail_over(environment: Environment) -> None:
    """Kill the primary as a crash would, and wait until another one takes writes."""
    service = environment.service
    killed = service.primary().name
    service.kill_postmaster(killed)

    def another_writes() -> bool:
        # The endpoint may still lead to a member that is not yet the primary.
        with contextlib.suppress(NaruError, psycopg.Error):
            with connect(service.writer("postgres"), purpose="test", seconds=2) as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS pulse ()")
                return service.primary().name != killed
        return False

    wait_until(another_writes, "writes after the failover", 90)
    wait_until(lambda: service.status().protection.level == "full", "full protection", 120)


def write(environment: Environment) -> None:
    with connect(environment.source.dsn(DATABASE), purpose="app") as source:
        source.execute("UPDATE users SET updated_at = now() WHERE id % 3 = 0")


def has_copied(environment: Environment, parts: int) -> bool:
    """True once so many parts are there; the database is made by the start."""
    with contextlib.suppress(NaruError, Exception):
        with connect(environment.service.writer(DATABASE), purpose="test") as target:
            return bool(fetch_value(target, "SELECT count(*) FROM naru_migration.part") >= parts)
    return False


def test_a_service_that_fails_over_is_gone_on_with_or_begun_anew_by_one_command(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(environment.source.dsn("postgres"), DATABASE, scale=0.01, seed=7, passwords=PASSWORDS)
    with Journal.in_folder(environment.ground.folder) as journal:
        record = begun(environment, journal)
        try:
            _in_the_copy(environment, record)
            _before_it_is_safe(environment, record, monkeypatch)
            record = begun(environment, journal)
            Start(record, Bounds()).perform()
            _when_it_is_safe(environment, record)
        finally:
            with contextlib.suppress(NaruError):
                abort(record)


def _in_the_copy(environment: Environment, record: Record) -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            Start(record, Bounds(rate=400_000)).perform()
        except BaseException as error:
            errors.append(error)

    copying = threading.Thread(target=work)
    copying.start()
    wait_until(lambda: has_copied(environment, 8), "some parts to be copied", 60)
    fail_over(environment)
    copying.join(60)
    (error,) = errors
    assert isinstance(error, NaruError), repr(error)
    assert error.remedy
    write(environment)
    must_be_whole(record)


def _before_it_is_safe(
    environment: Environment, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(name: str) -> None:
        if name == "durable":
            raise StoppedError("stopped by the test")

    with monkeypatch.context() as patch:
        patch.setattr(steps, "at_boundary", stop)
        with pytest.raises(StoppedError, match="by the test"):
            Start(record, Bounds()).perform()
    fail_over(environment)
    with pytest.raises(StoppedError, match="has failed over while it was catching up") as caught:
        must_be_whole(record)
    assert "start --anew" in str(caught.value.remedy)
    begin_anew(record)


def _when_it_is_safe(environment: Environment, record: Record) -> None:
    write(environment)
    fail_over(environment)
    write(environment)
    catch_up(record)
    verdict = Switcher(record, (), Limits(pause_seconds=20)).cross().verdict
    assert verdict is not None
    assert verdict.same, found(verdict)
    assert verdict.rows > 1000
    assert record.at == "target"
