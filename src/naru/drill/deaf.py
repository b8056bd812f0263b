"""Sockets of running programs made deaf: what arrives there is dropped, as on a cut line.

A socket that is borrowed from a program (`naru.system.sockets`) can carry a filter of packets
(SO_ATTACH_FILTER). A filter that takes nothing is a cut
line: no error, no end of the connection, only silence, and all goes on once it is lifted.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address
from pathlib import Path

from naru.errors import NotPermittedError
from naru.system.sockets import Line, borrow, sockets_of

_ATTACH, _DETACH = 26, 27
_ANY = 0

# Classic BPF: load a word, jump if equal, return. https://docs.kernel.org/networking/filter.html
_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_SOURCE_ADDRESS = 0xFFF00000 + 12
"""SKF_NET_OFF: offsets from there count in the header of IP."""
_ALL = 0xFFFFFFFF

Instruction = tuple[int, int, int, int]


def possible() -> bool:
    """Whether the kernel and our rights allow it: tried on a process of our own account."""
    try:
        with contextlib.closing(socket.socket()) as own:
            borrow(os.getpid(), own.fileno()).close()
    except NotPermittedError:
        return False
    return os.geteuid() == 0 or _may_trace()


def deafen(pids: Iterable[int], which: Callable[[Line], bool]) -> int:
    """Drop what arrives on all connections of `pids` that `which` picks; how many there were."""
    count = 0
    for line, borrowed in sockets_of(pids):
        if line.peer is not None and which(line):
            _attach(borrowed, [(_RETURN, 0, 0, 0)])
            count += 1
    return count


def refuse(pids: Iterable[int], port: int, sources: Iterable[str]) -> None:
    """Let nobody at an address in `sources` begin a connection to `port` of `pids`."""
    program = dropping(sources)
    for line, borrowed in sockets_of(pids):
        if line.peer is None and line.here[1] == port:
            _attach(borrowed, program)


def hear(pids: Iterable[int]) -> None:
    """Lift every filter of `pids`. Harmless where there is none."""
    for _, borrowed in sockets_of(pids):
        with contextlib.suppress(OSError):
            borrowed.setsockopt(socket.SOL_SOCKET, _DETACH, _ANY)


def lines_of(pids: Iterable[int]) -> list[Line]:
    """The TCP connections and listeners of `pids`."""
    return [line for line, _ in sockets_of(pids)]


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


def _may_trace() -> bool:
    """Whether processes may look into others of the same account (Yama's ptrace_scope 0)."""
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    with contextlib.suppress(OSError):
        return scope.read_text().strip() == "0"
    return True
