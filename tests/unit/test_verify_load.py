"""When a comparison waits, when it goes on, and how it keeps to a rate: decisions."""

from __future__ import annotations

import pytest

from naru.errors import UsageError
from naru.verify import Limit, Rate, Restraint
from naru.verify.load import CALM_LOOKS, PART_BYTES, Debt, Load, Weather, judge
from naru.verify.relations import Relation

QUIET = Load(0.0, 0.0, 1, 0.001)
LIMITS = tuple(Limit.parse(text) for text in ("lag>100MB", "lag>10s", "active>20", "latency>50ms"))


def look(weather: Weather, now: float, **load: Load) -> Weather:
    return judge(weather, {"source": QUIET, "target": QUIET, **load}, LIMITS, now)


@pytest.mark.parametrize(
    ("busy", "said"),
    [
        (Load(100.1e6, None, 1, 0.001), "source: replication lag 100 MB > 100 MB"),
        (Load(None, 11.0, 1, 0.001), "source: replication lag 11 s > 10 s"),
        (Load(None, None, 21, 0.001), "source: 21 active sessions > 20"),
        (Load(None, None, 1, 0.051), "source: a query takes 51 ms > 50 ms"),
    ],
)
def test_one_bound_passed_on_one_side_is_enough_to_wait(busy: Load, said: str) -> None:
    weather = look(Weather(), 7.0, source=busy)
    assert (weather.waits, weather.since, weather.reason) == (True, 7.0, said)


def test_a_server_that_nobody_follows_has_no_lag() -> None:
    assert not look(Weather(), 0.0, source=Load(None, None, 20, 0.05)).waits


def test_it_goes_on_after_some_looks_well_below_the_bounds() -> None:
    weather = look(Weather(), 0.0, target=Load(200e6, None, 1, 0.001))
    for _ in range(CALM_LOOKS - 1):
        weather = look(weather, 1.0)
        assert weather.waits
    assert not look(weather, 2.0).waits


def test_just_below_a_bound_it_still_waits_and_begins_to_count_anew() -> None:
    busy, still = Load(200e6, None, 1, 0.001), Load(81e6, None, 1, 0.001)
    weather = look(look(Weather(), 0.0, source=busy), 1.0)
    assert weather.calm == 1
    weather = look(weather, 2.0, source=still)
    assert (weather.waits, weather.calm, weather.since) == (True, 0, 0.0)
    for second in range(CALM_LOOKS):
        weather = look(weather, 3.0 + second, source=Load(80e6, None, 20, 0.001))
    assert not weather.waits


def test_a_bound_passed_again_meanwhile_keeps_the_beginning_of_the_pause() -> None:
    weather = look(Weather(), 5.0, source=Load(None, None, 30, 0.001))
    weather = look(look(weather, 6.0), 7.0, source=Load(None, 60.0, 1, 0.001))
    assert (weather.since, weather.calm) == (5.0, 0)
    assert "replication lag" in weather.reason


@pytest.mark.parametrize(
    "text", ["lag", "lag>", "lag>many", "load>3", "active>x", "active>1.5", "latency>5MB", "lag<1s"]
)
def test_a_limit_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Limit.parse(text)


@pytest.mark.parametrize("text", ["0", "0MB", "fast", "20MB/s", "-1"])
def test_a_rate_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Rate.parse(text)


def test_over_time_no_more_is_read_than_the_rate_allows() -> None:
    debt, now, read = Debt(Rate.parse("1000")), 100.0, 0
    assert debt.wait(now) == 0
    for rows in (500, 1, 9000, 20, 700):
        debt.spend(rows, 0.0, now)
        read += rows
        now += debt.wait(now)
        assert now - 100.0 == pytest.approx(read / 1000)
    assert debt.wait(now + 1) == 0


def test_time_that_was_not_used_is_not_saved_up() -> None:
    debt = Debt(Rate.parse("10MB"))
    debt.spend(5, 10e6, 0.0)
    assert debt.wait(50.0) == 0
    debt.spend(5, 20e6, 50.0)
    assert debt.wait(50.0) == pytest.approx(2.0)


def test_a_held_back_comparison_reads_small_parts_that_are_the_whole_table() -> None:
    pages = 1 << 17
    table = Relation("s.t", "s", "t", "r", (), (), (("s", "t", pages),), 0, (pages * 8192,))
    assert len(table.parts(True)) == 32
    limited = Restraint(limits=LIMITS)
    assert limited.part_bytes == PART_BYTES
    parts = table.parts(True, limited.part_bytes)
    assert len(parts) == 128
    assert sum(part.size for part in parts) == pytest.approx(pages * 8192)
    assert (parts[0].first, parts[-1].last) == (None, None)
    slow = Restraint(rate=Rate.parse("2MB"))
    assert slow.part_bytes == 1_000_000
    assert Restraint().part_bytes is None
    assert len(table.parts(False, slow.part_bytes)) == 1
