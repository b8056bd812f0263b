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

LONGEST = (
    "test_versions", "test_backup_whole", "test_demo", "test_migrate_resumed",
    "test_service_changes", "test_verify_mutations", "test_service_fencing",
    "test_migrate_killed", "test_upgrade", "test_migrate_privileges", "test_migrate_failover",
    "test_migrate_whole", "test_failover_after_switch", "test_migrate_refusals",
    "test_drill_planned", "test_migrate_trouble", "test_service_whole", "test_migrate_network",
    "test_migrate_bounds", "test_tls", "test_migrate_dump", "test_drill_kill_primary",
    "test_migrate_dump_trouble", "test_migrate_wire", "test_ground_conformance",
    "test_verify_again", "test_migrate_schema", "test_migrate_restarts", "test_migrate_sessions",
    "test_migrate_exotic", "test_verify_live",
)  # fmt: skip
"""Files to begin with, so that at the end no process is left alone with a long one. Those that
mostly wait come between those that mostly work."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """A process more than there are cores: where services are started, tests mostly wait."""
    return len(os.sched_getaffinity(0)) + 1


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
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """A folder for the test, whose commands find no state and leave none: for root it is elsewhere,
    named after the folder, which an earlier run that died may have had too."""
    state = state_folder(tmp_path / "naru.toml")
    shutil.rmtree(state, ignore_errors=True)
    yield tmp_path
    shutil.rmtree(state, ignore_errors=True)


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
