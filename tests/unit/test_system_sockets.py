"""Hanging up one connection of another program, and no other."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from naru.drill import deaf
from naru.system.sockets import hang_up

pytestmark = pytest.mark.skipif(not deaf.possible(), reason="may not reach into processes")

_ECHO = """
import selectors, socket
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
ready = selectors.DefaultSelector()
ready.register(listener, selectors.EVENT_READ)
while True:
    for key, _ in ready.select():
        if key.fileobj is listener:
            ready.register(listener.accept()[0], selectors.EVENT_READ)
        elif word := key.fileobj.recv(100):
            key.fileobj.sendall(word)
        else:
            ready.unregister(key.fileobj)
            key.fileobj.close()
"""


@pytest.fixture
def echo() -> Iterator[tuple[int, int]]:
    """A program that says everything again: its process and its port."""
    with subprocess.Popen([sys.executable, "-c", _ECHO], stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        try:
            yield program.pid, int(program.stdout.readline())
        finally:
            program.kill()


def test_one_connection_ends_and_the_others_go_on(echo: tuple[int, int]) -> None:
    pid, port = echo
    with (
        socket.create_connection(("127.0.0.1", port), 5) as chosen,
        socket.create_connection(("127.0.0.1", port), 5) as other,
    ):
        for one in (chosen, other):
            one.sendall(b"hello")
            assert one.recv(100) == b"hello"
        assert hang_up([pid], lambda line: line.peer == chosen.getsockname()) == 1
        assert chosen.recv(100) == b""
        other.sendall(b"still there")
        assert other.recv(100) == b"still there"
        with socket.create_connection(("127.0.0.1", port), 5) as later:
            later.sendall(b"and others come")
            assert later.recv(100) == b"and others come"
