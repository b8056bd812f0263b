"""Deadlines and waits. Every wait has a name, so that a timeout says what was missing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from naru.errors import DeadlineError

T = TypeVar("T")


class Deadline:
    """A point in monotonic time until which `what` may take."""

    def __init__(self, seconds: float, what: str) -> None:
        self.seconds = seconds
        self.what = what
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._end - time.monotonic())

    @property
    def passed(self) -> bool:
        return self.left <= 0.0

    def check(self) -> None:
        """Raise DeadlineError once the deadline has passed."""
        if self.passed:
            raise DeadlineError(f"gave up after {self.seconds:g} s waiting for {self.what}")


def wait_until(
    probe: Callable[[], T | None], what: str, seconds: float, *, every: float = 0.1
) -> T:
    """Call `probe` every `every` seconds until it gives something true, and return that.

    Raises DeadlineError, naming `what`, after `seconds`. Errors of the probe pass through.
    """
    deadline = Deadline(seconds, what)
    while True:
        found = probe()
        if found:
            return found
        deadline.check()
        time.sleep(min(every, deadline.left))
