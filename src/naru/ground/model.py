"""What a ground is: its programs, its hosts, and the protocol that every kind of it keeps."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from signal import Signals
from typing import Any, Protocol, TypeVar

from naru.ground.access import Allowed
from naru.ground.certificates import Certificates
from naru.ground.secrets import Secrets
from naru.system import Account

T = TypeVar("T")

UNSUPERVISED = "unsupervised"
"""The state of a program that goes on after its supervisor has died."""


@dataclass(frozen=True)
class Program:
    """Something that runs in the foreground on a host, kept running until it is stopped.

    Secrets belong into files that the program reads, never into `argv` or `env`.
    """

    name: str
    host: str
    """The lab address of the host it runs on."""
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    priority: int = 500
    """Low ones are stopped last."""
    stop_signal: str = "TERM"
    stop_seconds: int = 30
    """After this it is killed."""
    autorestart: bool = True


def reading(*texts: str) -> dict[str, str]:
    """The `env` of a program that reads `texts` when it starts.

    With others it is another program, which `Ground.place` starts anew: also when whoever wrote
    them was cut off before that.
    """
    return {"NARU_READS": hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]}


@dataclass(frozen=True)
class ProgramStatus:
    """A program as its supervisor sees it."""

    name: str
    host: str
    state: str
    """`running`, `starting`, `stopping`, `stopped`, `backoff`, `exited`, `fatal` or, when the
    supervisor is gone, `unsupervised`."""
    pid: int | None
    uptime_seconds: int | None
    log: Path


@dataclass(frozen=True)
class PortStatus:
    """A port of a host; `listening` is true when something listens there now."""

    purpose: str
    port: int
    listening: bool


@dataclass(frozen=True)
class HostStatus:
    """A host of the lab and where it is to be found on this ground."""

    name: str
    lab_address: str
    address: str | None
    ports: tuple[PortStatus, ...]


@dataclass(frozen=True)
class GroundStatus:
    """The whole ground at one moment."""

    environment: str
    kind: str
    folder: Path
    network: str | None
    up: bool
    supervisor_pid: int | None
    hosts: tuple[HostStatus, ...]
    programs: tuple[ProgramStatus, ...]

    @property
    def orphaned(self) -> bool:
        """True when programs run and their supervisor does not; `up` takes them over."""
        return not self.up and bool(self.programs)

    def to_json(self) -> dict[str, Any]:
        """The stable document of `naru status --json`."""
        document = asdict(self)
        document["folder"] = str(self.folder)
        for program in document["programs"]:
            program["log"] = str(program["log"])
        return document


class Ground(Protocol):
    """Hosts, and programs on them. All state of the environment is under `folder`."""

    @property
    def folder(self) -> Path: ...

    @property
    def account(self) -> Account:
        """Whom the programs run as."""

    @property
    def secrets(self) -> Secrets: ...

    @property
    def certificates(self) -> Certificates:
        """The environment's authority, and a certificate for each of its servers."""

    def up(self) -> None:
        """Make the hosts exist and take programs. Harmless when it is up already; programs that
        outlived their supervisor are taken over as they run."""

    def down(self, *, purge: bool = False) -> None:
        """Stop all programs and leave nothing running; `purge` also removes all data."""

    def status(self) -> GroundStatus: ...

    def address(self, lab_address: str) -> str:
        """Where a host of the lab is found. Raises UsageError before the first `up`."""

    def allowed(self) -> tuple[Allowed, ...]:
        """From where clients are let in, this machine first."""

    def data_folder(self, name: str) -> Path:
        """A private folder for a program's data, made if needed, owned by the account."""

    @property
    def python(self) -> Path:
        """The interpreter for programs that are Python packages."""

    def socket_path(self, name: str) -> Path:
        """Where a program may put its unix socket `name`: private, and short enough."""

    def place(self, program: Program) -> None:
        """Have `program` running: started if it is not, restarted if it was another one."""

    def start(self, name: str) -> None: ...

    def stop(self, name: str) -> None:
        """Stop a program and wait until it has ended. Harmless when it is not running."""

    def remove(self, name: str) -> None:
        """Stop a program and forget it. Harmless when it is not there."""

    def restart(self, name: str) -> None: ...

    def kill(self, name: str, how: Signals = Signals.SIGKILL) -> int:
        """Send a signal to the program's process; give its process id."""

    def pid(self, name: str) -> int | None:
        """The process of the program itself; None when it does not run."""

    def record(self, name: str) -> Path:
        """Where it stands which process program `name` is: its id, when it began, the boot."""

    def log(self, name: str) -> Path: ...

    def wait(self, name: str, probe: Callable[[], T | None], what: str, seconds: float) -> T:
        """Wait for something of program `name`; a failure quotes the end of its log."""
