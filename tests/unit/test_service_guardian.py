"""When the guardian fences, and when the watchdog kills: decided from facts alone."""

from __future__ import annotations

import importlib
import time
from dataclasses import replace
from pathlib import Path

import pytest

from naru.service.onhost.judging import (
    AWAY_SECONDS,
    DEAD_SECONDS,
    FROZEN_SECONDS,
    SILENT_SECONDS,
    Facts,
    Verdict,
    judge,
)
from naru.service.onhost.keeping import Renewal
from naru.service.onhost.lease import Lease, LeaseFile, verdict
from naru.service.onhost.member import BriskTime
from naru.service.onhost.steady import MEASURING, measure_steadily

LEADER = Facts(
    patroni="working",
    server="running",
    away=0.0,
    still=0.0,
    silent=0.5,
    may_write=True,
    leads=True,
)
DEAD = replace(LEADER, patroni="gone", server="gone", away=DEAD_SECONDS)
STANDBY = replace(LEADER, silent=None, may_write=False, leads=False)


def test_a_working_member_is_left_alone_however_silent_its_lock() -> None:
    for silent in (None, 0.1, 19.0, 100.0):
        assert judge(replace(LEADER, silent=silent)) is Verdict.WAIT


def test_a_dead_leader_is_fenced_once_nobody_starts_it_at_this_moment() -> None:
    assert judge(replace(DEAD, away=DEAD_SECONDS - 0.1)) is Verdict.WAIT
    assert judge(DEAD) is Verdict.FENCE


def test_a_server_that_crashed_is_left_to_its_patroni() -> None:
    assert judge(replace(LEADER, server="gone")) is Verdict.WAIT


@pytest.mark.parametrize("patroni", ["gone", "frozen"])
def test_a_patroni_that_stays_away_is_fenced_from_its_server(patroni: str) -> None:
    away = replace(LEADER, patroni=patroni, away=AWAY_SECONDS)
    assert judge(replace(away, away=AWAY_SECONDS - 0.1)) is Verdict.WAIT
    assert judge(away) is Verdict.FENCE


def test_a_patroni_that_comes_and_goes_is_fenced_when_its_lock_has_long_been_silent() -> None:
    coming = replace(LEADER, patroni="gone", away=0.2)
    assert judge(replace(coming, silent=SILENT_SECONDS - 0.1)) is Verdict.WAIT
    assert judge(replace(coming, silent=SILENT_SECONDS)) is Verdict.FENCE


def test_without_the_election_a_server_that_may_write_is_fenced_all_the_same() -> None:
    lost = replace(LEADER, patroni="frozen", away=AWAY_SECONDS, leads=None)
    assert judge(lost) is Verdict.FENCE


def test_a_server_that_may_write_is_fenced_though_another_one_leads() -> None:
    old = replace(LEADER, patroni="gone", away=AWAY_SECONDS, leads=False)
    assert judge(old) is Verdict.FENCE


def test_a_frozen_server_is_killed_after_a_while() -> None:
    frozen = replace(LEADER, server="frozen", still=FROZEN_SECONDS)
    assert judge(replace(frozen, still=FROZEN_SECONDS - 0.1)) is Verdict.WAIT
    assert judge(frozen) is Verdict.KILL_SERVER
    assert judge(replace(frozen, patroni="frozen", away=FROZEN_SECONDS)) is Verdict.FENCE


def test_a_standbys_server_goes_on_without_its_patroni() -> None:
    for patroni in ("gone", "frozen"):
        alone = replace(STANDBY, patroni=patroni, away=1000.0)
        assert judge(alone) is not Verdict.FENCE
    assert judge(replace(STANDBY, patroni="gone", away=1000.0)) is Verdict.WAIT
    assert judge(replace(STANDBY, patroni="frozen", away=AWAY_SECONDS)) is Verdict.KILL_PATRONI


def test_a_member_that_was_stopped_is_left_alone() -> None:
    for leads in (False, None):
        assert judge(replace(DEAD, away=1000.0, leads=leads, silent=None)) is Verdict.WAIT


def test_in_maintenance_nothing_is_done() -> None:
    for facts in (DEAD, replace(LEADER, patroni="gone", away=1000.0)):
        assert judge(replace(facts, paused=True)) is Verdict.WAIT


# The watchdog

HELD = Lease(armed=True, renewed=100, until=200)


def test_a_server_is_killed_from_the_moment_that_its_lease_ends() -> None:
    assert verdict(HELD, 0, 199, alone=False) == "wait"
    assert verdict(HELD, 0, 200, alone=False) == "kill"
    assert verdict(HELD, 0, 10_000, alone=True) == "kill"


def test_an_end_that_was_dealt_with_is_not_dealt_with_again() -> None:
    assert verdict(HELD, 200, 10_000, alone=False) == "wait"


def test_the_watchdog_outlives_its_patroni_while_there_is_a_lease() -> None:
    assert verdict(HELD, 0, 150, alone=True) == "wait"
    assert verdict(HELD, 200, 250, alone=True) == "end"
    assert verdict(Lease(armed=False, renewed=0, until=0), 0, 150, alone=True) == "end"
    assert verdict(None, 0, 150, alone=False) == "wait"


def test_a_lease_is_read_as_it_was_written_and_by_others(tmp_path: Path) -> None:
    one, two = LeaseFile(tmp_path / "lease"), LeaseFile(tmp_path / "lease")
    assert two.lease is None
    one.arm(5, 2**63)
    assert two.lease == Lease(armed=True, renewed=5, until=2**63)
    one.disarm()
    assert two.lease == Lease(armed=False, renewed=0, until=0)
    assert two.watch is None
    two.tick(7)
    assert one.watch is not None and one.watch.settled == 7


def test_a_lease_that_was_half_written_is_not_believed(tmp_path: Path) -> None:
    file = LeaseFile(tmp_path / "lease")
    file.arm(5, 9)
    with open(tmp_path / "lease", "r+b") as raw:
        raw.seek(8)
        raw.write(b"\x01")
    assert file.lease is None


def test_a_renewal_counts_from_its_beginning_and_only_if_it_succeeded() -> None:
    renewal = Renewal()
    seen: list[int] = []

    def renew(answer: str) -> str:
        seen.append(renewal.began)
        return answer

    noted = renewal.noting(renew)
    assert noted("") == ""
    assert renewal.began == 0
    assert noted("20") == "20"
    assert renewal.began > 0
    assert seen == [0, 0]


def test_the_lease_is_measured_by_a_time_of_day_that_does_not_jump_with_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    modules = [importlib.import_module(name) for name in MEASURING]
    for module in modules:
        monkeypatch.setattr(module, "time", vars(module)["time"])
    now = time.time()
    measure_steadily()
    monkeypatch.setattr(time, "time", lambda: now - 600)
    clocks = [vars(module)["time"] for module in modules] + [BriskTime()]
    assert all(now - 1 < clock.time() < now + 10 for clock in clocks)
    assert clocks[0].monotonic() == pytest.approx(time.monotonic(), abs=1)


def test_only_the_courtesies_are_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    brisk = BriskTime()
    for seconds in (1, 2, 3, 0.05, 1.0):
        brisk.sleep(seconds)
    assert slept == [0.1, 0.2, 3, 0.05, 1.0]
    assert brisk.monotonic is time.monotonic
