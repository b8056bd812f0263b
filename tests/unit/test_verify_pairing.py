"""Two ordered streams held against each other: whatever the lists they come in."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from naru.verify.pairing import Row, stretches, unmatched
from naru.verify.rows import Suspect, _counted, _different, _keyed


def in_lists(rows: list[Row], sizes: random.Random) -> Iterator[list[Row]]:
    """`rows` cut anywhere; some lists are empty."""
    at = 0
    while at < len(rows):
        size = sizes.randrange(5)
        yield rows[at : at + size]
        at += size


def streams(seed: int) -> tuple[list[Row], list[Row]]:
    """Two streams that are nearly the same, with places that occur more than once."""
    chance = random.Random(seed)
    common = [(chance.randrange(-30, 30), chance.randrange(3)) for _ in range(chance.randrange(80))]
    sides = []
    for _ in range(2):
        rows = [row for row in common if chance.random() > 0.05]
        rows += [(chance.randrange(-30, 30), 9) for _ in range(chance.randrange(3))]
        sides.append(sorted(rows))
    return sides[0], sides[1]


@pytest.mark.parametrize("seed", range(200))
def test_all_that_differs_is_in_some_stretch_however_streams_are_cut(seed: int) -> None:
    source, target = streams(seed)
    chance = random.Random(seed)
    found: tuple[list[Row], list[Row]] = ([], [])
    places: set[int] = set()
    for ours, theirs in stretches(in_lists(source, chance), in_lists(target, chance)):
        here = {row[0] for row in (*ours, *theirs)}
        assert not here & places, "rows of one place stand in two stretches"
        places |= here
        for into, rows in zip(found, unmatched(ours, theirs), strict=True):
            into += rows
    assert sorted(found[0]) == sorted((Counter(source) - Counter(target)).elements())
    assert sorted(found[1]) == sorted((Counter(target) - Counter(source)).elements())
    assert found == (sorted(found[0]), sorted(found[1]))


def test_no_more_is_read_ahead_than_a_list_of_each_side() -> None:
    read = [0, 0]

    def lists(side: int) -> Iterator[list[Row]]:
        for start in range(0, 1000, 10):
            read[side] += 10
            yield [(place, side) for place in range(start, start + 10)]

    seen = 0
    for ours, _ in stretches(lists(0), lists(1)):
        seen += len(ours)
        assert max(read) - seen <= 20
    assert seen == 1000


@pytest.mark.parametrize(("source", "target"), [([], []), ([[]], [[], []])])
def test_streams_without_rows_are_the_same(
    source: list[list[Row]], target: list[list[Row]]
) -> None:
    assert list(stretches(source, target)) == []


def test_rows_are_named_by_their_key_in_the_order_of_places() -> None:
    ours = [(-5, 1), (3, 1), (4, 1), (7, 1)]
    theirs = [(-5, 2), (4, 1), (6, 1), (7, 2)]
    assert list(_keyed(ours, theirs)) == [
        Suspect("changed", -5, ("-5",)), Suspect("missing", 3, ("3",)),
        Suspect("extra", 6, ("6",)), Suspect("changed", 7, ("7",)),
    ]  # fmt: skip


def test_keys_whose_hashes_collide_stay_apart() -> None:
    ours = [(7, 1, "a"), (7, 1, "b")]
    assert list(_keyed(ours, [(7, 1, "b"), (7, 2, "c")])) == [
        Suspect("missing", 7, ("a",)), Suspect("extra", 7, ("c",)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ours", "theirs", "kinds"),
    [
        ([(5, 1), (5, 1)], [(5, 1)], ["missing"]),
        ([(5, 1)], [(5, 1), (5, 2)], ["extra"]),
        ([(5, 1), (5, 2)], [(5, 3)], ["changed", "missing"]),
    ],
)
def test_a_key_that_stands_twice_in_spite_of_its_index_is_no_secret(
    ours: list[Row], theirs: list[Row], kinds: list[str]
) -> None:
    assert [suspect.kind for suspect in _different([ours], [theirs], True)] == kinds


def test_rows_without_a_key_are_counted_over_all_parts_that_have_them() -> None:
    assert list(_counted([(1, 2), (1, 3), (2, 1)], [(1, 5), (2, 4), (3, 1)])) == [
        Suspect("extra", 2, (), 3), Suspect("extra", 3, (), 1),
    ]  # fmt: skip
