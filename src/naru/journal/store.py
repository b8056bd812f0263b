"""The journal's file and what can be written to it and read back."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from naru.errors import StoppedError, UsageError

FILE = "journal.sqlite"
"""What a journal is called in an environment's folder of state."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS run (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL,
    started REAL NOT NULL, ended REAL, outcome TEXT);
CREATE TABLE IF NOT EXISTS step (
    run INTEGER NOT NULL REFERENCES run, name TEXT NOT NULL, state TEXT NOT NULL,
    started REAL, ended REAL, PRIMARY KEY (run, name));
CREATE TABLE IF NOT EXISTS event (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES run, at REAL NOT NULL,
    kind TEXT NOT NULL, text TEXT NOT NULL, data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS figure (
    run INTEGER NOT NULL REFERENCES run, name TEXT NOT NULL, value TEXT NOT NULL,
    unit TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (run, name));
CREATE TABLE IF NOT EXISTS sample (
    run INTEGER NOT NULL REFERENCES run, series TEXT NOT NULL, at REAL NOT NULL,
    data TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS sample_of_run ON sample (run, series, at);
CREATE TABLE IF NOT EXISTS memory (
    run INTEGER NOT NULL REFERENCES run, key TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (run, key));
"""


@dataclass(frozen=True)
class Event:
    """Something that happened; `at` in seconds since the epoch, `kind` as `room.what`."""

    at: float
    kind: str
    text: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Figure:
    """A measured value with its unit (`ms`, `s`, `bytes`, `rows`, or empty)."""

    name: str
    value: Any
    unit: str


@dataclass(frozen=True)
class Sample:
    """One point of a series."""

    at: float
    data: Mapping[str, Any]


@dataclass(frozen=True)
class StepState:
    """Where a step stands: `running`, `done` or `failed`; times since the epoch."""

    name: str
    state: str
    started: float | None
    ended: float | None


class Journal:
    """One SQLite file. Safe from several threads and several processes.

    Every use of it raises StoppedError when the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                path, isolation_level=None, timeout=30, check_same_thread=False
            )
            path.chmod(0o600)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        """The journal of the environment whose state is in `folder`; made if missing."""
        return cls(folder / FILE)

    def begin(self, kind: str, name: str) -> Run:
        """Start a new run of `kind` (`migrate`, `drill`, `demo` …)."""
        cursor = self._do("INSERT INTO run (kind, name, started) VALUES (?, ?, ?)",
                          kind, name, time.time())  # fmt: skip
        return Run(self, int(cursor.lastrowid or 0))

    def latest(self, kind: str, name: str | None = None, *, open_only: bool = False) -> Run | None:
        """The newest run of `kind` (and `name`), or None; `open_only`: only one not ended."""
        query = "SELECT id FROM run WHERE kind = ?"
        values: list[Any] = [kind]
        if name is not None:
            query += " AND name = ?"
            values.append(name)
        if open_only:
            query += " AND ended IS NULL"
        row = self._do(query + " ORDER BY id DESC LIMIT 1", *values).fetchone()
        return Run(self, row[0]) if row else None

    def runs(self) -> list[Run]:
        """Every run, oldest first."""
        return [Run(self, row[0]) for row in self._do("SELECT id FROM run ORDER BY id")]

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _do(self, query: str, *values: Any) -> sqlite3.Cursor:
        with self._lock, self._explained():
            return self._db.execute(query, values)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            said = error.strerror if isinstance(error, OSError) else str(error)
            raise StoppedError(
                f"the journal {self.path} cannot be read or written: {said}",
                remedy="make room on its disk, and see that its folder is there and yours (as root"
                " where naru was run as root); then run the same command again",
            ) from error


class Run:
    """One piece of work in the journal: its steps, events, figures, samples and memory."""

    def __init__(self, journal: Journal, number: int) -> None:
        self.journal = journal
        self.number = number

    @property
    def kind(self) -> str:
        return str(self._one("kind"))

    @property
    def name(self) -> str:
        return str(self._one("name"))

    @property
    def started(self) -> float:
        return float(self._one("started"))

    @property
    def ended(self) -> float | None:
        value = self._one("ended")
        return None if value is None else float(value)

    @property
    def outcome(self) -> str | None:
        """`finished`, `aborted`, `kept`, `broken` … or None while it is open."""
        value = self._one("outcome")
        return None if value is None else str(value)

    def _one(self, column: str) -> Any:
        row = self.journal._do(f"SELECT {column} FROM run WHERE id = ?", self.number).fetchone()  # noqa: S608
        if row is None:
            raise UsageError(f"the journal {self.journal.path} has no run {self.number}")
        return row[0]

    def end(self, outcome: str) -> None:
        """Close the run with one word."""
        self.journal._do("UPDATE run SET ended = ?, outcome = ? WHERE id = ?",
                         time.time(), outcome, self.number)  # fmt: skip

    def event(self, kind: str, text: str, *, at: float | None = None, **data: Any) -> None:
        """Note that something happened: `kind` as `room.what`, `text` for people."""
        self.journal._do(
            "INSERT INTO event (run, at, kind, text, data) VALUES (?, ?, ?, ?, ?)",
            self.number, at or time.time(), kind, text, json.dumps(data, default=str),
        )  # fmt: skip

    def events(self, kind: str | None = None) -> list[Event]:
        """Events in order of time; only of one `kind` if given."""
        rows = self.journal._do(
            "SELECT at, kind, text, data FROM event WHERE run = ? AND kind = coalesce(?, kind)"
            " ORDER BY at, id", self.number, kind,
        )  # fmt: skip
        return [Event(at, what, text, json.loads(data)) for at, what, text, data in rows]

    def figure(self, name: str, value: Any, unit: str = "") -> None:
        """Keep a measured value; a later one of the same name replaces it."""
        self.journal._do(
            "INSERT OR REPLACE INTO figure (run, name, value, unit, at) VALUES (?, ?, ?, ?, ?)",
            self.number, name, json.dumps(value), unit, time.time(),
        )  # fmt: skip

    def figures(self) -> dict[str, Figure]:
        """All figures by name."""
        rows = self.journal._do(
            "SELECT name, value, unit FROM figure WHERE run = ? ORDER BY at", self.number
        )
        return {name: Figure(name, json.loads(value), unit) for name, value, unit in rows}

    def sample(self, series: str, *, at: float | None = None, **data: Any) -> None:
        """Add a point to a series (`lag`, `workload` …)."""
        self.journal._do("INSERT INTO sample (run, series, at, data) VALUES (?, ?, ?, ?)",
                         self.number, series, at or time.time(), json.dumps(data))  # fmt: skip

    def add_samples(self, series: str, samples: Iterable[Sample]) -> None:
        """Add many points at once, all or none."""
        rows = ((self.number, series, one.at, json.dumps(one.data)) for one in samples)
        with self.journal._lock, self.journal._explained():
            self.journal._db.execute("BEGIN IMMEDIATE")
            try:
                self.journal._db.executemany(
                    "INSERT INTO sample (run, series, at, data) VALUES (?, ?, ?, ?)", rows
                )
            except BaseException:
                self.journal._db.execute("ROLLBACK")
                raise
            self.journal._db.execute("COMMIT")

    def samples(self, series: str) -> list[Sample]:
        """The points of a series in order of time."""
        return list(self.each_sample(series))

    def each_sample(self, series: str) -> Iterator[Sample]:
        """The same one by one, for series too long to hold."""
        rows = self.journal._do(
            "SELECT at, data FROM sample WHERE run = ? AND series = ? ORDER BY at",
            self.number, series,
        )  # fmt: skip
        return (Sample(at, json.loads(data)) for at, data in rows)

    def remember(self, key: str, value: Any) -> None:
        """Keep a fact that later steps, or a later process, need. Never a secret."""
        self.journal._do("INSERT OR REPLACE INTO memory (run, key, value) VALUES (?, ?, ?)",
                         self.number, key, json.dumps(value))  # fmt: skip

    def recall(self, key: str, default: Any = None) -> Any:
        """What was remembered under `key`."""
        row = self.journal._do(
            "SELECT value FROM memory WHERE run = ? AND key = ?", self.number, key
        ).fetchone()
        return json.loads(row[0]) if row else default

    def forget(self, key: str) -> None:
        self.journal._do("DELETE FROM memory WHERE run = ? AND key = ?", self.number, key)

    def steps(self) -> list[StepState]:
        """The steps that were begun, in the order they were begun."""
        rows = self.journal._do(
            "SELECT name, state, started, ended FROM step WHERE run = ? ORDER BY rowid",
            self.number,
        )
        return [StepState(*row) for row in rows]

    def step(self, name: str) -> StepState | None:
        """Where one step stands; None if it was never begun."""
        return next((step for step in self.steps() if step.name == name), None)

    def is_done(self, name: str) -> bool:
        """True if the step was completed and not reset since."""
        step = self.step(name)
        return step is not None and step.state == "done"

    def mark(self, name: str, state: str) -> None:
        """Set a step's state: `running`, `done` or `failed`."""
        now = time.time()
        self.journal._do(
            "INSERT INTO step (run, name, state, started) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (run, name) DO UPDATE SET state = excluded.state,"
            " started = CASE WHEN excluded.state = 'running' THEN excluded.started"
            " ELSE started END, ended = ?",
            self.number, name, state, now, None if state == "running" else now,
        )  # fmt: skip

    def reset(self, *names: str) -> None:
        """Forget that steps were done, so that they run again."""
        for name in names:
            self.journal._do("DELETE FROM step WHERE run = ? AND name = ?", self.number, name)
