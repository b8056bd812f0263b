"""When a row that differs while replication runs is a difference, and when not yet."""

from __future__ import annotations

import itertools

import pytest

from naru.postgres import Lsn
from naru.verify.live import Round, State, decide, end_of_wal

A, B = State("1", 10), State("2", 20)


def test_a_target_that_shows_what_the_source_had_is_equal() -> None:
    assert decide(None, Round(A, State("9", 10))) == "equal"
    assert decide(None, Round(None, None)) == "equal"
    assert decide(None, Round(A, State("9", 20), frozenset({15, 20}))) == "equal"
    assert decide(None, Round(A, None, frozenset({None}))) == "equal"


def test_one_look_never_makes_a_difference() -> None:
    assert decide(None, Round(A, B)) == "pending"
    assert decide(None, Round(None, B)) == "pending"
    assert decide(None, Round(A, None)) == "pending"


def test_a_source_row_that_did_not_change_around_the_look_makes_a_difference() -> None:
    assert decide(Round(A, B), Round(A, State("3", 30))) == "different"
    assert decide(Round(A, None), Round(A, None)) == "different"


def test_a_target_row_that_stands_unchanged_makes_a_difference() -> None:
    assert decide(Round(None, B), Round(None, B)) == "different"
    assert decide(Round(A, State("9", 1)), Round(State("5", 50), State("9", 1))) == "different"


def test_a_row_that_changes_on_both_sides_is_pending() -> None:
    assert decide(Round(A, State("8", 1)), Round(B, State("9", 2))) == "pending"
    assert decide(Round(None, State("8", 1)), Round(None, State("9", 1))) == "pending"
    assert decide(Round(A, None), Round(State("2", 10), None)) == "pending"


def test_nothing_is_a_difference_while_a_commit_may_be_seen_at_the_target_first() -> None:
    early = Round(A, B)
    assert decide(early, Round(A, B, settled=False)) == "pending"
    assert decide(early, Round(None, B, settled=False)) == "pending"
    assert decide(early, Round(B, B, settled=False)) == "equal"


@pytest.mark.parametrize(
    ("inserted", "end"),
    [
        ("0/5000018", "0/5000000"), ("0/5002018", "0/5002000"), ("0/5000028", "0/5000000"),
        ("0/5002028", "0/5002028"), ("0/5002000", "0/5002000"), ("0/50020F8", "0/50020F8"),
    ],
)  # fmt: skip
def test_a_page_of_wal_that_holds_nothing_but_its_header_is_not_waited_for(
    inserted: str, end: str
) -> None:
    assert str(end_of_wal(Lsn.parse(inserted), 8192, 16 << 20)) == end


def test_a_replica_that_applies_in_order_is_never_called_different() -> None:
    """Every history of a row over five positions, every way the target may lag in it."""
    values = (None, 1, 2)
    for history in itertools.product(values, repeat=5):
        states = [
            None if value is None else State(str(at), value) for at, value in _versions(history)
        ]
        for reads in itertools.combinations_with_replacement(range(5), 4):
            first, seen, second, later = reads
            rounds = (
                Round(states[first], _applied(states[seen])),
                Round(states[second], _applied(states[later])),
            )
            if decide(None, rounds[0]) == "pending":
                assert decide(*rounds) != "different", (history, reads)


def _versions(history: tuple[int | None, ...]) -> list[tuple[int, int | None]]:
    """A row's version is the position that wrote it."""
    versions: list[tuple[int, int | None]] = []
    for at, value in enumerate(history):
        same = versions and versions[-1][1] == value
        versions.append((versions[-1][0], value) if same else (at, value))
    return versions


def _applied(state: State | None) -> State | None:
    return State(f"applied {state.version}", state.hash) if state else None
