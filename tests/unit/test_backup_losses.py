"""Who deleted: read out of what pg_waldump wrote."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from naru.backup.losses import deletions, judge, subtransactions
from naru.backup.waldump import parse
from naru.drill.accident import Before, compare

_FILE = "1663/16385/16400"
_OTHER = "1663/16385/16500"


def deleted(xid: int, position: str, file: str = _FILE, what: str = "DELETE") -> str:
    return (
        f"rmgr: Heap        len (rec/tot):     59/   179, tx:        {xid}, lsn: {position},"
        f" prev 0/0A000028, desc: {what} xmax: {xid}, off: 1, infobits: [KEYS_UPDATED],"
        f" flags: 0x02, blkref #0: rel {file} blk 0 FPW"
    )


def ended(xid: int, second: int, word: str = "COMMIT", more: str = "") -> str:
    return (
        f"rmgr: Transaction len (rec/tot):     34/    34, tx:        {xid}, lsn: 0/0A000F00,"
        f" prev 0/0A000028, desc: {word} 2026-11-23 03:00:{second:02}.5 UTC{more}"
    )


LINES = [
    deleted(800, "0/0A000100"), deleted(800, "0/0A000200"), deleted(801, "0/0A000300"),
    deleted(802, "0/0A000400"), deleted(803, "0/0A000500", _OTHER),
    deleted(804, "0/0A000600", what="UPDATE"), deleted(811, "0/0A000700"),
    deleted(812, "0/0B000100"),
    ended(800, 1), ended(801, 2), ended(802, 3, "ABORT"), ended(803, 4), ended(804, 5),
    ended(810, 6, more="; subxacts: 811 812"),
]  # fmt: skip


def found(since: datetime | None = None) -> list[tuple[int, int]]:
    rows = deletions(LINES, frozenset({_FILE}), 0x0A000000, 0x0B000000)
    ends = {end.xid: end for end in parse("\n".join(LINES), "").ends}
    return [(one.xid, one.rows) for one in judge(rows, ends, subtransactions(LINES), since)]


def test_rows_of_that_table_count_for_transactions_that_committed_the_largest_first() -> None:
    assert found() == [(800, 2), (801, 1), (810, 1)]


def test_a_record_counts_once_for_the_segment_that_it_begins_in() -> None:
    later = deletions(LINES, frozenset({_FILE}), 0x0B000000, 0x0C000000)
    assert later == Counter({812: 1})


def test_what_committed_before_the_moment_asked_for_is_left_out() -> None:
    assert found(datetime(2026, 11, 23, 3, 0, 2, tzinfo=UTC)) == [(801, 1), (810, 1)]


def test_the_accident_is_judged_by_every_row() -> None:
    before = Before({1: ("a",), 2: ("b",)}, frozenset({9}), 5)
    assert compare(before, {"found_rows": 2, "brought_back": 2}) == ()
    assert len(compare(before, {"found_rows": 1, "brought_back": 3})) == 2
    idle = Before(before.lost, frozenset(), 5)
    assert "nothing was measured" in compare(idle, {"found_rows": 2, "brought_back": 2})[0]
