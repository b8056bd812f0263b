"""Who was primary when: every member is asked, by itself, four times a second."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from naru.errors import NaruError
from naru.postgres import Connection, Dsn, connect, fetch_value

EVERY = 0.25
_CONNECT_SECONDS = 2


@dataclass(frozen=True)
class Lead:
    """A time in which a member answered as primary; seconds since the epoch."""

    member: str
    start: float
    end: float
    """When it answered so last."""

    def to_json(self, origin: float) -> dict[str, Any]:
        return {
            "member": self.member,
            "from_seconds": round(self.start - origin, 2),
            "to_seconds": round(self.end - origin, 2),
        }


class LeadWatch:
    """Asks members whether they are in recovery, until the block is left."""

    def __init__(self, members: Mapping[str, Dsn]) -> None:
        self._members = members
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._seen: dict[str, list[float]] = {name: [] for name in members}

    def __enter__(self) -> LeadWatch:
        for name, dsn in self._members.items():
            # One that is frozen keeps its thread waiting; nobody waits for the thread.
            threading.Thread(target=self._ask, args=(name, dsn), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()

    def leads(self) -> tuple[Lead, ...]:
        """Who led so far, in the order in which each began."""
        with self._lock:
            found = [one for name, seen in self._seen.items() for one in leads_of(name, seen)]
        return tuple(sorted(found, key=lambda one: one.start))

    def _ask(self, name: str, dsn: Dsn) -> None:
        connection: Connection | None = None
        while not self._stopping.wait(EVERY):
            try:
                connection = connection or connect(
                    dsn, purpose="who leads", seconds=_CONNECT_SECONDS, prepare=False
                )
                asked = time.time()
                if not fetch_value(connection, "SELECT pg_is_in_recovery()"):
                    with self._lock:
                        self._seen[name].append(asked)
            except (NaruError, psycopg.Error):
                if connection is not None:
                    connection.close()
                connection = None
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                connection.close()


def leads_of(member: str, seen: Sequence[float], apart: float = 8 * EVERY) -> Iterable[Lead]:
    """Times in which `member` was seen to lead, from single moments, ascending."""
    start: float | None = None
    before = 0.0
    for at in seen:
        if start is not None and at - before > apart:
            yield Lead(member, start, before)
            start = None
        start, before = at if start is None else start, at
    if start is not None:
        yield Lead(member, start, before)


def overlap_seconds(leads: Sequence[Lead]) -> float:
    """For how long two members, or more, answered as primary at the same time."""
    edges = sorted(
        [(one.start, 1) for one in leads] + [(one.end, -1) for one in leads],
        key=lambda edge: (edge[0], edge[1]),
    )
    total, leading, before = 0.0, 0, 0.0
    for at, change in edges:
        total += at - before if leading > 1 else 0.0
        leading, before = leading + change, at
    return round(total, 2)
