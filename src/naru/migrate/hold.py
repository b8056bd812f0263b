"""One naru at a time on a migration: a lock that the system frees when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from naru.errors import DeadlineError, TakenError
from naru.migrate.names import Names
from naru.system import wait_until

HOLD_SECONDS = 3.0
"""How long a command waits for another one; enough for a guard that puts things right."""


@contextlib.contextmanager
def sole(folder: Path, migration: str, seconds: float = HOLD_SECONDS) -> Iterator[None]:
    """Keep every other naru off the migration whose journal is in `folder`.

    Raises TakenError, naming the process, when another one does not end within `seconds`.
    """
    path = folder / "migrations" / f"{Names(migration).stem}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            wait_until(lambda: _take(descriptor), "the other naru to end", seconds, every=0.05)
        except DeadlineError:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            raise TakenError(
                f"migration {migration!r} is in the hands of another naru (process {holder})",
                remedy="wait until it has ended; `naru migrate status` shows how far it is",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
