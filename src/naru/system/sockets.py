"""TCP sockets of running programs, reached from outside: who is at their ends, and hanging up.

The kernel lets whoever may trace a process borrow its sockets (pidfd_getfd, Linux 5.6).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from naru.errors import NotPermittedError

_PIDFD_GETFD = 438
_REFUSALS = frozenset({1, 13, 38})
"""EPERM, EACCES, and ENOSYS of a kernel that has no such call."""


@dataclass(frozen=True)
class Line:
    """The two ends of a connection as its socket sees them; `peer` is None at a listener."""

    here: tuple[str, int]
    peer: tuple[str, int] | None


def sockets_of(pids: Iterable[int]) -> Iterator[tuple[Line, socket.socket]]:
    """The TCP sockets of `pids`, borrowed one after the other, each once.

    Raises NotPermittedError when one of those processes may not be reached into.
    """
    seen: set[str] = set()
    for pid in pids:
        for number, name in _handles(pid):
            if name in seen:
                continue
            seen.add(name)
            with contextlib.suppress(OSError), borrow(pid, number) as borrowed:
                line = _line(borrowed)
                if line is not None:
                    yield line, borrowed


def hang_up(pids: Iterable[int], which: Callable[[Line], bool]) -> int:
    """End the connections of `pids` that `which` picks, as if their peers had; how many.

    The program reads the end of the stream and clears up by itself. Raises NotPermittedError.
    """
    count = 0
    for line, borrowed in sockets_of(pids):
        if line.peer is not None and which(line):
            with contextlib.suppress(OSError):
                borrowed.shutdown(socket.SHUT_RDWR)
                count += 1
    return count


def borrow(pid: int, number: int) -> socket.socket:
    """A socket of another process. Raises NotPermittedError, or OSError when it is gone."""
    process = os.pidfd_open(pid)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        handle = libc.syscall(_PIDFD_GETFD, process, number, 0)
        if handle < 0:
            code = ctypes.get_errno()
            if code in _REFUSALS:
                raise NotPermittedError(
                    f"cannot reach into process {pid}: {os.strerror(code)}",
                    remedy="run the same command as root",
                )
            raise OSError(code, os.strerror(code))
    finally:
        os.close(process)
    return socket.socket(fileno=handle)


def _handles(pid: int) -> Iterator[tuple[int, str]]:
    with contextlib.suppress(OSError):
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                name = str(handle.readlink())
                if name.startswith("socket:["):
                    yield int(handle.name), name


def _line(borrowed: socket.socket) -> Line | None:
    if borrowed.family != socket.AF_INET or borrowed.type != socket.SOCK_STREAM:
        return None
    peer: tuple[str, int] | None = None
    with contextlib.suppress(OSError):
        peer = borrowed.getpeername()
    return Line(borrowed.getsockname(), peer)
