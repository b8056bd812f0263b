"""A line cut by filters on sockets is silent for one caller alone, and whole again afterwards."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from naru.drill import deaf

HERE = "127.83.0.1"
ONE, OTHER = "127.83.0.2", "127.83.0.3"

pytestmark = pytest.mark.skipif(not deaf.possible(), reason="may not reach into processes")


@contextmanager
def echo() -> Iterator[int]:
    """A server in a thread of this very process; its port."""
    with socket.create_server((HERE, 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    line, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(line,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def answer(line: socket.socket) -> None:
    with line:
        while words := line.recv(100):
            line.sendall(words)


def call(port: int, source: str, seconds: float = 20) -> socket.socket:
    return socket.create_connection((HERE, port), seconds, (source, 0))


def test_packets_of_one_caller_are_lost_and_come_through_once_it_is_healed() -> None:
    own = [os.getpid()]
    with echo() as port, call(port, ONE) as one, call(port, OTHER) as other:
        for line in (one, other):
            line.settimeout(20)
            line.sendall(b"hello")
            assert line.recv(10) == b"hello", "it has been accepted"
        one.settimeout(0.5)
        deaf.refuse(own, port, [ONE])
        cut = deaf.deafen(own, lambda line: line.peer is not None and line.peer[0] == ONE)
        assert cut == 1
        one.sendall(b"lost")
        other.sendall(b"heard")
        assert other.recv(10) == b"heard"
        with pytest.raises(TimeoutError):
            one.recv(10)
        with pytest.raises(TimeoutError):
            call(port, ONE, 0.5)
        with call(port, OTHER):
            pass
        deaf.hear(own)
        one.settimeout(20)
        assert one.recv(10) == b"lost"
        with call(port, ONE):
            pass


def test_a_filter_drops_what_comes_from_any_of_the_addresses() -> None:
    program = deaf.dropping([ONE, OTHER])
    assert [one[3] for one in program[1:3]] == [0x7F530002, 0x7F530003]
    # Both jumps end at the last instruction, which takes nothing.
    assert [n + 1 + one[1] for n, one in enumerate(program[1:3], start=1)] == [4, 4]
    assert program[3][3] and not program[4][3]
