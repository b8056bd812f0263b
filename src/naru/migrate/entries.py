"""Splitting pg_restore's SQL into its entries.

With `--verbose` each entry opens with a comment that gives its number, its object in the
catalog and the entries it depends on. A text that looks like such a header may also stand
inside a function's body; it is taken for a header only if its number is in the archive's
list of contents and has not been seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

_OPENING = re.compile(r"-- TOC entry (\d+) \(class (\d+) OID (\d+)\)\n")
_DEPENDENCIES = re.compile(r"-- Dependencies: ([\d ]+)\n")
_NAME = re.compile(r"-- Name: (.*); Type: (.*); Schema: (.*); Owner: (.*)\n")
_CONTENTS = re.compile(r"(\d+); \d+ \d+ ")
# Session state that pg_restore sets between two entries; it belongs to those that follow.
_STATE = re.compile(r"SET default_table_access_method = .*;\n")
_END = "-- Completed on "


@dataclass(frozen=True)
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
    entry: Entry | None = None
    body: list[str] = []
    in_header = False
    state = ""
    for line in lines:
        match = _OPENING.fullmatch(line)
        if match and int(match[1]) in unseen:
            if entry is not None:
                yield _closed(entry, body)
                state = _state_after(body, state)
            else:
                state = _state_after(body, state)
            unseen.discard(int(match[1]))
            entry = Entry(int(match[1]), int(match[2]), int(match[3]), (), "", "", "", "", state)
            body, in_header = [], True
        elif in_header and entry is not None:
            entry, in_header = _read_header(entry, line)
        else:
            body.append(line)
    if entry is not None:
        yield _closed(entry, _without_end(body))


def _read_header(entry: Entry, line: str) -> tuple[Entry, bool]:
    if line == "--\n":
        return entry, False
    if match := _DEPENDENCIES.fullmatch(line):
        return replace(entry, dependencies=tuple(map(int, match[1].split()))), True
    if match := _NAME.fullmatch(line):
        name, kind, schema = match[1], match[2], match[3]
        return replace(entry, name=name, type=kind, schema="" if schema == "-" else schema), True
    return entry, True


def _closed(entry: Entry, body: list[str]) -> Entry:
    """The entry with its statements, without the comment line that opens the next header."""
    kept = body[:-1] if body and body[-1] == "--\n" else list(body)
    while kept and (not kept[-1].strip() or _STATE.fullmatch(kept[-1])):
        kept.pop()
    return replace(entry, sql="".join(kept).strip())


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
