"""Holding a comparison back: at a rate, and while the servers are busy with others."""

from __future__ import annotations

import threading
import time
from typing import Protocol, Self

from naru.errors import NotPermittedError, StoppedError
from naru.postgres import Connection, fetch_one, fetch_value
from naru.system import Observer
from naru.system.units import human_seconds
from naru.verify.load import Debt, Load, Restraint, Weather, judge
from naru.verify.relations import query
from naru.verify.side import Side

_EVERY = 1.0


class Tells(Protocol):
    """What hears why nothing goes on (None: it does)."""

    def wait(self, reason: str | None) -> None: ...


class Throttle:
    """Lets workers pass, or has them wait. A thread of its own looks at the servers."""

    def __init__(
        self, sides: tuple[Side, Side], restraint: Restraint, observer: Observer, tells: Tells
    ) -> None:
        self._sides = sides
        self._restraint = restraint
        self._observer = observer
        self._tells = tells
        rate = restraint.rate
        self._debts = {side.name: Debt(rate) for side in sides if rate}
        self._lock = threading.Lock()
        self._free = threading.Event()
        self._free.set()
        self._closed = threading.Event()
        self._failure: Exception | None = None
        self._thread: threading.Thread | None = None
        self.waited = 0.0

    def __enter__(self) -> Self:
        if self._restraint.limits:
            links = [(side, side.connect()) for side in self._sides]
            for side, connection in links:
                self._must_see(side, connection)
            weather = self._look(links, Weather())
            self._thread = threading.Thread(
                target=self._watch, args=(links, weather), daemon=True, name="verify-throttle"
            )
            self._thread.start()
        for side in self._sides:
            side.gate = self
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._free.set()
        if self._thread:
            self._thread.join()

    def enter(self, side: Side) -> None:
        """Wait until more may be read on this side.

        Raises StoppedError when it took too long, or nothing is to be read any more.
        """
        while True:
            self._free.wait()
            if self._failure:
                raise self._failure
            if self._closed.is_set():
                raise StoppedError(f"the comparison of {side.dsn} was stopped")
            debt = self._debts.get(side.name)
            if debt is None:
                return
            with self._lock:
                seconds = debt.wait(time.monotonic())
            if seconds <= 0:
                return
            self._closed.wait(min(seconds, _EVERY))

    def spend(self, side: Side, rows: int, size: float) -> None:
        """So much was read on this side."""
        debt = self._debts.get(side.name)
        if debt:
            with self._lock:
                debt.spend(rows, size, time.monotonic())

    def _must_see(self, side: Side, connection: Connection) -> None:
        if all(limit.measure == "latency" for limit in self._restraint.limits):
            return
        may = "SELECT pg_has_role('pg_read_all_stats', 'USAGE')"
        with side.explained("looking at its load"):
            if not fetch_value(connection, may):
                raise NotPermittedError(
                    f"{side.dsn}: its lag and its sessions may not be seen",
                    remedy="GRANT pg_read_all_stats to the login, or pause by latency only",
                )

    def _watch(self, links: list[tuple[Side, Connection]], weather: Weather) -> None:
        try:
            while not self._closed.wait(_EVERY):
                weather = self._look(links, weather)
        except Exception as error:
            # Whatever it is, nobody may wait for a thread that is gone.
            self._failure = error
            self._free.set()

    def _look(self, links: list[tuple[Side, Connection]], before: Weather) -> Weather:
        loads = {side.name: observe_load(side, connection) for side, connection in links}
        now = time.monotonic()
        weather = judge(before, loads, self._restraint.limits, now)
        if weather.waits:
            self._free.clear()
            if not before.waits:
                self._observer.note(f"paused: {weather.reason}")
            self._tells.wait(weather.reason)
            self._give_up(weather, now)
        elif before.since is not None:
            self.waited += now - before.since
            self._observer.note(f"goes on after {human_seconds(now - before.since)}")
            self._tells.wait(None)
            self._free.set()
        return weather

    def _give_up(self, weather: Weather, now: float) -> None:
        most = self._restraint.at_most_seconds
        if most is not None and now - (weather.since or now) >= most:
            raise StoppedError(
                f"paused for {human_seconds(most)}, and still: {weather.reason}",
                remedy="go on at a quieter time with --resume, or wait longer: --pause-at-most",
            )


def observe_load(side: Side, connection: Connection) -> Load:
    """How busy a server is now."""
    with side.explained("looking at its load"):
        began = time.monotonic()
        fetch_value(connection, "SELECT 1")
        latency = time.monotonic() - began
        lag_bytes, lag_seconds, active = fetch_one(connection, query("load.sql"))
    return Load(lag_bytes, lag_seconds, active, latency)
