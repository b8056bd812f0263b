"""The comparison of two databases, from the schema to the last row."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

from naru.errors import UsageError
from naru.postgres import Connection, Dsn, fetch_value
from naru.system import SILENT, Observer
from naru.verify.hashing import Agreement, agree
from naru.verify.large_objects import compare_large_objects
from naru.verify.options import Options, SequenceValues
from naru.verify.repair import MOST_LARGE_OBJECTS, Repair
from naru.verify.schema import SchemaComparison, is_note
from naru.verify.selection import left_out_columns
from naru.verify.sequences import compare_sequences, read_sequences
from naru.verify.side import Side
from naru.verify.tables import Pair, TableComparison
from naru.verify.verdict import (
    LargeObjectVerdict,
    SchemaDifference,
    SequenceDifference,
    SequenceState,
    TableVerdict,
    Verdict,
)

_MOST_SCHEMA = 10_000
_POSITION = (
    "SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
    " ELSE pg_current_wal_lsn() END)::text"
)


def compare(
    source: Dsn,
    target: Dsn,
    *,
    options: Options | None = None,
    source_snapshot: str | None = None,
    target_snapshot: str | None = None,
    observer: Observer = SILENT,
    repair: Repair | None = None,
) -> Verdict:
    """Are two databases the same? Reads only; nothing is written on either side.

    With snapshots (as exported by another session, which must stay open) everything but
    sequences is read exactly at them; without, each table has one snapshot a side.
    With `repair` a script is written as well that makes the target like the source.
    Raises UnreachableError or NotPermittedError when a side cannot be read.
    """
    options = options or Options()
    if repair and options.live:
        raise UsageError("a repair needs both sides at rest, and --live says they are not")
    if repair and options.equal.rules:
        raise UsageError("a repair makes rows exactly alike, and --equal says they need not be")
    sides = (
        Side("source", source, source_snapshot),
        Side("target", target, target_snapshot),
    )
    with _closing(sides), closing(repair) if repair else nullcontext():
        return _Comparison(sides, options, observer, repair).verdict()


@contextmanager
def _closing(sides: tuple[Side, Side]) -> Iterator[None]:
    try:
        yield
    finally:
        for side in sides:
            side.close()


class _Comparison:
    """One run: holds the control connections, and goes through what options ask for."""

    def __init__(
        self,
        sides: tuple[Side, Side],
        options: Options,
        observer: Observer,
        repair: Repair | None,
    ) -> None:
        self._sides = sides
        self._options = options
        self._observer = observer
        self._repair = repair
        self._left_out: list[str] = []
        self._control: Pair = (sides[0].connect(), sides[1].connect())

    def verdict(self) -> Verdict:
        started, moment, begin = time.monotonic(), time.time(), self._positions()
        if left_out := left_out_columns(self._sides, self._control, self._options):
            self._left_out.append(f"columns: {', '.join(left_out)} (--except-column)")
        if self._options.except_tables:
            patterns = ", ".join(self._options.except_tables)
            self._left_out.append(f"tables: {patterns} (--except)")
        self._observer.step("agree on a hash", "running")
        agreement = agree(self._sides, self._control)
        self._observer.step("agree on a hash", "done")
        with self._reading():
            differences, notes = self._step("compare the schema", self._schema)
        with self._reading(only_given=True):
            tables = self._step("compare rows", lambda: self._tables(agreement))
        with self._reading():
            sequences, count = self._step("compare sequences", self._sequences)
        with self._reading():
            large = self._step("compare large objects", lambda: self._large_objects(agreement))
        if large.reason:
            self._left_out.append(f"large objects: {large.reason}")
        verdict = Verdict(
            rows=sum(table.rows for table in tables),
            seconds=time.monotonic() - started,
            tables=tables,
            schema=differences,
            sequences=sequences,
            large_objects=large,
            sequences_compared=count,
            notes=notes,
            not_compared=tuple(self._left_out),
            strict=self._options.strict,
            live=self._options.live,
            method=self._method(agreement) | {"started": moment, **self._at("begin", begin)},
        )
        if self._repair:
            with self._reading():
                self._repair.write(self._sides, self._control, verdict)
        return verdict

    @contextmanager
    def _reading(self, *, only_given: bool = False) -> Iterator[None]:
        """A transaction on both sides; `only_given`: only where a snapshot was given.

        Comparing rows takes long, and snapshots of its own that end with each table.
        """
        with ExitStack() as stack:
            for side, connection in zip(self._sides, self._control, strict=True):
                if only_given and side.snapshot is None:
                    continue
                stack.enter_context(side.reading(connection, "reading the catalogs"))
            yield

    def _step(self, title: str, work: Any) -> Any:
        self._observer.step(title, "running")
        try:
            result = work()
        except BaseException:
            self._observer.step(title, "failed")
            raise
        self._observer.step(title, "done")
        return result

    def _schema(self) -> tuple[tuple[SchemaDifference, ...], tuple[SchemaDifference, ...]]:
        if not self._options.schema:
            self._left_out.append("schema: not asked for")
            return (), ()
        found: list[SchemaDifference] = []
        notes: list[SchemaDifference] = []
        comparison = SchemaComparison(self._sides, self._control, self._options)
        for difference in comparison.differences():
            into = notes if is_note(difference) else found
            if len(into) == _MOST_SCHEMA:
                self._left_out.append(f"schema: more than {_MOST_SCHEMA} differences")
                break
            into.append(difference)
        return tuple(found), tuple(notes)

    def _tables(self, agreement: Agreement) -> tuple[TableVerdict, ...]:
        if not self._options.rows:
            self._left_out.append("rows: not asked for")
            return ()
        if not self._options.materialized_rows:
            self._left_out.append("rows of materialized views: not asked for")
        comparison = TableComparison(
            self._sides, agreement, self._options, self._observer, self._repair
        )
        try:
            return tuple(comparison.verdicts(self._control))
        except BaseException:
            comparison.abort()
            raise
        finally:
            comparison.shutdown()

    def _sequences(self) -> tuple[tuple[SequenceDifference, ...], int]:
        reason = self._no_sequences()
        if reason:
            self._left_out.append(f"values of sequences: {reason}")
            return (), 0
        recorded = self._options.sequence_values
        streams = (
            [_in_order(values) for values in recorded]
            if recorded
            else [
                read_sequences(side, connection)
                for side, connection in zip(self._sides, self._control, strict=True)
            ]
        )
        count, found = 0, []
        for difference in compare_sequences(*streams):
            count += 1
            if difference:
                found.append(difference)
        return tuple(found), count

    def _no_sequences(self) -> str | None:
        if not self._options.sequences:
            return "not asked for"
        if self._options.tables:
            return "only some tables are compared"
        if self._options.live:
            return "replication does not carry them; they are set at the cutover"
        return None

    def _large_objects(self, agreement: Agreement) -> LargeObjectVerdict:
        if not self._options.large_objects:
            return LargeObjectVerdict(reason="not asked for")
        if self._options.tables:
            return LargeObjectVerdict(reason="only some tables are compared")
        most = self._options.max_differences
        if not self._repair:
            return compare_large_objects(self._sides, self._control, agreement, most)
        found = compare_large_objects(self._sides, self._control, agreement, MOST_LARGE_OBJECTS)
        self._repair.large_objects = found.differences
        return replace(found, differences=found.differences[:most])

    def _method(self, agreement: Agreement) -> dict[str, Any]:
        return {
            "hash": agreement.method,
            "equal": {str(rule): rule.meaning.says for rule in self._options.equal.rules},
            "binary_types": sorted(agreement.trusted),
            "source_version": _version(self._control[0]),
            "target_version": _version(self._control[1]),
            "source_snapshot": self._sides[0].snapshot,
            "target_snapshot": self._sides[1].snapshot,
            **self._at("end", self._positions()),
        }

    def _at(self, when: str, positions: list[str]) -> dict[str, str]:
        return {
            f"{side.name}_{when}": found for side, found in zip(self._sides, positions, strict=True)
        }

    def _positions(self) -> list[str]:
        """Where the WAL of both sides ends now."""
        found = []
        for side, connection in zip(self._sides, self._control, strict=True):
            with side.explained("reading its position"):
                found.append(str(fetch_value(connection, _POSITION)))
        return found


def _version(connection: Connection) -> str:
    return str(connection.info.parameter_status("server_version"))


def _in_order(values: SequenceValues) -> Iterator[tuple[str, SequenceState]]:
    for name in sorted(values):
        yield name, SequenceState(*values[name])
