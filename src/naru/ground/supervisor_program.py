"""supervisord, woken at once when one of its programs ends.

By itself it looks once a second whether a program has ended: so much longer one that died would
be missing, and one that is stopped be waited for.

This file is copied into the environment and run from there, so it imports nothing of ours.
"""

from __future__ import annotations

import importlib
import os
import select
import signal
from collections.abc import Callable
from typing import Any

Poll = Callable[[Any, float], tuple[list[int], list[int]]]


def woken(poll: Poll) -> Poll:
    """`poll`, a method of supervisor's, which returns at once when a signal comes."""

    def polled(self: Any, timeout: float) -> tuple[list[int], list[int]]:
        # Not before the first wait: supervisord closes what it finds open when it starts.
        if not hasattr(self, "waker"):
            self.waker = _waker()
            self._poller.register(self.waker, select.POLLIN)
        readable, writable = poll(self, timeout)
        if self.waker in readable:
            readable.remove(self.waker)
            os.read(self.waker, 4096)
        return readable, writable

    return polled


def _waker() -> int:
    """Can be read from when a signal has come."""
    reader, writer = os.pipe()
    for one in (reader, writer):
        os.set_blocking(one, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader


def main() -> None:
    """Be supervisord, with its arguments."""
    kind: Any = importlib.import_module("supervisor.poller").PollPoller
    kind.poll = woken(kind.poll)
    importlib.import_module("supervisor.supervisord").main()


if __name__ == "__main__":
    main()
