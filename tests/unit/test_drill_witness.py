"""Whether two members answered as primary at once."""

from __future__ import annotations

from naru.drill.witness import Answer, stale_answers


def answers(member: str, *asked: float) -> list[Answer]:
    return [Answer(member, at, at + 0.1) for at in asked]


def test_one_primary_after_the_other_is_as_it_should_be() -> None:
    assert stale_answers([*answers("one", 1, 2, 3), *answers("two", 5, 6)]) == []


def test_an_old_primary_that_answers_after_the_next_one_is_stale() -> None:
    seen = [*answers("one", 1, 2, 7, 8), *answers("two", 5, 6, 9)]
    assert stale_answers(seen) == answers("one", 7, 8)


def test_what_was_asked_before_the_next_one_answered_is_not_stale() -> None:
    seen = [Answer("one", 5.0, 9.0), *answers("one", 1), *answers("two", 6, 10)]
    assert stale_answers(seen) == []


def test_nobody_answered_nothing_is_stale() -> None:
    assert stale_answers([]) == []
