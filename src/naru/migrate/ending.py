"""How the rows of a COPY end on the wire, told from the last bytes alone.

Right behind the COPY two statements are sent: one that mends the transaction if the COPY
broke it, and one that answers with a random text, the mark. What row contents look like
does not matter: only what reaches unbroken from the rows' end to the mark is believed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_READY: Final = b"Z\x00\x00\x00\x05T"

# A server may report settings that changed by a reload wherever it ends a message.
_SETTINGS: Final = rb"(?:S.{4}[^\x00]+\x00[^\x00]*\x00)*"
_FIELDS: Final = rb"((?:[A-Za-z][^\x00]*\x00)+)\x00"
_DONE: Final = (
    rb"c\x00\x00\x00\x04" + _SETTINGS + rb"C\x00\x00\x00.COPY (\d+)\x00"
    + _SETTINGS + rb"Z\x00\x00\x00\x05T" + _SETTINGS
)  # fmt: skip
_BROKEN: Final = rb"E.{4}" + _FIELDS + _SETTINGS + rb"Z\x00\x00\x00\x05E" + _SETTINGS
# RowDescription of one column, then DataRow up to its value: nothing of any other length.
_ONE_TEXT: Final = (
    rb"T\x00\x00\x00\x21\x00\x01\?column\?\x00.{18}D\x00\x00\x00.\x00\x01\x00\x00\x00."
)
_LAST_WORDS: Final = re.compile(rb"[EN].{4}" + _FIELDS + rb"\Z", re.DOTALL)


@dataclass(frozen=True)
class Words:
    """What a server said of an error, and its SQLSTATE."""

    text: str
    sqlstate: str | None


@dataclass(frozen=True)
class Rows:
    """Where in the bytes the rows end, and how many the server counted."""

    end: int
    count: int


def statements(savepoint: str, mark: bytes) -> bytes:
    """What to send behind the COPY, in one message; `savepoint` is one of our own names."""
    return f"ROLLBACK TO SAVEPOINT {savepoint}; SELECT '".encode() + mark + b"'"


def may_be_whole(tail: bytes, mark: bytes) -> bool:
    """True if all has come that the server says; nothing but rows has the mark in it."""
    return tail.endswith(_READY) and mark in tail


def read(tail: bytes, mark: bytes) -> Rows | Words:
    """Tell from the last bytes, which `may_be_whole`, how the COPY ended."""
    answered = (
        rb"C\x00\x00\x00\x0dROLLBACK\x00" + _SETTINGS + _ONE_TEXT + re.escape(mark)
        + rb"C\x00\x00\x00\x0dSELECT 1\x00" + _SETTINGS + rb"Z\x00\x00\x00\x05T\Z"
    )  # fmt: skip
    if done := re.search(_DONE + answered, tail, re.DOTALL):
        return Rows(done.start(), int(done[1]))
    broken = re.search(_BROKEN + answered, tail, re.DOTALL)
    return _words(broken[1]) if broken else Words("an answer that is not understood", None)


def last_words(tail: bytes) -> Words | None:
    """What a server said right before it closed the connection, if anything."""
    found = _LAST_WORDS.search(tail)
    return _words(found[1]) if found else None


def _words(fields: bytes) -> Words:
    named = {one[:1]: one[1:].decode(errors="replace") for one in fields.split(b"\x00") if one}
    return Words(named.get(b"M", "no message"), named.get(b"C"))
