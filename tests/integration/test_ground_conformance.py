"""What every ground must do, with a program so small that only the ground is tested."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol

import pytest

from naru.errors import ProcessError, TakenError, UsageError
from naru.ground import Ground, Program, open_ground
from naru.ground.processes import processes_of, program_of
from naru.spec import GroundSpec, Spec
from naru.system import is_alive, wait_until

pytestmark = pytest.mark.integration

HOST = "10.1.3.32"
_LISTEN = """
import socket, sys, time
with socket.create_server((sys.argv[1], int(sys.argv[2]))) as server:
    print("listening", sys.argv[3], flush=True)
    while True:
        server.accept()[0].close()
"""


class Opener(Protocol):
    """Opens a ground by its name."""

    def __call__(self, name: str, network: str = "auto") -> Ground: ...


def loopback(folder: Path, network: str) -> Ground:
    return open_ground(Spec(ground=GroundSpec(network=network)), folder)


@pytest.fixture(params=[loopback])
def grounds(request: pytest.FixtureRequest, server_folder: Path) -> Iterator[Opener]:
    """Opens grounds by name and network; all are cleared away afterwards."""
    opened: list[Ground] = []

    def opener(name: str, network: str = "auto") -> Ground:
        ground: Ground = request.param(server_folder / name, network)
        opened.append(ground)
        return ground

    yield opener
    for ground in opened:
        ground.down(purge=True)
        assert processes_of(ground.folder) == []
        assert not ground.folder.exists()


@pytest.fixture
def ground(grounds: Opener) -> Ground:
    opened = grounds("conformance")
    opened.up()
    return opened


def listener(ground: Ground, folder: Path, word: str = "one") -> Program:
    script = folder / "listen.py"
    script.write_text(_LISTEN)
    script.chmod(0o644)
    where = (ground.address(HOST), "2866", word)
    return Program("tiny", HOST, (sys.executable, str(script), *where), stop_seconds=5)


def answers(ground: Ground) -> bool:
    with closing(socket.socket()) as line:
        return line.connect_ex((ground.address(HOST), 2866)) == 0


def place(ground: Ground, program: Program) -> int:
    ground.place(program)
    ground.wait("tiny", lambda: answers(ground), "the tiny program", 20)
    pid = ground.pid("tiny")
    assert pid is not None
    return pid


def test_a_placed_program_runs_at_its_hosts_address(ground: Ground, server_folder: Path) -> None:
    pid = place(ground, listener(ground, server_folder))
    status = ground.status()
    assert status.up
    program = next(one for one in status.programs if one.name == "tiny")
    assert (program.name, program.host, program.pid) == ("tiny", HOST, pid)
    host = next(one for one in status.hosts if one.lab_address == HOST)
    assert [port.listening for port in host.ports] == [True, False]
    assert "listening one" in ground.log("tiny").read_text()


def test_placing_the_same_program_again_changes_nothing(
    ground: Ground, server_folder: Path
) -> None:
    program = listener(ground, server_folder)
    assert place(ground, program) == place(ground, program)


def test_placing_another_program_by_that_name_replaces_it(
    ground: Ground, server_folder: Path
) -> None:
    before = place(ground, listener(ground, server_folder))
    after = place(ground, listener(ground, server_folder, "two"))
    assert after != before
    assert not is_alive(before)


def test_up_adopts_what_runs(ground: Ground, server_folder: Path) -> None:
    pid = place(ground, listener(ground, server_folder))
    ground.up()
    assert ground.pid("tiny") == pid


def test_a_killed_program_is_started_again(ground: Ground, server_folder: Path) -> None:
    killed = place(ground, listener(ground, server_folder))
    assert ground.kill("tiny") == killed
    wait_until(lambda: ground.pid("tiny") not in (None, killed), "a new process", 20)


def test_a_stopped_program_stays_stopped_and_can_be_started(
    ground: Ground, server_folder: Path
) -> None:
    pid = place(ground, listener(ground, server_folder))
    ground.stop("tiny")
    ground.stop("tiny")
    assert not is_alive(pid)
    assert ground.pid("tiny") is None
    ground.start("tiny")
    wait_until(lambda: answers(ground), "the program again", 20)


def test_a_program_that_does_not_stay_up_is_an_error_with_its_last_words(ground: Ground) -> None:
    ground.place(
        Program("tiny", HOST, ("/bin/sh", "-c", "echo cannot do that; exit 3"), autorestart=False)
    )
    with pytest.raises(ProcessError, match="cannot do that"):
        ground.wait("tiny", lambda: None, "nothing", 60)


def test_starting_an_unknown_program_says_what_to_do(ground: Ground) -> None:
    with pytest.raises(UsageError, match="no program 'unknown'"):
        ground.start("unknown")


def test_down_leaves_nothing_running_and_keeps_the_data(
    ground: Ground, server_folder: Path
) -> None:
    (ground.data_folder("tiny") / "kept").write_text("here")
    pid = place(ground, listener(ground, server_folder))
    supervisor = ground.status().supervisor_pid
    assert supervisor is not None
    ground.down()
    assert not is_alive(pid)
    assert not is_alive(supervisor)
    assert (ground.data_folder("tiny") / "kept").read_text() == "here"
    ground.down()


def test_after_a_power_cut_up_comes_up_at_the_same_addresses(
    ground: Ground, server_folder: Path
) -> None:
    ground.data_folder("tiny")
    program = listener(ground, server_folder)
    place(ground, program)
    before = ground.address(HOST)
    for pid in processes_of(ground.folder):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not processes_of(ground.folder), "the power cut", 20)
    ground.up()
    place(ground, program)
    assert ground.address(HOST) == before


def kill_supervisor(ground: Ground) -> None:
    supervisor = ground.status().supervisor_pid
    assert supervisor is not None
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: not is_alive(supervisor), "the supervisor's end", 20)


def test_programs_go_on_without_their_supervisor_and_status_tells_it(
    ground: Ground, server_folder: Path
) -> None:
    pid = place(ground, listener(ground, server_folder))
    kill_supervisor(ground)
    status = ground.status()
    assert (status.up, status.orphaned) == (False, True)
    (program,) = [one for one in status.programs if one.name == "tiny"]
    assert (program.state, program.pid) == ("unsupervised", pid)
    assert answers(ground)


def test_the_next_supervisor_takes_programs_over_as_they_run(
    ground: Ground, server_folder: Path
) -> None:
    program = listener(ground, server_folder)
    pid = place(ground, program)
    for _ in range(2):
        kill_supervisor(ground)
        ground.up()
        assert place(ground, program) == pid
    assert ground.kill("tiny") == pid
    wait_until(lambda: ground.pid("tiny") not in (None, pid), "a new process", 20)
    wait_until(lambda: answers(ground), "the program again", 20)


def test_a_program_taken_over_can_be_stopped_and_replaced(
    ground: Ground, server_folder: Path
) -> None:
    pid = place(ground, listener(ground, server_folder))
    kill_supervisor(ground)
    ground.up()
    assert place(ground, listener(ground, server_folder, "two")) != pid
    assert not is_alive(pid)
    kill_supervisor(ground)
    ground.up()
    ground.stop("tiny")
    assert not answers(ground)
    assert ground.pid("tiny") is None


def test_a_program_that_ignores_its_end_is_killed_after_its_time(
    ground: Ground, server_folder: Path
) -> None:
    script = server_folder / "deaf.sh"
    script.write_text("trap '' TERM; echo deaf; while true; do sleep 0.2; done")
    script.chmod(0o644)
    ground.place(Program("deaf", HOST, ("/bin/sh", str(script)), stop_seconds=3))
    ground.wait("deaf", lambda: ground.log("deaf").exists(), "its first word", 20)
    wait_until(lambda: ground.log("deaf").read_text(), "its first word", 20)
    pid = ground.pid("deaf")
    assert pid is not None
    kill_supervisor(ground)
    ground.up()
    ground.stop("deaf")
    assert not is_alive(pid)


def test_down_ends_what_a_dead_supervisor_has_left_and_nothing_else(
    ground: Ground, grounds: Opener, server_folder: Path
) -> None:
    other = grounds("beside")
    other.up()
    one, two = (place(each, listener(each, server_folder)) for each in (ground, other))
    kill_supervisor(ground)
    ground.down()
    assert processes_of(ground.folder) == []
    assert not is_alive(one)
    assert is_alive(two)


def test_processes_of_no_program_are_ended_when_programs_are_taken_over(
    ground: Ground, server_folder: Path
) -> None:
    script = "sleep 300 & wait"
    ground.place(Program("parent", HOST, ("/bin/sh", "-c", script)))
    wait_until(lambda: len(of_program(ground, "parent")) == 2, "parent and child", 20)
    pid = place(ground, listener(ground, server_folder))
    kill_supervisor(ground)
    ground_pid = next(one.pid for one in ground.status().programs if one.name == "parent")
    assert ground_pid is not None
    os.kill(ground_pid, signal.SIGKILL)
    ground.up()
    assert of_program(ground, "parent") == []
    assert ground.pid("tiny") == pid


def of_program(ground: Ground, name: str) -> list[int]:
    return [pid for pid in processes_of(ground.folder) if program_of(pid) == name]


def test_two_environments_side_by_side_do_not_collide(
    ground: Ground, grounds: Opener, server_folder: Path
) -> None:
    other = grounds("beside")
    other.up()
    assert other.address(HOST) != ground.address(HOST)
    one, two = (place(each, listener(each, server_folder)) for each in (ground, other))
    other.down()
    assert is_alive(one)
    assert not is_alive(two)


def test_a_named_network_that_is_taken_names_the_address_and_the_holder(
    ground: Ground, grounds: Opener, server_folder: Path
) -> None:
    pid = place(ground, listener(ground, server_folder))
    network = ground.status().network
    assert network is not None
    other = grounds("refused", network)
    with pytest.raises(TakenError, match=rf"{ground.address(HOST)}:2866 is held by .*pid {pid}"):
        other.up()


def test_an_address_before_the_first_up_says_what_to_do(grounds: Opener) -> None:
    with pytest.raises(UsageError, match="not up"):
        grounds("never").address(HOST)


def test_secrets_are_for_the_account_alone(ground: Ground) -> None:
    password = ground.secrets.password("thing")
    assert ground.secrets.password("thing") == password
    ground.secrets.remember([("127.0.0.1", 2866)], "a:b", password)
    ground.secrets.remember([("127.0.0.1", 2866)], "a:b", "an-other-1")
    lines = ground.secrets.passfile.read_text().splitlines()
    assert lines == [r"127.0.0.1:2866:*:a\:b:an-other-1"]
    for path in (ground.secrets.passfile, ground.secrets.passfile.parent / "thing"):
        assert path.stat().st_mode & 0o077 == 0
        assert path.stat().st_uid == ground.account.uid
