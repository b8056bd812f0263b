"""Sockets of running programs made deaf: what arrives there is dropped, as on a cut line.

The kernel lets whoever may trace a process borrow its sockets (pidfd_getfd), and lets a
socket carry a filter of packets (SO_ATTACH_FILTER). A filter that takes nothing is a cut
line: no error, no end of the connection, only silence, and all goes on once it is lifted.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from naru.errors import NotPermittedError

_PIDFD_GETFD = 438
_ATTACH, _DETACH = 26, 27
_ANY = 0

# Classic BPF: load a word, jump if equal, return. https://docs.kernel.org/networking/filter.html
_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_SOURCE_ADDRESS = 0xFFF00000 + 12
"""SKF_NET_OFF: offsets from there count in the header of IP."""
_ALL = 0xFFFFFFFF

Instruction = tuple[int, int, int, int]


@dataclass(frozen=True)
class Line:
    """The two ends of a connection as its socket sees them; `peer` is None at a listener."""

    here: tuple[str, int]
    peer: tuple[str, int] | None


def possible() -> bool:
    """Whether the kernel and our rights allow it: tried on a process of our own account."""
    try:
        with contextlib.closing(socket.socket()) as own:
            _borrow(os.getpid(), own.fileno()).close()
    except NotPermittedError:
        return False
    return os.geteuid() == 0 or _may_trace()


def deafen(pids: Iterable[int], which: Callable[[Line], bool]) -> int:
    """Drop what arrives on all connections of `pids` that `which` picks; how many there were."""
    count = 0
    for line, borrowed in _sockets(pids):
        if line.peer is not None and which(line):
            _attach(borrowed, [(_RETURN, 0, 0, 0)])
            count += 1
    return count


def refuse(pids: Iterable[int], port: int, sources: Iterable[str]) -> None:
    """Let nobody at an address in `sources` begin a connection to `port` of `pids`."""
    program = dropping(sources)
    for line, borrowed in _sockets(pids):
        if line.peer is None and line.here[1] == port:
            _attach(borrowed, program)


def hear(pids: Iterable[int]) -> None:
    """Lift every filter of `pids`. Harmless where there is none."""
    for _, borrowed in _sockets(pids):
        with contextlib.suppress(OSError):
            borrowed.setsockopt(socket.SOL_SOCKET, _DETACH, _ANY)


def lines_of(pids: Iterable[int]) -> list[Line]:
    """The TCP connections and listeners of `pids`."""
    return [line for line, _ in _sockets(pids)]


def dropping(sources: Iterable[str]) -> list[Instruction]:
    """A filter that takes all but what comes from one of these addresses."""
    found = [int(IPv4Address(one)) for one in sources]
    jumps = [(_JUMP_IF_EQUAL, len(found) - n, 0, one) for n, one in enumerate(found)]
    return [(_LOAD_WORD, 0, 0, _SOURCE_ADDRESS), *jumps, (_RETURN, 0, 0, _ALL), (_RETURN, 0, 0, 0)]


def _attach(borrowed: socket.socket, program: list[Instruction]) -> None:
    code = b"".join(struct.pack("HBBI", *one) for one in program)
    kept = ctypes.create_string_buffer(code)
    packed = struct.pack("HL", len(program), ctypes.addressof(kept))
    borrowed.setsockopt(socket.SOL_SOCKET, _ATTACH, packed)


def _sockets(pids: Iterable[int]) -> Iterator[tuple[Line, socket.socket]]:
    """The TCP sockets of `pids`, borrowed one after the other, each once."""
    seen: set[str] = set()
    for pid in pids:
        for number, name in _handles(pid):
            if name in seen:
                continue
            seen.add(name)
            with contextlib.suppress(OSError), _borrow(pid, number) as borrowed:
                line = _line(borrowed)
                if line is not None:
                    yield line, borrowed


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


def _borrow(pid: int, number: int) -> socket.socket:
    """A socket of another process. Raises NotPermittedError, or OSError when it is gone."""
    process = os.pidfd_open(pid)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        handle = libc.syscall(_PIDFD_GETFD, process, number, 0)
        if handle < 0:
            code = ctypes.get_errno()
            if code in {1, 13, 38}:
                raise NotPermittedError(
                    f"cannot reach into process {pid}: {os.strerror(code)}",
                    remedy="run the drill as root",
                )
            raise OSError(code, os.strerror(code))
    finally:
        os.close(process)
    return socket.socket(fileno=handle)


def _may_trace() -> bool:
    """Whether processes may look into others of the same account (Yama's ptrace_scope 0)."""
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    with contextlib.suppress(OSError):
        return scope.read_text().strip() == "0"
    return True
