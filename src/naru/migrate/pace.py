"""How fast a copy may go, over all of its workers together."""

from __future__ import annotations

import threading
import time

from naru.errors import StoppedError

_BURST_SECONDS = 0.25
"""What may pass at once after a while of less than the rate."""


class Pace:
    """At most `rate` bytes a second; None: as fast as it goes. Safe from several threads."""

    def __init__(self, rate: float | None = None) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._paid_until = 0.0

    def take(self, size: int, stop: threading.Event) -> None:
        """Wait until `size` more bytes are due. Raises StoppedError once `stop` is set."""
        if self._rate and size:
            now = time.monotonic()
            with self._lock:
                self._paid_until = max(self._paid_until, now - _BURST_SECONDS) + size / self._rate
                wait = self._paid_until - now
            if wait > 0:
                stop.wait(wait)
        if stop.is_set():
            raise StoppedError("the copy was stopped")
