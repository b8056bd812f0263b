"""A TCP proxy that misbehaves when told: cuts connections, swallows what it is sent, is slow.

A silent proxy takes bytes and passes none on, and says nothing: like a path on which a firewall
has forgotten the connection, but such that TCP itself does not notice.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

_BLOCK = 64 * 1024
_RESET = struct.pack("ii", 1, 0)

_Pair = tuple[socket.socket, socket.socket]


class Proxy:
    """Listens on a free port of 127.0.0.1 and passes on to `port`. Use as a context manager.

    `source`: the address that it comes from there.
    """

    def __init__(self, port: int, host: str = "127.0.0.1", *, source: str = "") -> None:
        self._upstream = (host, port)
        self._source = (source, 0) if source else None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.passed = 0
        """Bytes passed on so far, both ways."""
        self.is_silent = False
        self._rate: float | None = None
        self._at: tuple[int, Callable[[], None]] | None = None
        self._pairs: list[_Pair] = []
        self._lock = threading.Lock()
        self._ended = False

    def cut(self) -> None:
        """Reset every connection; new ones are let in."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            _reset(pair)

    def silence(self) -> None:
        """Swallow what comes from now on, on all connections and on new ones."""
        self.is_silent = True

    def slow(self, bytes_per_second: float) -> None:
        """Pass no more than this on over each connection."""
        self._rate = bytes_per_second

    def heal(self) -> None:
        """Be a good proxy again. Connections that lost bytes are reset."""
        if self.is_silent:
            self.cut()
        self.is_silent, self._rate, self._at = False, None, None

    def after(self, size: int, act: Callable[[], None]) -> None:
        """Call `act` once, when `size` more bytes have been passed on."""
        self._at = (self.passed + size, act)

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _listen(self) -> None:
        while not self._ended:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(
                    self._upstream, timeout=5, source_address=self._source
                )
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            pair = (near, far)
            with self._lock:
                self._pairs.append(pair)
            for way in (pair, pair[::-1]):
                threading.Thread(target=self._carry, args=(pair, *way), daemon=True).start()

    def _carry(self, pair: _Pair, source: socket.socket, destination: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while block := source.recv(_BLOCK):
                if self.is_silent:
                    continue
                destination.sendall(block)
                self._count(len(block))
                if self._rate:
                    time.sleep(len(block) / self._rate)
        with self._lock:
            is_ours = pair in self._pairs
            if is_ours:
                self._pairs.remove(pair)
        if is_ours:
            _reset(pair)

    def _count(self, size: int) -> None:
        with self._lock:
            self.passed += size
            due = self._at is not None and self.passed >= self._at[0]
            act = self._at[1] if due and self._at else None
            if due:
                self._at = None
        if act:
            act()


def _reset(pair: _Pair) -> None:
    for one in pair:
        with contextlib.suppress(OSError):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        with contextlib.suppress(OSError):
            # Wakes the thread that reads from it.
            one.shutdown(socket.SHUT_RDWR)
        one.close()
