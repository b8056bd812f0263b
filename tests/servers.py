"""PostgreSQL servers that tests start themselves, on free ports, and take away again.

Everything that a test run starts carries its folder in a variable. A run that died leaves that
folder behind; the next run ends what still carries it, and removes it with what is mounted there.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from naru.ground import Ground, state_folder
from naru.ground.processes import end_all, end_these, name_of, processes_of
from naru.postgres import LocalServer, find_installations, generate_password
from naru.postgres.installation import Installation
from naru.system import is_alive, private_folder, run, server_account, wait_until

SERVERS = Path(sys.prefix) / "servers"
"""Where scripts/servers puts those that only tests have."""

HOME = Path(tempfile.gettempdir()) / f"naru-tests-{os.geteuid()}"

MARK = "NARU_TEST_RUN"
"""What a test run starts has its folder in this variable; the programs of a ground have not."""

_REAP_SECONDS = 20

LOGICAL = {
    "wal_level": "logical",
    "max_wal_senders": "20",
    "max_replication_slots": "20",
    "max_logical_replication_workers": "12",
    "max_worker_processes": "24",
    "max_prepared_transactions": "5",
    "fsync": "off",
    "shared_buffers": "128MB",
    "wal_sender_timeout": "10s",
    "timezone": "Asia/Seoul",
}


def free_port(host: str = "127.0.0.1") -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def old_installation() -> Installation:
    """The oldest PostgreSQL here, as the lab's old side takes."""
    return find_installations()[0]


def new_installation() -> Installation:
    """The newest PostgreSQL here, as the lab's service takes."""
    return find_installations()[-1]


def installation_of(major: int) -> Installation:
    """A server of that major version: of this machine, or of those that only tests have.

    The latter lack clients: see `clients`. Where it cannot be had the test is skipped;
    never in CI, except for processors that no package is made for.
    """
    postgres = SERVERS / str(major) / "bin" / "postgres"
    if postgres.exists():
        said = re.search(r"(\d+)\.(\d+)", run([postgres, "--version"], seconds=10).stdout)
        assert said is not None, postgres
        return Installation((int(said[1]), int(said[2])), postgres.parent, "setting")
    here = [one for one in find_installations() if one.major == major]
    if here:
        return here[-1]
    reason = f"PostgreSQL {major} is not here: scripts/setup test installs it from packages"
    if os.environ.get("CI") and platform.machine() == "x86_64":
        pytest.fail(reason)
    pytest.skip(reason)


def clients() -> Installation:
    """The newest psql and pg_dump there are."""
    return find_installations(client_folders())[-1]


def client_folders() -> tuple[Path, ...]:
    """Where the programs are that only tests have, as a setting would name it."""
    folder = SERVERS / "clients" / "bin"
    return (folder,) if folder.exists() else ()


def whole_newest() -> Installation:
    """The newest PostgreSQL that can be a member of a service: with TLS and all programs."""
    return find_installations([SERVERS / "whole" / "18" / "bin"])[-1]


def reap() -> None:
    """End what test runs that died have left running, and remove their folders."""
    for session in HOME.glob("*") if HOME.exists() else ():
        owner = session.name.partition("-")[0]
        if owner.isdigit() and is_alive(int(owner)):
            continue
        # Clients and commands first: they would meet servers that end.
        clients = [one for one in started_by(session) if name_of(one) != "postgres"]
        end_these(clients, _REAP_SECONDS)
        # Where commands ran in a folder of the run: for root their state is elsewhere.
        homes = [session, *(state_folder(spec) for spec in session.glob("*/naru.toml"))]
        for home in homes:
            for ground in (*home.glob("ground.json"), *home.glob("*/ground.json")):
                end_all(ground.parent.resolve(), _REAP_SECONDS)
        end_these(list(started_by(session)), _REAP_SECONDS)
        _unmount(session)
        for home in homes[::-1]:
            shutil.rmtree(home, ignore_errors=True)


def started_by(session: Path) -> Iterator[int]:
    """The processes that carry a run's mark, and all that stand in its folder: PostgreSQL's
    write over their environment."""
    mark = f"{MARK}={session}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            inside = (process / "cwd").readlink().is_relative_to(session)
            if inside or mark in (process / "environ").read_bytes().split(b"\0"):
                yield int(process.name)


def _unmount(session: Path) -> None:
    """Take away the small disks of tests."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        where = line.split()[1]
        if Path(where).is_relative_to(session):
            run(["umount", "--lazy", where], seconds=_REAP_SECONDS, check=False)


@contextlib.contextmanager
def session_folder() -> Iterator[Path]:
    """A folder that the servers' account can reach, named after this process, removed after.

    What is started meanwhile carries it.
    """
    account = server_account()
    private_folder(HOME, mode=0o755)
    folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=HOME))
    private_folder(folder, mode=0o755, owner=account)
    os.environ[MARK] = str(folder)
    try:
        yield folder
    finally:
        del os.environ[MARK]
        shutil.rmtree(folder, ignore_errors=True)


def wipe(ground: Ground) -> None:
    """Kill all of an environment at once and remove it, where no test is about its end."""

    def is_gone() -> bool:
        left = processes_of(ground.folder)
        for one in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        return not left

    wait_until(is_gone, f"what runs in {ground.folder} to be gone", 60)
    ground.down(purge=True)


def make_server(
    folder: Path,
    name: str,
    installation: Installation,
    *,
    logical: bool = True,
    **settings: str,
) -> LocalServer:
    """A server of our own on a free port of 127.0.0.1, not started yet."""
    port = free_port()
    chosen = {**LOGICAL, **settings}
    if not logical:
        chosen["wal_level"] = "replica"
    return LocalServer(
        installation=installation,
        # No server takes over what an earlier one of this name has left, with its passwords.
        data=folder / f"{name}-{port}",
        host="127.0.0.1",
        port=port,
        superuser="postgres",
        password=generate_password(),
        account=server_account(),
        settings=chosen,
    )
