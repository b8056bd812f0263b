"""One planned work on a service at a time: two that hold the pool would let go for each other."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

from naru.errors import DeadlineError, RefusedError, UsageError
from naru.ground import Ground
from naru.system import give_to, locked, operator

_FILE = "work.lock"


@contextlib.contextmanager
def alone_at_work(ground: Ground, what: str, *, seconds: float = 0.0) -> Iterator[None]:
    """Nobody else starts or restarts members, or changes their roles meanwhile.

    Whoever is at work already is waited for, for `seconds`; then RefusedError names it. The
    lock ends with its holder, however that ends. Raises UsageError where there is no environment.
    """
    path = ground.folder / "data" / _FILE
    if not path.parent.exists():
        raise UsageError(f"there is no environment in {ground.folder}", remedy="run `naru up`")
    # Never put in the place of another file: somebody may hold the lock on that.
    path.touch(mode=0o600)
    give_to(path, ground.account)
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(locked(path, "the other work to end", seconds))
        except DeadlineError:
            holder = path.read_text().strip() or "another naru"
            raise RefusedError(
                f"{holder} is at work on this service: nothing was done",
                remedy="wait until it has ended; `naru service history` shows it",
            ) from None
        note = (
            f"{what}, begun at {time.strftime('%H:%M:%S')} by {operator()}, process {os.getpid()}"
        )
        os.ftruncate(file, 0)
        os.pwrite(file, f"{note}\n".encode(), 0)
        yield
