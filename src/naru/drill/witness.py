"""Sees who answers as primary: every member is asked, directly, all the time."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg

from naru.errors import NaruError
from naru.postgres import Dsn, connect, fetch_value

_EVERY_SECONDS = 0.02
_PATIENCE_SECONDS = 2


@dataclass(frozen=True)
class Answer:
    """A member said that it is primary. Times are monotonic."""

    member: str
    asked: float
    answered: float


class Witness:
    """Asks each member in a thread of its own, in one session for as long as that lives."""

    def __init__(self, members: Iterable[tuple[str, Dsn]]) -> None:
        self._answers: list[Answer] = []
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._watch, args=member, daemon=True) for member in members
        ]
        for thread in self._threads:
            thread.start()

    @property
    def members(self) -> frozenset[str]:
        """Who has answered as primary so far."""
        return frozenset(one.member for one in list(self._answers))

    def stop(self) -> tuple[Answer, ...]:
        """What was seen, in the order of the asking. A session that hangs is left behind."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(_PATIENCE_SECONDS)
        return tuple(sorted(self._answers, key=lambda one: one.asked))

    def _watch(self, name: str, dsn: Dsn) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(NaruError, psycopg.Error):
                with connect(dsn, purpose="witness", seconds=_PATIENCE_SECONDS) as connection:
                    self._ask(name, connection)
            self._stopping.wait(_EVERY_SECONDS)

    def _ask(self, name: str, connection: Any) -> None:
        while not self._stopping.is_set():
            asked = time.monotonic()
            if not fetch_value(connection, "SELECT pg_is_in_recovery()"):
                self._answers.append(Answer(name, asked, time.monotonic()))
            self._stopping.wait(_EVERY_SECONDS)


def stale_answers(answers: Iterable[Answer]) -> list[Answer]:
    """Answers of a primary that were asked for after another one had answered, which was primary
    later: what such a member reads may be stale.

    Invariant: who led first never answers again once the next one has.
    """
    ordered = sorted(answers, key=lambda one: one.asked)
    last = {one.member: one.asked for one in ordered}
    first: dict[str, float] = {}
    stale = []
    for one in ordered:
        later = [
            name
            for name, answered in first.items()
            if name != one.member and answered < one.asked and last[name] > last[one.member]
        ]
        if later and first.get(one.member, one.answered) <= min(first[name] for name in later):
            stale.append(one)
        first.setdefault(one.member, one.answered)
    return stale
