"""Changing single keys of a naru.toml that a person wrote: every other character stays."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from naru.errors import UsageError
from naru.spec.locate import line_numbers
from naru.system import write_atomically

Value = int | str | Sequence[int]


def edit_spec(path: Path, table: str, values: Mapping[str, Value]) -> None:
    """Set keys of one table in the file `path`, each in its line, or in a new one.

    Raises UsageError, naming what to write, when the file says it in a way that cannot be
    changed so; it then stays as it was.
    """
    text = path.read_text(encoding="utf-8")
    edited = text
    for key, value in values.items():
        edited = _with(edited, table, key, value)
    if _parsed(edited) != _wanted(text, table, values):
        lines = "; ".join(f"{key} = {_toml(value)}" for key, value in values.items())
        raise UsageError(
            f"{path} cannot be changed without touching more of it",
            remedy=f"write under [{table}]: {lines}",
        )
    if edited != text:
        write_atomically(path, edited, mode=path.stat().st_mode & 0o777)


def _with(text: str, table: str, key: str, value: Value) -> str:
    lines = text.splitlines(keepends=True)
    places = line_numbers(text)
    number = places.get((table, key))
    if number is not None:
        old = lines[number - 1]
        lines[number - 1] = re.sub(
            rf"(\b{re.escape(key)}\s*=\s*)(\[[^\]]*\]|\"[^\"]*\"|[^\s,}}\]#]+)",
            lambda match: f"{match[1]}{_toml(value)}",
            old,
            count=1,
        )
        return "".join(lines)
    added = f"{key} = {_toml(value)}\n"
    header = _header(lines, table)
    if header is None:
        return f"{text.rstrip()}\n\n[{table}]\n{added}".lstrip("\n")
    lines.insert(_place(lines, header, key), added)
    return "".join(lines)


def _header(lines: Sequence[str], table: str) -> int | None:
    pattern = re.compile(rf"\s*\[\s*{re.escape(table)}\s*\]")
    return next((i for i, line in enumerate(lines) if pattern.match(line)), None)


def _place(lines: list[str], header: int, key: str) -> int:
    """After the commented default of `key` where there is one, else right after the header."""
    if not lines[header].endswith("\n"):
        lines[header] += "\n"
    default = re.compile(rf"\s*#\s*{re.escape(key)}\s*=")
    for index in range(header + 1, len(lines)):
        if re.match(r"\s*\[", lines[index]):
            break
        if default.match(lines[index]):
            if not lines[index].endswith("\n"):
                lines[index] += "\n"
            return index + 1
    return header + 1


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _wanted(text: str, table: str, values: Mapping[str, Value]) -> dict[str, Any]:
    wanted = copy.deepcopy(tomllib.loads(text))
    plain = {key: list(v) if isinstance(v, Sequence) and not isinstance(v, str) else v
             for key, v in values.items()}  # fmt: skip
    wanted.setdefault(table, {}).update(plain)
    return wanted


def _toml(value: Value) -> str:
    if isinstance(value, int | str):
        return json.dumps(value, ensure_ascii=False)
    return f"[{', '.join(str(one) for one in value)}]"
