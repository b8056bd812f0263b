"""What somebody chose by name must exist: a slip of the pen is not a smaller comparison."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from naru.errors import UsageError
from naru.postgres import Connection
from naru.verify.equality import RULES, Rule
from naru.verify.naming import did_you_mean, matches, table_matches, unquoted
from naru.verify.options import Options
from naru.verify.relations import query
from naru.verify.side import Side


class NamedColumn(NamedTuple):
    """A column of a table that can be compared; `type` is the base type of a domain."""

    table: str
    column: str
    type: str

    @property
    def name(self) -> str:
        return f"{self.table}.{self.column}"


def left_out_columns(
    sides: tuple[Side, Side], connections: tuple[Connection, Connection], options: Options
) -> tuple[str, ...]:
    """The columns that `options` leave out, once everything they name has been found.

    Raises UsageError for a pattern that means no table or column, and for a rule that its
    columns' types have no use for; with what was perhaps meant.
    """
    own_rules = [rule for rule in options.equal.rules if rule.columns]
    if not (options.tables or options.except_tables or options.except_columns or own_rules):
        return ()
    columns = {
        column
        for side, connection in zip(sides, connections, strict=True)
        for column in _columns(side, connection)
    }
    for option, patterns in (("--table", options.tables), ("--except", options.except_tables)):
        for pattern in patterns:
            _must_name_a_table(option, pattern, {column.table for column in columns})
    for pattern in options.except_columns:
        _matching("--except-column", pattern, columns)
    for rule in own_rules:
        _must_suit(rule, _matching("--equal", rule.columns or "", columns))
    return tuple(sorted({c.name for c in columns if not options.covers_column(c.name)}))


def _columns(side: Side, connection: Connection) -> Iterator[NamedColumn]:
    with side.reading(connection, "looking for what was named"):
        for row in side.stream(connection, "columns", query("columns.sql")):
            yield NamedColumn(unquoted(row[0]), row[1], row[2])


def _must_name_a_table(option: str, pattern: str, tables: set[str]) -> None:
    if any(table_matches(table, pattern) for table in tables):
        return
    bare = {table.partition(".")[2] for table in tables}
    raise UsageError(
        f"{option} {pattern}: no table or view of either side is called so",
        remedy=did_you_mean(pattern, tables if "." in pattern else bare)
        or "write schema.table, or a pattern such as 'public.user*'",
    )


def _matching(option: str, pattern: str, columns: set[NamedColumn]) -> list[NamedColumn]:
    found = [column for column in columns if matches(column.name, pattern)]
    if not found:
        raise UsageError(
            f"{option} {pattern}: no column of either side is called so",
            remedy=did_you_mean(pattern, {column.name for column in columns})
            or "write schema.table.column, or a pattern such as 'public.*.price'",
        )
    return found


def _must_suit(rule: Rule, columns: list[NamedColumn]) -> None:
    types = RULES[rule.name].types
    if any(column.type in types for column in columns):
        return
    column = min(columns)
    raise UsageError(
        f"--equal {rule.columns}:{rule}: {column.name} is of type {column.type or 'unknown'}",
        remedy=f"{rule.name} is for {', '.join(types)}",
    )
