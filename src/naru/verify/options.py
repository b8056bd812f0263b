"""What a comparison covers, and how much of two servers it may use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from naru.errors import UsageError
from naru.verify.equality import EXACT, Equality
from naru.verify.held import ALWAYS, HeldLimit
from naru.verify.load import FREE, Restraint
from naru.verify.naming import matches, table_matches
from naru.verify.verdict import SequenceState

SequenceValues = Mapping[str, SequenceState | tuple[int, bool]]
"""Last value and is_called, by `schema.name` as format('%I.%I') writes it."""


@dataclass(frozen=True)
class Options:
    """How to compare.

    `jobs` is the number of workers on each side. `tables` are shell patterns on
    `schema.table` (or on `table` alone); given, only these tables and what hangs on them
    are compared. `except_tables` are left out, `except_columns` (`schema.table.column`) are
    when rows are compared. `equal` are rules by which different values count as the same.
    `sequence_values` are values recorded earlier (source, target), as at a cutover, taken
    instead of reading them now. `live_seconds` is the deadline for rows that keep changing,
    `slot` the logical slot on the source that feeds the target. With a ledger: `resume` goes on
    with a run that was stopped, `again` passes over tables that have not changed since they
    were found equal, unless that was `recheck_seconds` ago or more. `at_most_seconds` after
    its start a run begins with no further table. With `values` rows are named with the values
    that differ, cut short. `restraint` spares the servers, `stop_when` bounds what its snapshots
    hold back on them.
    """

    jobs: int = 2
    tables: tuple[str, ...] = ()
    except_tables: tuple[str, ...] = ()
    except_columns: tuple[str, ...] = ()
    equal: Equality = EXACT
    schema: bool = True
    rows: bool = True
    sequences: bool = True
    large_objects: bool = True
    materialized_rows: bool = False
    strict: bool = False
    max_differences: int = 100
    values: bool = False
    sequence_values: tuple[SequenceValues, SequenceValues] | None = None
    live: bool = False
    live_seconds: float = 60.0
    slot: str | None = None
    resume: bool = False
    again: bool = False
    recheck_seconds: float | None = None
    at_most_seconds: float | None = None
    restraint: Restraint = FREE
    stop_when: tuple[HeldLimit, ...] = ALWAYS

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise UsageError(f"jobs must be 1 or more, not {self.jobs}")
        if self.resume and self.again:
            raise UsageError(
                "--resume goes on with a run, and --again begins one: give one of them"
            )
        if self.max_differences < 1:
            raise UsageError(f"max-differences must be 1 or more, not {self.max_differences}")

    def covers(self, table: str) -> bool:
        """True if `table`, written as `schema.table`, is to be compared."""
        if any(table_matches(table, pattern) for pattern in self.except_tables):
            return False
        return not self.tables or any(table_matches(table, pattern) for pattern in self.tables)

    def covers_column(self, column: str) -> bool:
        """True if `column`, written as `schema.table.column`, is to be compared in its rows."""
        return not any(matches(column, pattern) for pattern in self.except_columns)
