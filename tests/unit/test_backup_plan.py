"""From backups and WAL to a plan: the right backup, the limits, the gap, all without a server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from naru.backup.catalogue import Backup
from naru.backup.deletion import plan_deletion
from naru.backup.plan import Facts, Moment, limits_of, plan_restore
from naru.backup.segments import Fork, Inventory, Segment
from naru.backup.target import LATEST, Target, target_of
from naru.errors import RefusedError, UsageError
from naru.postgres import Lsn

SIZE = 16 * 2**20
START = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


def lsn(segment: float) -> Lsn:
    return Lsn(int(segment * SIZE))


def backup(number: int, segment: int, timeline: int = 1, parent: int | None = None) -> Backup:
    """Backup `number`, an hour after the one before, within WAL segment `segment`."""
    begin = START + timedelta(hours=number)
    return Backup(
        id=f"b{number}", name=f"night{number}", status="DONE",
        kind="incremental" if parent is not None else "full",
        parent=None if parent is None else f"b{parent}", timeline=timeline,
        begin=begin, end=begin + timedelta(minutes=1),
        begin_lsn=lsn(segment), end_lsn=lsn(segment + 0.5), size=1000, segment_size=SIZE,
    )  # fmt: skip


def facts(
    *backups: Backup, segments: dict[int, Sequence[int]], timeline: int = 1,
    histories: dict[int, tuple[Fork, ...]] | None = None,
) -> Facts:  # fmt: skip
    paths = {
        Segment(tli, number): Path(f"{tli}-{number}")
        for tli, numbers in segments.items()
        for number in numbers
    }
    last = max(one.number for one in paths)
    return Facts(
        backups, Inventory(paths, histories or {}, SIZE), timeline,
        Moment(START + timedelta(hours=9), lsn(last + 0.5)),
    )  # fmt: skip


def nowhere(target: Target, run: Sequence[Segment]) -> Lsn | None:
    return None


def at(hours: float) -> Target:
    return target_of(time=(START + timedelta(hours=hours)).isoformat())


WHOLE = facts(backup(0, 2), backup(1, 5), backup(2, 8, parent=1), segments={1: range(2, 12)})


def test_the_newest_backup_before_the_moment_is_taken() -> None:
    assert plan_restore(at(0.5), WHOLE, nowhere).backup.id == "b0"
    assert plan_restore(at(1.5), WHOLE, nowhere).backup.id == "b1"
    plan = plan_restore(at(5), WHOLE, nowhere)
    assert (plan.backup.id, plan.size) == ("b2", 2000), "an incremental one counts its parent in"


def test_a_backup_that_had_not_ended_at_the_moment_is_not_taken() -> None:
    thirty_seconds_into_it = at(1 + 30 / 3600)
    assert plan_restore(thirty_seconds_into_it, WHOLE, nowhere).backup.id == "b0"


def test_a_position_takes_the_newest_backup_that_ended_before_it() -> None:
    for segment, expected in ((4.0, "b0"), (5.4, "b0"), (5.5, "b1"), (11.0, "b2")):
        target = target_of(lsn=str(lsn(segment)))
        assert plan_restore(target, WHOLE, nowhere).backup.id == expected


@pytest.mark.parametrize("hours", [-1.0, 0.001, 9.001])
def test_a_moment_outside_the_limits_is_refused_with_both_limits_named(hours: float) -> None:
    with pytest.raises(RefusedError, match=r"the first|the last") as refused:
        plan_restore(at(hours), WHOLE, nowhere)
    assert refused.value.remedy is not None
    assert "2026-11-23 03:01:00" in refused.value.remedy
    assert "2026-11-23 12:00:00" in refused.value.remedy


def test_the_last_moment_itself_can_be_restored_and_means_all_there_is() -> None:
    """Nothing follows at which PostgreSQL could stop: it would call that target not reached."""
    plan = plan_restore(at(9), WHOLE, nowhere)
    assert (plan.backup.id, plan.target) == ("b2", LATEST)
    end = target_of(lsn=str(WHOLE.last.lsn), exclusive=True)
    assert plan_restore(end, WHOLE, nowhere).target == LATEST
    assert plan_restore(at(8.999), WHOLE, nowhere).target == at(8.999)


def test_without_a_backup_nothing_can_be_restored() -> None:
    with pytest.raises(RefusedError, match="no whole backup"):
        limits_of(facts(segments={1: [1]}))


def test_a_backup_that_failed_counts_for_nothing() -> None:
    failed = Backup(**{**vars(backup(1, 5)), "status": "FAILED"})
    found = facts(backup(0, 2), failed, backup(2, 8, parent=1), segments={1: range(2, 12)})
    assert plan_restore(at(5), found, nowhere).backup.id == "b0"


def test_a_gap_in_the_wal_is_named_when_the_only_backup_is_before_it() -> None:
    broken = facts(backup(0, 2), segments={1: [2, 3, 4, 6, 7]})
    with pytest.raises(RefusedError, match="000000010000000000000005 is missing"):
        plan_restore(target_of(lsn=str(lsn(6.5))), broken, nowhere)
    with pytest.raises(RefusedError, match="000000010000000000000005 is missing"):
        plan_restore(at(5), broken, nowhere)


def test_what_lies_before_a_gap_and_after_the_next_backup_can_be_restored() -> None:
    broken = facts(backup(0, 2), backup(1, 6), segments={1: [2, 3, 4, 6, 7]})
    assert plan_restore(target_of(lsn=str(lsn(4.5))), broken, nowhere).backup.id == "b0"
    assert plan_restore(target_of(lsn=str(lsn(7.0))), broken, nowhere).backup.id == "b1"


def test_of_two_gaps_the_one_behind_the_newest_backup_is_named() -> None:
    broken = facts(backup(0, 2), backup(1, 6), segments={1: [2, 3, 5, 6, 7, 9, 10]})
    with pytest.raises(RefusedError, match="000000010000000000000008 is missing"):
        plan_restore(at(5), broken, nowhere)


def test_recovery_follows_the_history_over_a_failover() -> None:
    """The new primary left timeline 1 in segment 4, which both timelines have."""
    crossing = facts(
        backup(0, 2), backup(1, 6, timeline=2), timeline=2,
        segments={1: [2, 3, 4], 2: [4, 5, 6, 7]}, histories={2: (Fork(1, lsn(4.25)),)},
    )  # fmt: skip
    assert plan_restore(target_of(lsn=str(lsn(5.0))), crossing, nowhere).backup.id == "b0"
    assert plan_restore(at(5), crossing, nowhere).backup.id == "b1"
    reach = crossing.inventory.reach(2, lsn(2))
    assert [one.timeline for one in reach.segments] == [1, 1, 2, 2, 2, 2]


def test_a_backup_from_behind_the_fork_of_a_timeline_that_was_left_does_not_lead_on() -> None:
    """Timeline 2 began in segment 4; the backup of timeline 1 in segment 5 belongs to neither."""
    forked = facts(
        backup(0, 2), backup(1, 5), timeline=2,
        segments={1: [2, 3, 4, 5, 6], 2: [4, 5, 6]}, histories={2: (Fork(1, lsn(4.25)),)},
    )  # fmt: skip
    assert plan_restore(at(5), forked, nowhere).backup.id == "b0"


def test_a_name_is_looked_for_from_the_newest_backup_back() -> None:
    def in_segment_six(target: Target, run: Sequence[Segment]) -> Lsn | None:
        return lsn(6.1) if Segment(1, 6) in run else None

    assert plan_restore(target_of(name="release"), WHOLE, in_segment_six).backup.id == "b1"
    with pytest.raises(RefusedError, match="no restore point release"):
        plan_restore(target_of(name="release"), WHOLE, nowhere)


def test_a_named_backup_that_does_not_lead_there_is_refused() -> None:
    assert plan_restore(at(5), WHOLE, nowhere, from_backup="night0").backup.id == "b0"
    with pytest.raises(RefusedError, match="does not lead"):
        plan_restore(at(0.5), WHOLE, nowhere, from_backup="b1")
    with pytest.raises(UsageError, match="there are: b0"):
        plan_restore(at(5), WHOLE, nowhere, from_backup="never")


def test_with_a_backup_go_those_that_build_on_it_and_the_limits_move() -> None:
    plan = plan_deletion(["night1"], WHOLE)
    assert [one.id for one in plan.named] == ["b1"]
    assert [one.id for one in plan.with_them] == ["b2"]
    assert plan.size == 2000
    first = plan_deletion(["b0"], WHOLE)
    assert first.before is not None
    assert first.before.first.at < first.after.first.at


def test_the_last_backup_that_can_be_restored_is_not_deleted() -> None:
    with pytest.raises(RefusedError, match="last backup"):
        plan_deletion(["b0", "b1"], WHOLE)
