"""PostgreSQL servers that tests start themselves, on free ports, and take away again.

A test run that died leaves its folder behind with the process ids; the next run ends
those processes (only if they still serve that very folder) and removes it.
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

from naru.ground.processes import end_all
from naru.postgres import LocalServer, find_installations, generate_password
from naru.postgres.installation import Installation
from naru.system import arguments_of, is_alive, private_folder, run, server_account

SERVERS = Path(sys.prefix) / "servers"
"""Where scripts/servers puts those that only tests have."""

HOME = Path(tempfile.gettempdir()) / f"naru-tests-{os.geteuid()}"

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
    """End servers that a test run which died has left, and remove their folders."""
    for session in HOME.glob("*") if HOME.exists() else ():
        owner = session.name.partition("-")[0]
        if owner.isdigit() and is_alive(int(owner)):
            continue
        for pid_file in session.glob("*/postmaster.pid"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                pid = int(pid_file.read_text().split()[0])
                if str(pid_file.parent) in arguments_of(pid):
                    os.kill(pid, signal.SIGQUIT)
        for ground in session.glob("*/ground.json"):
            end_all(ground.parent.resolve(), 20)
        _end_poolers(session)
        shutil.rmtree(session, ignore_errors=True)


def _end_poolers(session: Path) -> None:
    """End PgBouncers whose configuration lies in `session`."""
    for entry in Path("/proc").glob("[0-9]*"):
        words = arguments_of(int(entry.name))
        if any(word.startswith(f"{session}/") and word.endswith(".ini") for word in words):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(entry.name), signal.SIGKILL)


@contextlib.contextmanager
def session_folder() -> Iterator[Path]:
    """A folder that the servers' account can reach, named after this process, removed after."""
    account = server_account()
    private_folder(HOME, mode=0o755)
    folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=HOME))
    private_folder(folder, mode=0o755, owner=account)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
