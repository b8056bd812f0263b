"""What is felt in the background of long work: how clients fare, and how far the lag is."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Self

from naru.drill import Workload, read_series
from naru.errors import NaruError
from naru.migrate import LagWatch, Record
from naru.system import WorkloadObserver

WORKLOAD_SECONDS = 1.0
LAG_SECONDS = 0.5


class Pulse:
    """Calls `beat` every `seconds`, in a thread, while the block runs; then `close`."""

    def __init__(
        self, beat: Callable[[], None], seconds: float, close: Callable[[], None] = lambda: None
    ) -> None:
        self._beat, self._seconds, self._close = beat, seconds, close
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self._beat()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=20)
        self._close()


def workload_pulse(workload: Workload, observer: WorkloadObserver) -> Pulse:
    """Shows how the clients of `workload` fare."""
    return Pulse(_workload_beat(workload, observer), WORKLOAD_SECONDS)


def lag_pulse(record: Record) -> Pulse:
    """Keeps the lag of `record` in the journal; an end that does not answer is skipped."""
    watch = LagWatch(record)

    def beat() -> None:
        with contextlib.suppress(NaruError):
            watch.sample()

    return Pulse(beat, LAG_SECONDS, watch.close)


def _workload_beat(workload: Workload, observer: WorkloadObserver) -> Callable[[], None]:
    seen_errors = [0]
    since = [time.time()]

    def beat() -> None:
        intervals = list(read_series(workload.folder, since[0]))
        if not intervals:
            return
        since[0] = intervals[-1].at + 0.05
        seen_errors[0] += sum(one.errors for one in intervals)
        commits = sum(one.commits for one in intervals)
        p95 = max((one.p95_ms for one in intervals if one.p95_ms is not None), default=0.0)
        observer.workload(tps=commits / (len(intervals) * 0.1), p95_ms=p95, errors=seen_errors[0])

    return beat
