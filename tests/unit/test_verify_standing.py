"""Whether a table has stood still, and whether an earlier result may be kept: decisions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from naru.errors import UsageError
from naru.verify import Options, TableVerdict
from naru.verify.agenda import may_be_kept
from naru.verify.ledger import Earlier
from naru.verify.progress import RowsProgress
from naru.verify.standing import ServerFacts, Standing, TableFacts, stood_still

SERVER = ServerFacts("7/5", "terms", "1 0/16B3740", "reset then", 1000.0)
LATER = replace(SERVER, position="1 0/2000000", counted=2000.0)
TABLE = TableFacts("files", "changes")
BEFORE = Standing(SERVER, TABLE)


def now(table: TableFacts = TABLE, **changes: object) -> Standing:
    return Standing(replace(LATER, **changes), table)  # type: ignore[arg-type]


def test_a_table_without_counted_changes_has_stood_still() -> None:
    assert stood_still(BEFORE, now())


@pytest.mark.parametrize(
    "later",
    [
        now(identity="8/5"),
        now(terms="other"),
        now(resets="reset since"),
        now(doubt="it is a standby"),
        now(TableFacts("files", "more changes")),
        now(TableFacts("other files", "changes")),
    ],
)
def test_anything_that_may_hide_a_change_is_one(later: Standing) -> None:
    assert not stood_still(BEFORE, later)


def test_a_server_that_has_written_nothing_needs_no_counts() -> None:
    doubtful = replace(SERVER, doubt="before PostgreSQL 15")
    assert stood_still(Standing(doubtful, TABLE), Standing(doubtful, TABLE))
    assert not stood_still(Standing(doubtful, TABLE), Standing(SERVER, TableFacts("x", "changes")))
    assert not stood_still(Standing(doubtful, TABLE), now())


def keep(options: Options, *, run: int = 4, at: float = 100.0, same: bool = True) -> bool:
    earlier = Earlier(run, "terms", at, same, BEFORE, BEFORE, TableVerdict("s.t"))
    return may_be_kept(earlier, "terms", (now(), now()), options, run=4, clock=1000.0)


def test_a_run_that_goes_on_keeps_its_own_results_only() -> None:
    assert keep(Options(resume=True))
    assert not keep(Options(resume=True), run=3)
    assert not keep(Options())


def test_a_repeated_run_keeps_what_is_not_too_old() -> None:
    assert keep(Options(again=True), run=3)
    assert keep(Options(again=True, recheck_seconds=901.0))
    assert not keep(Options(again=True, recheck_seconds=900.0))


def test_what_differed_is_never_kept() -> None:
    assert not keep(Options(again=True), same=False)
    assert not keep(Options(resume=True), same=False)


def test_a_run_cannot_go_on_and_begin() -> None:
    with pytest.raises(UsageError, match="one of them"):
        Options(resume=True, again=True)


class Seen:
    """An observer that remembers the last progress."""

    def __init__(self) -> None:
        self.shares: list[float] = []
        self.last: tuple[int, int | None, str] = (0, None, "")

    def step(self, title: str, state: str) -> None: ...

    def note(self, text: str) -> None: ...

    def progress(
        self, what: str, done: int, total: int | None, unit: str, *, detail: str = ""
    ) -> None:
        self.last = (done, total, detail)
        self.shares.append(done / (total or 1))


def test_progress_counts_both_sides_and_never_goes_back_on_true_estimates() -> None:
    seen = Seen()
    progress = RowsProgress(seen, 3000, 3)
    for _ in range(3):
        table = progress.table(1000)
        for _ in range(10):
            table.count(100)
            table.count(100)
        table.end()
    assert seen.last == (3000, 3001, "3 of 3 tables")
    assert seen.shares == sorted(seen.shares)
    progress.end()
    assert seen.last[:2] == (3000, 3000)


def test_while_rows_are_looked_at_or_nothing_goes_on_progress_says_so() -> None:
    seen = Seen()
    progress = RowsProgress(seen, 1000, 2)
    table = progress.table(1000)
    with table.looking("s.t"):
        assert seen.last[2] == "0 of 2 tables; looking at rows of s.t that differ"
        progress.wait("source: 9 active sessions > 5")
        assert seen.last[2] == "waits: source: 9 active sessions > 5"
        progress.wait(None)
    assert seen.last[2] == "0 of 2 tables"


def test_a_wrong_estimate_moves_the_total_as_soon_as_it_is_known() -> None:
    seen = Seen()
    progress = RowsProgress(seen, 2000, 2)
    bigger, smaller = progress.table(1000), progress.table(1000)
    for _ in range(2):
        bigger.count(4000)
    assert seen.last[:2] == (4000, 5000)
    bigger.end()
    for _ in range(2):
        smaller.count(10)
    assert seen.last[:2] == (4010, 5000)
    smaller.end()
    assert seen.last[:2] == (4010, 4011)
