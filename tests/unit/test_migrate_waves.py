"""What is made side by side waits for what it depends on."""

from __future__ import annotations

import random

import pytest

from naru.migrate.entries import Entry
from naru.migrate.waves import waves


def entry(number: int, kind: str = "TABLE", needs: tuple[int, ...] = ()) -> Entry:
    return Entry(number, 1259, number, needs, f"t{number}", kind, "app", "SQL")


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("naru.migrate.waves.BATCH", 2)


def numbers(*entries: Entry) -> list[list[list[int]]]:
    return [[[one.number for one in batch] for batch in wave] for wave in waves(entries)]


def test_few_entries_are_made_one_batch_after_the_other() -> None:
    assert numbers(entry(1), entry(2), entry(3)) == [[[1, 2]], [[3]]]


def test_many_tables_are_made_side_by_side() -> None:
    assert numbers(*map(entry, range(5))) == [[[0, 1], [2, 3], [4]]]


def test_what_needs_a_table_comes_in_a_later_wave() -> None:
    given = [entry(1), entry(2, needs=(1,)), entry(3), entry(4, "COMMENT", (2,)), entry(5)]
    assert numbers(*given) == [[[1, 3], [5]], [[2]], [[4]]]


def test_what_is_no_table_stays_between_those_around_it() -> None:
    given = [*map(entry, range(5)), entry(9, "FUNCTION"), *map(entry, range(10, 15))]
    assert numbers(*given) == [[[0, 1], [2, 3], [4]], [[9]], [[10, 11], [12, 13], [14]]]


def test_nothing_is_lost_and_no_wave_holds_what_another_of_it_needs() -> None:
    chance = random.Random(7)
    given = [
        entry(
            n, chance.choice(["TABLE", "DEFAULT", "TYPE"]), tuple(chance.sample(range(n), n and 1))
        )
        for n in range(300)
    ]
    made: set[int] = set()
    for wave in waves(given):
        for batch in wave:
            inside = {one.number for one in batch}
            assert all(set(one.dependencies) <= made | inside for one in batch)
        made |= {one.number for batch in wave for one in batch}
    assert made == set(range(300))
