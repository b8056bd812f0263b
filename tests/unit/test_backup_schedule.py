"""When what is due on the backup host, decided from notes and the clock alone."""

from __future__ import annotations

import json
import os
import subprocess
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from naru.backup.schedule_program import (
    REFUSED_SECONDS,
    RETRY_SECONDS,
    Keeper,
    Notes,
    Schedule,
    obsolete,
)

SEOUL = ZoneInfo("Asia/Seoul")


def at(day: int, hour: int, minute: int = 0) -> float:
    return datetime(2026, 11, day, hour, minute, tzinfo=SEOUL).timestamp()


DAILY = Schedule("Asia/Seoul", start_hour=3, archive_minutes=5, full_every_days=1)
WEEKLY = Schedule("Asia/Seoul", start_hour=3, archive_minutes=5, full_every_days=7)


def test_the_first_backup_is_due_at_once() -> None:
    assert DAILY.due(at(10, 17), Notes()) == "full"


def test_a_backup_is_due_in_the_hour_declared_in_the_services_zone() -> None:
    notes = Notes(full=at(10, 3), latest=at(10, 3))
    assert DAILY.due(at(11, 2, 59), notes) is None
    assert DAILY.due(at(11, 3, 0), notes) == "full"


def test_one_that_was_missed_is_made_up_for() -> None:
    assert DAILY.due(at(12, 15), Notes(full=at(10, 3), latest=at(10, 3))) == "full"


def test_one_taken_since_counts_whoever_asked_for_it() -> None:
    assert DAILY.due(at(11, 9), Notes(full=at(10, 3), latest=at(11, 4))) is None


def test_days_between_full_ones_are_incremental() -> None:
    full = at(10, 3, 1)
    kinds = [
        WEEKLY.due(at(10 + day, 3, 5), Notes(full=full, latest=at(9 + day, 3, 1)))
        for day in range(1, 8)
    ]
    assert kinds == ["incremental"] * 6 + ["full"]


def test_after_a_failure_some_minutes_pass() -> None:
    notes = Notes(full=at(10, 3), latest=at(10, 3), failed=at(11, 3))
    assert DAILY.due(at(11, 3) + RETRY_SECONDS - 1, notes) is None
    assert DAILY.due(at(11, 3) + RETRY_SECONDS, notes) == "full"


def test_one_that_did_not_even_begin_is_tried_again_soon() -> None:
    notes = Notes(full=at(10, 3), latest=at(10, 3), failed=at(11, 3), refused=True)
    assert DAILY.due(at(11, 3) + REFUSED_SECONDS - 1, notes) is None
    assert DAILY.due(at(11, 3) + REFUSED_SECONDS, notes) == "full"


def test_what_breaks_the_chain_asks_for_a_full_one_at_any_hour() -> None:
    notes = Notes(full=at(11, 3), latest=at(11, 3), wanted=True)
    assert WEEKLY.due(at(11, 4), notes) == "full"


def test_the_open_segment_is_closed_at_the_interval_declared() -> None:
    assert not DAILY.archive_due(1000 + 299, 1000)
    assert DAILY.archive_due(1000 + 300, 1000)


@pytest.mark.parametrize("text", ["", "no json"])
def test_nothing_is_deleted_when_barman_lists_nothing(text: str) -> None:
    assert obsolete(text) == []


def test_of_obsolete_backups_those_go_first_that_build_on_others() -> None:
    listed = [
        {"backup_id": "20261110T030000", "retention_status": "OBSOLETE"},
        {"backup_id": "20261111T030000", "retention_status": "OBSOLETE"},
        {"backup_id": "20261118T030000", "retention_status": "VALID"},
        {"backup_id": "20261119T030000", "status": "STARTED"},
    ]
    assert obsolete(json.dumps({"x": listed})) == ["20261111T030000", "20261110T030000"]


@pytest.mark.parametrize(("kind", "asked", "left"), [
    ("full", -5, False), ("full", +5, True), ("incremental", -5, True),
])  # fmt: skip
def test_a_full_backup_serves_what_was_asked_for_before_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, asked: int, left: bool
) -> None:
    wanted = tmp_path / "wanted"
    keeper = Keeper({
        "barman": "barman", "config": "barman.conf", "server": "cedb", "zone": "Asia/Seoul",
        "streaming": str(tmp_path / "streaming"), "notes": str(tmp_path / "notes.json"),
        "wanted": str(wanted), "start_hour": 3, "archive_minutes": 5, "full_every_days": 7,
    })  # fmt: skip

    def backup(_: str) -> subprocess.CompletedProcess[str]:
        wanted.touch()
        at = time.time() + asked
        os.utime(wanted, (at, at))
        return subprocess.CompletedProcess((), 0, "", "")

    monkeypatch.setattr(keeper, "_backup", backup)
    keeper._take(kind)
    assert wanted.exists() is left
