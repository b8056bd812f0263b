"""How bad a lag is, and how it is drawn: decided without a server."""

from __future__ import annotations

from datetime import UTC, datetime

from naru.cli.lag import chart, lines
from naru.verify import ChannelLag, ReplicationLag, TableLag

NOW = datetime(2024, 2, 29, 12, tzinfo=UTC)


def channel(seconds: float | None = 0.0, *, connected: bool = True, size: int = 0) -> ChannelLag:
    return ChannelLag("naru_a", "source", True, connected, size, seconds, 0, "reserved", 0)


def table(seconds: float | None) -> TableLag:
    return TableLag("public.users", NOW, NOW, seconds)


def test_a_lag_is_judged_by_its_slowest_part() -> None:
    assert ReplicationLag((channel(59), channel(3)), ()).level(60, 300) == "ok"
    assert ReplicationLag((channel(3), channel(60)), ()).level(60, 300) == "warning"
    assert ReplicationLag((channel(3),), (table(300),)).level(60, 300) == "critical"


def test_a_channel_that_stands_still_is_critical_at_once() -> None:
    assert ReplicationLag((channel(None, connected=False),), ()).level(60, 300) == "critical"


def test_without_replication_the_rows_count() -> None:
    seen = ReplicationLag((), (table(70), table(None)))
    assert (seen.bytes, seen.seconds, seen.level(60, 300)) == (None, 70, "warning")


def test_what_nobody_can_tell_is_not_called_well() -> None:
    for tables in ((), (table(None),)):
        assert ReplicationLag((), tables).level(60, 300) == "unknown"


def test_seconds_are_those_of_the_channels_if_there_are_any() -> None:
    seen = ReplicationLag((channel(2, size=10), channel(1, size=20)), (table(9),))
    assert (seen.bytes, seen.seconds) == (20, 2)


def test_a_lag_in_words_names_every_slot_and_table() -> None:
    seen = ReplicationLag((channel(2, size=2048),), (table(9), table(None)))
    said = lines(seen, "ok")
    assert said[0] == "ok: 2.0 s behind, 2.05 kB"
    assert said[1].startswith("slot naru_a: flows, 2.0 s, 2.05 kB; holds back 0 B")
    assert said[2] == "table public.users: 9.0 s behind by updated_at"


def test_a_chart_fills_its_columns_from_below() -> None:
    assert chart([0, 1, 2, 4], 2, 4) == ["   █", " ▄██"]


def test_what_nobody_can_tell_is_said_in_words() -> None:
    assert lines(ReplicationLag((), ()), "unknown") == [
        "unknown: there is no replication to measure, and no table has an updated_at"
    ]
    blind = TableLag("public.users", None, None, None, "not permitted")
    said = lines(ReplicationLag((), (blind,)), "unknown")
    assert said[1] == "table public.users: not permitted"
