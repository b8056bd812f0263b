"""The workload as a process of its own: `python -m naru.drill FOLDER`.

It ends when a file named `stop` appears in its folder, when the folder is gone, on
SIGTERM, or when its time is over.
"""

from __future__ import annotations

import collections
import os
import random
import signal
import sys
import threading
from pathlib import Path

from naru.drill.client import Client, Clock, Work
from naru.drill.pacing import Pacing
from naru.drill.reads import Reader, Reading
from naru.drill.records import Outcome, Record, RecordFile
from naru.drill.series import WIDTH, Gauge, SeriesFile
from naru.drill.settings import STOP, WorkloadSettings, WorkloadStatus

STATUS_SECONDS = 0.5
GRACE_SECONDS = 10.0
"""How long transactions under way may take to end."""


class Process:
    """Starts the clients, keeps the records, the series and the status."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._settings = WorkloadSettings.load(folder)
        self._clock = Clock()
        self._start = self._clock.now() + 0.2
        self._gauge = Gauge(self._start)
        self._files = [RecordFile(folder, n) for n in range(self._settings.clients)]
        self._lock = threading.Lock()
        self._outcomes: collections.Counter[Outcome] = collections.Counter()
        self._reasons: collections.Counter[str] = collections.Counter()
        self._last: dict[int, int] = {}
        self.stopping = threading.Event()

    def run(self) -> None:
        threads = [
            threading.Thread(target=Client(self._work(), n).run, daemon=True)
            for n in range(self._settings.clients)
        ]
        threads += [threading.Thread(target=reader.run, daemon=True) for reader in self._readers()]
        for thread in threads:
            thread.start()
        self._watch()
        self.stopping.set()
        end = self._clock.now() + GRACE_SECONDS
        for thread in threads:
            thread.join(max(0.0, end - self._clock.now()))

    def _readers(self) -> list[Reader]:
        reading = Reading(
            self._settings.run, self._clock.now, self._any_acknowledged, self.stopping
        )
        return [
            Reader(self._folder, name, dsn, reading) for name, dsn in self._settings.readers.items()
        ]

    def _any_acknowledged(self, chance: random.Random) -> int | None:
        with self._lock:
            return chance.choice(list(self._last.values())) if self._last else None

    def _work(self) -> Work:
        settings = self._settings
        return Work(
            dsn=settings.dsn,
            run=settings.run,
            pacing=Pacing(settings.rate, settings.clients),
            business=settings.business,
            start=self._start,
            clock=self._clock,
            stopping=self.stopping,
            note=self._note,
        )

    def _note(self, client: int, record: Record) -> None:
        self._files[client].append(record)
        acknowledged = record.outcome is Outcome.ACKNOWLEDGED
        self._gauge.add(record.done, record.latency_ms if acknowledged else None)
        with self._lock:
            self._outcomes[record.outcome] += 1
            if acknowledged:
                self._last[client] = record.id
            if record.reason:
                self._reasons[record.reason] += 1

    def _watch(self) -> None:
        series = SeriesFile(self._folder)
        told = 0.0
        while not self._is_over():
            self.stopping.wait(WIDTH / 2)
            now = self._clock.now()
            series.append(self._gauge.closed(now - WIDTH))
            if now - told >= STATUS_SECONDS:
                told = now
                self.tell("running" if self._outcomes[Outcome.ACKNOWLEDGED] else "starting")
        series.close()

    def _is_over(self) -> bool:
        return (
            self.stopping.is_set()
            or (self._folder / STOP).exists()
            or not self._folder.exists()
            or self._clock.now() > self._start + self._settings.seconds
        )

    def tell(self, state: str) -> None:
        """Write the status file."""
        with self._lock:
            status = WorkloadStatus(
                state,
                os.getpid(),
                self._clock.now(),
                self._outcomes[Outcome.ACKNOWLEDGED],
                self._outcomes[Outcome.NOT_COMMITTED],
                self._outcomes[Outcome.UNKNOWN],
                dict(self._reasons),
            )
        if self._folder.exists():
            status.save(self._folder)


def main() -> None:
    """Run the workload of the folder named as the only argument."""
    process = Process(Path(sys.argv[1]))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: process.stopping.set())
    process.run()
    process.tell("stopped")
    # A client that hangs in a dead connection must not keep the process.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
