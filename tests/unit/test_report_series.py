"""Long series made small, and the arithmetic of charts."""

from __future__ import annotations

import random

import pytest

from naru.report import Commit, LagPoint, WorkloadPoint
from naru.report._axes import Scale, decade_ticks, inner_ticks, round_ticks, stack, time_ticks
from naru.report.series import condense, longest_gap


def an_hour() -> list[WorkloadPoint]:
    chance = random.Random(1)
    points = [
        WorkloadPoint(index / 10, 0.1, chance.randint(15, 25), 0, 6.0, 12.0, 30.0)
        for index in range(36_000)
    ]
    points[17_321] = WorkloadPoint(1732.1, 0.1, 0, 3, None, None, 950.0)
    return points


def test_an_hour_becomes_few_points_and_loses_no_commit() -> None:
    points = an_hour()
    small = condense(iter(points), 1000)
    assert 250 <= len(small) <= 1000
    assert sum(point.commits for point in small) == sum(point.commits for point in points)
    assert sum(point.errors for point in small) == 3


def test_a_single_bad_interval_stays_visible() -> None:
    worst = min(condense(an_hour(), 1000), key=lambda p: 0 if p.lowest is None else p.lowest)
    assert worst.lowest == 0
    assert worst.max_ms == 950.0
    assert worst.at <= 1732.1 < worst.at + worst.seconds


def test_few_points_are_left_as_they_are() -> None:
    points = an_hour()[:50]
    assert condense(points, 100) == points


def test_points_of_one_moment_are_bounded_too() -> None:
    assert len(condense([LagPoint(5.0, number) for number in range(1000)], 10)) <= 10


def test_condensed_lag_keeps_the_worst() -> None:
    points = [LagPoint(float(i), 10_000 if i == 777 else 5, None) for i in range(2000)]
    small = condense(points, 100)
    assert max(point.bytes or 0 for point in small) == 10_000
    assert all(point.seconds is None for point in small)


def test_the_longest_gap_is_over_all_clients_together() -> None:
    commits = [Commit(1.0, 1), Commit(3.0, 1), Commit(2.0, 2), Commit(3.1, 2), Commit(4.5, 1)]
    assert longest_gap(commits) == (3.1, 4.5)
    assert longest_gap([Commit(1.0)]) is None


def test_scales_clamp_what_lies_outside() -> None:
    scale = Scale(0, 10, 100, 200)
    assert [scale(value) for value in (-5, 5, 50)] == [100, 150, 200]
    assert Scale(1, 100, 0, 100, log=True)(10) == pytest.approx(50)


def test_ticks_are_round_and_hold_the_data() -> None:
    assert round_ticks(263, 4) == [0, 100, 200, 300]
    assert round_ticks(0, 4) == [0, 1]
    assert inner_ticks(-230, 615, 5) == [-200, 0, 200, 400, 600]
    assert decade_ticks(5.8, 2310) == [1, 10, 100, 1000, 10000]
    assert time_ticks(190, 12) == [0, 30, 60, 90, 120, 150, 180]
    assert len(time_ticks(86_400 * 30, 10)) <= 12


def test_labels_that_would_overlap_go_to_other_rows() -> None:
    assert stack([(0, 10), (5, 15), (12, 20), (6, 9)], 2) == [0, 1, 0, None]
