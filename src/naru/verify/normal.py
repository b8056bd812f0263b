"""Whether two servers say the same of an object in different words: pure decisions.

Deparsing differs between versions, and between an object as made and as restored. Each
rule here is narrow: it takes away one known difference of wording and nothing else.
"""

from __future__ import annotations

import json
import re
from typing import Any

Doc = dict[str, Any]

_TOKEN = re.compile(
    r"""\s+ | '(?:[^']|'')*' | "(?:[^"]|"")*" | [A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*
    | \d[\w.]* | :: | .""",
    re.VERBOSE | re.DOTALL,
)
_LITERAL = {"body", "comment", "library", "version"}
_UNQUALIFIED_FROM = 160000
_MAINTAIN_FROM = 170000


def alike(attribute: str, source: Any, target: Any, versions: tuple[int, int]) -> bool:
    """True if two values of an attribute mean the same on servers of these versions."""
    if source == target:
        return True
    if not isinstance(source, str) or not isinstance(target, str):
        return False
    if attribute in _LITERAL:
        return False
    ours, theirs = (tokens(cast_elements(text)) for text in (source, target))
    if ours == theirs:
        return True
    if attribute == "query" and min(versions) < _UNQUALIFIED_FROM <= max(versions):
        older, newer = (ours, theirs) if versions[0] < versions[1] else (theirs, ours)
        return unqualified(older, newer)
    return False


def normal_grants(doc: Doc, versions: tuple[int, int]) -> Doc:
    """`doc` with its grants in order, the owner by that name, and without privileges that
    only one of the two versions knows."""
    if "grants" not in doc:
        return {**doc, "grants": []}
    owner = doc.get("owner")
    unknown = {"MAINTAIN"} if min(versions) < _MAINTAIN_FROM else set()
    lines = {
        f"{'the owner' if who == owner else who}: {what}{' with grant option' * bool(grantable)}"
        for who, what, grantable in doc["grants"]
        if what not in unknown
    }
    return {**doc, "grants": sorted(lines)}


def tokens(text: str) -> list[str]:
    """The words of an SQL text; how it is laid out does not matter."""
    return [token for token in _TOKEN.findall(text) if not token.isspace()]


_ARRAY = re.compile(r"\(ARRAY\[([^\[\]]*)\]\)::((?:[^\[\]()]|\(\d+(?:,\d+)?\))+)\[\]")
_ELEMENT = re.compile(r"(?:'(?:[^']|'')*'|[^',])+")


def cast_elements(text: str) -> str:
    """Write `(ARRAY[a, b])::t[]` as `ARRAY[(a)::t, (b)::t]`.

    The first is how `column IN ('a', 'b')` of a varchar reads where it was made, the
    second how it reads once that text has been parsed again.
    """

    def spread(match: re.Match[str]) -> str:
        elements = [element.strip() for element in _ELEMENT.findall(match[1])]
        return "ARRAY[" + ", ".join(f"({element})::{match[2]}" for element in elements) + "]"

    return _ARRAY.sub(spread, text)


def unqualified(older: list[str], newer: list[str]) -> bool:
    """True if `newer` is `older` without the name of the one relation before its columns.

    Since version 16 a query over a single relation is written so.
    """
    qualifier: str | None = None
    at = 0
    for place, token in enumerate(newer):
        if older[at + 1 : at + 3] == [".", token] and newer[place + 1 : place + 2] != ["."]:
            if qualifier not in (None, older[at]):
                return False
            qualifier = older[at]
            at += 3
        elif older[at : at + 1] == [token]:
            at += 1
        else:
            return False
    return at == len(older)


def shown(value: Any) -> str | None:
    """A value of an attribute as people read it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False)


def summary(doc: Doc) -> str:
    """What an object is, in a line: for one that stands on one side only."""
    for attribute in ("definition", "query", "type", "kind", "version"):
        if isinstance(doc.get(attribute), str):
            return " ".join(str(doc[attribute]).split())
    return "present"
