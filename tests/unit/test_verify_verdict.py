"""The verdict: when two databases are the same, and the shape that programs read."""

from __future__ import annotations

import pytest

from naru.errors import UsageError
from naru.verify import (
    LargeObjectDifference,
    LargeObjectVerdict,
    Options,
    RowDifference,
    SchemaDifference,
    SequenceDifference,
    SequenceState,
    TableVerdict,
    Verdict,
)
from naru.verify.merging import merge
from naru.verify.schema import is_note

CLEAN = TableVerdict("shop.person", rows=5, target_rows=5)
WRONG = TableVerdict(
    "shop.pair", 2, 2, found=1, differences=(RowDifference("changed", {"id": 1}, ("name",)),)
)
NOTE = SchemaDifference("citext", "extension", "version", "1.6", "1.8")


def verdict(**changes: object) -> Verdict:
    parts: dict[str, object] = {
        "rows": 5, "seconds": 1.23456, "tables": (CLEAN,), "schema": (), "sequences": (),
        "large_objects": LargeObjectVerdict(),
    }  # fmt: skip
    return Verdict(**{**parts, **changes})  # type: ignore[arg-type]


def test_nothing_found_is_the_same() -> None:
    assert verdict().same
    assert verdict().differences == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"tables": (CLEAN, WRONG)},
        {"tables": (TableVerdict("shop.gone", reason="the target has no such table"),)},
        {"schema": (SchemaDifference("shop.f()", "function", "body", "1", "2"),)},
        {"sequences": (SequenceDifference("shop.s", SequenceState(1, True), None),)},
        {"large_objects": LargeObjectVerdict(1, 1, 1, (LargeObjectDifference(1, "extra"),))},
    ],
)
def test_any_difference_makes_it_different(changes: dict[str, object]) -> None:
    assert not verdict(**changes).same
    assert verdict(**changes).differences == 1


def test_pending_rows_are_no_differences_and_not_the_same_either() -> None:
    pending = TableVerdict("shop.hot", 1, 1, pending_found=1)
    assert not verdict(tables=(pending,)).same
    assert verdict(tables=(pending,)).differences == 0
    assert verdict(tables=(pending,)).pending == 1


def test_notes_count_only_when_strict() -> None:
    assert verdict(notes=(NOTE,)).same
    assert not verdict(notes=(NOTE,), strict=True).same
    assert verdict(notes=(NOTE,), strict=True).differences == 1


def test_versions_of_extensions_are_notes_and_missing_extensions_are_not() -> None:
    assert is_note(NOTE)
    assert not is_note(SchemaDifference("citext", "extension", "object", "1.6", None))
    assert is_note(SchemaDifference("this database", "database", "collate", "C", "C.UTF-8"))
    assert not is_note(SchemaDifference("shop.f()", "function", "version", "1", "2"))


def test_the_json_has_its_shape() -> None:
    document = verdict(tables=(WRONG,)).to_json()
    assert document["same"] is False
    assert document["seconds"] == 1.235
    assert document["tables"][0] == {
        "table": "shop.pair",
        "rows": 2,
        "same": False,
        "target_rows": 2,
        "differences_found": 1,
        "differences": [{"kind": "changed", "key": {"id": 1}, "columns": ["name"]}],
    }
    assert {"same", "rows", "seconds", "tables", "schema", "sequences", "large_objects"} <= set(
        document
    )


def test_large_objects_not_compared_are_neither_same_nor_different() -> None:
    shape = LargeObjectVerdict(reason="not permitted").to_json()
    assert (shape["compared"], shape["same"], shape["reason"]) == (False, None, "not permitted")


def test_tables_are_chosen_by_patterns() -> None:
    options = Options(tables=("shop.p*", "log"))
    assert options.covers("shop.person")
    assert options.covers("other.log")
    assert not options.covers("shop.event")
    assert Options().covers("anything.at_all")


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UsageError, match="jobs"):
        Options(jobs=0)
    with pytest.raises(UsageError, match="max-differences"):
        Options(max_differences=0)


def test_two_streams_are_paired_by_name() -> None:
    pairs = list(merge([("a", 1), ("b", 2), ("d", 4)], [("b", 20), ("c", 30)]))
    assert pairs == [("a", 1, None), ("b", 2, 20), ("c", None, 30), ("d", 4, None)]
    assert list(merge([], [])) == []
