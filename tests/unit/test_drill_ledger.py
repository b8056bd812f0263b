"""Every word to a client is held against the ledger, one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from naru.drill.classify import classify, classify_answer
from naru.drill.ledger import LedgerVerdict, reconcile
from naru.drill.records import (
    IDS_PER_CLIENT,
    Outcome,
    Record,
    RecordFile,
    path_of,
    read_by_id,
    read_by_time,
)
from naru.errors import UsageError

A, N, U = Outcome.ACKNOWLEDGED, Outcome.NOT_COMMITTED, Outcome.UNKNOWN


def _records(*outcomes: Outcome, client: int = 0) -> list[Record]:
    base = client * IDS_PER_CLIENT
    return [Record(base + n, o, n, n, n + 0.5) for n, o in enumerate(outcomes, start=1)]


def _judge(records: list[Record], *rows: tuple[int, int]) -> LedgerVerdict:
    return reconcile(records, rows)


def test_all_is_well_when_each_acknowledged_id_is_there_once() -> None:
    verdict = _judge(_records(A, N, A), (1, 1), (3, 1))
    assert verdict == LedgerVerdict(acknowledged=2, failed=1)
    assert verdict.kept


def test_an_acknowledged_id_that_is_missing_is_lost() -> None:
    verdict = _judge(_records(A, A, A), (1, 1), (3, 1))
    assert (verdict.lost, verdict.examples) == (1, {"lost": [2]})
    assert not verdict.kept


def test_the_last_ones_missing_are_lost_too() -> None:
    assert _judge(_records(A, A, A), (1, 1)).lost == 2
    assert _judge(_records(A)).lost == 1


def test_an_id_that_is_there_twice_is_duplicated() -> None:
    verdict = _judge(_records(A, A), (1, 2), (2, 1))
    assert (verdict.duplicated, verdict.examples, verdict.kept) == (1, {"duplicated": [1]}, False)


def test_an_unknown_one_is_settled_by_the_ledger() -> None:
    verdict = _judge(_records(U, U, A), (1, 1), (3, 1))
    assert (verdict.unknown, verdict.unknown_committed, verdict.kept) == (2, 1, True)


def test_a_failed_one_that_is_there_is_a_phantom() -> None:
    verdict = _judge(_records(A, N), (1, 1), (2, 1))
    assert (verdict.phantom, verdict.kept) == (1, False)


def test_the_one_under_way_when_the_workload_died_is_no_phantom() -> None:
    records = _records(A, A) + _records(A, client=1)
    base = IDS_PER_CLIENT
    verdict = _judge(records, (1, 1), (2, 1), (3, 1), (base + 1, 1), (base + 2, 1))
    assert (verdict.unrecorded, verdict.phantom, verdict.kept) == (2, 0, True)


def test_a_row_that_nobody_wrote_is_a_phantom() -> None:
    verdict = _judge(_records(A), (1, 1), (40, 1), (3 * IDS_PER_CLIENT + 9, 2))
    assert (verdict.phantom, verdict.duplicated, verdict.kept) == (2, 1, False)


def test_a_window_judges_only_what_ended_in_it() -> None:
    verdict = reconcile(_records(A, A, A, A), [(3, 1)], start=2.0, end=3.5, strays=False)
    assert (verdict.acknowledged, verdict.lost) == (2, 1)


def test_examples_are_few_however_much_is_lost() -> None:
    verdict = _judge(_records(*[A] * 1000))
    assert (verdict.lost, len(verdict.examples["lost"])) == (1000, 20)


@pytest.mark.parametrize(
    ("commit_sent", "sqlstate", "outcome"),
    [
        (False, None, N),
        (False, "57P01", N),
        (False, "23505", N),
        (True, None, U),
        (True, "57P01", U),
        (True, "08006", U),
        (True, "40001", N),
        (True, "23503", N),
    ],
)
def test_an_error_means_no_only_where_it_must(
    commit_sent: bool, sqlstate: str | None, outcome: Outcome
) -> None:
    assert classify(commit_sent=commit_sent, sqlstate=sqlstate) is outcome


def test_only_a_commit_that_waited_for_the_standby_is_acknowledged() -> None:
    assert classify_answer("COMMIT", sync_wait_cut=False) is A
    assert classify_answer("COMMIT", sync_wait_cut=True) is U
    assert classify_answer("ROLLBACK", sync_wait_cut=False) is N
    assert classify_answer(None, sync_wait_cut=False) is U


def test_records_are_read_by_id_and_by_time_and_a_cut_line_is_passed_over(tmp_path: Path) -> None:
    for client in (0, 1):
        file = RecordFile(tmp_path, client)
        for record in _records(A, N, U, client=client):
            file.append(record)
        file.close()
    with path_of(tmp_path, 1).open("a") as cut:
        cut.write("A 10000000")
    assert list(read_by_id(tmp_path)) == _records(A, N, U) + _records(A, N, U, client=1)
    assert [r.done for r in read_by_time(tmp_path)] == [1.5, 1.5, 2.5, 2.5, 3.5, 3.5]


def test_a_folder_without_records_is_said() -> None:
    with pytest.raises(UsageError, match="no records"):
        next(read_by_id(Path("/nonexistent")))
