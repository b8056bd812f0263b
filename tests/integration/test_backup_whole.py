"""Backups of a real service: any moment back, beside it and in its place, across a failover."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg
import pytest

from naru.backup import (
    InPlace,
    bring_rows_back,
    count_lost_rows,
    find_losses,
    schedule_program,
    target_of,
)
from naru.backup.segments import Segment
from naru.drill import Stage, find_drill
from naru.errors import NaruError, RefusedError
from naru.ground.processes import processes_of
from naru.lab.environment import Environment
from naru.postgres import Dsn, connect, fetch_value
from naru.service.restart import settled
from naru.spec import Spec
from naru.system import wait_until, write_atomically

pytestmark = pytest.mark.integration

_TABLE = "CREATE TABLE IF NOT EXISTS kept (id int PRIMARY KEY, note text NOT NULL)"


@dataclass(frozen=True)
class Marks:
    """Moments of the service's life, noted as it went on."""

    before: datetime
    """After rows 0 to 4, before row 5."""
    position: str
    """The same, as a position in the WAL."""
    sixth: int
    """The transaction that wrote row 5."""
    end: datetime
    """After row 9."""


@pytest.fixture(scope="module")
def environment(server_folder: Path) -> Iterator[Environment]:
    spec = Spec.model_validate({"backup": {"enabled": True}, "service": {"members": 2}})
    environment = Environment(spec, server_folder / "backup")
    try:
        environment.ground.up()
        environment.service.up()
        environment.backups.up()
        yield environment
    finally:
        with contextlib.suppress(NaruError):
            environment.down()
        left = processes_of(environment.ground.folder)
        environment.ground.down(purge=True)
    assert left == []


@pytest.fixture(scope="module")
def marks(environment: Environment) -> Marks:
    """Ten rows behind a named backup, with a moment in their midst, all in the open segment."""
    writer = environment.service.writer()
    with connect(writer, purpose="test") as connection:
        connection.execute(_TABLE)
    environment.backups.take(name="beginning")
    for number in range(5):
        write(writer, number)
    with connect(writer, purpose="test") as connection:
        before = fetch_value(connection, "SELECT clock_timestamp()")
        position = fetch_value(connection, "SELECT pg_current_wal_insert_lsn()::text")
    sixth = write(writer, 5)
    for number in range(6, 10):
        write(writer, number)
    with connect(writer, purpose="test") as connection:
        end = fetch_value(connection, "SELECT clock_timestamp()")
    return Marks(before, position, sixth, end)


def write(dsn: Dsn, number: int) -> int:
    """Commit a row in a transaction of its own; its id."""
    with connect(dsn, purpose="test", autocommit=False) as connection:
        connection.execute("INSERT INTO kept VALUES (%s, 'first')", [number])
        xid = fetch_value(connection, "SELECT pg_current_xact_id()::text")
        connection.commit()
    return int(xid)


def rows(dsn: Dsn) -> list[int]:
    with connect(dsn, purpose="test") as connection:
        found = fetch_value(connection, "SELECT array_agg(id ORDER BY id) FROM kept")
    return list(found or [])


def settle(environment: Environment) -> None:
    wait_until(lambda: settled(environment.service.status()), "every member to follow", 90)


def shown_beside(environment: Environment, **target: object) -> list[int]:
    """The rows of the service at a target, from an instance that is gone afterwards."""
    plan = environment.backups.plan(target_of(**target, zone="Asia/Seoul"))  # type: ignore[arg-type]
    one = environment.beside.restore(plan, "shown")
    try:
        return rows(environment.beside.dsn(one.name))
    finally:
        environment.beside.remove(one.name)


def test_any_kind_of_target_is_exact_to_the_transaction(
    environment: Environment, marks: Marks
) -> None:
    five = [0, 1, 2, 3, 4]
    assert shown_beside(environment, time=str(marks.before)) == five
    assert shown_beside(environment, lsn=marks.position, exclusive=True) == five
    assert shown_beside(environment, before_xid=str(marks.sixth)) == five
    assert shown_beside(environment, name="beginning") == []
    assert shown_beside(environment, latest=True) == list(range(10))
    assert environment.beside.list() == ()


def test_what_cannot_be_restored_is_refused_with_the_limits(
    environment: Environment, marks: Marks
) -> None:
    limits = environment.backups.limits()
    assert limits.first.at < marks.before < limits.last.at
    for moment in ("2020-01-01", "2100-01-01"):
        with pytest.raises(RefusedError) as refused:
            shown_beside(environment, time=moment)
        assert limits.first.at.strftime("%M:%S.%f") in str(refused.value)


def test_the_gap_is_closed_while_the_service_runs(environment: Environment, marks: Marks) -> None:
    gap = environment.backups.gap()
    assert gap.closed
    assert gap.bytes == 0


def test_deleted_rows_are_found_and_brought_back_and_later_ones_stay(
    environment: Environment, marks: Marks
) -> None:
    writer = environment.service.writer()
    with connect(writer, purpose="test") as connection:
        connection.execute("DELETE FROM kept WHERE id BETWEEN 2 AND 4")
        connection.execute("UPDATE kept SET note = 'changed since' WHERE id = 9")
        connection.execute("INSERT INTO kept VALUES (100, 'written since')")
    loss = find_losses(environment.backups, writer, "public.kept", marks.end)[0]
    assert loss.rows == 3
    plan = environment.backups.plan(target_of(before_xid=str(loss.xid)))
    environment.beside.restore(plan, "past")
    past = environment.beside.dsn("past")
    assert rows(past) == list(range(10))
    assert count_lost_rows(past, writer, ["public.kept"]) == {"public.kept": 3}
    assert bring_rows_back(past, writer, ["public.kept"]) == {"public.kept": 3}
    assert rows(writer) == [*range(10), 100]
    with connect(writer, purpose="test") as connection:
        note = fetch_value(connection, "SELECT note FROM kept WHERE id = 9")
    assert note == "changed since"
    environment.beside.remove("past")


def test_the_accident_is_undone_under_load_and_no_client_notices(
    environment: Environment, marks: Marks
) -> None:
    stage = Stage(environment.spec, environment.ground, environment.service, environment.pool)
    verdict = find_drill("accident").run(stage)
    assert verdict.client_errors == 0, verdict
    assert (verdict.lost, verdict.duplicated, verdict.phantom) == (0, 0, 0)
    silences = [one for one in verdict.broken if one.startswith("nothing was acknowledged for")]
    assert list(verdict.broken) == silences, "a loaded machine may be slow, and nothing else"
    assert verdict.details["brought_back"] == verdict.details["deleted"] > 1000
    assert verdict.details["written_meanwhile"] > 0


def test_backups_go_on_with_the_new_primary_and_reach_back_over_the_failover(
    environment: Environment, marks: Marks
) -> None:
    settle(environment)
    killed = environment.service.primary().name
    environment.service.kill_postmaster(killed)
    writer = environment.service.writer()

    def written() -> bool:
        # A session may still get to a member that is only about to become the primary.
        with contextlib.suppress(NaruError, psycopg.Error):
            return write(writer, 200) > 0
        return False

    wait_until(written, "writes after the failover", 90)
    assert environment.service.primary().name != killed
    wait_until(lambda: environment.backups.gap().closed, "WAL of the new primary to arrive", 60)
    assert environment.backups.limits().timeline > 1
    after = environment.backups.take()
    assert after.timeline > 1
    first = environment.backups.catalogue()[0]
    plan = environment.backups.plan(target_of(latest=True), from_backup=first.id)
    environment.beside.restore(plan, "over")
    assert rows(environment.beside.dsn("over")) == [*range(10), 100, 200]
    environment.beside.remove("over")
    left = environment.backups.plan(target_of(latest=True), timeline=1)
    environment.beside.restore(left, "left")
    assert rows(environment.beside.dsn("left")) == [*range(10), 100], "the history that was left"
    environment.beside.remove("left")


def test_wal_that_only_a_lost_primary_had_does_not_stop_the_receiver(
    environment: Environment, marks: Marks
) -> None:
    """As if the old primary had sent more than any standby got, over the end of a segment."""
    backups = environment.backups
    newest = backups.inventory().newest
    assert newest is not None
    assert newest.timeline > 1, "after the failover"
    backups.stop()
    stray = Segment(1, newest.number + 2).name(backups.keeping.segment_size) + ".partial"
    write_atomically(backups.store.streaming / stray, "", owner=environment.ground.account)
    backups.keeping.start()
    write(environment.service.writer(), 201)
    wait_until(lambda: (backups.store.ended / stray).exists(), "the stray to be put aside", 60)
    wait_until(lambda: backups.gap().closed, "WAL to arrive again", 60)
    assert shown_beside(environment, latest=True) == [*range(10), 100, 200, 201]


class Killed(BaseException):
    """What ends naru in the middle of something."""


def kill(*_: object) -> None:
    raise Killed


def test_the_service_goes_back_in_its_place_though_naru_is_killed_and_forth_again(
    environment: Environment, marks: Marks, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(environment)
    writer = environment.service.writer()
    plan = environment.backups.plan(target_of(time=str(marks.before)))
    with monkeypatch.context() as patch:
        patch.setattr(InPlace, "_open", kill)
        with pytest.raises(Killed):
            environment.in_place().restore(plan)
    work = environment.in_place()
    with pytest.raises(RefusedError, match="half-way"):
        work.restore(plan)
    state = work.resume()
    assert state.down_seconds is not None
    assert rows(writer) == [0, 1, 2, 3, 4]
    settle(environment)
    write(writer, 300)
    wait_until(lambda: environment.backups.gap().closed, "WAL of the restored service", 60)
    with pytest.raises(RefusedError, match="not confirmed"):
        work.restore(plan)
    work.undo()
    assert rows(writer) == [*range(10), 100, 200, 201]
    settle(environment)
    write(writer, 400)
    wait_until(lambda: environment.backups.gap().closed, "WAL of the old service again", 60)
    assert shown_beside(environment, latest=True) == [*range(10), 100, 200, 201, 400]


def test_deleting_the_oldest_backup_moves_the_first_moment(
    environment: Environment, marks: Marks
) -> None:
    backups = environment.backups
    plan = backups.plan_deletion([backups.catalogue()[0].id])
    assert plan.before is not None
    assert plan.before.first.at < plan.after.first.at
    backups.delete(plan)
    assert plan.named[0] not in backups.catalogue()
    assert backups.limits().first == plan.after.first
    with pytest.raises(RefusedError, match="before the first"):
        backups.plan(target_of(time=str(plan.before.first.at)))


_LATER = """
import datetime
import sys

from barman.cli import main
import barman.retention_policies


class Later(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.now(tz) + datetime.timedelta(days={days})


barman.retention_policies.datetime = Later
sys.argv[0] = "barman"
sys.exit(main())
"""


class _Later:
    """The module `time`, some days ahead."""

    def __init__(self, days: float) -> None:
        self._ahead = days * 86400

    def time(self) -> float:
        return time.time() + self._ahead


def keeper_ahead(
    environment: Environment, days: float, monkeypatch: pytest.MonkeyPatch
) -> schedule_program.Keeper:
    """The schedule as it would run `days` from now, over the backups that there are; its Barman
    is the real one, with a clock ahead where it judges the retention."""
    folder, account = environment.ground.folder, environment.ground.account
    settings = json.loads((folder / "conf" / "backup.json").read_text())
    python = Path(settings["barman"]).read_text().splitlines()[0].removeprefix("#!")
    script = folder / "conf" / "later.py"
    write_atomically(script, _LATER.format(days=days), owner=account)
    monkeypatch.setattr(schedule_program, "time", _Later(days))
    # As under the supervisor: TLS looks for a client's certificate at home.
    monkeypatch.setenv("HOME", str(folder))
    keeper = schedule_program.Keeper({**settings, "full_every_days": 3})
    drop = [] if account.uid == os.geteuid() else [
        "setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups",
    ]  # fmt: skip
    keeper._barman = [*drop, python, str(script), "-c", settings["config"]]
    return keeper


def test_the_next_day_brings_an_incremental_backup_and_the_retention_deletes_what_is_too_old(
    environment: Environment, marks: Marks, monkeypatch: pytest.MonkeyPatch
) -> None:
    backups = environment.backups
    environment.ground.stop("backup-schedule")
    full = backups.take()
    write(environment.service.writer(), 500)
    tomorrow = keeper_ahead(environment, 1, monkeypatch)
    kind = tomorrow._schedule.due(_Later(1).time(), tomorrow._notes())
    assert kind == "incremental"
    tomorrow._take(kind)
    added = backups.catalogue()[-1]
    assert (added.kind, added.parent, added.whole) == ("incremental", full.id, True)

    tomorrow._apply_retention()
    assert full in backups.catalogue()
    assert len(backups.catalogue()) > 2, "nothing is too old yet"
    keeper_ahead(environment, 9, monkeypatch)._apply_retention()
    assert [one.id for one in backups.catalogue()] == [full.id, added.id]
    assert shown_beside(environment, latest=True)[-1] == 500
    plan = backups.plan(target_of(latest=True))
    assert plan.backup == added
