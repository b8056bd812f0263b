"""The watchdog that a member's Patroni keeps.

Patroni knows how to keep a watchdog: it arms one before it promotes, resets it when the lock was
renewed, disarms it when the server is down. Ours is a process instead of a device. It is told
when the renewal *began*: the lock is good for at least a ttl from then on, however late Patroni
came to hear of it.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from .lease import NANO, LeaseFile, now
from .procs import end, process, servers_of

DRIVER = "naru"
"""What the watchdog is called in Patroni's configuration."""

_DEAF_NANO = 3 * NANO
_READY_SECONDS = 5.0


class Renewal:
    """When the last renewal of the lock that succeeded was begun."""

    def __init__(self) -> None:
        self.began = 0

    def noting(self, renew: Any) -> Any:
        """`renew`, which gives something true when it succeeded, with its beginning noted."""

        def noted(*values: Any, **named: Any) -> Any:
            began = now()
            done = renew(*values, **named)
            if done:
                self.began = began
            return done

        return noted


class ProcessWatchdog:
    """A watchdog as Patroni expects it: `patroni.watchdog.base.WatchdogBase`."""

    is_null = False
    can_be_disabled = True

    def __init__(self, renewal: Renewal, error: type[Exception], *, lease: str, data: str) -> None:
        self._renewal = renewal
        self._error = error
        self._words = (lease, str(Path(data).resolve()))
        self._file = LeaseFile(Path(lease))
        self._timeout = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.is_running = False
        if not servers_of(Path(data).resolve()):
            self._file.disarm()
        self._have_one()

    @property
    def is_healthy(self) -> bool:
        """Whether it could be armed, so that this member may lead."""
        self._have_one()
        return True

    def open(self) -> None:
        """Arm it. Raises Patroni's WatchdogError when it does not look."""
        end_at = time.monotonic() + _READY_SECONDS
        while not self._looks():
            self._have_one()
            if time.monotonic() > end_at:
                raise self._error("the watchdog process does not start")
            time.sleep(0.02)
        self.is_running = True

    def close(self) -> None:
        self._file.disarm()
        self.is_running = False

    def keepalive(self) -> None:
        self._have_one()
        self._reset()

    def has_set_timeout(self) -> bool:
        return True

    def set_timeout(self, timeout: int) -> None:
        self._timeout = timeout
        self._reset()

    def get_timeout(self) -> int:
        return self._timeout

    def describe(self) -> str:
        return "watchdog process"

    def _reset(self) -> None:
        began = self._renewal.began
        self._file.arm(began, began + self._timeout * NANO)

    def _have_one(self) -> None:
        """Start one where there is none that looks; one that was frozen is ended."""
        if self._looks() or self._is_starting():
            return
        watch = self._file.watch
        for pid in (watch and watch.pid, self._process and self._process.pid):
            found = process(pid) if pid else None
            if found is not None and _is_watchdog(found.pid, self._words):
                end(found, 1.0)
        if self._process is not None:
            self._process.poll()
        self._process = subprocess.Popen(
            [sys.executable, "-E", "-S", _script(), *self._words],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env=_without_preloads(),
        )

    def _looks(self) -> bool:
        watch = self._file.watch
        if watch is None or now() - watch.tick > _DEAF_NANO:
            return False
        found = process(watch.pid)
        return found is not None and not found.frozen and _is_watchdog(found.pid, self._words)

    def _is_starting(self) -> bool:
        """Ours lives, is not frozen, and has not had its time to look yet."""
        if self._process is None or self._process.poll() is not None:
            return False
        found = process(self._process.pid)
        if found is None or found.frozen:
            return False
        ticks = os.sysconf("SC_CLK_TCK")
        return now() - found.start * NANO // ticks < _DEAF_NANO


def _script() -> str:
    return str(Path(sys.argv[0]).with_name("watchdog.py"))


def _without_preloads() -> dict[str, str]:
    """Our environment, without what is put between a member's programs and the machine: the
    watchdog measures by the machine itself."""
    return {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


def _is_watchdog(pid: int, words: tuple[str, ...]) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except OSError:
        return False
    return command[-len(words) - 1 : -1] == list(words)


def keep_watchdogs() -> None:
    """Give Patroni its watchdog, and note when it begins to renew its lock."""
    ha: Any = importlib.import_module("patroni.ha")
    renewal = Renewal()
    etcd: Any = importlib.import_module("patroni.dcs.etcd3")
    for owner, name in (
        (etcd.Etcd3Client, "lease_grant"),
        (etcd.Etcd3Client, "lease_keepalive"),
        # Without the election all members allow the primary to go on, for a ttl from the asking.
        (ha.Ha, "check_failsafe_topology"),
    ):
        setattr(owner, name, renewal.noting(getattr(owner, name)))
    base: Any = importlib.import_module("patroni.watchdog.base")
    stock = base.WatchdogConfig.get_impl

    def implementation(config: Any) -> Any:
        if config.driver == DRIVER:
            return ProcessWatchdog(renewal, base.WatchdogError, **config.driver_config)
        return stock(config)

    base.WatchdogConfig.get_impl = implementation
