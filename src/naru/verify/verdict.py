"""What a comparison found, frozen, and its JSON shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple


def moment(seconds: float) -> str:
    """A point in time, in seconds since the epoch, as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


RowKind = Literal["changed", "missing", "extra"]
"""`missing`: only in the source. `extra`: only in the target."""


class Excerpt(NamedTuple):
    """Some bytes of a value of `size` bytes: `length` of them from `start`, as text or in hex."""

    start: int
    size: int
    length: int
    text: str
    binary: bool = False


class ValuePair(NamedTuple):
    """One column of a row on both sides; None is NULL, or a row that this side has not.

    Not `searched`: where two long values first differ was not looked for.
    """

    column: str
    source: Excerpt | None
    target: Excerpt | None
    searched: bool = True


@dataclass(frozen=True)
class RowDifference:
    """One row that differs, named by its key; a table without one names it by its columns.

    `columns` are those that differ in a changed row. `count` is how many equal rows of a
    table without a key are missing or extra. `values` are there only if they were asked for.
    """

    kind: RowKind
    key: Mapping[str, Any]
    columns: tuple[str, ...] = ()
    count: int = 1
    values: tuple[ValuePair, ...] = ()

    def to_json(self) -> dict[str, Any]:
        shape: dict[str, Any] = {
            "kind": self.kind, "key": dict(self.key), "columns": list(self.columns)
        }  # fmt: skip
        if self.count != 1:
            shape["count"] = self.count
        return shape


@dataclass(frozen=True)
class TableVerdict:
    """One table. `rows` are the source's; `found` counts all differences, named or not."""

    table: str
    rows: int = 0
    target_rows: int = 0
    found: int = 0
    differences: tuple[RowDifference, ...] = ()
    kinds: Mapping[RowKind, int] = field(default_factory=dict)
    """How many of the differences found are of each kind."""
    pending: tuple[RowDifference, ...] = ()
    """Rows that kept changing until the deadline of a live comparison."""
    pending_found: int = 0
    looked_again: int = 0
    """Rows that differed in the snapshots of a live comparison, and were looked at again."""
    reason: str | None = None
    """Why the rows could not be compared, such as a table missing on one side."""
    loosened: tuple[str, ...] = ()
    """Columns that were compared under a rule, as `column: rule`."""
    compared_at: float | None = None
    """Just before its snapshots were taken, in seconds since the epoch; None if they were given."""
    kept: bool = False
    """True if an earlier run compared it, and it has not changed since."""

    @property
    def same(self) -> bool:
        return not self.found and not self.pending_found and self.reason is None

    def to_json(self) -> dict[str, Any]:
        shape: dict[str, Any] = {
            "table": self.table,
            "rows": self.rows,
            "same": self.same,
            "target_rows": self.target_rows,
            "differences_found": self.found,
            "differences": [difference.to_json() for difference in self.differences],
        }
        if self.kinds:
            shape["kinds"] = dict(self.kinds)
        if self.looked_again:
            shape["looked_again"] = self.looked_again
        if self.pending_found:
            shape["pending_found"] = self.pending_found
            shape["pending"] = [difference.to_json() for difference in self.pending]
        if self.reason:
            shape["reason"] = self.reason
        if self.loosened:
            shape["loosened"] = list(self.loosened)
        if self.compared_at is not None:
            shape["compared_at"] = moment(self.compared_at)
        if self.kept:
            shape["kept"] = True
        return shape


@dataclass(frozen=True)
class SchemaDifference:
    """One attribute of one object that differs; None stands for a side that lacks it."""

    object: str
    kind: str
    attribute: str
    source: str | None
    target: str | None
    mend: str | None = None
    """The statement for the target that mends it, where one plain statement does."""

    def to_json(self) -> dict[str, Any]:
        return {
            "object": self.object,
            "kind": self.kind,
            "attribute": self.attribute,
            "source": self.source,
            "target": self.target,
            "mend": self.mend,
        }


class SequenceState(NamedTuple):
    """Where a sequence stands: its next value is `last_value`, plus one step if called."""

    last_value: int
    is_called: bool

    def to_json(self) -> dict[str, Any]:
        return {"last_value": self.last_value, "is_called": self.is_called}


@dataclass(frozen=True)
class SequenceDifference:
    """A sequence that stands elsewhere; None stands for a side that lacks it."""

    sequence: str
    source: SequenceState | None
    target: SequenceState | None

    def to_json(self) -> dict[str, Any]:
        return {
            "sequence": self.sequence,
            "source": self.source.to_json() if self.source else None,
            "target": self.target.to_json() if self.target else None,
        }


@dataclass(frozen=True)
class LargeObjectDifference:
    """A large object; `what` are the parts that differ: content, size, owner, grants."""

    oid: int
    kind: RowKind
    what: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"oid": self.oid, "kind": self.kind, "what": list(self.what)}


@dataclass(frozen=True)
class LargeObjectVerdict:
    """All large objects. Not compared: `reason` says why."""

    count: int = 0
    bytes: int = 0
    found: int = 0
    differences: tuple[LargeObjectDifference, ...] = ()
    reason: str | None = None

    @property
    def compared(self) -> bool:
        return self.reason is None

    @property
    def same(self) -> bool:
        return not self.found

    def to_json(self) -> dict[str, Any]:
        return {
            "compared": self.compared,
            "same": self.same if self.compared else None,
            "count": self.count,
            "bytes": self.bytes,
            "differences_found": self.found,
            "differences": [difference.to_json() for difference in self.differences],
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Verdict:
    """Are the two databases the same, and where are they not.

    `not_compared` names what was left out and why; `notes` are allowed deviations, such
    as versions of extensions, which count only when `strict`.
    """

    rows: int
    seconds: float
    tables: tuple[TableVerdict, ...]
    schema: tuple[SchemaDifference, ...]
    sequences: tuple[SequenceDifference, ...]
    large_objects: LargeObjectVerdict
    sequences_compared: int = 0
    notes: tuple[SchemaDifference, ...] = ()
    not_compared: tuple[str, ...] = ()
    strict: bool = False
    live: bool = False
    not_reached: Mapping[str, float | None] = field(default_factory=dict)
    """Tables that a run of bounded time did not get to, and when each was last compared."""
    cut_off: tuple[str, ...] = ()
    """What was left because snapshots had to be given back, and why."""
    still_until: float | None = None
    """Up to when changes since an earlier run, in tables that it has read, would be known."""
    method: Mapping[str, Any] = field(default_factory=dict)

    @property
    def same(self) -> bool:
        """True only if nothing that was compared differs, and nothing is pending."""
        return (
            all(table.same for table in self.tables)
            and not self.schema
            and not self.sequences
            and self.large_objects.same
            and not (self.strict and self.notes)
        )

    @property
    def whole(self) -> bool:
        """False if something that was to be compared had to be left."""
        return not (self.not_reached or self.cut_off)

    @property
    def differences(self) -> int:
        """How many differences were found in all, named or not; pending rows not counted."""
        tables = sum(table.found + (table.reason is not None) for table in self.tables)
        notes = len(self.notes) if self.strict else 0
        others = len(self.schema) + len(self.sequences) + self.large_objects.found
        return tables + notes + others

    @property
    def kept(self) -> tuple[TableVerdict, ...]:
        """The tables that were not read again, since they had not changed."""
        return tuple(table for table in self.tables if table.kept)

    @property
    def carried(self) -> tuple[TableVerdict, ...]:
        """The tables of which something was read in an earlier run: all of it, or parts."""
        began = float(self.method.get("started", 0.0))
        return tuple(
            table for table in self.tables
            if table.kept or (table.compared_at is not None and table.compared_at < began)
        )  # fmt: skip

    @property
    def loosened(self) -> tuple[tuple[str, str], ...]:
        """Columns that were compared under a rule: `schema.table.column`, and the rule."""
        pairs = ((table.table, *text.rpartition(": ")) for table in self.tables
                 for text in table.loosened)  # fmt: skip
        return tuple((f"{table}.{column}", rule) for table, column, _, rule in pairs)

    @property
    def pending(self) -> int:
        """How many rows kept changing until the deadline of a live comparison."""
        return sum(table.pending_found for table in self.tables)

    @property
    def looked_again(self) -> int:
        """How many rows a live comparison looked at again, since they may have been changing."""
        return sum(table.looked_again for table in self.tables)

    def to_json(self) -> dict[str, Any]:
        return {
            "same": self.same,
            "rows": self.rows,
            "seconds": round(self.seconds, 3),
            "differences": self.differences,
            "pending": self.pending,
            "looked_again": self.looked_again,
            "tables": [table.to_json() for table in self.tables],
            "schema": [difference.to_json() for difference in self.schema],
            "sequences": [difference.to_json() for difference in self.sequences],
            "sequences_compared": self.sequences_compared,
            "large_objects": self.large_objects.to_json(),
            "notes": [note.to_json() for note in self.notes],
            "not_compared": list(self.not_compared),
            "strict": self.strict,
            "live": self.live,
            "not_reached": {
                name: None if at is None else moment(at) for name, at in self.not_reached.items()
            },
            "still_until": moment(self.still_until) if self.carried and self.still_until else None,
            "method": dict(self.method),
        }
