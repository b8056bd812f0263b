"""Locks on files, which the system frees when their holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from naru.system.waiting import wait_until


@contextlib.contextmanager
def locked(path: Path, what: str, seconds: float) -> Iterator[int]:
    """Hold the lock on `path` for the block, and give the file's descriptor.

    The file is made if it is missing, and stays. Raises DeadlineError, naming `what` is
    waited for, when another holder has not let go within `seconds`.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        wait_until(lambda: _take(descriptor, fcntl.LOCK_EX), what, seconds, every=0.05)
        yield descriptor
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """True while somebody holds the lock on `path`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _take(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _take(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
