"""On which line of a TOML text each key stands. The text must have been parsed already."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:\\.|[^"\\])*"' r"|'[^']*'",
    re.DOTALL,
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}\n#]*")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})|\\(.)")


def line_numbers(text: str) -> Mapping[Path, int]:
    """The line (from 1) of every table, key and array element that `text` has, by its path."""
    return _Scanner(text).document()


def line_of(lines: Mapping[Path, int], path: Path) -> int | None:
    """The line of `path`, or of the nearest thing above it that has one."""
    for length in range(len(path), 0, -1):
        line = lines.get(path[:length])
        if line is not None:
            return line
    return None


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self._breaks = [match.start() for match in re.finditer("\n", text)]

    def document(self) -> dict[Path, int]:
        prefix: Path = ()
        arrays: dict[Path, int] = {}
        self.blank()
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                prefix = self.header(arrays)
            else:
                self.pair(prefix)
            self.blank()
        return self.lines

    def header(self, arrays: dict[Path, int]) -> Path:
        """`[table]` or `[[table]]`; what follows belongs under the path that is returned."""
        start = self.at
        double = self.text.startswith("[[", self.at)
        self.at += 2 if double else 1
        path: Path = ()
        names = self.names()
        for index, name in enumerate(names):
            path = (*path, name)
            if double and index == len(names) - 1:
                arrays[path] = arrays.get(path, -1) + 1
            self.note(path, start)
            if path in arrays:
                path = (*path, arrays[path])
                self.note(path, start)
        self.at += 2 if double else 1
        return path

    def pair(self, prefix: Path) -> None:
        """`dotted.key = value` under `prefix`."""
        start = self.at
        path = prefix
        for name in self.names():
            path = (*path, name)
            self.note(path, start)
        self.at += 1  # the equals sign
        self.value(path)

    def names(self) -> list[str]:
        """A key's parts, quoted or bare, up to what ends the key."""
        found = []
        while True:
            self.blank()
            quoted = _STRING.match(self.text, self.at)
            bare = _BARE_KEY.match(self.text, self.at)
            match = quoted or bare
            if match is None:
                raise ValueError(f"no key at {self.at}")
            self.at = match.end()
            found.append(_unquote(match[0]) if quoted else match[0])
            self.blank()
            if self.text[self.at] != ".":
                return found
            self.at += 1

    def value(self, path: Path) -> None:
        """Skip a value, noting the keys and elements in it."""
        self.blank()
        opening = self.text[self.at]
        if opening in "{[":
            self.at += 1
            self.inside(path, "}" if opening == "{" else "]")
            return
        match = _STRING.match(self.text, self.at) or _SCALAR.match(self.text, self.at)
        if match is not None:
            self.at = match.end()

    def inside(self, path: Path, closing: str) -> None:
        """The members of an inline table or an array, past the bracket that closes it."""
        index = 0
        while True:
            self.blank()
            if self.text[self.at] == closing:
                self.at += 1
                return
            if self.text[self.at] == ",":
                self.at += 1
            elif closing == "}":
                self.pair(path)
            else:
                self.note((*path, index), self.at)
                self.value((*path, index))
                index += 1

    def blank(self) -> None:
        match = _BLANK.match(self.text, self.at)
        if match is not None:
            self.at = match.end()

    def note(self, path: Path, at: int) -> None:
        self.lines.setdefault(path, bisect_right(self._breaks, at - 1) + 1)


def _unquote(text: str) -> str:
    if text[0] == "'":
        return text[1:-1]
    simple = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}
    return _ESCAPE.sub(
        lambda m: chr(int(m[1] or m[2], 16)) if m[1] or m[2] else simple.get(m[3], m[3]),
        text[1:-1],
    )
