"""Restarts in the maintenance window, also when nobody is there: a program beside the service.

It runs naru itself, as the servers' account, and does what `naru up` would do then.
"""

from __future__ import annotations

import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import naru
from naru.errors import NaruError
from naru.ground import Ground, Program, open_ground, reading
from naru.lab.applying import carry_out_restarts
from naru.service import Applied, AppliedFile, Service, ServiceStatus, Window, window_of
from naru.service.restart import settled
from naru.spec import Spec
from naru.system import write_atomically
from naru.system.observer import Silent
from naru.traffic import Pool

PROGRAM = "maintenance"
TICK_SECONDS = 10.0
RETRY_SECONDS = 300.0
"""After restarts that failed, until the next try in the same window."""


def place_maintenance(spec: Spec, ground: Ground) -> bool:
    """Have the program running when there is a window, and none otherwise.

    Gives whether restarts will be done by themselves: not when the servers' account may not read
    naru; then `naru up` in the window does it.
    """
    package = Path(naru.__file__).parent.parent
    if not spec.maintenance.enabled or not ground.account.can_traverse(package):
        ground.remove(PROGRAM)
        return False
    conf = ground.folder / "conf"
    files = {
        conf / "maintenance.py": "from naru.lab.maintenance import main\n\nmain()\n",
        conf / "spec.json": spec.model_dump_json(exclude={"service": {"password"}}) + "\n",
    }
    for path, text in files.items():
        write_atomically(path, text, mode=0o600, owner=ground.account)
    ground.place(
        Program(
            PROGRAM,
            spec.service.host,
            (str(ground.python), *map(str, files), str(ground.folder)),
            env={"PYTHONPATH": str(package), **reading(*files.values())},
            priority=950,
            stop_seconds=5,
        )
    )
    return True


def is_due(applied: Applied | None, window: Window | None, now: datetime) -> bool:
    """Whether members are to be restarted at `now` for settings that wait for it."""
    waiting = applied is not None and bool(applied.waiting)
    return waiting and window is not None and window.is_open(now)


class Maintenance:
    """Looks every ten seconds whether restarts are due, and does them."""

    def __init__(self, spec: Spec, ground: Ground) -> None:
        self._window = window_of(spec)
        self._service, self._pool = Service(spec, ground), Pool(spec, ground)
        self._file, self._ground = AppliedFile(ground), ground
        self.stopping = threading.Event()

    def run(self) -> None:
        """Until SIGTERM."""
        wait = TICK_SECONDS
        while not self.stopping.wait(wait):
            wait = TICK_SECONDS
            try:
                self.look()
            except NaruError as error:
                print(f"{datetime.now(UTC):%F %T} {error}", flush=True)
                wait = RETRY_SECONDS

    def look(self) -> None:
        """Once: restart what waits, if it is time and every member follows."""
        applied = self._file.read()
        if applied is None or not is_due(applied, self._window, datetime.now(UTC)):
            return
        status: ServiceStatus = self._service.status()
        if not settled(status):
            return
        print(f"{datetime.now(UTC):%F %T} restarts for {', '.join(applied.waiting)}", flush=True)
        carry_out_restarts(self._ground, self._service, self._pool, _Printing())
        self._file.write(Applied(applied.values, applied.parameters))

    def stop(self, *_: object) -> None:
        """End at the next look."""
        self.stopping.set()


class _Printing(Silent):
    """Steps as lines of the program's log."""

    def step(self, title: str, state: str) -> None:
        print(f"{datetime.now(UTC):%F %T} {state} {title}", flush=True)


def main() -> None:
    """Work until SIGTERM, on the spec and the folder named by the arguments."""
    spec = Spec.model_validate_json(Path(sys.argv[1]).read_text())
    work = Maintenance(spec, open_ground(spec, Path(sys.argv[2])))
    signal.signal(signal.SIGTERM, work.stop)
    work.run()
