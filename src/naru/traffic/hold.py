"""Hold clients back over a piece of work, with a guard that lets them go on if naru dies.

The guard is a second process. It is told on its standard input whom to let go on, and
waits. When that pipe closes without the word `over`, or the work takes far too long, it
waits until the server takes writes, but not for ever, and resumes.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from naru.errors import DeadlineError, NaruError
from naru.postgres import Dsn, connect, fetch_value
from naru.system import Deadline, spawn, wait_until
from naru.traffic.pgbouncer import PgBouncer

LONGEST_SECONDS = 90.0
"""A naru that holds clients for longer than this hangs, and is ended."""

_OVER = b"over\n"
_READY_SECONDS = 20.0
"""How long the guard waits for a server that takes writes: clients that go on before it is
there would get errors."""

_RESUME_SECONDS = 60.0


@contextlib.contextmanager
def holding(
    pooler: PgBouncer,
    databases: Callable[[], Sequence[str]],
    *,
    seconds: float,
    ready: Dsn,
    longest_seconds: float = LONGEST_SECONDS,
) -> Iterator[None]:
    """Hold back new transactions of `databases` over the block; always let them go on after.

    Transactions under way have `seconds` to end; past them DeadlineError names who held it
    up, and nothing has changed. `ready` is what a guard connects to before it resumes.
    """
    names = list(databases())
    with _guarded(pooler, names, ready, longest_seconds):
        try:
            deadline = Deadline(seconds, "clients to end their transactions")
            for name in names:
                pooler.pause(name, deadline)
            yield
        finally:
            _resume(pooler, names)


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
    process = spawn(
        [sys.executable, "-c", "from naru.traffic.hold import watch; watch()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        new_session=True,
    )
    if process.stdin is None or process.stdout is None:
        raise NaruError("the guard of the pause did not start")
    document = {
        "parent": os.getpid(),
        "pooler": pooler.to_json(),
        "databases": databases,
        "ready": dict(ready.parameters),
        "longest_seconds": longest_seconds,
    }
    process.stdin.write(json.dumps(document).encode() + b"\n")
    process.stdin.flush()
    if process.stdout.readline() != b"ready\n":
        raise NaruError("the guard of the pause did not start")
    try:
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(_OVER)
            process.stdin.close()
        process.stdout.close()
        process.wait(timeout=10)


def watch() -> None:
    """The guard's whole life."""
    document = json.loads(sys.stdin.buffer.readline())
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if select.select([sys.stdin], [], [], document["longest_seconds"])[0]:
        if sys.stdin.buffer.readline() == _OVER:
            return
    else:
        with contextlib.suppress(ProcessLookupError):
            os.kill(document["parent"], signal.SIGKILL)
    _let_go_on(document)


def _let_go_on(document: dict[str, Any]) -> None:
    pooler, ready = PgBouncer.from_json(document["pooler"]), Dsn(document["ready"])
    with contextlib.suppress(DeadlineError):
        wait_until(lambda: takes_writes(ready), f"{ready} to take writes", _READY_SECONDS)

    def resumed() -> bool:
        with contextlib.suppress(NaruError):
            _resume(pooler, document["databases"])
            return True
        return False

    wait_until(resumed, f"pooler {pooler.name} to resume", _RESUME_SECONDS, every=0.5)


def takes_writes(server: Dsn) -> bool:
    """True if a server answers there and is no standby."""
    with contextlib.suppress(NaruError):
        with connect(server, purpose="ready", seconds=2) as connection:
            return not fetch_value(connection, "SELECT pg_is_in_recovery()")
    return False
