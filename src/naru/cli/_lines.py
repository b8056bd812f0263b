"""Progress without a terminal: plain lines, few enough to read in a log."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Self, TextIO

from naru.cli._meter import Meter, of_total, outlook
from naru.system.units import human_seconds

_EVERY = 2.0
_CLOSEST = 0.5
"""Seconds between two lines of one thing that are due to ten-percent points."""
_WORKLOAD_EVERY = 10.0


class LineObserver:
    """Writes a line for each change of a step and for progress every now and then.

    A thing speaks for the first time after two seconds, then at ten-percent points, and at
    growing intervals of at most thirty seconds. Things that end before they spoke are counted
    together, so that 10,000 small tables do not write 10,000 lines.
    """

    def __init__(self, stream: TextIO, *, now: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._now = now
        self._lock = threading.RLock()
        self._began = now()
        self._steps: dict[str, float] = {}
        self._things: dict[str, _Thing] = {}
        self._quiet = 0
        self._quiet_said = self._began
        self._workload_said: float | None = None
        self._errors = 0

    def step(self, title: str, state: str) -> None:
        """A step changed: one line, with the time it took once it is over."""
        with self._lock:
            now = self._now()
            if state == "running":
                self._steps[title] = now
                self._write(f"start   {title}")
                return
            self._say_quiet(now, wait=0.0)
            began = self._steps.pop(title, None)
            took = "" if began is None else f"  ({human_seconds(now - began)})"
            self._write(f"{state:<7} {title}{took}")

    def progress(
        self, what: str, done: int, total: int | None, unit: str, *, detail: str = ""
    ) -> None:
        """Progress: most calls write nothing."""
        with self._lock:
            now = self._now()
            thing = self._things.setdefault(what, _Thing(what, now))
            thing.meter.observe(now, done, total, unit, detail)
            reading = thing.meter.read(now)
            if reading.ended:
                del self._things[what]
                self._end(thing, now)
            elif thing.is_due(now, reading.share):
                self._write_progress(thing, now)

    def workload(self, *, tps: float, p95_ms: float, errors: int) -> None:
        """How the clients fare: commits a second, latency, errors so far."""
        with self._lock:
            now = self._now()
            said = self._workload_said
            if said is not None and now - said < _WORKLOAD_EVERY and errors == self._errors:
                return
            if said is not None and now - said < _EVERY:
                return
            self._workload_said, self._errors = now, errors
            self._write(f"        workload: {tps:,.0f} commits/s, p95 {p95_ms:,.0f} ms, "
                        f"{errors:,} errors")  # fmt: skip

    def note(self, text: str) -> None:
        """One line for people."""
        with self._lock:
            self._write(f"note    {text}")

    def close(self) -> None:
        """Say what was not said yet."""
        with self._lock:
            self._say_quiet(self._now(), wait=0.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _end(self, thing: _Thing, now: float) -> None:
        if thing.has_spoken or now - thing.meter.began >= _EVERY:
            self._write_progress(thing, now)
            return
        self._quiet += 1
        self._say_quiet(now, wait=_EVERY)

    def _say_quiet(self, now: float, *, wait: float) -> None:
        if self._quiet and now - self._quiet_said >= wait:
            self._write(f"        done quickly: {self._quiet:,}")
            self._quiet, self._quiet_said = 0, now

    def _write_progress(self, thing: _Thing, now: float) -> None:
        reading = thing.meter.read(now)
        thing.spoke(now, reading.share)
        share = "" if reading.share is None else f"{int(reading.share * 100):>3} %  "
        parts = [part for part in (of_total(reading), outlook(reading), reading.detail) if part]
        self._write(f"        {share}{reading.what}: {', '.join(parts)}")

    def _write(self, line: str) -> None:
        flat = " ".join(line.splitlines())
        self._stream.write(f"{human_clock(self._now() - self._began)}  {flat}\n")
        self._stream.flush()


class _Thing:
    """One line of progress and when it last spoke."""

    def __init__(self, what: str, now: float) -> None:
        self.meter = Meter(what, now)
        self.has_spoken = False
        self._last = now
        self._tenth = 0

    def is_due(self, now: float, share: float | None) -> bool:
        silent = now - self._last
        if not self.has_spoken:
            return silent >= _EVERY
        tenth = 0 if share is None else int(share * 10)
        if tenth > self._tenth and silent >= _CLOSEST:
            return True
        shortest = _EVERY if share is None else 5 * _EVERY
        return silent >= min(30.0, max(shortest, (now - self.meter.began) / 10))

    def spoke(self, now: float, share: float | None) -> None:
        self.has_spoken = True
        self._last = now
        self._tenth = 0 if share is None else int(share * 10)


def human_clock(seconds: float) -> str:
    """Time since the start, of one width: `00:07`, `62:30`."""
    whole = int(seconds)
    return f"{whole // 60:02}:{whole % 60:02}"
