"""Targets: what may be asked for, and what exactly will be there."""

from __future__ import annotations

import pytest

from naru.backup.barman import check_name
from naru.backup.target import target_of
from naru.errors import UsageError


def test_a_time_without_an_offset_is_in_the_services_zone() -> None:
    target = target_of(time="2026-11-23 15:04:05.25", zone="Asia/Seoul")
    assert target.value == "2026-11-23 15:04:05.250000+09:00"
    assert target.words() == ["--target-time", "2026-11-23 15:04:05.250000+09:00"]


def test_a_time_as_postgresql_prints_it_is_read() -> None:
    assert target_of(time="2026-11-23 15:04:05.123456+09").value.endswith("05.123456+09:00")


def test_a_target_says_whether_what_stands_there_counts() -> None:
    assert "up to and including 2026" in target_of(time="2026-11-23T15:00+00:00").sentence
    assert "not at, 2026" in target_of(time="2026-11-23T15:00+00:00", exclusive=True).sentence
    assert "and not itself" in target_of(before_xid="750").sentence
    assert target_of(lsn="0/A1B2C3", exclusive=True).words()[-1] == "--exclusive"
    assert target_of(before_xid="750").words() == ["--target-xid", "750", "--exclusive"]
    assert target_of(name="release").words() == ["--target-name", "release"]
    assert target_of(latest=True).words() == []


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"latest": True, "name": "release"},
        {"time": "yesterday"},
        {"lsn": "123"},
        {"before_xid": "-1"},
        {"name": "a b"},
    ],
)
def test_anything_but_one_proper_target_is_wrong_use(given: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        target_of(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["latest", "First", "20261123T021652", "a b", "", "x" * 70])
def test_a_backup_is_not_called_what_barman_reads_otherwise(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a backup's name"):
        check_name(name)
