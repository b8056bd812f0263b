"""What readers saw becomes figures: silence, the time until reads went on, what was missed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from naru.drill.reads import Look, Sight, figures_of, read_figures
from naru.drill.verdict import FaultFacts, Promise, decide
from tests.unit.test_drill_verdict import GOOD


def looks(*times: float, sight: Sight = Sight.SEEN) -> list[Look]:
    return [Look(sight, at - 0.01, at) for at in times]


def steady(start: float, end: float) -> list[Look]:
    return looks(*(start + 0.1 * n for n in range(round((end - start) * 10))))


def test_reads_that_went_on_are_again_there_at_once() -> None:
    found = figures_of(iter(steady(90, 110)), 100, 110)
    assert (found.again_seconds, found.failed, found.missed) == (0.0, 0, 0)
    assert found.answered == 100
    assert found.silence_seconds == pytest.approx(0.1, abs=0.02)


def test_an_interruption_ends_with_the_first_answer_to_a_later_question() -> None:
    failed = [Look(Sight.FAILED, 100.2, 101.0, "08006")]
    found = figures_of(iter([*steady(95, 100), *failed, *steady(103, 110)]), 100, 110)
    assert found.again_seconds == pytest.approx(3.0, abs=0.05)
    assert found.failed == 1


def test_reads_that_never_come_back_are_not_called_recovered() -> None:
    assert figures_of(iter(steady(95, 100)), 100, 110).again_seconds is None
    assert figures_of(iter([]), 100, 110).again_seconds is None


def test_what_was_missed_before_the_fault_is_not_counted() -> None:
    missed = looks(99, 101, sight=Sight.MISSED)
    assert figures_of(iter(sorted([*steady(95, 105), *missed], key=done)), 100, 105).missed == 1


def done(look: Look) -> float:
    return look.done


def test_a_line_comes_back_as_it_was(tmp_path: Path) -> None:
    one = Look(Sight.FAILED, 1.5, 2.25, "57P01")
    assert Look.from_line(one.to_line()) == one
    (tmp_path / "looks-writes.txt").write_text(one.to_line() + "S 3.0 4.")
    assert read_figures(tmp_path, 0, 10).keys() == {"writes"}
    assert read_figures(tmp_path, 0, 10)["writes"].failed == 1


def test_a_stale_read_of_the_primary_breaks_the_promise_and_one_of_a_standby_does_not() -> None:
    fresh = figures_of(iter(steady(95, 110)), 100, 110)
    late = replace(fresh, missed=3)
    for reads, kept in (({"writes": fresh, "reads": late}, True), ({"writes": late}, False)):
        facts: FaultFacts = replace(GOOD, reads=reads)
        verdict = decide("x", Promise(5.0), facts)
        assert verdict.kept is kept, verdict.broken
    assert verdict.stale_reads == 3
    assert verdict.reads["writes"]["missed"] == 3


def test_reads_that_do_not_come_back_break_the_promise() -> None:
    lost = figures_of(iter(steady(95, 100)), 100, 110)
    verdict = decide("x", Promise(5.0), replace(GOOD, reads={"reads": lost}))
    assert not verdict.kept and "reads" in verdict.broken[0]
