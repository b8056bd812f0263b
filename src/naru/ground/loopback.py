"""The ground `loopback`: this machine, one 127.x address for each host of the lab.

Programs run under one supervisord of the environment's own, as the servers' account.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from signal import Signals
from typing import TypeVar

from naru.errors import (
    DeadlineError,
    NotPermittedError,
    ProcessError,
    UsageError,
)
from naru.ground import processes
from naru.ground.access import Allowed
from naru.ground.addresses import local_address
from naru.ground.certificates import Certificates
from naru.ground.folder import SYSTEM_HOME, socket_path
from naru.ground.hosts import hosts_of
from naru.ground.identities import identities
from naru.ground.living import LOGS, Living
from naru.ground.model import (
    UNSUPERVISED,
    GroundStatus,
    HostStatus,
    PortStatus,
    Program,
    ProgramStatus,
)
from naru.ground.network import Network
from naru.ground.secrets import Secrets
from naru.ground.supervisor import ProcessInfo, Supervisor, render_program, render_supervisord
from naru.spec import Spec
from naru.system import (
    Account,
    Deadline,
    is_alive,
    locked,
    private_folder,
    run,
    server_account,
    wait_until,
    write_atomically,
)

T = TypeVar("T")

START_SECONDS = 20
DOWN_SECONDS = 120
REMAINS_SECONDS = 20
# How long a program may fail to start, again and again, before a wait for it gives up.
_PATIENCE_SECONDS = 8
_LAST_WORDS = 1500


def open_ground(spec: Spec, folder: Path) -> Loopback:
    """The ground that `spec` declares, with its state in `folder`. Starts nothing."""
    return Loopback(spec, folder, server_account(spec.ground.account))


class Loopback:
    """This machine as a ground; keeps the protocol `naru.ground.Ground`."""

    def __init__(self, spec: Spec, folder: Path, account: Account) -> None:
        self._spec = spec
        self.folder = folder.resolve()
        self.account = account
        self.secrets = Secrets(self.folder / "secrets", account)
        digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:10]
        self._identifier = f"naru-{digest}"
        self._living = Living(self.folder, account)
        self._network = Network(spec, self.folder, account)

    # Up and down

    def up(self) -> None:
        """Take a network and have a supervisord running.

        A live supervisord is adopted with all its programs. The programs of a dead one go on
        as they are under the next; what belongs to no program any more is ended first.
        """
        self._prepare_folders()
        with self._lock():
            self._living.install()
            if self._supervisor_pid() is not None:
                self._network.check_kept()
                self.certificates.ensure()
            else:
                self._begin()
            self.place(self._living.logs)

    def _begin(self) -> None:
        self._living.end_supervisors()
        living = self._living.all()
        if living:
            self._network.check_kept()
            self._living.end_strays(REMAINS_SECONDS)
        else:
            processes.end_all(self.folder, REMAINS_SECONDS)
            self._network.take()
        self.certificates.ensure()
        self._start_supervisor()
        for name in living:
            self._supervisor.start(name)
        settled = partial(self._are_settled, list(living))
        wait_until(settled, "programs to be taken over", START_SECONDS)

    def _are_settled(self, names: list[str]) -> bool:
        programs = self._supervisor.programs()
        return all(programs[name].state not in {"stopped", "starting"} for name in names)

    def down(self, *, purge: bool = False) -> None:
        """Stop all in order, end what outlived its program, and check that nothing is left."""
        if not self.folder.exists():
            return
        with self._lock():
            pid = self._supervisor_pid()
            if pid is not None:
                self._supervisor.shut_down()
                # It has nothing to end in order, and would be waited for by itself.
                self._living.end(LOGS, Signals.SIGKILL, REMAINS_SECONDS)
                with contextlib.suppress(DeadlineError):
                    wait_until(lambda: not is_alive(pid), "the supervisor to end", DOWN_SECONDS)
            processes.end_all(self.folder, REMAINS_SECONDS)
            if purge:
                self._purge()

    def _purge(self) -> None:
        self._network.release()
        socket_folder = self._socket_file.parent
        if not socket_folder.is_relative_to(self.folder):
            shutil.rmtree(socket_folder, ignore_errors=True)
        shutil.rmtree(self.folder)

    def _prepare_folders(self) -> None:
        if not self.folder.parent.exists():
            private_folder(self.folder.parent, mode=0o755)
        self._open_the_way()
        for folder in (self.folder, *(self.folder / name for name in _FOLDERS)):
            private_folder(folder, owner=self.account)
        for path, what in ((self.folder, "the state folder"), (Path(sys.prefix), "naru's Python")):
            if not self.account.can_traverse(path):
                raise NotPermittedError(
                    f"{what}, {path}, cannot be reached by the account {self.account.name}",
                    remedy="move it to a folder that others may enter, such as /srv or /opt, "
                    "or run naru as an ordinary user",
                )

    def _open_the_way(self) -> None:
        """Let the servers' account through to the state, where a strict umask closed folders."""
        for parent in reversed(self.folder.parents):
            ours = parent == SYSTEM_HOME or SYSTEM_HOME in parent.parents
            if ours and not self.account.can_traverse(parent):
                parent.chmod(parent.stat().st_mode | 0o011)

    def _lock(self) -> contextlib.AbstractContextManager[int]:
        """One up or down at a time."""
        what = f"another naru that works on {self.folder}"
        return locked(self.folder / "ground.lock", what, DOWN_SECONDS)

    # The network

    def address(self, lab_address: str) -> str:
        """127.x address of a host of the lab. Raises UsageError before the first `up`."""
        return self._network.address(lab_address)

    def allowed(self) -> tuple[Allowed, ...]:
        """From where clients are let in, this machine first. Raises as `address`."""
        return self._network.allowed()

    @property
    def certificates(self) -> Certificates:
        """The environment's authority and the certificates of its servers."""
        return Certificates(
            self.folder / "secrets" / "tls",
            self.account,
            self._spec.environment.name,
            lambda: identities(self._spec, self.address),
        )

    # The supervisor

    @property
    def _socket_file(self) -> Path:
        return self.socket_path("supervisor.sock")

    @property
    def _supervisor(self) -> Supervisor:
        return Supervisor(self._socket_file)

    def _supervisor_pid(self) -> int | None:
        return self._supervisor.pid(self._identifier)

    def _start_supervisor(self) -> None:
        config = self.folder / "supervisord.conf"
        text = render_supervisord(self.folder, self._socket_file, self._identifier)
        write_atomically(config, text, mode=0o600, owner=self.account)
        run(
            # A clean environment: PG* variables of the caller must not steer the servers.
            [
                "/usr/bin/env", "-i", f"{processes.MARK}={self.folder}", f"HOME={self.folder}",
                f"PATH={Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
                "LANG=C.UTF-8", "PYTHONUNBUFFERED=1",
                sys.executable, self._living.supervisor, "-c", config,
            ],
            seconds=START_SECONDS,
            account=self.account,
            cwd=self.folder,
        )  # fmt: skip
        wait_until(self._supervisor_pid, "the supervisor to answer", START_SECONDS)

    # Programs

    def data_folder(self, name: str) -> Path:
        """A private folder for a program's data, made if needed, owned by the account."""
        return private_folder(self.folder / "data" / name, owner=self.account)

    @property
    def python(self) -> Path:
        """The interpreter for programs that are Python packages."""
        return Path(sys.executable)

    def socket_path(self, name: str) -> Path:
        """Where a program may put its unix socket `name`: private, and short enough."""
        return socket_path(self.folder, name, self.account)

    def place(self, program: Program) -> None:
        """Have `program` running: started if it is not, restarted if it was another one."""
        path = self.folder / "programs" / f"{program.name}.conf"
        keeper = self._living.keeper(program, self.log(program.name))
        text = render_program(program, keeper, self.folder / "logs" / "programs.log")
        known = program.name in self._supervisor.programs()
        if not known or not path.exists() or path.read_text() != text:
            if known:
                self.stop(program.name)
            write_atomically(path, text, mode=0o600, owner=self.account)
            self._supervisor.reload(program.name)
        self._supervisor.start(program.name)

    def start(self, name: str) -> None:
        self._supervisor.start(name)

    def stop(self, name: str) -> None:
        self._supervisor.stop(name, DOWN_SECONDS)
        self._living.end(name, self._stop_signal(name), REMAINS_SECONDS)

    def remove(self, name: str) -> None:
        self.stop(name)
        (self.folder / "programs" / f"{name}.conf").unlink(missing_ok=True)
        self._supervisor.forget(name)

    def restart(self, name: str) -> None:
        self.stop(name)
        self.start(name)

    def pid(self, name: str) -> int | None:
        info = self._supervisor.programs().get(name)
        if info is None or info.pid is None:
            return None
        return self._living.pid(name) or info.pid

    def kill(self, name: str, how: Signals = Signals.SIGKILL) -> int:
        pid = self.pid(name)
        if pid is None:
            raise UsageError(f"program {name!r} is not running")
        os.kill(pid, how)
        return pid

    def record(self, name: str) -> Path:
        """Where it stands which process program `name` is: its id, when it began, the boot."""
        return self._living.record(name)

    def log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def wait(self, name: str, probe: Callable[[], T | None], what: str, seconds: float) -> T:
        """Wait for something of program `name`; a failure quotes the end of its log."""

        patience: Deadline | None = None

        def alive_probe() -> T | None:
            nonlocal patience
            info = self._supervisor.programs().get(name)
            if info is None or info.state == "backoff":
                patience = patience or Deadline(_PATIENCE_SECONDS, f"{name} to stay up")
            elif info.state == "running":
                patience = None
            if (patience and patience.passed) or (info and info.state in {"fatal", "exited"}):
                raise ProcessError(f"{name} does not stay up{self._last_words(name)}")
            return probe()

        try:
            return wait_until(alive_probe, what, seconds)
        except DeadlineError as error:
            raise DeadlineError(f"{error.message}{self._last_words(name)}") from None

    def _last_words(self, name: str) -> str:
        log = self.log(name)
        with contextlib.suppress(OSError):
            return f"; the end of {log}:\n{log.read_text(errors='replace')[-_LAST_WORDS:]}"
        return ""

    # Status

    def status(self) -> GroundStatus:
        """What exists and what runs now."""
        network, pid = self._network.held, self._supervisor_pid()
        return GroundStatus(
            environment=self._spec.environment.name,
            kind="loopback",
            folder=self.folder,
            network=network,
            up=pid is not None,
            supervisor_pid=pid,
            hosts=self._hosts(network),
            programs=self._programs() if pid is not None else self._unsupervised(),
        )

    def _hosts(self, network: str | None) -> tuple[HostStatus, ...]:
        listening = processes.listening()
        found = []
        for host in hosts_of(self._spec):
            address = local_address(host.lab_address, network) if network else None
            ports = tuple(
                PortStatus(purpose, port, address is not None and (address, port) in listening)
                for purpose, port in host.ports
            )
            found.append(HostStatus(host.name, host.lab_address, address, ports))
        return tuple(found)

    def _programs(self) -> tuple[ProgramStatus, ...]:
        return tuple(self._program(one) for one in self._supervisor.programs().values())

    def _program(self, one: ProcessInfo) -> ProgramStatus:
        pid = one.pid and (self._living.pid(one.name) or one.pid)
        uptime = one.uptime_seconds
        if pid != one.pid:
            uptime = self._living.uptime_seconds(one.name)
        host = self._placed(one.name, "host")
        return ProgramStatus(one.name, host, one.state, pid, uptime, self.log(one.name))

    def _unsupervised(self) -> tuple[ProgramStatus, ...]:
        return tuple(
            ProgramStatus(
                name, self._placed(name, "host"), UNSUPERVISED, pid,
                self._living.uptime_seconds(name), self.log(name),
            )
            for name, pid in self._living.all().items()
        )  # fmt: skip

    def _placed(self, name: str, what: str) -> str:
        """A setting of a program as it was placed; empty if it was not."""
        with contextlib.suppress(OSError):
            for line in (self.folder / "programs" / f"{name}.conf").read_text().splitlines():
                key, _, value = line.partition(" = ")
                if key == what:
                    return value
        return ""

    def _stop_signal(self, name: str) -> Signals:
        return Signals[f"SIG{self._placed(name, 'stopsignal') or 'TERM'}"]


_FOLDERS = ("run", "logs", "data", "secrets", "programs", "conf")
