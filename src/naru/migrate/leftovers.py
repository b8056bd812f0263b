"""What a naru that was killed has left running: pg_dump and pg_restore on a folder of its."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from naru.errors import DeadlineError
from naru.system import arguments_of, is_alive, wait_until

_PROGRAMS = {"pg_dump", "pg_restore"}
_SECONDS = 10.0


def end_leftovers(folder: Path) -> list[int]:
    """End every pg_dump and pg_restore of this machine that was given a path in `folder`.

    The caller holds what makes sure that none of them is of another living naru. Gives
    their process ids.
    """
    found = running_on(folder)
    for how in (signal.SIGTERM, signal.SIGKILL):
        for pid in running_on(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
        with contextlib.suppress(DeadlineError):
            wait_until(lambda: not running_on(folder), f"programs on {folder} to end", _SECONDS)
            break
    return found


def running_on(folder: Path) -> list[int]:
    """The ids of such programs."""
    return [
        int(entry.name)
        for entry in Path("/proc").glob("[0-9]*")
        if _is_on(folder, arguments_of(int(entry.name))) and is_alive(int(entry.name))
    ]


def _is_on(folder: Path, words: list[str]) -> bool:
    if not words or Path(words[0]).name not in _PROGRAMS:
        return False
    paths = (Path(word.partition("=")[2] or word) for word in words[1:])
    return any(path.is_relative_to(folder) for path in paths if path.is_absolute())
