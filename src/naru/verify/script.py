"""Statements as text that people review and programs apply: one statement, one line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from psycopg import sql

BATCH = 1000
"""How many statements a transaction of a script holds, where it may be divided."""

BEGIN, COMMIT = "BEGIN;", "COMMIT;"

_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "'": "''"})


def literal(value: str | None) -> sql.SQL:
    """A value as its type's output function wrote it, on one line."""
    if value is None:
        return sql.SQL("NULL")
    escaped = value.translate(_ESCAPES)
    prefix = "E" if set(value) & set("\\\n\r") else ""
    return sql.SQL(f"{prefix}'{escaped}'")


def line(text: str, **parts: sql.Composable) -> str:
    """A statement put together from `text` and its parts, with its semicolon."""
    return sql.SQL(text).format(**parts).as_string() + ";"


def on_one_line(text: str) -> str:
    """What stands in a comment: a line's end in a name would end the comment."""
    return " ".join(text.splitlines())


def names(columns: Iterable[str]) -> sql.Composed:
    """Columns, separated by commas."""
    return sql.SQL(", ").join(sql.Identifier(column) for column in columns)


def values(row: Iterable[str | None]) -> sql.Composed:
    """Values, separated by commas."""
    return sql.SQL(", ").join(literal(value) for value in row)


def equal(columns: Sequence[str], row: Sequence[str | None]) -> sql.Composed:
    """The condition that a row has this key."""
    return sql.SQL(" AND ").join(
        sql.SQL("{} = {}").format(sql.Identifier(column), literal(value))
        for column, value in zip(columns, row, strict=True)
    )


def batches(lines: Iterable[str]) -> Iterator[str]:
    """Lines within transactions of at most BATCH statements."""
    count = 0
    for one in lines:
        if count % BATCH == 0:
            yield BEGIN
        yield one
        count += 1
        if count % BATCH == 0:
            yield COMMIT
    if count % BATCH:
        yield COMMIT


def together(lines: Iterable[str]) -> Iterator[str]:
    """Lines within one transaction, if there are any."""
    began = False
    for one in lines:
        if not began:
            yield BEGIN
            began = True
        yield one
    if began:
        yield COMMIT


def read(path: Path) -> Iterator[str]:
    """The statements of a script, without comments and what is for psql only."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", newline="\n") as file:
        for text in file:
            statement = text.rstrip("\n")
            if statement and not statement.startswith(("--", "\\")):
                yield statement


def children_first(tables: Sequence[str], references: Mapping[str, set[str]]) -> list[str]:
    """`tables` so that each stands before those it references; cycles break anywhere."""
    wanted, placed = set(tables), set[str]()
    parents_first: list[str] = []
    for start in sorted(tables):
        stack = [(start, False)]
        while stack:
            table, finished = stack.pop()
            if finished:
                parents_first.append(table)
            elif table not in placed:
                placed.add(table)
                stack.append((table, True))
                stack += [(one, False) for one in references.get(table, set()) & wanted - placed]
    return parents_first[::-1]
