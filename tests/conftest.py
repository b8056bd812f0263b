"""Fixtures for all tests: two plain servers, an old and a new one, shared by a session."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from naru.ground import state_folder
from naru.postgres import LocalServer
from tests import servers


@pytest.fixture(autouse=True)
def usual_umask() -> None:
    """Patroni's modules change it for the whole process when they are imported."""
    os.umask(0o022)


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Where this session's servers keep their data."""
    servers.reap()
    with servers.session_folder() as folder:
        yield folder


@pytest.fixture
def no_state_left(tmp_path: Path) -> Iterator[None]:
    """Takes away the state of commands that ran in the test's folder: as root it lies elsewhere."""
    yield
    shutil.rmtree(state_folder(tmp_path / "naru.toml"), ignore_errors=True)


@pytest.fixture(scope="session")
def old_server(server_folder: Path) -> Iterator[LocalServer]:
    """The oldest PostgreSQL installed, wal_level logical. Make databases of your own on it."""
    with servers.make_server(server_folder, "old", servers.old_installation()) as server:
        yield server


@pytest.fixture(scope="session")
def new_server(server_folder: Path) -> Iterator[LocalServer]:
    """The newest PostgreSQL installed. Make databases of your own on it."""
    with servers.make_server(server_folder, "new", servers.new_installation()) as server:
        yield server
