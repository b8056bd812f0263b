"""The comparison of two databases, from the schema to the last row."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

from naru.errors import NaruError, StoppedError, UsageError
from naru.postgres import Dsn, fetch_one
from naru.system import SILENT, Observer
from naru.system.units import human_seconds
from naru.verify.agenda import Agenda
from naru.verify.hashing import Agreement, agree
from naru.verify.holding import Holdings
from naru.verify.large_objects import compare_large_objects
from naru.verify.ledger import Ledger
from naru.verify.method import describe, positions
from naru.verify.options import Options, SequenceValues
from naru.verify.repair import MOST_LARGE_OBJECTS, Repair
from naru.verify.schema import SchemaComparison, is_note
from naru.verify.selection import left_out_columns
from naru.verify.sequences import compare_sequences, read_sequences
from naru.verify.side import Side, stopped
from naru.verify.tables import Pair, TableComparison
from naru.verify.throttle import Throttle
from naru.verify.verdict import (
    LargeObjectVerdict,
    SchemaDifference,
    SequenceDifference,
    SequenceState,
    TableVerdict,
    Verdict,
)

_MOST_SCHEMA = 10_000
_WHO = (
    "SELECT pg_catalog.pg_postmaster_start_time()::text, pg_catalog.current_setting('port'),"
    " oid::int8 FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()"
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
    ledger: Ledger | None = None,
) -> Verdict:
    """Are two databases the same? Reads only; nothing is written on either side.

    With snapshots (as exported by another session, which must stay open) everything but
    sequences is read exactly at them; without, each table has one snapshot a side.
    With `repair` a script is written as well that makes the target like the source. With
    `ledger` the result of each table is kept there as soon as it is known.
    Raises UnreachableError or NotPermittedError when a side cannot be read.
    """
    options = options or Options()
    if repair and options.live:
        raise UsageError("a repair needs both sides at rest, and --live says they are not")
    if ledger and (source_snapshot or target_snapshot):
        raise UsageError("results are kept only of comparisons that take their own snapshots")
    sides = (
        Side("source", source, source_snapshot),
        Side("target", target, target_snapshot),
    )
    with _closing(sides), closing(repair) if repair else nullcontext():
        return _Comparison(sides, options, observer, repair, ledger).verdict()


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
        ledger: Ledger | None,
    ) -> None:
        self._sides = sides
        self._options = options
        self._observer = observer
        self._repair = repair
        self._ledger = ledger
        self._agenda: Agenda | None = None
        self._paused = 0.0
        self._not_reached: dict[str, float | None] = {}
        self._left_out: list[str] = []
        self._control: Pair = (sides[0].connect(), sides[1].connect())
        self._holdings = Holdings(sides, options.stop_when, observer)

    def verdict(self) -> Verdict:
        """Raises StoppedError when a bound on snapshots was reached that can be taken anew."""
        with self._holdings:
            try:
                return self._verdict()
            except NaruError as error:
                if isinstance(error, StoppedError) or not self._over:
                    raise
                raise stopped(self._over) from error

    @property
    def _over(self) -> str | None:
        """Why snapshots had to be given back, if so."""
        return next((side.over for side in self._sides if side.over), None)

    @property
    def _moment_is_over(self) -> bool:
        """True if the given snapshots had to be given back: what is compared until then counts."""
        return self._over is not None and any(side.snapshot for side in self._sides)

    def _must_be_two(self) -> None:
        """Raise UsageError if both names lead to one database, which is always like itself."""
        who = []
        for side, connection in zip(self._sides, self._control, strict=True):
            with side.explained("asking which server it is"):
                who.append(fetch_one(connection, _WHO))
        if who[0] == who[1]:
            source, target = (side.dsn for side in self._sides)
            raise UsageError(
                f"{source} and {target} are one and the same database",
                remedy="name the two databases that are to be compared",
            )

    def _verdict(self) -> Verdict:
        self._must_be_two()
        started, moment, begin = time.monotonic(), time.time(), self._positions("begin")
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
            not_reached=self._not_reached,
            cut_off=tuple(text for text in self._left_out if self._over and self._over in text),
            still_until=self._agenda.still_until if self._agenda else None,
            method=describe(self._sides, self._control, agreement, self._options)
            | {
                "started": moment,
                "paused_seconds": round(self._paused, 1),
                "held": {name: one.to_json() for name, one in self._holdings.most.items()},
                **begin,
                **self._positions("end"),
            },
        )
        if self._repair:
            with self._reading():
                self._repair.write(self._sides, self._control, verdict)
        return verdict

    def _positions(self, when: str) -> dict[str, str]:
        return positions(self._sides, self._control, when)

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
        try:
            for difference in comparison.differences():
                into = notes if is_note(difference) else found
                if len(into) == _MOST_SCHEMA:
                    self._left_out.append(f"schema: more than {_MOST_SCHEMA} differences")
                    break
                into.append(difference)
        except NaruError:
            if not self._moment_is_over:
                raise
            self._left_out.append(f"a part of the schema: {self._over}")
        return tuple(found), tuple(notes)

    def _tables(self, agreement: Agreement) -> tuple[TableVerdict, ...]:
        if not self._options.rows:
            self._left_out.append("rows: not asked for")
            return ()
        if not self._options.materialized_rows:
            self._left_out.append("rows of materialized views: not asked for")
        agenda = self._agenda = Agenda(
            self._sides, self._control, agreement, self._options, self._ledger
        )
        if not (agenda.entries or agenda.kept):
            self._left_out.append("rows: neither side has a table that was to be compared")
        for line in agenda.said():
            self._observer.note(line)
        comparison = TableComparison(
            self._sides, agenda, agreement, self._options, self._observer, self._repair
        )
        try:
            restraint = self._options.restraint
            self._holdings.tell = comparison.progress.hold
            with Throttle(self._sides, restraint, self._observer, comparison.progress) as throttle:
                found = [*agenda.kept, *comparison.verdicts(self._control)]
            self._paused = throttle.waited
            if self._over and not self._moment_is_over:
                raise stopped(self._over)
            agenda.end()
            self._note_unreached(agenda, {one.table for one in found})
            return tuple(sorted(found, key=lambda one: one.table.encode()))
        except BaseException:
            comparison.abort()
            raise
        finally:
            comparison.shutdown()

    def _note_unreached(self, agenda: Agenda, reached: set[str]) -> None:
        left = [entry for entry in agenda.entries if entry.name not in reached]
        left.sort(key=lambda entry: entry.name.encode())
        self._not_reached = {entry.name: entry.compared_at for entry in left}
        if left:
            within = human_seconds(self._options.at_most_seconds or 0)
            why = self._over or f"not reached within {within}"
            names = ", ".join([*list(self._not_reached)[:3], *["…"][: len(left) // 4]])
            many = "" if len(left) == 1 else "s"
            self._left_out.append(f"rows of {len(left):,} table{many}: {why}: {names}")

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
        if not self._moment_is_over:
            try:
                return self._compared_large_objects(agreement)
            except NaruError:
                if not self._moment_is_over:
                    raise
        return LargeObjectVerdict(reason=self._over)

    def _compared_large_objects(self, agreement: Agreement) -> LargeObjectVerdict:
        most = self._options.max_differences
        if not self._repair:
            return compare_large_objects(self._sides, self._control, agreement, most)
        found = compare_large_objects(self._sides, self._control, agreement, MOST_LARGE_OBJECTS)
        self._repair.large_objects = found.differences
        return replace(found, differences=found.differences[:most])


def _in_order(values: SequenceValues) -> Iterator[tuple[str, SequenceState]]:
    for name in sorted(values):
        yield name, SequenceState(*values[name])
