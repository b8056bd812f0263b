"""Pauses, latencies and pacing are measured without flattering the server."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from naru.drill.business import Business, Change
from naru.drill.gaps import Gap, errors_within, find_gap, longest_gap
from naru.drill.pacing import Pacing, backoff
from naru.drill.records import Outcome, Record, RecordFile
from naru.drill.series import Gauge, Interval, SeriesFile, percentile, read_series
from naru.drill.strike import recovery

A, N = Outcome.ACKNOWLEDGED, Outcome.NOT_COMMITTED


def test_the_longest_gap_is_over_all_clients_together(tmp_path: Path) -> None:
    for client, times in enumerate([(1.0, 2.0, 9.0), (1.5, 4.0, 9.5)]):
        file = RecordFile(tmp_path, client)
        for number, at in enumerate(times):
            file.append(Record(client * 100 + number, A, at, at, at))
        file.close()
    assert longest_gap(tmp_path, 0.0, 10.0) == Gap(4.0, 9.0)
    assert longest_gap(tmp_path, 0.0, 3.0) == Gap(2.0, 4.0)


def test_a_failed_transaction_does_not_end_a_gap(tmp_path: Path) -> None:
    file = RecordFile(tmp_path, 0)
    for number, (at, outcome) in enumerate([(1.0, A), (2.0, N), (3.0, A)]):
        file.append(Record(number, outcome, at, at, at))
    file.close()
    assert longest_gap(tmp_path, 0.0, 3.0) == Gap(1.0, 3.0)
    assert errors_within(tmp_path, 1.5, 2.5) == 1
    assert errors_within(tmp_path, 2.5, 3.5) == 0


@pytest.mark.parametrize(
    ("commits", "expected"),
    [
        ([], None),
        ([1.0, 2.0, 5.0, 5.5], Gap(2.0, 5.0)),  # reaches into the window from before it
        ([1.0, 4.5, 8.0], Gap(1.0, 4.5)),
        ([1.0, 3.5], Gap(1.0, 3.5)),
        ([1.0], Gap(1.0, 5.0, closed=False)),  # never again
        ([4.0, 9.0], Gap(4.0, 9.0)),  # ends after the window
    ],
)
def test_gaps_that_reach_into_the_window(commits: list[float], expected: Gap | None) -> None:
    assert find_gap(commits, 3.0, 5.0) == expected


def test_a_gap_that_nothing_ended_is_open() -> None:
    gap = find_gap([1.0, 1.1], 1.05, 9.0)
    assert gap == Gap(1.1, 9.0, closed=False)


def test_what_a_dying_server_still_acknowledges_is_no_recovery(tmp_path: Path) -> None:
    file = RecordFile(tmp_path, 0)
    commits = [(9.9, 9.95), (10.01, 10.02), (10.03, 12.5), (12.51, 12.6)]
    for number, (began, done) in enumerate(commits):
        file.append(Record(number, A, began, began, done))
    file.close()
    silence = longest_gap(tmp_path, 10.0, 20.0)
    assert silence is not None and silence.end == 20.0 and not silence.closed
    assert recovery(tmp_path, 10.0, 13.0, longest_gap(tmp_path, 10.0, 13.0)) == 12.5
    assert recovery(tmp_path, 10.0, 20.0, silence) is None
    assert recovery(tmp_path, 10.0, 20.0, None) is None


def test_a_commit_that_began_before_the_fault_is_no_recovery(tmp_path: Path) -> None:
    file = RecordFile(tmp_path, 0)
    for number, (began, done) in enumerate([(9.0, 9.5), (9.6, 13.0), (13.1, 13.2)]):
        file.append(Record(number, A, began, began, done))
    file.close()
    assert recovery(tmp_path, 10.0, 13.5, longest_gap(tmp_path, 10.0, 13.5)) == 13.2


def test_clients_are_due_evenly_and_in_turns() -> None:
    pacing = Pacing(rate=100, clients=4)
    due = sorted(pacing.due(client, n) for client in range(4) for n in range(25))
    assert due == pytest.approx([n / 100 for n in range(100)])


def test_latency_counts_from_when_a_transaction_was_due() -> None:
    assert Record(1, A, scheduled=1.0, began=5.0, done=5.01).latency_ms == pytest.approx(4010)


def test_backoff_is_short_and_bounded() -> None:
    waits = [backoff(n) for n in range(50)]
    assert waits[0] == 0.0
    assert waits[1:] == sorted(waits[1:])
    assert max(waits) == 0.2


def test_intervals_are_given_out_once_with_the_empty_ones() -> None:
    gauge = Gauge(start=100.0)
    for done, latency in ((100.01, 5.0), (100.02, 1.0), (100.05, None), (100.31, 9.0)):
        gauge.add(done, latency)
    assert gauge.closed(100.35) == [
        Interval(100.0, 2, 1, 1.0, 5.0, 5.0),
        Interval(100.1, 0, 0, None, None, None),
        Interval(100.2, 0, 0, None, None, None),
    ]
    gauge.add(100.0, 7.0)
    assert gauge.closed(100.45) == [Interval(100.3, 2, 0, 7.0, 9.0, 9.0)]


def test_percentiles_are_values_that_occurred() -> None:
    values = [float(n) for n in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.95)] == [50.0, 95.0]
    assert percentile([3.0], 0.95) == 3.0


def test_the_series_is_read_while_it_is_written(tmp_path: Path) -> None:
    written = [Interval(1.0, 2, 0, 1.5, 2.5, 3.5), Interval(1.1, 0, 4, None, None, None)]
    file = SeriesFile(tmp_path)
    file.append(written)
    assert list(read_series(tmp_path)) == written
    assert list(read_series(tmp_path, start=1.05)) == written[1:]
    assert list(read_series(tmp_path, end=1.05)) == written[:1]
    file.close()


def test_business_is_drawn_from_data_and_survives_json() -> None:
    business = Business((Change("x", "SELECT %(n)s, %(t)s", 3),), {"n": (5, 5)}, {"t": ("a",)})
    again = Business.from_json(business.to_json())
    assert again == business
    drawn = again.draw(random.Random(1))
    assert drawn == ("SELECT %(n)s, %(t)s", {"n": 5, "t": "a"})
    assert Business().draw(random.Random(1)) is None
