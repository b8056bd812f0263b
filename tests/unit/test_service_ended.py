"""A postmaster that has ended is known at once, also as a zombie, and what it left is ended."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from naru.service.onhost.ended import (
    Ends,
    count_the_dead,
    end_orphans,
    leave_no_orphans,
    wake_at_the_end,
)
from naru.service.onhost.procs import orphans_of, process, servers_of
from naru.system import wait_until


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A folder of data in which processes can stand; none is left there."""
    (tmp_path / "postgres").symlink_to("/bin/sleep")
    folder = (tmp_path / "data").resolve()
    folder.mkdir()
    yield folder
    for pid in servers_of(folder):
        signal.pidfd_send_signal(os.pidfd_open(pid), signal.SIGKILL)


def stand(data: Path, title: str) -> int:
    """A process that stands in `data`, which nobody waits for."""
    script = f'exec -a "{title}" "$0" 100 <&- >/dev/null 2>&1 & echo $!'
    words = ["bash", "-c", script, str(data.parent / "postgres")]
    said = subprocess.run(words, cwd=data, capture_output=True, text=True, check=True)
    pid = int(said.stdout)
    wait_until(lambda: pid in servers_of(data), "the process to stand there", 10)
    return pid


def test_what_only_waits_to_be_reaped_is_no_postmaster(data: Path) -> None:
    kind: Any = importlib.import_module("patroni.postgresql.postmaster").PostmasterProcess
    mine: Any = type("Mine", (kind,), {})
    count_the_dead(mine)
    with subprocess.Popen(["/bin/sleep", "100"]) as child:
        stock, one = kind(child.pid), mine(child.pid)
        for each in (stock, one):
            each._postmaster_pid = {}
        assert one.is_running()
        with pytest.raises(importlib.import_module("psutil").TimeoutExpired):
            one.wait(0.01)
        child.kill()
        wait_until(lambda: process(child.pid) is None, "the process to end", 10)
        assert stock.is_running()
        assert not one.is_running()
        assert not one._is_postmaster_process()
        assert one.wait(60) is None


def test_backends_without_a_postmaster_are_ended_and_a_new_server_is_not(data: Path) -> None:
    left = [stand(data, "postgres: backend"), stand(data, "postgres: walsender")]
    new = stand(data, "/usr/bin/postgres -D data")
    assert sorted(orphans_of(data)) == sorted(left)
    assert end_orphans(data, 10)
    assert servers_of(data) == [new]


def test_nothing_is_left_when_patroni_hears_that_its_server_has_ended(data: Path) -> None:
    class Server:
        """As much of Patroni's as is used."""

        def __init__(self) -> None:
            self._data_dir, self.alive = str(data), True
            self._postmaster_proc: object | None = object()

        def is_running(self) -> object | None:
            if not self.alive:
                self._postmaster_proc = None
            return self._postmaster_proc

    leave_no_orphans(Server)
    server = Server()
    left = stand(data, "postgres: backend")
    assert server.is_running() is not None
    assert servers_of(data) == [left]
    server.alive = False
    assert server.is_running() is None
    assert servers_of(data) == []


@pytest.mark.timeout(60)
def test_the_end_of_a_server_wakes_who_waits_for_his_next_look() -> None:
    class Loop:
        """As much of Patroni's as is used."""

        def __init__(self, pid: int) -> None:
            self.state_handler = SimpleNamespace(_postmaster_proc=SimpleNamespace(pid=pid))
            self.event, self.wakes = threading.Event(), 0

        def wakeup(self) -> None:
            self.wakes += 1
            self.event.set()

        def watch(self, timeout: float) -> bool:
            return self.event.wait(timeout)

    wake_at_the_end(Loop, Ends())
    with subprocess.Popen(["/bin/sleep", "100"]) as server:
        loop = Loop(server.pid)
        assert not loop.watch(0.01)
        assert not loop.watch(0.01)
        server.kill()
        assert loop.watch(50)
    assert loop.wakes == 1


def test_patroni_has_what_is_changed_of_it() -> None:
    postgresql: Any = importlib.import_module("patroni.postgresql")
    ha: Any = importlib.import_module("patroni.ha")
    for kind, names in (
        (postgresql.PostmasterProcess, ("is_running", "_is_postmaster_process", "wait")),
        (postgresql.Postgresql, ("is_running",)),
        (ha.Ha, ("watch", "wakeup")),
    ):
        assert all(callable(getattr(kind, name)) for name in names)
    source = Path(postgresql.__file__).read_text()
    assert "self._postmaster_proc" in source
    assert "self._data_dir" in source
