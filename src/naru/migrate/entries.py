"""Splitting pg_restore's SQL into its entries.

With `--verbose` each entry opens with a comment that gives its number, its object in the
catalog and the entries it depends on. A text that looks like such a header may also stand
inside a function's body; it is taken for a header only if its number is in the archive's
list of contents and has not been seen.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_OPENING = re.compile(r"-- TOC entry (\d+) \(class (\d+) OID (\d+)\)\n")
_DEPENDENCIES = re.compile(r"-- Dependencies: ([\d ]+)\n")
_NAME = re.compile(r"-- Name: (.*); Type: (.*); Schema: (.*); Owner: (.*)\n")
_CONTENTS = re.compile(r"(\d+); \d+ \d+ ")
# Session state that pg_restore sets between two entries; it belongs to those that follow.
_STATE = re.compile(r"SET default_table_access_method = .*;\n")
_END = "-- Completed on "


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an archive: an object, or something said of one."""

    number: int
    class_oid: int
    oid: int
    """The object's OID on the source, in the catalog `class_oid`; 0 where it has none."""
    dependencies: tuple[int, ...]
    name: str
    type: str
    schema: str
    sql: str
    """One or more statements."""
    state: str = ""
    """SET statements that must hold while `sql` runs."""


_CONTENT = frozenset({"BLOB", "BLOB METADATA", "MATERIALIZED VIEW DATA"})
_SAID = frozenset({"ACL", "COMMENT", "SECURITY LABEL"})


def is_content(entry: Entry) -> bool:
    """True for what an archive with rows holds beside the schema.

    Large objects go with the rows, and materialized views are refreshed by us.
    """
    said_of_large_objects = entry.type in _SAID and entry.name.startswith("LARGE OBJECT")
    return entry.type in _CONTENT or said_of_large_objects


def contents(listing: str) -> set[int]:
    """The numbers of the entries in what `pg_restore --list` printed."""
    found = (_CONTENTS.match(line) for line in listing.splitlines())
    return {int(match[1]) for match in found if match}


def split(lines: Iterable[str], known: set[int]) -> Iterator[Entry]:
    """Entries of a section, in order. `lines` keep their ends; `known` from `contents`."""
    unseen = set(known)
    header: _Header | None = None
    body: list[str] = []
    in_header = False
    state = ""
    for line in lines:
        match = _OPENING.fullmatch(line) if line.startswith("-- TOC") else None
        if match and int(match[1]) in unseen:
            if header is not None:
                yield header.entry(_statements(body))
            state = _state_after(body, state)
            unseen.discard(int(match[1]))
            header = _Header(int(match[1]), int(match[2]), int(match[3]), state)
            body, in_header = [], True
        elif in_header and header is not None:
            in_header = header.takes(line)
        else:
            body.append(line)
    if header is not None:
        yield header.entry(_statements(_without_end(body)))


class _Header:
    """The comment that opens an entry, as far as it is read."""

    def __init__(self, number: int, class_oid: int, oid: int, state: str) -> None:
        self._place = number, class_oid, oid
        self._state = state
        self._dependencies: tuple[int, ...] = ()
        self._name = self._type = self._schema = ""

    def takes(self, line: str) -> bool:
        """Read one line of it; false if that was the last."""
        if line == "--\n":
            return False
        if match := _DEPENDENCIES.fullmatch(line):
            self._dependencies = tuple(map(int, match[1].split()))
        elif match := _NAME.fullmatch(line):
            self._name, self._type = match[1], sys.intern(match[2])
            self._schema = "" if match[3] == "-" else sys.intern(match[3])
        return True

    def entry(self, text: str) -> Entry:
        return Entry(
            *self._place, self._dependencies, self._name, self._type, self._schema, text,
            self._state,
        )  # fmt: skip


def _statements(body: list[str]) -> str:
    """An entry's statements, without the comment line that opens the next header."""
    kept = body[:-1] if body and body[-1] == "--\n" else list(body)
    while kept and (not kept[-1].strip() or _STATE.fullmatch(kept[-1])):
        kept.pop()
    return "".join(kept).strip()


def _state_after(body: list[str], state: str) -> str:
    for line in reversed(body):
        if _STATE.fullmatch(line):
            return line.strip()
        if line.strip() and line != "--\n":
            break
    return state


def _without_end(body: list[str]) -> list[str]:
    for index in range(len(body) - 1, -1, -1):
        if body[index].startswith(_END):
            return body[:index]
    return body
