"""Where a COPY's rows end is told from the bytes behind them, whatever the rows hold."""

from __future__ import annotations

import struct

import pytest

from naru.migrate import ending
from naru.migrate.ending import Rows, Words

MARK = b"0123456789abcdef" * 2


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def answered(rows: int | None, *, setting: bytes = b"", error: bytes = b"") -> bytes:
    """What a server says behind the last row; `setting` stands wherever it may."""
    if rows is None:
        copied = message(b"E", error + b"\0") + setting + message(b"Z", b"E")
    else:
        copied = message(b"c") + message(b"C", f"COPY {rows}\0".encode()) + setting
        copied += message(b"Z", b"T")
    described = struct.pack("!h", 1) + b"?column?\0" + struct.pack("!ihihih", 0, 0, 25, -1, -1, 0)
    marked = message(b"D", struct.pack("!hi", 1, len(MARK)) + MARK)
    said = copied + setting + message(b"C", b"ROLLBACK\0") + message(b"T", described) + marked
    return said + message(b"C", b"SELECT 1\0") + setting + message(b"Z", b"T")


LOOKS_LIKE_AN_END = (
    message(b"c") + message(b"C", b"COPY 5\0") + message(b"Z", b"T"),
    message(b"c") + message(b"C", b"COPY 5\0"),
    answered(5)[:-60],
    message(b"E", b"SERROR\0C22012\0Mnot this\0\0") + message(b"Z", b"E"),
)
SETTING = message(b"S", b"TimeZone\0Asia/Seoul\0")


@pytest.mark.parametrize("content", LOOKS_LIKE_AN_END)
@pytest.mark.parametrize("setting", [b"", SETTING, SETTING * 3])
def test_rows_end_at_the_real_end_whatever_the_last_row_holds(
    content: bytes, setting: bytes
) -> None:
    row = message(b"d", content)
    tail = row + answered(7, setting=setting)
    assert ending.may_be_whole(tail, MARK)
    assert ending.read(tail, MARK) == Rows(len(row), 7)


@pytest.mark.parametrize("content", LOOKS_LIKE_AN_END[:3])
@pytest.mark.parametrize("setting", [b"", SETTING])
def test_an_error_is_never_taken_for_an_end_that_a_row_holds(
    content: bytes, setting: bytes
) -> None:
    error = b"SERROR\0VERROR\0C22012\0Mdivision by zero\0"
    tail = message(b"d", content) + answered(None, error=error, setting=setting)
    assert ending.may_be_whole(tail, MARK)
    assert ending.read(tail, MARK) == Words("division by zero", "22012")


def test_nothing_but_the_whole_answer_is_whole() -> None:
    said = answered(7)
    assert not any(ending.may_be_whole(said[:end], MARK) for end in range(len(said)))
    assert not ending.may_be_whole(said.replace(MARK, MARK[::-1]), MARK)


def test_last_words_are_those_at_the_very_end() -> None:
    said = message(b"E", b"SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0")
    assert ending.last_words(message(b"d", b"row") + said) == Words(
        "terminating connection", "57P01"
    )
    assert ending.last_words(said + message(b"d", b"row")) is None
    assert ending.last_words(b"") is None
