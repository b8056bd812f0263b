"""A member's own note of its lease: until when its server may be a primary.

Its Patroni writes it after each renewal of the lock, its watchdog and the guardian read it. It
is a page of memory shared through a file, so that neither a full disk nor a slow one keeps a
healthy member from renewing. Times are of the clock that also counts while a machine sleeps.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

_SIZE = 4096
_PART = struct.Struct("<QQQ")
_SUM = struct.Struct("<I")
_MEMBER, _WATCH = 0, 2048
_READS = 20
NANO = 1_000_000_000


def now() -> int:
    """Nanoseconds since the machine began."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class Lease:
    """What Patroni says of its lock."""

    armed: bool
    """Whether its server may be a primary, as far as Patroni knows."""
    renewed: int
    """When the last renewal that succeeded was begun."""
    until: int
    """From then on the server must not be there, unless the lock was renewed."""


@dataclass(frozen=True)
class Watch:
    """What the watchdog says of itself."""

    pid: int
    tick: int
    """When it last looked."""
    settled: int
    """Leases that ended at this time, or before, have been dealt with."""


def verdict(lease: Lease | None, settled: int, at: int, *, alone: bool) -> str:
    """What the watchdog does now: `wait`, `kill` the server, or `end` itself.

    Invariant: no server that may write lives after `until`. It ends when Patroni is gone
    and there is nothing left to watch.
    """
    held = lease is not None and lease.armed and lease.until > settled
    if lease is not None and held and at >= lease.until:
        return "kill"
    return "end" if alone and not held else "wait"


class LeaseFile:
    """The shared page. Each part has one writer: Patroni, and the watchdog."""

    def __init__(self, path: Path) -> None:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(handle).st_size < _SIZE:
                # Written, so that its block is there before the disk may be full.
                os.pwrite(handle, bytes(_SIZE), 0)
            self._page = mmap.mmap(handle, _SIZE)
        finally:
            os.close(handle)

    def arm(self, renewed: int, until: int) -> None:
        """Patroni: the lock was renewed."""
        self._write(_MEMBER, 1, renewed, until)

    def disarm(self) -> None:
        """Patroni: there is no primary here that would have to be watched."""
        self._write(_MEMBER, 0, 0, 0)

    @property
    def lease(self) -> Lease | None:
        """None while it is being written, or before it ever was."""
        found = self._read(_MEMBER)
        return None if found is None else Lease(bool(found[0]), found[1], found[2])

    def tick(self, settled: int) -> None:
        """The watchdog: it looked just now."""
        self._write(_WATCH, os.getpid(), now(), settled)

    @property
    def watch(self) -> Watch | None:
        found = self._read(_WATCH)
        return None if found is None else Watch(*found)

    def _write(self, at: int, *values: int) -> None:
        body = _PART.pack(*values)
        self._page[at : at + _PART.size + _SUM.size] = body + _SUM.pack(zlib.crc32(body))

    def _read(self, at: int) -> tuple[int, int, int] | None:
        for _ in range(_READS):
            raw = self._page[at : at + _PART.size + _SUM.size]
            body = raw[: _PART.size]
            if any(raw) and _SUM.unpack(raw[_PART.size :])[0] == zlib.crc32(body):
                one, two, three = _PART.unpack(body)
                return one, two, three
        return None
