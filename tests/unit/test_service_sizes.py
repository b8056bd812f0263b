"""Server types, the data's size and its guard, the maintenance window: all pure."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from naru.lab.maintenance import is_due
from naru.service import Applied, Storage, Window
from naru.service.parameters import assigned
from naru.service.patroni import dynamic_configuration
from naru.service.protection import ProtectionFacts, judge
from naru.service.server_type import ServerType, settings_of_data, settings_of_type
from naru.service.storage_program import Size, held, measure
from naru.service.storage_program import judge as judge_sizes
from naru.spec import Spec

GIB = 2**30
SEOUL = ZoneInfo("Asia/Seoul")


def test_the_labs_type_is_a_laptops_fare() -> None:
    found = settings_of_type(ServerType.named("db1v2m4"), 0.25)
    assert found["shared_buffers"] == "256MB"
    assert found["max_connections"] == "300"
    assert found["work_mem"] == "4MB"
    assert found["max_worker_processes"] == "32"


@pytest.mark.parametrize("name", ["db1v1m1", "db1v2m4", "db2v16m128", "db1v128m2048"])
@pytest.mark.parametrize("share", [0.05, 0.25, 1.0])
def test_every_type_gives_what_holds_together(name: str, share: float) -> None:
    kind = ServerType.named(name)
    found = settings_of_type(kind, share)
    shared = int(found["shared_buffers"].removesuffix("MB"))
    assert shared <= max(32, kind.memory_mb(share) // 4)
    assert int(found["max_parallel_workers"]) <= int(found["max_worker_processes"])
    assert int(found["max_worker_processes"]) > 16 + int(found["max_parallel_workers"])
    assert 100 <= int(found["max_connections"]) <= 5000


def test_all_of_the_memory_gives_more_to_each_sort() -> None:
    kind = ServerType.named("db1v8m64")
    part, whole = settings_of_type(kind, 0.25), settings_of_type(kind, 1.0)
    assert int(whole["work_mem"][:-2]) > int(part["work_mem"][:-2])
    assert whole["max_connections"] == part["max_connections"]


def test_wal_is_a_part_of_the_datas_size() -> None:
    assert settings_of_data(16) == {
        "max_wal_size": "4096MB", "min_wal_size": "512MB", "max_slot_wal_keep_size": "8192MB",
    }  # fmt: skip
    small = settings_of_data(0.1)
    assert small == {
        "max_wal_size": "64MB", "min_wal_size": "32MB", "max_slot_wal_keep_size": "64MB",
    }  # fmt: skip


def test_a_later_layer_wins_and_libraries_add_up() -> None:
    spec = Spec.model_validate({
        "service": {
            "parameter_group": "g", "audit": True,
            "settings": {"work_mem": "7MB", "shared_preload_libraries": "auto_explain"},
        },
        "parameter_group": {"g": {"work_mem": "6MB", "max_connections": "500"}},
    })  # fmt: skip
    found = assigned(spec, 17, "pgaudit")
    assert (found["work_mem"].value, found["work_mem"].source) == ("7MB", "service.settings")
    assert found["max_connections"].source == "parameter_group g"
    assert found["shared_preload_libraries"].value == "pgaudit,auto_explain"
    assert found["wal_level"].source == "Naru"


def sizes(*used: float, free: float = 100.0) -> list[Size]:
    return [Size(f"m{i}", int(one * GIB), int(free * GIB)) for i, one in enumerate(used)]


@pytest.mark.parametrize(
    ("used", "before", "level", "read_only"),
    [
        (7.9, False, "fine", False),
        (8.0, False, "notice", False),
        (9.0, False, "warning", False),
        (9.49, False, "warning", False),
        (9.5, False, "read-only", True),
        (9.2, True, "read-only", True),
        (9.0, True, "read-only", True),
        (8.99, True, "notice", False),
        (1.0, True, "fine", False),
        (12.0, False, "read-only", True),
    ],
)
def test_the_guard_closes_at_95_and_opens_below_90(
    used: float, before: bool, level: str, read_only: bool
) -> None:
    found = judge_sizes(sizes(1.0, used), 10 * GIB, read_only=before)
    assert (found.level, found.read_only, found.member) == (
        level,
        read_only,
        "m1" if used > 1 else "m0",
    )


def test_a_disk_that_is_full_earlier_counts_as_the_limit() -> None:
    found = judge_sizes(sizes(2.0, free=0.05), 10 * GIB, read_only=False)
    assert found.read_only
    assert judge_sizes(sizes(2.0, free=5.0), 10 * GIB, read_only=False).level == "fine"


def test_nothing_known_changes_nothing() -> None:
    assert judge_sizes([], GIB, read_only=True).read_only
    assert not judge_sizes([], GIB, read_only=False).read_only


def test_what_is_held_counts_the_files_below(tmp_path: Path) -> None:
    data = tmp_path / "pgdata"
    (data / "base" / "1").mkdir(parents=True)
    (data / "PG_VERSION").write_text("17\n")
    before = held(data)
    (data / "base" / "1" / "16384").write_bytes(b"x" * 1_000_000)
    assert held(data) - before >= 1_000_000
    found = measure([{"name": "a", "data": str(data)}, {"name": "b", "data": str(tmp_path / "no")}])
    assert [one.name for one in found] == ["a"]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SEOUL)


@pytest.mark.parametrize(
    ("now", "begin", "is_open"),
    [
        ("2026-11-23 12:00", "2026-11-29 03:00", False),
        ("2026-11-29 02:59", "2026-11-29 03:00", False),
        ("2026-11-29 03:00", "2026-11-29 03:00", True),
        ("2026-11-29 04:59", "2026-11-29 03:00", True),
        ("2026-11-29 05:00", "2026-12-06 03:00", False),
    ],
)
def test_the_window_opens_once_a_week(now: str, begin: str, is_open: bool) -> None:
    window = Window("SUN", "03:00", 2, "Asia/Seoul")
    assert window.at(at(now))[0] == at(begin)
    assert window.is_open(at(now)) is is_open
    assert ("open now" in window.sentence(at(now))) is is_open


def test_a_window_over_midnight_is_still_open_the_day_after() -> None:
    window = Window("SUN", "23:00", 3, "Asia/Seoul")
    assert window.is_open(at("2026-11-30 01:30"))
    assert not window.is_open(at("2026-11-30 02:00"))


def test_the_window_is_of_the_services_time_zone() -> None:
    window = Window("SUN", "03:00", 1, "Asia/Seoul")
    assert window.is_open(datetime.fromisoformat("2026-11-28T18:30:00+00:00"))


def test_restarts_are_due_when_something_waits_and_the_window_is_open() -> None:
    window = Window("SUN", "03:00", 2, "Asia/Seoul")
    waiting = Applied({}, {}, ("max_connections",))
    assert is_due(waiting, window, at("2026-11-29 03:30"))
    assert not is_due(waiting, window, at("2026-11-29 05:00"))
    assert not is_due(waiting, None, at("2026-11-29 03:30"))
    assert not is_due(Applied({}, {}), window, at("2026-11-29 03:30"))
    assert not is_due(None, window, at("2026-11-29 03:30"))


def test_a_member_alone_waits_for_nobody_and_says_what_that_means() -> None:
    found = dynamic_configuration(17, {}, alone=True)
    assert found["synchronous_mode"] is False
    assert found["synchronous_mode_strict"] is False
    facts = ProtectionFacts(1, ("cedbserver1",), (), (), 1, 1)
    assert judge(facts).level == "reduced"
    assert "alone" in judge(facts).sentence


def test_the_storages_sentence_says_what_clients_can_do_and_what_helps() -> None:
    def told(level: str) -> str:
        return Storage(
            level, 10 * GIB, 0.96, "m1", level == "read-only", {"m1": 9 * GIB}, 0.0
        ).sentence

    assert told("fine") == "storage: 9.00 of 10 GB at m1, 96%"
    assert "raise service.data_gb" in told("warning")
    assert "CLIENTS CAN ONLY READ" in told("read-only")
    assert "does not report" in told("unknown")
