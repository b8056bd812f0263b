"""What supervisor is told, read back the way supervisor reads it."""

from __future__ import annotations

import configparser
import importlib
import os
import shlex
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from naru.errors import UsageError
from naru.ground import Program
from naru.ground.folder import socket_path, state_folder
from naru.ground.supervisor import (
    ProcessInfo,
    Supervisor,
    render_program,
    render_supervisord,
)
from naru.ground.supervisor_program import woken
from naru.system import server_account

KEEPER = ("/bin/keep", "a log")


def read_back(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(
        interpolation=None, inline_comment_prefixes=(";", "#"), strict=False
    )
    parser.read_string(text)
    return parser


def command_of(program: Program) -> list[str]:
    section = read_back(render_program(program, KEEPER, Path("/l")))[f"program:{program.name}"]
    return shlex.split(section["command"].replace("%%", "%"))


def test_arguments_with_spaces_and_percent_signs_survive() -> None:
    argv = ("/bin/thing", "a b", "50%", "--x=1")
    assert command_of(Program("one", "10.1.3.31", argv)) == [*KEEPER, *argv]


@pytest.mark.parametrize("word", ["a ;b", "a #b", "it's", 'a"b', "a\nb"])
def test_words_that_supervisor_cannot_take_are_refused(word: str) -> None:
    with pytest.raises(UsageError, match="supervisor cannot take"):
        render_program(Program("one", "10.1.3.31", ("/bin/thing", word)), KEEPER, Path("/l"))


def test_a_program_stops_as_it_asks() -> None:
    program = Program("one", "10.1.3.31", ("/x",), priority=7, stop_signal="INT", stop_seconds=9)
    section = read_back(render_program(program, KEEPER, Path("/l")))["program:one"]
    assert section["stopsignal"] == "INT"
    assert section["stopwaitsecs"] == "9"
    assert section["priority"] == "7"
    assert section["autostart"] == "false"


def test_the_control_socket_is_for_its_owner_alone() -> None:
    conf = read_back(render_supervisord(Path("/e"), Path("/e/run/s.sock"), "naru-1"))
    assert conf["unix_http_server"]["chmod"] == "0700"
    assert conf["supervisord"]["umask"] == "077"


def test_a_socket_path_too_long_to_bind_moves_to_a_short_private_folder(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    path = socket_path(deep, "supervisor.sock", server_account())
    try:
        assert len(str(path)) < 96
        assert path.parent.stat().st_mode & 0o077 == 0
    finally:
        path.parent.rmdir()


def test_two_spec_files_have_two_state_folders(tmp_path: Path) -> None:
    one, two = tmp_path / "a" / "naru.toml", tmp_path / "b" / "naru.toml"
    assert state_folder(one) != state_folder(two)
    assert state_folder(one) == state_folder(one)


@pytest.mark.timeout(60)
def test_a_supervisor_that_waits_hears_at_once_that_a_program_has_ended() -> None:
    found: Any = importlib.import_module("supervisor.poller").PollPoller(None)
    wait = woken(type(found).poll)
    before = signal.signal(signal.SIGCHLD, lambda *_: None)
    reader, writer = os.pipe()
    try:
        assert wait(found, 0) == ([], [])
        found.register_readable(reader)
        with subprocess.Popen(["/bin/true"]):
            assert wait(found, 600) == ([], [])
        os.write(writer, b"x")
        assert wait(found, 600) == ([reader], [])
    finally:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, before)
        for one in (reader, writer, found.waker):
            os.close(one)


class Restless(Supervisor):
    """A supervisor that starts a program once more when it should be taken away."""

    def __init__(self) -> None:
        super().__init__(Path("nowhere"))
        self.known, self.state, self.starts, self.stops = True, "RUNNING", 1, 0

    def _call(self, method: str, *values: Any, **_: Any) -> Any:
        match method.removeprefix("supervisor."):
            case "getAllProcessInfo":
                info = {"name": "etcd3", "statename": self.state, "pid": 7, "start": 1, "now": 2}
                return [{**info, "spawnerr": ""}] * self.known
            case "stopProcess":
                self.stops += 1
                self.state = "STOPPED"
            case "removeProcessGroup":
                self.starts -= 1
                self.known, self.state = self.starts >= 0, "RUNNING"
                return None if self.known else True
        return None


def test_a_program_that_is_started_once_more_is_still_taken_away() -> None:
    supervisor = Restless()
    supervisor.forget("etcd3")
    assert (supervisor.known, supervisor.stops) == (False, 2)
    supervisor.forget("etcd3")
    assert supervisor.stops == 2


class Returning(Supervisor):
    """A program that has ended by itself when it is told to stop, and is started again."""

    def __init__(self) -> None:
        super().__init__(Path("nowhere"))
        self.states, self.stops = ["exited", "exited", "starting", "stopping", "stopped"], 0

    def _call(self, method: str, *values: Any, **_: Any) -> Any:
        state = self.states[0]
        if method == "supervisor.stopProcess":
            self.stops += 1
            return None
        if len(self.states) > 1 and (state != "starting" or self.stops):
            self.states.pop(0)
        info = {"name": "etcd3", "statename": state.upper(), "pid": 0, "start": 1, "now": 2}
        return [{**info, "spawnerr": ""}]


def test_a_program_that_is_just_being_started_again_is_stopped_all_the_same() -> None:
    supervisor = Returning()
    supervisor.stop("etcd3", 30)
    assert supervisor.states == ["stopped"]
    assert supervisor.stops >= 1


def test_a_program_that_has_exited_for_good_has_ended() -> None:
    supervisor = Returning()
    supervisor.states = ["exited"]
    supervisor.stop("etcd3", 30)
    assert supervisor.stops == 0


def test_what_has_only_been_forked_is_not_sent_a_signal_that_would_be_lost() -> None:
    class Forking(Supervisor):
        def _call(self, method: str, *_: Any, **__: Any) -> Any:
            assert method == "supervisor.getPID"
            return os.getpid()

    supervisor = Forking(Path("nowhere"))
    info = ProcessInfo("etcd3", "starting", os.getpid(), 0, "")
    assert supervisor._only_forked(info)
    assert not supervisor._only_forked(replace(info, state="running"))
    with subprocess.Popen(["/bin/sleep", "100"]) as program:
        assert not supervisor._only_forked(replace(info, pid=program.pid))
        program.kill()
