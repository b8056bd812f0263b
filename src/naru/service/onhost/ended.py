"""A server that has ended is known at once, and nothing of it is left.

Patroni asks whether the postmaster's process exists. One that was killed exists until the
machine's first process has taken note of its end, which in a container may take seconds: Patroni
would take the dead server for one that is slow to answer, and keep the lead. Here such a process
has ended. And Patroni is woken when it ends, where it would look up to a second later.

Backends outlive a postmaster that was killed for as long as they do not wait for anything. None
may confirm a commit once somebody else is asked to lead, so they end before Patroni hears that
the server has.
"""

from __future__ import annotations

import importlib
import os
import select
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .procs import kill, orphans_of, process

_LEFT_SECONDS = 1.0
_STEP_SECONDS = 0.01


def count_the_dead(postmaster: Any) -> None:
    """Have Patroni's `postmaster`, its class PostmasterProcess, take what only waits to be reaped
    for what it is: ended."""
    is_running, is_postmaster = postmaster.is_running, postmaster._is_postmaster_process

    def lives(self: Any) -> bool:
        return is_running(self) and process(self.pid) is not None

    def is_living_postmaster(self: Any) -> bool:
        return process(self.pid) is not None and is_postmaster(self)

    def wait(self: Any, timeout: float | None = None) -> None:
        if not _has_ended(self.pid, timeout):
            raise importlib.import_module("psutil").TimeoutExpired(timeout, self.pid)

    postmaster.is_running, postmaster._is_postmaster_process = lives, is_living_postmaster
    postmaster.wait = wait


def leave_no_orphans(server: Any) -> None:
    """Have `server`, Patroni's class Postgresql, end what a dead postmaster left behind before it
    says that the postmaster is dead."""
    is_running = server.is_running

    def found(self: Any) -> Any:
        known = self._postmaster_proc
        now = is_running(self)
        if known is not None and now is None:
            end_orphans(Path(self._data_dir).resolve(), _LEFT_SECONDS)
        return now

    server.is_running = found


def end_orphans(data: Path, seconds: float) -> bool:
    """kill -9 what stands in `data` and has no postmaster; True once nothing of it is left.

    A server that was started there meanwhile is left alone.
    """
    deadline = time.monotonic() + seconds
    while pids := orphans_of(data):
        kill(pids)
        if time.monotonic() > deadline:
            return False
        time.sleep(_STEP_SECONDS)
    return True


class Ends:
    """Tells of the end of one process at a time."""

    def __init__(self) -> None:
        self._pid: int | None = None

    def tell(self, pid: int, wake: Callable[[], None]) -> None:
        """Call `wake` once when `pid` ends; again asked of the same, it changes nothing."""
        if pid == self._pid:
            return
        self._pid = pid
        threading.Thread(target=_tell, args=(pid, wake), daemon=True).start()


def _tell(pid: int, wake: Callable[[], None]) -> None:
    _has_ended(pid, None)
    wake()


def _has_ended(pid: int, seconds: float | None) -> bool:
    """True once no process `pid` lives any more, or it waits to be reaped; waits for that."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return True
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        return bool(poll.poll(None if seconds is None else seconds * 1000))
    finally:
        os.close(handle)


def wake_at_the_end(loop: Any, ends: Ends) -> None:
    """Have `loop`, Patroni's class Ha, look again as soon as its server has ended."""
    watch = loop.watch

    def watched(self: Any, timeout: float) -> Any:
        known = self.state_handler._postmaster_proc
        if known is not None:
            ends.tell(known.pid, self.wakeup)
        return watch(self, timeout)

    loop.watch = watched


def know_ended_servers() -> None:
    """All of it, in the Patroni of this process."""
    postgresql: Any = importlib.import_module("patroni.postgresql")
    count_the_dead(postgresql.PostmasterProcess)
    leave_no_orphans(postgresql.Postgresql)
    wake_at_the_end(importlib.import_module("patroni.ha").Ha, Ends())
