"""A rate holds over all workers together, and does not keep a copy from stopping."""

from __future__ import annotations

import threading
import time

import pytest

from naru.errors import StoppedError
from naru.migrate.pace import Pace


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 50.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        self.stop = threading.Event()
        monkeypatch.setattr(self.stop, "wait", self._wait)

    def _wait(self, seconds: float) -> bool:
        self.now += seconds
        return self.stop.is_set()


def test_it_takes_as_long_as_the_rate_says(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    pace = Pace(1_000_000)
    for _ in range(100):
        pace.take(100_000, clock.stop)
    assert 9.5 <= clock.now - 50.0 <= 10.0


def test_idle_time_is_not_saved_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    pace = Pace(1_000_000)
    pace.take(100_000, clock.stop)
    clock.now += 1000
    before = clock.now
    pace.take(10_000_000, clock.stop)
    assert clock.now - before >= 9.5


def test_without_a_rate_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    Pace().take(10**12, clock.stop)
    assert clock.now == 50.0


def test_a_copy_that_is_to_stop_does_not_wait() -> None:
    stop = threading.Event()
    pace = Pace(1)
    ended: list[BaseException] = []

    def worker() -> None:
        try:
            pace.take(10**9, stop)
        except StoppedError as error:
            ended.append(error)

    thread = threading.Thread(target=worker)
    thread.start()
    stop.set()
    thread.join(10)
    assert len(ended) == 1
