"""The time of day as Patroni is to see it: it goes forward, whatever is done to the clock.

Patroni measures durations by the time of day. After a clock was set back it would sleep, and
renew no lease, until the old time has come again: its watchdog would kill the primary. A clock
set forward makes it take its lead for over, and the sessions of its clients end.
"""

from __future__ import annotations

import importlib
import time
from typing import Any

MEASURING = (
    "patroni.__main__", "patroni.api", "patroni.postgresql", "patroni.utils",
    "patroni.dcs.etcd", "patroni.dcs.etcd3",
)  # fmt: skip
"""Patroni's modules that measure: when to look again, the lease, the waits for the election. Its
`ha` does as well, and has its time from `member`."""


def _counted() -> float:
    """Seconds since the machine's start, by a clock that nobody can set; sleep counts."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


_EPOCH = time.time() - _counted()


class SteadyTime:
    """The module `time`, with a time of day as it was at the start, and counted from there."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    @staticmethod
    def time() -> float:
        """Seconds since the epoch; by the same count in every module of this process."""
        return _EPOCH + _counted()


def measure_steadily() -> None:
    """Have Patroni's modules that measure durations do so by a steady clock."""
    for name in MEASURING:
        module: Any = importlib.import_module(name)
        module.time = SteadyTime()
