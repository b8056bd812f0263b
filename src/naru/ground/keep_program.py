"""What supervisor starts in the place of a program, so that another supervisor can take it over.

`keep.py NAME RUN LOG SECONDS COMMAND…` notes in RUN who it is and becomes the command, which
writes to LOG by itself and holds nothing of supervisor's. When NAME runs already, because the
supervisor before died, it does not start it again: it stands for the living process instead,
passes signals on to it, and ends when that ends. So no program is ever there twice.

This file is copied into the environment and run from there, so it imports nothing of ours.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import sys
import time
from types import FrameType

MARK = "NARU_PROGRAM"
"""A program's processes carry its name in this variable."""

LOG_BYTES = 10_000_000
LOG_BACKUPS = 3
_PASSED_ON = ("TERM", "INT", "QUIT", "HUP", "USR1", "USR2")
_ENDING = ("TERM", "INT", "QUIT")
_DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG"""


def start_of(pid: int) -> int | None:
    """When a living process began, in ticks since the machine did; None if it is gone.

    With its id that names a process for as long as the machine is up.
    """
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def boot() -> str:
    """What names this run of the machine."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def running(record: str) -> int | None:
    """The process id in the file `record`, if it is still that process."""
    try:
        with open(record) as file:
            pid, start, noted_boot = file.read().split()
    except (OSError, ValueError):
        return None
    same = noted_boot == boot() and start_of(int(pid)) == int(start)
    return int(pid) if same else None


def note(record: str) -> None:
    """Write who we are, whole or not at all."""
    partial = f"{record}.{os.getpid()}"
    with open(partial, "w") as file:
        file.write(f"{os.getpid()} {start_of(os.getpid())} {boot()}\n")
    os.replace(partial, record)


def rotate(log: str) -> None:
    """Put a log that has grown large aside; whoever writes it goes on, at the end of the file."""
    with contextlib.suppress(FileNotFoundError):
        if os.stat(log).st_size < LOG_BYTES:
            return
        for number in range(LOG_BACKUPS - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                os.replace(f"{log}.{number}", f"{log}.{number + 1}")
        with open(log, "r+b") as old, open(f"{log}.1", "wb") as aside:
            while part := old.read(1 << 20):
                aside.write(part)
            old.truncate(0)


def become(name: str, log: str, command: list[str]) -> None:
    """Turn into the program. Does not return."""
    rotate(log)
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    # Not supervisor's pipe as standard input: a PostgreSQL backend whose postmaster dies while
    # it waits for a standby goes on to read its standard input, and would do so for ever,
    # holding the shared memory that the restart needs; at the end of a file it ends.
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    try:
        os.execvpe(command[0], command, {**os.environ, MARK: name})  # noqa: S606
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


class Stand:
    """Stands for a program that another supervisor's `keep.py` has become."""

    def __init__(self, pid: int, handle: int, seconds: float) -> None:
        self._pid = pid
        self._handle = handle
        self._seconds = seconds
        self._kill_at: float | None = None

    def until_it_ends(self) -> int:
        """The exit code: 0 when it was told to end, 1 when it ended by itself."""
        _die_with_supervisor()
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer)
        for name in _PASSED_ON:
            signal.signal(getattr(signal, f"SIG{name}"), self._pass_on)
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        poll.register(reader, select.POLLIN)
        while True:
            ready = dict(poll.poll(self._milliseconds()))
            if self._handle in ready:
                return 0 if self._kill_at is not None else 1
            if reader in ready:
                os.read(reader, 64)
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                self._send(signal.SIGKILL)
                self._kill_at = time.monotonic() + 1

    def _milliseconds(self) -> float | None:
        if self._kill_at is None:
            return None
        return max(0.0, self._kill_at - time.monotonic()) * 1000

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        self._send(signal.Signals(number))
        if signal.Signals(number).name[3:] in _ENDING and self._kill_at is None:
            # Before supervisor kills us, which we could not pass on.
            self._kill_at = time.monotonic() + max(1.0, self._seconds - 2)

    def _send(self, how: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, how)


def _die_with_supervisor() -> None:
    """Whoever stands for a program under a dead supervisor is of no use."""
    import ctypes

    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    if os.getppid() == 1:
        sys.exit(1)


def main() -> None:
    """Become the program, or stand for it."""
    name, run, log, seconds, *command = sys.argv[1:]
    record = f"{run}/{name}.pid"
    with open(f"{run}/{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        pid = running(record)
        if pid is None:
            note(record)
    if pid is None:
        become(name, log, command)
        return
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        sys.exit(1)
    if running(record) != pid:
        sys.exit(1)
    print(f"{name}: taken over, process {pid}", flush=True)
    sys.exit(Stand(pid, handle, float(seconds)).until_it_ends())


if __name__ == "__main__":
    main()
