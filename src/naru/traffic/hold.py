"""Hold clients back over a piece of work, with a guard that lets them go on if naru dies.

The guard is a second process. It is told on its standard input whom to let go on, and
waits. When that pipe closes without the word `over`, or the work takes far too long, it
waits until the server takes writes, but not for ever, and resumes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from naru.errors import DeadlineError, NaruError, ProcessError
from naru.postgres import Dsn, connect, fetch_value
from naru.system import Companion, Deadline, companion, wait_until
from naru.traffic.pgbouncer import PgBouncer

LONGEST_SECONDS = 90.0
"""A naru that holds clients for longer than this hangs, and is ended."""

_READY_SECONDS = 20.0
"""How long the guard waits for a server that takes writes: clients that go on before it is
there would get errors."""

_STEADY_SECONDS = 2.0
"""For how long it has to do so: what naru asked for before it died may be about to begin."""

_RESUME_SECONDS = 60.0


class Hold:
    """Clients of `databases` wait from `pause` to `resume`; leaving the block resumes as well.

    Entering starts the guard, which takes a moment and holds nobody back. `ready` is the
    server that the guard waits for before it resumes.
    """

    def __init__(
        self,
        pooler: PgBouncer,
        databases: Sequence[str],
        *,
        seconds: float,
        ready: Dsn,
        longest_seconds: float = LONGEST_SECONDS,
    ) -> None:
        self._pooler = pooler
        self._databases = list(databases)
        self._seconds = seconds
        self._ready = ready
        self._longest_seconds = longest_seconds
        self._guard = contextlib.ExitStack()
        self._held = False

    def __enter__(self) -> Hold:
        self._guard.enter_context(
            _guarded(self._pooler, self._databases, self._ready, self._longest_seconds)
        )
        return self

    def pause(self) -> None:
        """Hold new transactions back once those under way have ended.

        Past the time given DeadlineError names who held it up, and all go on as before.
        """
        self._held = True
        deadline = Deadline(self._seconds, "clients to end their transactions")
        for name in self._databases:
            self._pooler.pause(name, deadline)

    def resume(self) -> None:
        """Let clients go on; harmless when they do."""
        if self._held:
            _resume(self._pooler, self._databases)
            self._held = False

    def __exit__(self, *_: object) -> None:
        with self._guard:
            self.resume()


def _resume(pooler: PgBouncer, databases: Sequence[str]) -> None:
    """Let every one go on; one that fails keeps no other one waiting."""
    failures = []
    for name in databases:
        try:
            pooler.resume(name)
        except NaruError as error:
            failures.append(error)
    if failures:
        raise failures[0]


@contextlib.contextmanager
def _guarded(
    pooler: PgBouncer, databases: list[str], ready: Dsn, longest_seconds: float
) -> Iterator[None]:
    document = {
        "parent": os.getpid(),
        "pooler": pooler.to_json(),
        "databases": databases,
        "ready": dict(ready.parameters),
        "longest_seconds": longest_seconds,
    }
    with Companion(watch) as guard:
        try:
            guard.tell(document)
            guard.await_ready()
        except ProcessError as error:
            raise NaruError("the guard of the pause did not start") from error
        yield


def watch() -> None:
    """The guard's whole life."""
    document = companion.told()
    companion.ready()
    heard = companion.hear(document["longest_seconds"])
    if heard == "over":
        return
    if heard == "nothing":
        with contextlib.suppress(ProcessLookupError):
            os.kill(document["parent"], signal.SIGKILL)
    _let_go_on(document)


def _let_go_on(document: dict[str, Any]) -> None:
    pooler, ready = PgBouncer.from_json(document["pooler"]), Dsn(document["ready"])
    with contextlib.suppress(DeadlineError):
        wait_until(_steady(ready), f"{ready} to take writes", _READY_SECONDS)

    def resumed() -> bool:
        with contextlib.suppress(NaruError):
            _resume(pooler, document["databases"])
            return True
        return False

    wait_until(resumed, f"pooler {pooler.name} to resume", _RESUME_SECONDS, every=0.5)


def _steady(server: Dsn) -> Callable[[], bool]:
    since: float | None = None

    def probe() -> bool:
        nonlocal since
        if not takes_writes(server):
            since = None
            return False
        since = since or time.monotonic()
        return time.monotonic() - since >= _STEADY_SECONDS

    return probe


def takes_writes(server: Dsn) -> bool:
    """True if a server answers there and is no standby."""
    with contextlib.suppress(NaruError):
        with connect(server, purpose="ready", seconds=2) as connection:
            return not fetch_value(connection, "SELECT pg_is_in_recovery()")
    return False
