"""What is left to copy: parts, tables begun before, and the time that it took so far."""

from __future__ import annotations

from pathlib import Path

import pytest

from naru.journal import Journal
from naru.migrate import parts
from naru.migrate.copy import what_is_left
from naru.migrate.ledger import Begun
from naru.migrate.names import Relation
from naru.migrate.parts import Part, Table, cut, cut_into
from naru.migrate.worked import Worked

MB = 1024 * 1024
PAGE = 8192


def table(name: str, size: int, *, filenode: int = 1) -> Table:
    return Table(Relation("public", name), ("id",), True, size // PAGE, size, -1, filenode)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", MB)
    monkeypatch.setattr(parts, "SMALL_BYTES", MB // 4)


def _begun(one: Table, of: int, *numbers: int) -> Begun:
    return Begun(of, one.pages, one.filenode, frozenset(numbers))


def _pages(parts: list[Part]) -> list[tuple[int, int | None]]:
    return [(part.first, part.end) for part in parts]


def test_parts_meet_without_gap_or_overlap_and_the_last_one_is_open() -> None:
    for size in (0, PAGE, MB, 7 * MB + PAGE, 100 * MB):
        some = cut(table("t", size))
        assert some[0].first == 0
        assert some[-1].end is None
        assert [part.end for part in some[:-1]] == [part.first for part in some[1:]]
        assert [(part.number, part.of) for part in some] == [
            (number, len(some)) for number in range(len(some))
        ]


def test_finished_parts_are_left_out_and_the_others_are_those_of_the_first_cut() -> None:
    big = table("big", 10 * MB)
    first = cut_into(big, 10)
    grown = table("big", 25 * MB)
    left = what_is_left([grown], {}, {big.relation: _begun(big, 10, 0, 1, 4)}, jobs=8)
    assert [part.number for part in left.parts] == [2, 3, 5, 6, 7, 8, 9]
    assert _pages(left.parts) == _pages([first[number] for number in (2, 3, 5, 6, 7, 8, 9)])
    # Noted again as they were cut, so that a third start finds the same.
    assert {part.table.pages for part in left.parts} == {big.pages}
    assert (left.kept, left.anew) == (3, [])
    assert left.total_bytes == 25 * MB
    assert left.done_bytes == 3 * (25 * MB // 10)


def test_a_table_is_cut_as_before_whatever_would_be_decided_now() -> None:
    big, other = table("big", 10 * MB), table("other", 90 * MB)
    begun = {big.relation: _begun(big, 10, 3)}
    # By itself it would stay whole: it is no more than a worker's share.
    assert [part.of for part in what_is_left([big], {}, {}, jobs=1).parts] == [1]
    left = what_is_left([other, big], {}, begun, jobs=1)
    assert [part.of for part in left.parts if part.table.relation == big.relation] == [10] * 9


def test_a_table_whose_rows_moved_is_copied_anew() -> None:
    big = table("big", 10 * MB, filenode=1)
    now = table("big", 5 * MB, filenode=2)
    left = what_is_left([now], {}, {big.relation: _begun(big, 10, 0, 1)}, jobs=8)
    assert _pages(left.parts) == _pages(cut(now))
    assert (left.kept, left.anew, left.done_bytes) == (0, [big.relation], 0)


def test_complete_tables_are_done_and_unknown_ones_are_cut() -> None:
    one, two = table("one", 4 * MB), table("two", 4 * MB)
    left = what_is_left([one, two], {one.relation: 1}, {}, jobs=8)
    assert {part.table.relation for part in left.parts} == {two.relation}
    assert (left.done_bytes, left.kept, left.anew) == (4 * MB, 0, [])


def test_a_source_that_cannot_read_ranges_is_read_table_by_table() -> None:
    big = table("big", 10 * MB)
    assert [part.of for part in what_is_left([big], {}, {}, jobs=8, can_split=False).parts] == [1]


def test_work_is_counted_without_the_time_between_and_with_what_a_killed_process_did(
    tmp_path: Path,
) -> None:
    now = [100.0]
    with Journal.in_folder(tmp_path) as journal:
        run = journal.begin("migrate", "app")
        with Worked(run, "worked", clock=lambda: now[0]):
            now[0] += 3
        now[0] += 1000  # nobody works
        killed = Worked(run, "worked", clock=lambda: now[0])
        for _ in range(11):
            now[0] += 1
            killed.tick()
        now[0] += 1000  # it was killed a second after it was noted
        with Worked(run, "worked", clock=lambda: now[0]) as last:
            now[0] += 2
            assert last.seconds == 3 + 10 + 2
        assert run.recall("worked") == 15
