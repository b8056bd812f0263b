"""The programs of an environment that run, whoever supervises them.

Every program is started by `keep.py`, which notes in `run/` who it is. So a program whose
supervisor has died is still known, and another supervisor can take it over as it runs.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import signal
import sys
import time
from pathlib import Path

from naru.ground import keep_program, log_program, processes, supervisor_program
from naru.ground.model import Program
from naru.system import Account, arguments_of, is_alive, wait_until, write_atomically

LOGS = "logs"
"""The program of the ground itself that keeps logs from growing without bound."""

_KILLED_SECONDS = 10


class Living:
    """What runs of the environment in `folder`."""

    def __init__(self, folder: Path, account: Account) -> None:
        self._folder = folder
        self._account = account

    def install(self) -> None:
        """Put in place what programs are started by."""
        for path, module in (
            (self._keep, keep_program),
            (self._logs, log_program),
            (self.supervisor, supervisor_program),
        ):
            source = inspect.getsource(module)
            if not path.exists() or path.read_text() != source:
                write_atomically(path, source, mode=0o600, owner=self._account)

    def keeper(self, program: Program, log: Path) -> tuple[str, ...]:
        """The words before the command of `program` that have it kept."""
        words = (program.name, self._folder / "run", log, program.stop_seconds)
        return (sys.executable, "-I", "-S", str(self._keep), *map(str, words))

    @property
    def logs(self) -> Program:
        """What keeps the logs short; it belongs to no host of the lab."""
        argv = (sys.executable, "-E", "-S", str(self._logs), str(self._folder / "logs"))
        return Program(LOGS, "", argv, priority=1, stop_seconds=5)

    @property
    def _keep(self) -> Path:
        return self._folder / "programs" / "keep.py"

    @property
    def _logs(self) -> Path:
        return self._folder / "programs" / "logs.py"

    @property
    def supervisor(self) -> Path:
        """The supervisor's script."""
        return self._folder / "programs" / "supervise.py"

    # Who runs

    def pid(self, name: str) -> int | None:
        """The process of program `name`, if it lives."""
        return keep_program.running(str(self.record(name)))

    def record(self, name: str) -> Path:
        """Where it stands who program `name` is."""
        return self._folder / "run" / f"{name}.pid"

    def all(self) -> dict[str, int]:
        """Every program with a configuration whose process lives."""
        names = (path.stem for path in sorted((self._folder / "programs").glob("*.conf")))
        found = ((name, self.pid(name)) for name in names)
        return {name: pid for name, pid in found if pid is not None}

    def uptime_seconds(self, name: str) -> int | None:
        """For how long its process has been there."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            ticks = int(self.record(name).read_text().split()[1])
            began = ticks / os.sysconf("SC_CLK_TCK")
            return max(0, int(time.clock_gettime(time.CLOCK_BOOTTIME) - began))
        return None

    # Ending what should not

    def end(self, name: str, how: signal.Signals, seconds: float) -> None:
        """End program `name` if it runs under nobody: asked by `how`, killed after `seconds`."""
        pid = self.pid(name)
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)
        processes.end_these([pid], seconds)

    def end_supervisors(self) -> None:
        """Kill supervisors that do not answer. Their programs go on."""
        # One that runs as a module was started by an earlier naru.
        known = {str(self.supervisor), "supervisor.supervisord"}
        found = [
            pid
            for pid in processes.processes_of(self._folder)
            if known.intersection(arguments_of(pid))
        ]
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(map(is_alive, found)), "its end", _KILLED_SECONDS)

    def end_strays(self, seconds: float) -> None:
        """End what belongs to no living program.

        The PostgreSQL of a member whose Patroni is gone stays: the next Patroni takes it over.
        """
        living = self.all()
        strays = [
            pid
            for pid in processes.processes_of(self._folder)
            if not self._belongs(pid, processes.program_of(pid), living)
        ]
        processes.end_these(strays, seconds)

    def _belongs(self, pid: int, name: str | None, living: dict[str, int]) -> bool:
        if name in living:
            return True
        placed = (self._folder / "programs" / f"{name}.conf").exists()
        return placed and processes.name_of(pid) == "postgres"
