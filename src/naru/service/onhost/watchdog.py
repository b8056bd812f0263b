"""A member's watchdog: `watchdog.py LEASE DATA` kills the server when its lease has run out.

It is a process of its own in the place of a watchdog device, which would reset the whole
machine. It needs neither network nor election: whatever becomes of Patroni, killed, frozen or
stuck, its server is gone before the lock can be anybody else's.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from .lease import Lease, LeaseFile, now, verdict
from .procs import end_servers, may_write, process, servers_of

LOOK_SECONDS = 0.2
_KILL_SECONDS = 3.0


class Watchdog:
    """Looks at one lease until its member's Patroni is gone for good."""

    def __init__(self, lease: Path, data: Path) -> None:
        self._file = LeaseFile(lease)
        self._data = data
        self._parent = os.getppid()
        self._last: Lease | None = None
        self._settled = 0

    def run(self) -> None:
        self._file.tick(self._settled)
        while not self._superseded():
            self._file.tick(self._settled)
            # A Patroni that was killed while it wrote has left what cannot be read.
            self._last = self._file.lease or self._last
            alone = os.getppid() != self._parent
            what = verdict(self._last, self._settled, now(), alone=alone)
            if what == "end":
                return
            if what == "kill" and self._last is not None and self._is_over():
                self._settled = self._last.until
            time.sleep(LOOK_SECONDS)

    def _is_over(self) -> bool:
        """True once no server is left that may write."""
        if not may_write(self._data) or not servers_of(self._data):
            return True
        at = time.strftime("%Y-%m-%d %H:%M:%S")
        print(at, "watchdog: the lease of a primary ran out; its server is killed", flush=True)
        return end_servers(self._data, _KILL_SECONDS)

    def _superseded(self) -> bool:
        """Another Patroni has started another watchdog."""
        watch = self._file.watch
        return watch is not None and watch.pid != os.getpid() and process(watch.pid) is not None


def main() -> None:
    """Watch until there is nothing more to watch."""
    Watchdog(Path(sys.argv[1]), Path(sys.argv[2]).resolve()).run()


if __name__ == "__main__":
    main()
