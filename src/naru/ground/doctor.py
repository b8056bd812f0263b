"""What this machine has of what a ground needs, what is missing, and how to get it."""

from __future__ import annotations

import os
import platform
import re
import resource
import shutil
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from naru.errors import MissingToolError, NaruError
from naru.ground.certificates import Certificate, worst_of
from naru.postgres import Installation, find_installations
from naru.system import Account, find_faketime, find_program, run, server_account
from naru.system.programs import PACKAGES, remedy_for
from naru.system.units import human_bytes

LEAST_MEMORY = 1_500_000_000
LEAST_DISK = 4_000_000_000
LEAST_SHARED = 64_000_000
LEAST_FILES = 1024
"""What the reference lab at scale 1.0 needs: bytes, bytes, bytes, open files."""

REQUIRED = ("etcd", "haproxy", "pgbouncer", "patroni", "supervisord")
OPTIONAL = {
    "barman": "only backups need it",
    "rsync": "only restoring from backups needs it",
    "libfaketime": "only the drill clock-jump needs it: apt-get install libfaketime",
    "chromium": "only the test that looks at the report in a browser needs it",
}

_VERSION_ARGUMENT = {"haproxy": "-v"}
_PROBE_ADDRESS = "127.1.3.31"


@dataclass(frozen=True)
class ProgramFacts:
    """A program: where it is and the version it states; None where there is none."""

    name: str
    path: Path | None
    version: str | None


@dataclass(frozen=True)
class MachineFacts:
    """What was seen on this machine; sizes in bytes."""

    installations: tuple[Installation, ...]
    programs: tuple[ProgramFacts, ...]
    python: str
    interpreter: Path
    account: Account | None
    reaches_interpreter: bool
    state: Path
    reaches_state: bool
    memory_free: int
    disk_free: int
    shared_free: int
    open_files: int
    loopback: bool
    """Whether an address such as 127.1.3.31 can be bound."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `state` is `ok`, `missing`, `expired`, `warning` or `optional`."""

    name: str
    state: str
    found: str
    remedy: str | None = None


@dataclass(frozen=True)
class Diagnosis:
    """Everything looked at; `well` when nothing that is needed is missing."""

    findings: tuple[Finding, ...]
    packages: tuple[str, ...]

    @property
    def well(self) -> bool:
        return all(one.state not in {"missing", "expired"} for one in self.findings)

    @property
    def command(self) -> str | None:
        """The one command that installs what is missing."""
        if not self.packages:
            return None
        return "apt-get install --no-install-recommends " + " ".join(self.packages)

    def to_json(self) -> dict[str, Any]:
        """The stable document of `naru doctor --json`."""
        return {
            "well": self.well,
            "findings": [asdict(finding) for finding in self.findings],
            "packages": list(self.packages),
            "command": self.command,
        }


def observe(account_name: str, state: Path, folders: tuple[str, ...] = ()) -> MachineFacts:
    """Look at this machine; `state` is where an environment's state would stand."""
    try:
        account = server_account(account_name)
    except MissingToolError:
        account = None
    interpreter = Path(sys.executable)
    home = _existing(state)
    names = (*REQUIRED, *OPTIONAL)
    return MachineFacts(
        installations=tuple(find_installations(folders)),
        programs=tuple(_program(name) for name in names),
        python=platform.python_version(),
        interpreter=interpreter,
        account=account,
        reaches_interpreter=account is not None and _can_run(account, interpreter),
        state=state,
        reaches_state=account is not None and account.can_traverse(home),
        memory_free=_memory_free(),
        disk_free=shutil.disk_usage(home).free,
        shared_free=shutil.disk_usage("/dev/shm").free if Path("/dev/shm").is_dir() else 0,  # noqa: S108
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        loopback=_can_bind(_PROBE_ADDRESS),
    )


def diagnose(facts: MachineFacts) -> Diagnosis:
    """What is well with `facts`, what is missing, and the packages that would bring it."""
    findings = [
        _python(facts), *_postgres(facts), *map(_tool, facts.programs),
        *_account(facts), *_room(facts),
    ]  # fmt: skip
    missing = {finding.name for finding in findings if finding.state == "missing"}
    packages = tuple(PACKAGES[name] for name in PACKAGES if name in missing)
    return Diagnosis(tuple(findings), packages)


def certificate_finding(certificates: Sequence[Certificate]) -> Finding:
    """What the environment's certificates are worth; those of one that was brought up."""
    trouble = worst_of(certificates)
    if trouble is None:
        left = min(one.days_left for one in certificates)
        return Finding("certificates", "ok", f"valid for {left} days at least")
    expired = any(one.state == "expired" for one in certificates)
    return Finding(
        "certificates", "expired" if expired else "warning", trouble,
        "naru service certificates --renew",
    )  # fmt: skip


def _python(facts: MachineFacts) -> Finding:
    return Finding("python", "ok", f"{facts.python} ({facts.interpreter})")


def _postgres(facts: MachineFacts) -> list[Finding]:
    if not facts.installations:
        return [
            Finding("postgres", "missing", "no PostgreSQL server", "apt-get install postgresql")
        ]
    found = [Finding("postgres", "ok", str(one)) for one in facts.installations]
    if len({one.major for one in facts.installations}) == 1:
        found.append(
            Finding(
                "postgres",
                "warning",
                "one major version only: both sides of the lab will run it",
                "apt-get install postgresql, or pip install 'pgnaru[lab]', brings another",
            )
        )
    return found


def _tool(program: ProgramFacts) -> Finding:
    if program.path is not None:
        return Finding(program.name, "ok", f"{program.version or 'found'} ({program.path})")
    if program.name in OPTIONAL:
        return Finding(program.name, "optional", "not installed", OPTIONAL[program.name])
    package = PACKAGES.get(program.name)
    remedy = f"apt-get install {package}" if package else remedy_for(program.name)
    return Finding(program.name, "missing", "not installed", remedy)


def _account(facts: MachineFacts) -> list[Finding]:
    if facts.account is None:
        remedy = "adduser --system --group postgres, or start naru as an ordinary user"
        return [Finding("account", "missing", "no account for the servers to run as", remedy)]
    name = facts.account.name
    findings = [Finding("account", "ok", f"servers run as {name}")]
    if not facts.reaches_interpreter:
        findings.append(Finding(
            "interpreter", "missing", f"{name} cannot run {facts.interpreter}",
            "make setup, which puts .venv where the account can reach it and uses"
            " the distribution's Python",
        ))  # fmt: skip
    if not facts.reaches_state:
        findings.append(Finding(
            "state", "missing", f"{name} cannot enter {facts.state}",
            f"chmod o+x the folders above {facts.state}",
        ))  # fmt: skip
    else:
        findings.append(Finding("state", "ok", f"state stands in {facts.state}"))
    return findings


def _room(facts: MachineFacts) -> list[Finding]:
    findings = [
        _enough("memory", facts.memory_free, LEAST_MEMORY, "end other programs"),
        _enough("disk", facts.disk_free, LEAST_DISK, "make room, or set source.scale lower"),
        _enough(
            "shared memory", facts.shared_free, LEAST_SHARED, "mount -o remount,size=1G /dev/shm"
        ),
    ]
    files = facts.open_files
    endless = files in (-1, resource.RLIM_INFINITY)
    if endless or files >= LEAST_FILES:
        findings.append(Finding("open files", "ok", "unlimited" if endless else f"{files} allowed"))
    else:
        findings.append(
            Finding("open files", "warning", f"{files} allowed", f"ulimit -n {LEAST_FILES}")
        )
    if facts.loopback:
        findings.append(Finding("loopback", "ok", f"{_PROBE_ADDRESS} can be bound"))
    else:
        remedy = "all of 127.0.0.0/8 must be local, as it is on Linux"
        findings.append(Finding("loopback", "missing", f"{_PROBE_ADDRESS} cannot be bound", remedy))
    return findings


def _enough(name: str, free: int, least: int, remedy: str) -> Finding:
    found = f"{human_bytes(free)} free"
    if free >= least:
        return Finding(name, "ok", found)
    return Finding(name, "warning", f"{found}; the lab wants {human_bytes(least)}", remedy)


def _program(name: str) -> ProgramFacts:
    if name == "libfaketime":
        return ProgramFacts(name, find_faketime(), None)
    path = find_program(name)
    return ProgramFacts(name, path, _version(name, path) if path else None)


def _version(name: str, path: Path) -> str | None:
    try:
        said = run([path, _VERSION_ARGUMENT.get(name, "--version")], seconds=15, check=False)
    except NaruError:
        return None
    match = re.search(r"\d+\.\d+(\.\d+)*", said.stdout + said.stderr)
    return match[0] if match else None


def _can_run(account: Account, interpreter: Path) -> bool:
    try:
        return run([interpreter, "-c", ""], seconds=15, account=account, check=False).code == 0
    except NaruError:
        return False


def _can_bind(address: str) -> bool:
    try:
        with socket.socket() as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def _existing(path: Path) -> Path:
    """`path`, or the nearest folder above it that exists."""
    while not path.exists():
        path = path.parent
    return path


def _memory_free() -> int:
    match = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    return (
        int(match[1]) * 1024
        if match
        else os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    )
