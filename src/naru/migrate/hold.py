"""One naru at a time on a migration: a lock that the system frees when its holder dies."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from naru.errors import DeadlineError, TakenError
from naru.migrate.names import Names
from naru.system import locked

HOLD_SECONDS = 3.0
"""How long a command waits for another one; enough for a guard that puts things right."""


@contextlib.contextmanager
def sole(folder: Path, migration: str, seconds: float = HOLD_SECONDS) -> Iterator[None]:
    """Keep every other naru off the migration whose journal is in `folder`.

    Raises TakenError, naming the process, when another one does not end within `seconds`.
    """
    path = folder / "migrations" / f"{Names(migration).stem}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            descriptor = stack.enter_context(locked(path, "the other naru to end", seconds))
        except DeadlineError:
            holder = path.read_text(errors="replace").strip()
            raise TakenError(
                f"migration {migration!r} is in the hands of another naru (process {holder})",
                remedy="wait until it has ended; `naru migrate status` shows how far it is",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
