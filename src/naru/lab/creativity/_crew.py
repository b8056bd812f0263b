"""Several connections that work through a list of SQL texts side by side."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psycopg

from naru.postgres import Connection, Dsn, connect, explain


@dataclass(frozen=True)
class Job:
    """SQL that runs as one transaction; `settings` are set in the session before it."""

    title: str
    text: str
    settings: tuple[tuple[str, str], ...] = ()


class Crew:
    """A few sessions in one database; each job runs in whichever is free.

    The first error ends the others' work and is raised; so does an interrupt.
    """

    def __init__(self, dsn: Dsn, hands: int, settings: dict[str, str]) -> None:
        self._dsn = dsn
        self._sessions: list[Connection] = []
        self._free: queue.Queue[Connection] = queue.Queue()
        try:
            for number in range(hands):
                session = connect(dsn, purpose=f"creativity {number + 1}", settings=settings)
                self._sessions.append(session)
                self._free.put(session)
        except BaseException:
            self.close()
            raise

    def run(self, jobs: Sequence[Job], done: Callable[[int], None] = lambda _: None) -> int:
        """Do all jobs; gives the rows they wrote. `done(rows)` hears of each one that ends."""
        with ThreadPoolExecutor(len(self._sessions)) as threads:
            futures = [threads.submit(self._do, job, done) for job in jobs]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
                self._raise_first(futures)
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                self._cancel()
                raise
            return sum(future.result() for future in futures)

    def _do(self, job: Job, done: Callable[[int], None]) -> int:
        session = self._free.get()
        try:
            for name, value in job.settings:
                session.execute("SELECT set_config(%s, %s, false)", (name, value))
            cursor = session.execute(job.text.encode())
            rows = cursor.rowcount if _writes(cursor) else 0
            while cursor.nextset():
                rows += cursor.rowcount if _writes(cursor) else 0
        except psycopg.Error as error:
            raise explain(error, self._dsn, job.title) from error
        finally:
            self._free.put(session)
        done(rows)
        return rows

    @staticmethod
    def _raise_first(futures: Sequence[Future[int]]) -> None:
        for future in futures:
            if future.done() and not future.cancelled() and future.exception():
                future.result()

    def _cancel(self) -> None:
        for session in self._sessions:
            with contextlib.suppress(psycopg.Error):
                session.cancel_safe(timeout=5)

    def close(self) -> None:
        for session in self._sessions:
            session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _writes(cursor: psycopg.Cursor[tuple[object, ...]]) -> bool:
    return (cursor.statusmessage or "").startswith("INSERT")
