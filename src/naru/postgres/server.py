"""One server of our own: initialise its folder, configure it, start and stop it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from naru.errors import ServerError, UnreachableError
from naru.postgres.connect import connect
from naru.postgres.dsn import Dsn
from naru.postgres.installation import Installation
from naru.system import Account, is_alive, private_folder, run, spawn, wait_until, write_atomically

START_SECONDS = 60
STOP_SECONDS = 60


def initialise(
    installation: Installation,
    data: Path,
    *,
    superuser: str,
    password: str,
    account: Account,
    locale: str = "C",
    encoding: str = "UTF8",
) -> None:
    """Run initdb into `data` (SCRAM everywhere, checksums on), owned by `account`.

    The parent folder must be reachable by `account`. Raises ProcessError with initdb's words.
    """
    private_folder(data, owner=account)
    pwfile = data.parent / f".{data.name}.pw"
    write_atomically(pwfile, password + "\n", mode=0o600, owner=account)
    try:
        run(
            [
                installation.tool("initdb"), "--pgdata", data, "--username", superuser,
                "--pwfile", pwfile, "--auth", "scram-sha-256", "--encoding", encoding,
                "--locale", locale, "--data-checksums", "--no-sync",
            ],
            seconds=START_SECONDS,
            account=account,
        )  # fmt: skip
    finally:
        pwfile.unlink(missing_ok=True)


def write_settings(
    data: Path, settings: Mapping[str, str], *, account: Account, hba: str | None = None
) -> None:
    """Write our settings beside initdb's, and pg_hba.conf when given.

    They stand in `naru.conf`, included last, so that `postgresql.conf` stays as made.
    """
    lines = (f"{key} = '{value.replace(chr(39), chr(39) * 2)}'" for key, value in settings.items())
    write_atomically(data / "naru.conf", "\n".join(lines) + "\n", mode=0o600, owner=account)
    main = data / "postgresql.conf"
    text = main.read_text()
    if "include 'naru.conf'" not in text:
        write_atomically(main, text + "\ninclude 'naru.conf'\n", mode=0o600, owner=account)
    if hba is not None:
        write_atomically(data / "pg_hba.conf", hba, mode=0o600, owner=account)


def server_command(installation: Installation, data: Path) -> list[str]:
    """What to run, in the foreground, under a supervisor."""
    return [str(installation.tool("postgres")), "-D", str(data)]


@dataclass
class LocalServer:
    """A server that this process starts and stops itself: for tests, and for short work.

    Used as a context manager it is started on entering and ended on leaving; its data
    stay.
    """

    installation: Installation
    data: Path
    host: str
    port: int
    superuser: str
    password: str = field(repr=False)
    account: Account
    settings: dict[str, str] = field(default_factory=dict)
    locale: str = "C"
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def dsn(self, database: str = "postgres", user: str | None = None) -> Dsn:
        """How the superuser (or `user`, without a password) reaches `database`."""
        password = self.password if user is None else None
        return Dsn.of(self.host, self.port, database, user or self.superuser, password=password)

    def start(self) -> None:
        """Initialise if the folder is new, start, and wait until it takes connections.

        Raises ServerError with the end of its log when it does not come up.
        """
        if not (self.data / "PG_VERSION").exists():
            initialise(
                self.installation, self.data, superuser=self.superuser, password=self.password,
                account=self.account, locale=self.locale,
            )  # fmt: skip
        write_settings(
            self.data,
            {
                "listen_addresses": self.host,
                "port": str(self.port),
                "unix_socket_directories": "",
                **self.settings,
            },
            account=self.account,
            hba="host all all all scram-sha-256\nhost replication all all scram-sha-256\n",
        )
        log = self.data.parent / f"{self.data.name}.log"
        with log.open("ab") as file:
            self._process = spawn(
                server_command(self.installation, self.data),
                account=self.account, stdout=file, stderr=file, new_session=True,
            )  # fmt: skip
        wait_until(lambda: self._ready(log), f"PostgreSQL at {self.host}:{self.port}",
                   START_SECONDS, every=0.05)  # fmt: skip

    def _ready(self, log: Path) -> bool:
        if self._process is None or self._process.poll() is not None:
            words = log.read_text(errors="replace")[-2000:]
            raise ServerError(f"PostgreSQL in {self.data} did not start: {words}")
        with contextlib.suppress(UnreachableError, psycopg.Error):
            connect(self.dsn(), purpose="start").close()
            return True
        return False

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, from its own file; None when there is none."""
        try:
            return int((self.data / "postmaster.pid").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def stop(self, *, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT fast, SIGTERM smart, SIGQUIT at once, SIGKILL as a crash."""
        pid = self._process.pid if self._process else self.pid
        if pid is None or not is_alive(pid):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)
        if self._process is not None:
            self._process.wait(timeout=STOP_SECONDS)
            self._process = None
        else:
            wait_until(lambda: not is_alive(pid), f"PostgreSQL {pid} to end", STOP_SECONDS)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
