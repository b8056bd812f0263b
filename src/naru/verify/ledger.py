"""What comparisons have found, table by table, kept in a file of our own between runs."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from naru.errors import NotPermittedError
from naru.system import private_folder
from naru.verify.memory import HalfRead
from naru.verify.standing import Standing
from naru.verify.verdict import TableVerdict

FILE = "comparisons.sqlite"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS run (
    id INTEGER PRIMARY KEY, pair TEXT NOT NULL, began REAL NOT NULL, ended REAL);
CREATE TABLE IF NOT EXISTS compared (
    pair TEXT NOT NULL, name TEXT NOT NULL, run INTEGER NOT NULL REFERENCES run,
    terms TEXT NOT NULL, at REAL NOT NULL, same INTEGER NOT NULL, source TEXT, target TEXT,
    verdict TEXT NOT NULL, PRIMARY KEY (pair, name));
CREATE TABLE IF NOT EXISTS half (
    pair TEXT NOT NULL, name TEXT NOT NULL, side TEXT NOT NULL, terms TEXT NOT NULL,
    read TEXT NOT NULL, PRIMARY KEY (pair, name, side));
"""


@dataclass(frozen=True)
class Earlier:
    """How a table was found at its last comparison, and how both sides stood before it."""

    run: int
    terms: str
    at: float
    same: bool
    source: Standing
    target: Standing
    verdict: TableVerdict


class Ledger:
    """One SQLite file. Safe from several threads and processes, and against being killed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._run = 0
        self._pair = ""
        try:
            if not path.parent.exists():
                private_folder(path.parent)
            self._db = sqlite3.connect(
                path, isolation_level=None, timeout=30, check_same_thread=False
            )
            path.chmod(0o600)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise NotPermittedError(
                f"{path}: results cannot be kept there: {error}",
                remedy="name another folder with --state",
            ) from error

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        """The ledger in this folder of state; made if missing."""
        return cls(folder / FILE)

    def begin(self, pair: str, *, resume: bool) -> bool:
        """Start a run over two databases, or go on with the last one if it never ended.

        True if it goes on with one.
        """
        self._pair = pair
        if resume:
            found = self._do(
                "SELECT id FROM run WHERE pair = ? AND ended IS NULL"
                " AND id = (SELECT max(id) FROM run WHERE pair = ?)",
                pair, pair,
            ).fetchone()  # fmt: skip
            if found:
                self._run = int(found[0])
                return True
        cursor = self._do("INSERT INTO run (pair, began) VALUES (?, ?)", pair, time.time())
        self._run = int(cursor.lastrowid or 0)
        return False

    @property
    def run(self) -> int:
        """The run under way."""
        return self._run

    def end(self) -> None:
        """The run has come to its end: there is nothing to go on with."""
        self._do("UPDATE run SET ended = ? WHERE id = ?", time.time(), self._run)

    def earlier(self, table: str) -> Earlier | None:
        """The last comparison of a table, in whatever run."""
        row = self._do(
            "SELECT run, terms, at, same, source, target, verdict FROM compared"
            " WHERE pair = ? AND name = ?",
            self._pair, table,
        ).fetchone()  # fmt: skip
        if row is None:
            return None
        source, target = (Standing.from_json(json.loads(text)) for text in row[4:6])
        shape: dict[str, Any] = json.loads(row[6])
        verdict = TableVerdict(
            table, shape["rows"], shape["target_rows"], loosened=tuple(shape["loosened"]),
            compared_at=row[2], kept=True,
        )  # fmt: skip
        return Earlier(row[0], row[1], row[2], bool(row[3]), source, target, verdict)

    def note(self, verdict: TableVerdict, terms: str, source: Standing, target: Standing) -> None:
        """Keep how a table was found, in place of what was known of it."""
        shape = {"rows": verdict.rows, "target_rows": verdict.target_rows,
                 "found": verdict.found, "loosened": list(verdict.loosened)}  # fmt: skip
        self._do(
            "INSERT OR REPLACE INTO compared VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            self._pair, verdict.table, self._run, terms, verdict.compared_at or time.time(),
            int(verdict.same), json.dumps(source.to_json()), json.dumps(target.to_json()),
            json.dumps(shape),
        )  # fmt: skip

        self._do("DELETE FROM half WHERE pair = ? AND name = ?", self._pair, verdict.table)

    def half(self, table: str, side: str, terms: str) -> HalfRead | None:
        """What was read of one side of a table whose comparison never ended."""
        row = self._do(
            "SELECT read FROM half WHERE pair = ? AND name = ? AND side = ? AND terms = ?",
            self._pair, table, side, terms,
        ).fetchone()  # fmt: skip
        return HalfRead.from_json(row[0]) if row else None

    def keep_half(self, table: str, side: str, terms: str, read: HalfRead) -> None:
        """Keep what was read so far of one side of a table."""
        self._do("INSERT OR REPLACE INTO half VALUES (?, ?, ?, ?, ?)",
                 self._pair, table, side, terms, read.to_json())  # fmt: skip

    def close(self) -> None:
        """Close the file; harmless when called again."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _do(self, statement: str, *values: Any) -> sqlite3.Cursor:
        with self._lock:
            return self._db.execute(statement, values)
