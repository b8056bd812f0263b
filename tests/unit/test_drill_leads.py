"""Who led when, from single moments at which members said so."""

from __future__ import annotations

from naru.drill.leads import Lead, leads_of, overlap_seconds


def test_moments_close_together_are_one_lead() -> None:
    assert list(leads_of("a", [1.0, 1.25, 1.5, 9.0, 9.25])) == [
        Lead("a", 1.0, 1.5),
        Lead("a", 9.0, 9.25),
    ]
    assert list(leads_of("a", [])) == []


def test_two_that_answer_at_once_are_counted_for_as_long() -> None:
    assert overlap_seconds([Lead("a", 0, 10), Lead("b", 7, 20), Lead("a", 25, 30)]) == 3.0
    assert overlap_seconds([Lead("a", 0, 10), Lead("b", 10, 20)]) == 0.0
