"""Tables and columns as people write them: shell patterns, with or without quotes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

_QUOTED = re.compile(r'"((?:[^"]|"")*)"')


def unquoted(name: str) -> str:
    """A qualified name without the quotes that a server or a shell needs around its parts."""
    return _QUOTED.sub(lambda match: match[1].replace('""', '"'), name)


def matches(name: str, pattern: str) -> bool:
    """True if a qualified name, written with or without quotes, is meant by `pattern`."""
    return fnmatchcase(unquoted(name), unquoted(pattern))


def table_matches(table: str, pattern: str) -> bool:
    """True if `schema.table`, or `table` alone, is meant by `pattern`."""
    plain = unquoted(table)
    wanted = unquoted(pattern)
    return fnmatchcase(plain, wanted) or fnmatchcase(plain.partition(".")[2], wanted)


def did_you_mean(wrong: str, known: Iterable[str]) -> str | None:
    """A remedy that names what is closest to `wrong`, or None if nothing is close."""
    near = difflib.get_close_matches(unquoted(wrong), list(known), n=3, cutoff=0.6)
    return f"did you mean {' or '.join(near)}?" if near else None
