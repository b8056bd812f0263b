"""How far a comparison of rows has got: against estimates, corrected as tables are counted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from naru.system import Observer


class RowsProgress:
    """Counts rows as either side reads them; a row counts whole once both sides have.

    A table counts as its estimate until more rows than that are seen, or it is done.
    """

    def __init__(self, observer: Observer, rows: int, tables: int) -> None:
        self._observer = observer
        self._lock = threading.Lock()
        self._halves = 0
        self._expected = 2 * rows
        self._tables = tables
        self._ended = 0
        self._waiting: str | None = None
        self._held = ""
        self._looking: list[str] = []

    def table(self, estimate: int) -> TableProgress:
        """Begin to count a table of about `estimate` rows, which are among those expected."""
        return TableProgress(self, 2 * estimate)

    def wait(self, reason: str | None) -> None:
        """Say why nothing goes on (None: it does)."""
        self._waiting = reason
        self.add(0, 0)

    def hold(self, text: str) -> None:
        """Say what our snapshots hold back on the servers; empty: nothing worth a word."""
        self._held = text

    def look(self, table: str, *, ended: bool = False) -> None:
        """Say that rows of a table are looked at one by one, or that this is over."""
        with self._lock:
            (self._looking.remove if ended else self._looking.append)(table)
        self.add(0, 0)

    def add(self, halves: int, expected: int, *, ended: bool = False) -> None:
        """Note rows read, and by how much more or fewer there are than thought."""
        with self._lock:
            self._halves += halves
            self._expected += expected
            self._ended += ended
            done, total = self._halves // 2, max(self._expected, self._halves) // 2
            detail = f"{self._ended:,} of {self._tables:,} tables"
            if self._looking:
                detail += f"; looking at rows of {self._looking[0]} that differ"
            if self._waiting:
                detail = f"waits: {self._waiting}"
            if self._held:
                detail += f"; snapshots: {self._held}"
        # Equal figures would end the line, and rows that differ are still to be looked at.
        self._observer.progress("rows compared", done, max(total, done + 1), "rows", detail=detail)

    def end(self) -> None:
        """All tables are done."""
        rows = self._halves // 2
        self._observer.progress("rows compared", rows, rows, "rows")


class TableProgress:
    """The count of one table; both sides' workers share it."""

    def __init__(self, whole: RowsProgress, expected: int) -> None:
        self._whole = whole
        self._expected = expected
        self._lock = threading.Lock()
        self._halves = 0

    def count(self, rows: int) -> None:
        """So many rows were read on one side."""
        with self._lock:
            before = max(self._expected, self._halves)
            self._halves += rows
            more = max(self._expected, self._halves) - before
        self._whole.add(rows, more)

    @contextmanager
    def looking(self, table: str) -> Iterator[None]:
        """While rows that differ are looked at, which counts no further row."""
        self._whole.look(table)
        try:
            yield
        finally:
            self._whole.look(table, ended=True)

    def end(self) -> None:
        """The table is done: from here on it counts as what was read."""
        self._whole.add(0, self._halves - max(self._expected, self._halves), ended=True)
