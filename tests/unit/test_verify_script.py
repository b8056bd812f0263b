"""Statements of a repair: one line each, whatever the values hold."""

from __future__ import annotations

from pathlib import Path

from naru.verify.script import (
    BATCH,
    BEGIN,
    COMMIT,
    batches,
    children_first,
    line,
    literal,
    on_one_line,
    read,
)


def test_a_value_with_line_breaks_stays_on_one_line() -> None:
    assert literal("it's").as_string() == "'it''s'"
    assert literal("a\nb\\c'").as_string() == r"E'a\nb\\c'''"
    assert literal(None).as_string() == "NULL"
    assert line("SELECT {v}", v=literal("{x}\r\n")) == r"SELECT E'{x}\r\n';"


def test_transactions_are_bounded() -> None:
    found = list(batches("x" for _ in range(BATCH + 1)))
    assert [found[0], found[BATCH + 1], found[BATCH + 2]] == [BEGIN, COMMIT, BEGIN]
    assert found[-1] == COMMIT
    assert list(batches([])) == []


def test_reading_passes_over_comments_and_what_is_for_psql(tmp_path: Path) -> None:
    script = tmp_path / "repair.sql"
    script.write_text("-- talk\n\\set ON_ERROR_STOP on\n\nBEGIN;\nSELECT '--';\nCOMMIT;\n")
    assert list(read(script)) == [BEGIN, "SELECT '--';", COMMIT]


def test_children_stand_before_their_parents() -> None:
    order = children_first(["a", "b", "c", "d"], {"c": {"b"}, "b": {"a"}, "d": {"a", "elsewhere"}})
    assert order.index("c") < order.index("b") < order.index("a")
    assert order.index("d") < order.index("a")


def test_tables_that_reference_each_other_are_placed_once() -> None:
    assert sorted(children_first(["a", "b", "c"], {"a": {"b"}, "b": {"a"}})) == ["a", "b", "c"]


def test_a_name_cannot_end_a_comment() -> None:
    assert on_one_line('public."a\nDROP TABLE b; --\r\nc"') == 'public."a DROP TABLE b; -- c"'
