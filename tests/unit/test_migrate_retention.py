"""Which WAL that is held back is a warning, and when the slots have to go."""

from __future__ import annotations

from dataclasses import replace

import pytest

from naru.errors import UsageError
from naru.migrate.disk import Disk, parse
from naru.migrate.retention import RetentionFacts, decide
from naru.system.units import parse_bytes

GB = 10**9
CALM = RetentionFacts(retained=GB, wal_status="reserved", keep_size=None, disk=None, bound=None)


def test_without_any_bound_nothing_is_dropped_and_it_says_so() -> None:
    seen = decide(replace(CALM, retained=10**15))
    assert (seen.level, seen.bound) == ("ok", None)
    assert "no bound is known" in seen.text


@pytest.mark.parametrize(
    ("retained", "level"),
    [(4 * GB, "ok"), (5 * GB, "warning"), (10 * GB - 1, "warning"), (10 * GB, "critical")],
)
def test_the_users_bound_warns_at_half_and_acts_when_reached(retained: int, level: str) -> None:
    seen = decide(replace(CALM, retained=retained, bound=10 * GB))
    assert (seen.level, seen.bound) == (level, 10 * GB)
    assert (seen.remedy is None) == (level == "ok")


@pytest.mark.parametrize(
    ("retained", "free", "level"),
    [
        (30 * GB, 50 * GB, "ok"),
        (45 * GB, 30 * GB, "warning"),
        (45 * GB, 10 * GB, "critical"),
        (45 * GB, 0, "critical"),
        (4 * GB, 0, "warning"),  # dropping our slots would not help
    ],
)
def test_a_tenth_of_a_known_disk_stays_free(retained: int, free: int, level: str) -> None:
    seen = decide(replace(CALM, retained=retained, disk=Disk(100 * GB, free)))
    assert seen.level == level


def test_the_users_bound_counts_instead_of_the_disk() -> None:
    seen = decide(replace(CALM, retained=45 * GB, disk=Disk(100 * GB, GB), bound=200 * GB))
    assert seen.level == "warning"
    assert "1.00 GB left" in seen.text


def test_the_servers_own_limit_warns_and_is_left_to_the_server() -> None:
    limited = replace(CALM, keep_size=8 * GB)
    assert decide(limited).level == "ok"
    assert decide(replace(limited, retained=4 * GB)).level == "warning"
    assert decide(replace(limited, retained=9 * GB, wal_status="unreserved")).level == "warning"
    lost = decide(replace(limited, wal_status="lost"))
    assert lost.level == "lost"
    assert "max_slot_wal_keep_size (8.00 GB)" in lost.text
    assert "--anew" in str(lost.remedy)


def test_a_slot_that_is_gone_is_lost() -> None:
    assert decide(replace(CALM, wal_status="missing", bound=GB)).level == "lost"


def test_what_df_says_is_read() -> None:
    said = (
        "Filesystem     1024-blocks      Used Available Capacity Mounted on\n"
        "/dev/sd a1       102400000  92160000  10240000      90% /a b\n"
    )
    assert parse(said) == Disk(total=102400000 * 1024, free=10240000 * 1024)
    assert parse("df: pg_wal: No such file or directory\n") is None


@pytest.mark.parametrize(
    ("text", "size"),
    [("4096", 4096), ("20GB", 20 * GB), ("1.5 tb", 1500 * GB), ("2GiB", 2 << 30), ("10k", 10000)],
)
def test_sizes_are_read_with_their_units(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "ten", "1.2.3", "1XB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no size"):
        parse_bytes(text)
