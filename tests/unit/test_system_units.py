"""Figures as people read them."""

from __future__ import annotations

import pytest

from naru.errors import UsageError
from naru.system import units


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (512_300_000, "512 MB"),
     (999_600, "1.00 MB"), (1.24e12, "1.24 TB"), (-2048, "-2.05 kB")],
)  # fmt: skip
def test_bytes_have_three_digits_and_a_decimal_unit(value: float, text: str) -> None:
    assert units.human_bytes(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (999, "999"), (999.6, "1.00k"), (12_444, "12.4k"), (2_041_332, "2.04M")],
)
def test_short_counts_have_three_digits(value: float, text: str) -> None:
    assert units.short_count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 ms"), (0.34, "340 ms"), (0.9999, "1.0 s"), (9.94, "9.9 s"), (9.96, "10 s"),
     (59.7, "1 min 00 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")],
)  # fmt: skip
def test_durations_never_show_sixty_seconds(value: float, text: str) -> None:
    assert units.human_seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.42, "0.42 ms"), (8.3, "8.3 ms"), (1420.4, "1,420 ms")]
)
def test_milliseconds_stay_milliseconds(value: float, text: str) -> None:
    assert units.human_ms(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0:00"), (7, "0:07"), (750, "12:30"), (3750, "1:02:30"), (-5, "-0:05")]
)
def test_the_clock_grows_with_the_time(value: float, text: str) -> None:
    assert units.clock(value) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1.5 min", 90), ("250ms", 0.25), ("2h", 7200), ("7d", 604800)],
)
def test_times_are_read_with_their_units(text: str, seconds: float) -> None:
    assert units.parse_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "h", "-1s", "ten", "1 month", "1S"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no time"):
        units.parse_seconds(text)
