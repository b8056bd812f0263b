"""What receives WAL on the backup host: Barman's `receive-wal`, begun again whenever it ends.

It ends with every primary, and comes back with the next one a second later, on whatever
timeline that is. Two things would keep it from coming back for ever, and are mended here:
WAL of a lost primary that the new one never had, and WAL that is no longer there.

This file is copied into the environment and run from there, so it imports nothing of ours.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

PAUSE_SECONDS = 1.0
_LINES = 40
_DIVERGED = re.compile(
    r"requested starting point \S+ on timeline (\d+) is not in this server's history"
    r".*?forked from timeline \d+ at ([0-9A-F]+)/([0-9A-F]+)",
    re.DOTALL,
)
_GONE = re.compile(r"requested WAL segment (\w{24}) has already been removed")
_SEGMENT = re.compile(r"(\w{8})(\w{8})(\w{8})(?:\.partial)?")


def diverged(said: str) -> tuple[int, int] | None:
    """The timeline that the new primary has left, and where in it, as a position in bytes."""
    found = _DIVERGED.search(said)
    if found is None:
        return None
    return int(found[1]), (int(found[2], 16) << 32) | int(found[3], 16)


def beyond(names: list[str], timeline: int, fork: int, size: int) -> list[str]:
    """Of the files that arrived, those of `timeline` that hold WAL after `fork`."""
    per_id, found = 2**32 // size, []
    for name in names:
        match = _SEGMENT.fullmatch(name)
        if match and int(match[1], 16) == timeline:
            number = int(match[2], 16) * per_id + int(match[3], 16)
            if number >= fork // size:
                found.append(name)
    return found


def partial_name(timeline: int, fork: int, size: int) -> str:
    """The file that stands for the segment with `fork`, to be received again."""
    per_id, number = 2**32 // size, fork // size
    return f"{timeline:08X}{number // per_id:08X}{number % per_id:08X}.partial"


class Receiver:
    """Keeps one `barman receive-wal` running until it is told to stop."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._barman = [settings["barman"], "-c", settings["config"]]
        self._server = settings["server"]
        self._streaming = Path(settings["streaming"])
        self._ended = Path(settings["ended"])
        self._wanted = Path(settings["wanted"])
        self._size = int(settings["segment_size"])
        self._process: subprocess.Popen[str] | None = None
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.is_set():
            said = self._receive()
            if not self.stopping.is_set():
                self._mend(said)
            self.stopping.wait(PAUSE_SECONDS)
        self._call("receive-wal", "--stop", self._server)

    def stop(self, *_: object) -> None:
        self.stopping.set()
        process = self._process
        if process is not None and process.poll() is None:
            # Barman and pg_receivewal: it ends cleanly, its file flushed.
            os.killpg(process.pid, signal.SIGINT)

    def _receive(self) -> str:
        self._process = subprocess.Popen(
            [*self._barman, "receive-wal", self._server],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
        if self.stopping.is_set():
            self.stop()
        lines: list[str] = []
        assert self._process.stdout is not None
        for line in self._process.stdout:
            print(line, end="", flush=True)
            lines = [*lines[-_LINES:], line]
        self._process.wait()
        return "".join(lines)

    def _mend(self, said: str) -> None:
        fork = diverged(said)
        if fork is not None:
            self._step_back(*fork)
        elif gone := _GONE.search(said):
            print(f"segment {gone[1]} is lost; going on from now, with a new full backup")
            self._call("receive-wal", "--reset", self._server)
            self._wanted.write_text(json.dumps({"at": time.time(), "lost": gone[1]}))

    def _step_back(self, timeline: int, fork: int) -> None:
        """Put aside what only the lost primary had; receive the segment with the fork again."""
        names = sorted(path.name for path in self._streaming.iterdir())
        self._ended.mkdir(exist_ok=True)
        for name in beyond(names, timeline, fork, self._size):
            print(f"put aside {name}: the new primary left timeline {timeline} before its end")
            (self._streaming / name).replace(self._ended / name)
        if not any(_SEGMENT.fullmatch(path.name) for path in self._streaming.iterdir()):
            # Without any file pg_receivewal would begin where the slot stands, perhaps later.
            (self._streaming / partial_name(timeline, fork, self._size)).touch()

    def _call(self, *words: str) -> None:
        subprocess.run([*self._barman, *words], stdin=subprocess.DEVNULL, timeout=60, check=False)


def main() -> None:
    """Receive until SIGTERM, as the file of settings named as the only argument says."""
    receiver = Receiver(json.loads(Path(sys.argv[1]).read_text()))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, receiver.stop)
    receiver.run()


if __name__ == "__main__":
    main()
