"""Editing PgBouncer's ini file: one entry changes, every other byte stays.

The grammar is PgBouncer's: sections in brackets, `key = value` lines, comments only on
lines of their own; an entry's value is a list of `key=value`, values quoted with ''.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from naru.errors import UsageError

WILDCARD = "*"
_SECTION = re.compile(r"\s*\[(?P<name>[^\]]*)\]\s*$")
_INCLUDE = re.compile(r"\s*%include\s+(?P<file>.+?)\s*$")
_ENTRY = re.compile(r"""\s*(?P<key>"(?:[^"]|"")+"|[\w.*-]+)\s*=(?P<value>.*)""", re.ASCII)
_PARAMETER = re.compile(r"(?P<key>\w+)\s*=\s*(?P<value>'(?:[^']|'')*'|[^\s']\S*)?", re.ASCII)
_PLAIN_NAME = re.compile(r"[\w.-]+", re.ASCII)


@dataclass(frozen=True)
class Entry:
    """One line of the section [databases]."""

    name: str
    line: int
    """Counted from 0."""
    parameters: dict[str, str]


def entries(text: str) -> list[Entry]:
    """The database entries in order. Of two with one name, PgBouncer takes the later."""
    found = []
    section = ""
    for number, line in enumerate(_lines(text)):
        if line.lstrip().startswith((";", "#")):
            continue
        if head := _SECTION.match(line):
            section = head["name"].strip()
        elif section == "databases" and (entry := _ENTRY.match(line)):
            found.append(Entry(_bare(entry["key"]), number, _parameters(entry["value"])))
    return found


def includes(text: str) -> list[str]:
    """The files that this one includes."""
    return [match["file"] for line in _lines(text) if (match := _INCLUDE.match(line))]


def pointed(text: str, database: str, *, host: str, port: int, dbname: str | None = None) -> str:
    """`text` with `database` at `host`:`port` (empty host: local socket), as `dbname` if given.

    A database that only the entry `*` serves gets an entry of its own beside it. Raises
    UsageError when no entry serves it.
    """
    known = {entry.name: entry for entry in entries(text)}
    entry = known.get(database) or known.get(WILDCARD)
    if entry is None:
        raise UsageError(f"no entry in [databases] serves {database}")
    wanted: dict[str, str | None] = {"host": host or None, "port": str(port)}
    if dbname is not None and (dbname != database or "dbname" in entry.parameters):
        wanted["dbname"] = dbname
    lines = _lines(text)
    line = lines[entry.line]
    if entry.name == database:
        lines[entry.line] = _with_parameters(line, wanted)
    else:
        whole = line if line.endswith("\n") else line + "\n"
        own = f"{_key(database)} ={whole.partition('=')[2]}"
        lines[entry.line : entry.line + 1] = [whole, _with_parameters(own, wanted)]
    return "".join(lines)


def quoted(value: str) -> str:
    """A value as an entry's parameters need it."""
    if value and not re.search(r"[\s']", value):
        return value
    return "'" + value.replace("'", "''") + "'"


def _lines(text: str) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _bare(key: str) -> str:
    return key[1:-1].replace('""', '"') if key.startswith('"') else key


def _key(name: str) -> str:
    return name if _PLAIN_NAME.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _parameters(value: str) -> dict[str, str]:
    return {match["key"]: _unquoted(match["value"] or "") for match in _PARAMETER.finditer(value)}


def _unquoted(value: str) -> str:
    return value[1:-1].replace("''", "'") if value.startswith("'") else value


def _with_parameters(line: str, wanted: dict[str, str | None]) -> str:
    """`line` with these parameters set in place, appended, or (None) taken away."""
    body = line.rstrip("\r\n")
    ending = line[len(body) :]
    entry = _ENTRY.match(body)
    if entry is None:
        raise UsageError(f"not an entry: {body.split('=')[0].strip()}")
    head, value = body[: entry.start("value")], entry["value"]
    left = dict(wanted)

    def change(match: re.Match[str]) -> str:
        key = match["key"]
        if key not in wanted:
            return match[0]
        left.pop(key, None)
        new = wanted[key]
        if new is None:
            return ""
        if match["value"] is None:
            return f"{match[0]}{quoted(new)}"
        return match[0][: match.start("value") - match.start()] + quoted(new)

    value = _PARAMETER.sub(change, value)
    more = "".join(f" {key}={quoted(new)}" for key, new in left.items() if new is not None)
    return head + value.rstrip() + more + ending
