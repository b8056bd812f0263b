"""Which processes of this machine are ours, and who listens where."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address
from pathlib import Path

from naru.errors import DeadlineError
from naru.ground.addresses import Listener
from naru.ground.keep_program import MARK as PROGRAM_MARK
from naru.system import is_alive, wait_until

MARK = "NARU_ENVIRONMENT"
"""Every process of an environment carries its folder in this variable."""

_LISTEN = "0A"
_ANY_V6 = "0" * 32


def processes_of(folder: Path) -> list[int]:
    """All living processes of the environment in `folder`, wherever they came from.

    They carry our mark; a postmaster is also known by standing in a data folder of ours.
    """
    mark = f"{MARK}={folder}".encode()
    return [pid for pid in _all() if pid != os.getpid() and _is_ours(pid, folder, mark)]


def _all() -> Iterable[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _is_ours(pid: int, folder: Path, mark: bytes) -> bool:
    process = Path(f"/proc/{pid}")
    with contextlib.suppress(OSError):
        if mark in (process / "environ").read_bytes().split(b"\0"):
            return is_alive(pid)
    with contextlib.suppress(OSError):
        stands_in = (process / "cwd").readlink()
        if name_of(pid) == "postgres" and stands_in.is_relative_to(folder):
            return is_alive(pid)
    return False


def name_of(pid: int) -> str:
    """The short name of a process; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def end_all(folder: Path, seconds: float) -> list[int]:
    """End every process of the environment: asked first, killed after `seconds`.

    PostgreSQL is asked for its fast shutdown. Gives the ids of those that were running.
    """
    found = processes_of(folder)
    for pid in found:
        _send(pid, signal.SIGINT if name_of(pid) == "postgres" else signal.SIGTERM)
    with contextlib.suppress(DeadlineError):
        wait_until(lambda: not processes_of(folder), "processes to end", seconds)
    for pid in processes_of(folder):
        _send(pid, signal.SIGKILL)
    wait_until(lambda: not processes_of(folder), "killed processes to be gone", seconds)
    return found


def end_these(pids: Sequence[int], seconds: float) -> None:
    """End these processes as `end_all` does."""
    for pid in pids:
        _send(pid, signal.SIGINT if name_of(pid) == "postgres" else signal.SIGTERM)
    with contextlib.suppress(DeadlineError):
        wait_until(lambda: not any(map(is_alive, pids)), "processes to end", seconds)
    for pid in filter(is_alive, pids):
        _send(pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, pids)), "killed processes to be gone", seconds)


def program_of(pid: int) -> str | None:
    """The program that a process of ours belongs to; None if it does not say.

    PostgreSQL's backends write over their environment; then their parent's word counts.
    """
    for one in (pid, _parent(pid)):
        with contextlib.suppress(OSError):
            for word in Path(f"/proc/{one}/environ").read_bytes().split(b"\0"):
                if word.startswith(f"{PROGRAM_MARK}=".encode()):
                    return word.partition(b"=")[2].decode(errors="replace")
    return None


def _parent(pid: int) -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return None


def _send(pid: int, how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, how)


def clear_stale_pid_file(data: Path) -> None:
    """Remove a postmaster.pid whose process is not the postmaster of `data`.

    PostgreSQL refuses to start when that id, after a power cut, is someone else's.
    """
    path = data / "postmaster.pid"
    try:
        pid = int(path.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return
    with contextlib.suppress(OSError):
        if is_alive(pid) and Path(f"/proc/{pid}/cwd").readlink() == data.resolve():
            return
    path.unlink(missing_ok=True)


def foreign_listeners(folder: Path, ports: Iterable[int]) -> list[Listener]:
    """Who listens on one of `ports`, at any address, and is not of this environment."""
    wanted = set(ports)
    found = [entry for entry in _listening() if entry[1] in wanted]
    holders = _holders({inode for _, _, inode in found})
    ours = set(processes_of(folder))
    return [
        Listener(address, port, _describe(holders.get(inode)))
        for address, port, inode in found
        if holders.get(inode) not in ours
    ]


def listening() -> set[tuple[str, int]]:
    """Every address and port where something listens now."""
    return {(address, port) for address, port, _ in _listening()}


def _listening() -> Iterable[tuple[str, int, str]]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                words = line.split()
                address, _, port = words[1].partition(":")
                where = _ipv4(address)
                if words[3] == _LISTEN and where is not None:
                    yield where, int(port, 16), words[9]


def _ipv4(word: str) -> str | None:
    """An address as /proc/net/tcp writes it; one of all IPv6 takes all of IPv4 as well."""
    if len(word) == 8:
        return str(IPv4Address(bytes.fromhex(word)[::-1]))
    return "0.0.0.0" if word == _ANY_V6 else None  # noqa: S104


def _holders(inodes: set[str]) -> dict[str, int]:
    holders: dict[str, int] = {}
    for pid in _all() if inodes else ():
        with contextlib.suppress(OSError):
            for handle in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    target = str(handle.readlink())
                    inode = target[8:-1] if target.startswith("socket:[") else ""
                    if inode in inodes:
                        holders.setdefault(inode, pid)
    return holders


def _describe(pid: int | None) -> str:
    return f"{name_of(pid)} (pid {pid})" if pid else "a process of another user"
