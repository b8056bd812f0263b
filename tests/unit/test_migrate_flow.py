"""What keeps changes from flowing is told by its cause; a large transaction is none."""

from __future__ import annotations

from dataclasses import replace

from naru.migrate.flow import Applying, ChannelFacts
from naru.migrate.follow import LARGE_SECONDS, combine
from naru.postgres import Lsn

WELL = ChannelFacts(
    name="naru_a_1", exists=True, enabled=True, connected=True, confirmed=Lsn(1000),
    current=Lsn(1300), retained_bytes=500, wal_status="reserved", errors=0, seconds=0.1,
)  # fmt: skip
LARGE = Applying(seconds=LARGE_SECONDS + 40)


def test_the_worst_of_several_channels_counts() -> None:
    lag = combine([WELL, replace(WELL, confirmed=Lsn(200), applying=LARGE)])
    assert (lag.bytes, lag.seconds) == (1100, LARGE.seconds)
    assert lag.problem is None


def test_a_worker_in_a_large_transaction_is_no_problem_even_if_nobody_reads_the_slot() -> None:
    lag = combine([replace(WELL, connected=False, errors=1, applying=LARGE)])
    assert lag.applies_a_large_one
    assert lag.problem is None


def test_a_worker_that_waits_for_a_lock_names_who_holds_it() -> None:
    lag = combine([replace(WELL, applying=replace(LARGE, blocked_by=4711))])
    assert lag.problem is not None
    assert "process 4711" in lag.problem[0]
    assert "pg_terminate_backend(4711)" in lag.problem[1]


def test_a_short_wait_for_a_lock_is_none_of_anybodys_business() -> None:
    assert combine([replace(WELL, applying=Applying(0.5, blocked_by=4711))]).problem is None


def test_a_full_disk_is_told_before_the_errors_that_it_makes() -> None:
    lag = combine([replace(WELL, connected=False, errors=3, full_disk="the disk is full")])
    assert lag.problem is not None
    assert "the disk is full" in lag.problem[0]
    assert "make room" in lag.problem[1]


def test_a_slot_that_is_gone_comes_before_all_else() -> None:
    lag = combine([replace(WELL, wal_status="missing", connected=False, full_disk="full")])
    assert lag.problem is not None
    assert "the slot is gone" in lag.problem[0]
