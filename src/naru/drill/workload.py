"""A workload from outside: start its process, look at it, stop it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

from naru.drill.gaps import Gap, errors_within, longest_gap
from naru.drill.ledger import LedgerVerdict, judge
from naru.drill.settings import LOG, PASSFILE, STOP, WorkloadSettings, WorkloadStatus
from naru.errors import DeadlineError, ServerError, UsageError
from naru.postgres import Dsn
from naru.system import arguments_of, is_alive, private_folder, spawn, wait_until

START_SECONDS = 20.0
STOP_SECONDS = 20.0


class Workload:
    """The workload of one folder. Any process can hold one and stop it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = WorkloadSettings.load(folder)

    @classmethod
    def start(cls, folder: Path, settings: WorkloadSettings) -> Workload:
        """Start `settings` in a new folder, and wait for its first acknowledged commit.

        Raises ServerError with the errors that its clients got when there is none.
        """
        settings.check()
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty", remedy="give each workload a new folder")
        private_folder(folder)
        settings.save(folder)
        with (folder / LOG).open("ab") as log:
            process = spawn(
                [sys.executable, "-m", "naru.drill", folder.resolve()],
                stdout=log,
                stderr=log,
                new_session=True,
            )
        workload = cls(folder)

        def runs() -> bool:
            if process.poll() is not None:
                raise ServerError(f"the workload in {folder} ended: {workload._last_words()}")
            return workload.status.state == "running"

        try:
            wait_until(runs, "the workload's first commit", START_SECONDS, every=0.05)
        except BaseException as error:
            status = workload.status
            process.kill()
            process.wait()
            workload._forget_password()
            if isinstance(error, DeadlineError):
                raise ServerError(
                    f"the workload at {settings.dsn} got nothing committed within"
                    f" {START_SECONDS:g} s; errors by kind: {dict(status.reasons) or 'none'}",
                    remedy="check that its role may log in there and write to the ledger",
                ) from error
            raise
        return workload

    @property
    def status(self) -> WorkloadStatus:
        """How far it is, as it said within the last second."""
        return WorkloadStatus.load(self.folder)

    @property
    def pid(self) -> int | None:
        """Its process, if that still runs."""
        pid = self.status.pid
        alive = pid and is_alive(pid) and str(self.folder.resolve()) in arguments_of(pid)
        return pid if alive else None

    def stop(self) -> WorkloadStatus:
        """End it, transactions under way included; harmless when it has ended."""
        (self.folder / STOP).touch()
        pid = self.pid
        if pid is not None:
            try:
                wait_until(lambda: not is_alive(pid), "the workload to end", STOP_SECONDS)
            except DeadlineError:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._forget_password()
        return self.status

    def judge(self, server: Dsn, *, start: float = 0.0, end: float | None = None) -> LedgerVerdict:
        """Compare its records with the ledger at `server`; see `naru.drill.judge`."""
        return judge(server, self.folder, self.settings.run, start=start, end=end)

    def longest_gap(self, start: float, end: float) -> Gap | None:
        """The write pause that its clients saw within [start, end], since the epoch."""
        return longest_gap(self.folder, start, end)

    def errors_within(self, start: float, end: float) -> int:
        """How many of its transactions ended in an error within [start, end]."""
        return errors_within(self.folder, start, end)

    def _forget_password(self) -> None:
        (self.folder / PASSFILE).unlink(missing_ok=True)

    def _last_words(self) -> str:
        return (self.folder / LOG).read_text(errors="replace")[-2000:].strip()
