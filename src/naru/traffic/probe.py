"""What a client meets that connects anew again and again: the plainest test of an address."""

from __future__ import annotations

import statistics
import threading
import time
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg

from naru.errors import NaruError
from naru.postgres import Dsn, connect, explain, fetch_one, fetch_value

_WHO = """
SELECT current_user::text, pg_catalog.pg_is_in_recovery(),
       pg_catalog.host(pg_catalog.inet_server_addr()), pg_catalog.inet_server_port()
"""
_WRITE = "SELECT pg_catalog.pg_logical_emit_message(true, 'naru', '')"
_MAY_WRITE = "SELECT current_setting('transaction_read_only') = 'off'"


@dataclass(frozen=True)
class Look:
    """One connection, from its beginning to its answer."""

    at: float
    """When it began, in seconds since the epoch."""
    ms: float
    """How long it took, until it was answered or given up."""
    user: str = ""
    node: str = ""
    """The server process's own address, or the name by which it is known."""
    role: str = ""
    """`primary` or `standby`."""
    error: str = ""
    """Why it failed; empty if it did not."""

    @property
    def ok(self) -> bool:
        return not self.error

    @property
    def ended_at(self) -> float:
        return self.at + self.ms / 1000

    def to_json(self) -> dict[str, Any]:
        return {
            "at": self.at, "ok": self.ok, "ms": round(self.ms, 3), "user": self.user,
            "node": self.node, "role": self.role, "error": self.error,
        }  # fmt: skip


class Probe:
    """Looks at one address, each time with a connection of its own.

    `names` gives the names of nodes by their addresses. With `write`, a look is answered
    when a transaction that wrote something was committed, which a standby refuses, and for
    which a primary waits as it does for any client. Nothing is left in the database.
    """

    def __init__(
        self, dsn: Dsn, *, seconds: float, write: bool, names: Mapping[str, str] | None = None
    ) -> None:
        self.dsn = dsn
        self._seconds, self._write, self._names = seconds, write, dict(names or {})

    def look(self) -> Look:
        """Connect, ask, go; no longer than `seconds`, whatever the other end does."""
        at, began = time.time(), time.monotonic()
        answer: list[Look] = []

        def ask() -> None:
            answer.append(self._ask(at, began))

        # A server that was frozen answers nothing, and no driver gives up on it in time.
        thread = threading.Thread(target=ask, name="probe", daemon=True)
        thread.start()
        thread.join(self._seconds)
        if answer:
            return answer[0]
        return Look(at, _since(began), error=f"no answer within {self._seconds:g} s")

    def _ask(self, at: float, began: float) -> Look:
        try:
            with connect(
                self.dsn, purpose="probe", seconds=max(2, round(self._seconds)), prepare=False
            ) as connection:
                user, is_standby, host, port = fetch_one(connection, _WHO)
                if self._write:
                    if not fetch_value(connection, _MAY_WRITE):
                        return Look(at, _since(began), error="transactions are read-only there")
                    connection.execute(_WRITE)
        except NaruError as error:
            return Look(at, _since(began), error=error.message)
        except psycopg.Error as error:
            return Look(at, _since(began), error=explain(error, self.dsn).message)
        role = "standby" if is_standby else "primary"
        return Look(at, _since(began), user, self._node(host, port), role)

    def _node(self, host: str | None, port: int | None) -> str:
        if host is None:
            return "this machine"
        return self._names.get(host, f"{host}:{port}")


def _since(began: float) -> float:
    return (time.monotonic() - began) * 1000


@dataclass(frozen=True)
class Outage:
    """Looks in a row that failed, with the answers before and after them."""

    began: float
    """When the first look that failed began, in seconds since the epoch."""
    last: float
    """When the last one that failed had been given up."""
    looks: int
    error: str
    """What the first of them said."""
    answered_before: float | None
    """When the last look before it was answered; None if none was."""
    answered_after: float | None = None
    """When the first look after it was answered; None if none was yet."""

    @property
    def at_least(self) -> float:
        """Seconds in which nothing was answered: it was away so long."""
        return self.last - self.began

    @property
    def at_most(self) -> float | None:
        """Seconds between the answers around it; None if there is none on one side."""
        if self.answered_before is None or self.answered_after is None:
            return None
        return self.answered_after - self.answered_before

    def to_json(self) -> dict[str, Any]:
        return {
            "began": self.began, "looks": self.looks, "error": self.error,
            "at_least_s": round(self.at_least, 3),
            "at_most_s": None if self.at_most is None else round(self.at_most, 3),
        }  # fmt: skip


@dataclass
class Tally:
    """What all looks together showed; a few bytes for each."""

    failed: int = 0
    nodes: list[str] = field(default_factory=list)
    """Those that answered, in the order of their first answers."""
    _over: list[Outage] = field(default_factory=list)
    _now: Outage | None = None
    _ms: array[float] = field(default_factory=lambda: array("f"))
    _answered: float | None = None

    def add(self, look: Look) -> None:
        """Count one look; they come in the order of time."""
        if look.ok:
            self._add_answer(look)
        else:
            self.failed += 1
            first = self._now or Outage(look.at, look.ended_at, 0, look.error, self._answered)
            self._now = replace(first, last=look.ended_at, looks=first.looks + 1)

    def _add_answer(self, look: Look) -> None:
        self._answered = look.ended_at
        self._ms.append(look.ms)
        if look.node not in self.nodes:
            self.nodes.append(look.node)
        if self._now is not None:
            self._over.append(replace(self._now, answered_after=look.ended_at))
            self._now = None

    @property
    def looks(self) -> int:
        return len(self._ms) + self.failed

    @property
    def outages(self) -> list[Outage]:
        """Those that are over, and the one that is not."""
        return [*self._over, *([self._now] if self._now is not None else [])]

    @property
    def median_ms(self) -> float | None:
        return statistics.median(self._ms) if self._ms else None

    @property
    def worst_ms(self) -> float | None:
        return max(self._ms, default=None)

    def to_json(self) -> dict[str, Any]:
        return {
            "looks": self.looks, "failed": self.failed, "median_ms": self.median_ms,
            "worst_ms": self.worst_ms, "nodes": self.nodes,
            "outages": [one.to_json() for one in self.outages],
        }  # fmt: skip
