"""One client of the workload: a transaction when it is due, whatever happens to the server."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from naru.drill.business import Business
from naru.drill.classify import classify, classify_answer
from naru.drill.ledger import INSERT
from naru.drill.pacing import Pacing, backoff
from naru.drill.records import IDS_PER_CLIENT, Outcome, Record
from naru.errors import NaruError
from naru.postgres import Connection, Dsn, connect

CONNECT_SECONDS = 5


class Clock:
    """Time since the epoch that only goes forward, whatever is done to the system's clock."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        return time.monotonic() + self._offset


@dataclass(frozen=True)
class Work:
    """What all clients have in common."""

    dsn: Dsn
    run: str
    pacing: Pacing
    business: Business
    start: float
    clock: Clock
    stopping: threading.Event
    note: Callable[[int, Record], None]
    """Takes client and record as soon as the transaction has ended."""


class Client:
    """Runs until it is told to stop; keeps one connection and replaces it after an error."""

    def __init__(self, work: Work, number: int) -> None:
        self._work = work
        self._number = number
        # Drawing values for a test load, not secrets.
        self._chance = random.Random(f"{work.run} {number}")  # noqa: S311
        self._connection: Connection | None = None
        self._failures = 0
        self._sync_wait_cut = False

    def run(self) -> None:
        work, sequence = self._work, 0
        while self._wait_until(work.start + work.pacing.due(self._number, sequence)):
            sequence += 1
            due = work.start + work.pacing.due(self._number, sequence - 1)
            self._one(self._number * IDS_PER_CLIENT + sequence, due)
            if self._failures:
                work.stopping.wait(backoff(self._failures))
        self._disconnect()

    def _wait_until(self, due: float) -> bool:
        """False when it is time to stop."""
        return not self._work.stopping.wait(max(0.0, due - self._work.clock.now()))

    def _one(self, number: int, due: float) -> None:
        began = self._work.clock.now()
        outcome, reason = self._transact(number)
        self._failures = 0 if outcome is Outcome.ACKNOWLEDGED else self._failures + 1
        done = self._work.clock.now()
        self._work.note(self._number, Record(number, outcome, due, began, done, reason))

    def _transact(self, number: int) -> tuple[Outcome, str]:
        commit_sent = False
        try:
            connection = self._connected()
            connection.execute("BEGIN")
            change = self._work.business.draw(self._chance)
            if change is not None:
                connection.execute(*change)
            connection.execute(INSERT, {"run": self._work.run, "id": number})
            commit_sent = True
            tag = connection.execute("COMMIT").statusmessage
        except (psycopg.Error, NaruError) as error:
            self._disconnect()
            reason = error.sqlstate or type(error).__name__
            return classify(commit_sent=commit_sent, sqlstate=error.sqlstate), reason
        outcome = classify_answer(tag, sync_wait_cut=self._sync_wait_cut)
        if outcome is Outcome.ACKNOWLEDGED:
            return outcome, ""
        self._disconnect()
        return outcome, "sync-wait-cut" if self._sync_wait_cut else "rolled-back"

    def _connected(self) -> Connection:
        if self._connection is None:
            self._sync_wait_cut = False
            self._connection = connect(
                self._work.dsn, purpose="workload", prepare=False, seconds=CONNECT_SECONDS
            )
            self._connection.add_notice_handler(self._hear)
        return self._connection

    def _hear(self, notice: psycopg.errors.Diagnostic) -> None:
        """The server warns when it stops waiting for the standby, and then says COMMIT."""
        if "synchronous replication" in (notice.message_primary or ""):
            self._sync_wait_cut = True

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
