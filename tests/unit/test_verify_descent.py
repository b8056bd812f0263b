"""From a table that differs to the rows, by splitting buckets."""

from __future__ import annotations

from itertools import pairwise

from naru.verify.descent import (
    FIRST_BITS,
    NEIGHBOURS,
    Grain,
    Refine,
    Stream,
    Totals,
    add,
    choose_key,
    differing,
    first_grain,
    next_step,
)
from naru.verify.relations import PART_PAGES, Part, Relation


def totals(buckets: int, rows: int, wrong: set[int] | None = None) -> Totals:
    return {b: (rows, b * 7 + (1 if wrong and b in wrong else 0)) for b in range(buckets)}


def test_a_small_table_is_one_bucket_and_a_big_one_many() -> None:
    for rows in (0, 1_999):
        assert first_grain(rows, numbered=True) == Grain(0)
    assert 0 < first_grain(50_000, numbered=False).bits < FIRST_BITS
    assert first_grain(10**12, numbered=False) == Grain(FIRST_BITS)


def test_numbers_that_are_neighbours_share_a_bucket_at_first() -> None:
    assert first_grain(10**12, numbered=True) == Grain(FIRST_BITS, NEIGHBOURS)


def test_a_finer_grain_splits_each_bucket() -> None:
    for grain in (Grain(5), Grain(5, 2), Grain(5, 10)):
        finer = grain.finer(3)
        parents: dict[int, set[int]] = {}
        for place in range(-(1 << 17), 1 << 17, 3):
            bucket = place >> finer.shift & (1 << finer.bits) - 1
            parents.setdefault(bucket, set()).add(place >> grain.shift & (1 << grain.bits) - 1)
        assert len(parents) == 1 << finer.bits
        assert all(len(one) == 1 for one in parents.values())


def test_parts_add_up_to_the_table_whatever_their_order() -> None:
    one: Totals = {}
    for part in ({0: (1, 5)}, {1: (2, -3)}, {0: (1, 6)}):
        add(one, part)
    assert one == {0: (2, 11), 1: (2, -3)}


def test_a_bucket_that_one_side_lacks_differs() -> None:
    assert differing({0: (1, 5)}, {}) == [0]
    assert differing({0: (1, 5), 1: (1, 1)}, {0: (1, 5), 1: (1, 2)}) == [1]
    assert differing({0: (1, 5)}, {0: (1, 5)}) == []


def test_few_rows_are_looked_at_at_once() -> None:
    assert next_step(Grain(10), totals(1024, 10), totals(1024, 10, {3, 500})) == Stream(few=True)


def test_few_buckets_of_many_rows_are_split() -> None:
    step = next_step(Grain(10), totals(1024, 5_000_000), totals(1024, 5_000_000, {3, 500}))
    assert isinstance(step, Refine)
    assert step.grain.bits > 10


def test_splitting_stops_when_nearly_all_buckets_differ() -> None:
    wrong = set(range(1000))
    assert next_step(Grain(10), totals(1024, 5_000), totals(1024, 5_000, wrong)) == Stream()


def test_what_is_held_stays_bounded_whatever_differs() -> None:
    for count in (1, 10, 100, 500):
        grain = Grain(10, 10)
        source, target = totals(1024, 10**9), totals(1024, 10**9, set(range(count)))
        step = next_step(grain, source, target)
        assert isinstance(step, Refine)
        assert count << (step.grain.bits - grain.bits) <= 1 << 16


def test_splitting_ends() -> None:
    grain, rows = Grain(10, 10), 10**12
    for _ in range(10):
        step = next_step(grain, totals(1024, rows), totals(1024, rows, {1}))
        if isinstance(step, Stream):
            assert step.few
            return
        assert step.grain.bits > grain.bits
        rows >>= step.grain.bits - grain.bits
        grain = step.grain
    raise AssertionError("still splitting")


def test_the_key_is_one_that_both_sides_have() -> None:
    assert choose_key((("id",), ("a", "b")), (("b", "a"),)) == ("a", "b")
    assert choose_key((("id",),), (("id",), ("a",))) == ("id",)
    assert choose_key((("id",),), ()) == ()
    assert choose_key((), (("id",),)) == ()


def relation(pages: int | None) -> Relation:
    return Relation("s.t", "s", "t", "r", (), (), (("s", "t", pages),), 0)


def test_a_big_table_is_read_in_parts_without_a_gap() -> None:
    parts = relation(PART_PAGES * 10 + 17).parts(by_page=True)
    assert len(parts) == 10
    assert parts[0].first is None
    assert parts[-1].last is None
    assert all(a.last == b.first for a, b in pairwise(parts))
    assert len({part.first for part in parts}) == 10


def test_the_number_of_parts_is_bounded() -> None:
    assert len(relation(10**9).parts(by_page=True)) == 2048


def test_what_cannot_be_read_by_page_is_one_part() -> None:
    for parts in (
        relation(None).parts(True),
        relation(10**6).parts(False),
        relation(5).parts(True),
    ):
        assert [(part.first, part.last) for part in parts] == [(None, None)]
        assert isinstance(parts[0], Part)
