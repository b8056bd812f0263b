"""Processes of one member on this host: which there are, how they stand, and their end."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

MARK = b"NARU_PROGRAM="
"""Every process of a program carries its name in this variable."""

_GONE = "ZX"
_STEP_SECONDS = 0.02


@dataclass(frozen=True)
class Process:
    """One process of this machine. Two are equal if they are the same one."""

    pid: int
    start: int
    """When it began, in ticks since the machine did; with the id it names one process."""
    frozen: bool = field(compare=False)
    """Stopped by a signal. One that is traced is not: somebody is at work on it."""


def process(pid: int) -> Process | None:
    """The living process `pid`; None when it is gone, or only waits to be reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in _GONE else Process(pid, int(fields[19]), fields[0] == "T")


def recorded(record: Path) -> Process | None:
    """The living process that the supervisor's `keep.py` noted in `record`."""
    try:
        pid, start, boot = record.read_text().split()
        if boot != _boot():
            return None
        found = process(int(pid))
    except (OSError, ValueError):
        return None
    return found if found is not None and found.start == int(start) else None


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def postmaster(data: Path) -> Process | None:
    """The server of the folder `data`, if it lives."""
    try:
        pid = int((data / "postmaster.pid").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return process(pid) if _stands_in(pid, data) else None


def servers_of(data: Path) -> list[int]:
    """Every process of PostgreSQL that stands in `data`, the postmaster first."""
    found = [pid for pid in _all() if _stands_in(pid, data) and process(pid)]
    chief = postmaster(data)
    return sorted(found, key=lambda pid: (chief is None or pid != chief.pid, pid))


def orphans_of(data: Path) -> list[int]:
    """Processes of a server in `data` whose postmaster has ended."""
    found = [pid for pid in _all() if _stands_in(pid, data) and process(pid)]
    return [
        pid for pid in found if _command(pid).startswith("postgres:") and _parent(pid) not in found
    ]


def of_program(name: str, but: str) -> list[int]:
    """Every process that says it belongs to program `name`, without those that run `but`.

    So a server is seen that has just been started and does not stand in its folder yet.
    """
    word = MARK + name.encode()
    return [pid for pid in _all() if _says(pid, word) and but not in _command(pid)]


def may_write(data: Path) -> bool:
    """False while a server in `data` can only be a standby.

    Patroni leaves this file before it starts one, and PostgreSQL takes it away before it
    accepts the first write.
    """
    return not (data / "standby.signal").exists()


def kill(pids: Iterable[int]) -> None:
    """kill -9, in the order given: with the postmaster first nothing new is started."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def end_servers(data: Path, seconds: float) -> bool:
    """kill -9 the whole server of `data`; True once none of its processes is left."""
    end = time.monotonic() + seconds
    while pids := servers_of(data):
        kill(pids)
        if time.monotonic() > end:
            return False
        time.sleep(_STEP_SECONDS)
    return True


def end(one: Process, seconds: float) -> bool:
    """kill -9 exactly this process; True once it is gone."""
    deadline = time.monotonic() + seconds
    try:
        handle = os.pidfd_open(one.pid)
    except ProcessLookupError:
        return True
    try:
        while (now := process(one.pid)) is not None and now.start == one.start:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            if time.monotonic() > deadline:
                return False
            time.sleep(_STEP_SECONDS)
    finally:
        os.close(handle)
    return True


def _all() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208


def _stands_in(pid: int, data: Path) -> bool:
    try:
        return (
            os.readlink(f"/proc/{pid}/cwd") == str(data)  # noqa: PTH115
            and Path(f"/proc/{pid}/comm").read_text() == "postgres\n"
        )
    except OSError:
        return False


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _says(pid: int, word: bytes) -> bool:
    try:
        return word in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""
