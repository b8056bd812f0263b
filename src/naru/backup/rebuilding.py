"""The service's data of another moment, recovered on the backup host while the service runs."""

from __future__ import annotations

import shutil
from pathlib import Path

from naru.backup.beside import place_alone, superuser_of
from naru.backup.manager import Backups
from naru.backup.plan import RestorePlan
from naru.backup.recovery import forget_recovery, lay_down, watch
from naru.backup.wal_keeping import control_of
from naru.ground import Ground
from naru.postgres import connect
from naru.service import Service
from naru.system import Observer, step

PROGRAM = "restoring"
_READY = "ready"


class Rebuilding:
    """One set of data, from a backup to a cleanly stopped server that only has to be started."""

    def __init__(
        self, ground: Ground, service: Service, backups: Backups, observer: Observer
    ) -> None:
        self._ground = ground
        self._service = service
        self._backups = backups
        self._observer = observer

    def data(self, restore_id: str) -> Path:
        """Where they stand, until they are handed over."""
        return self._folder(restore_id) / "pgdata"

    def _folder(self, restore_id: str) -> Path:
        return self._ground.folder / "data" / f"{PROGRAM}-{restore_id}"

    def prepare(self, plan: RestorePlan, restore_id: str) -> None:
        """Recover to the plan's target, begin a new timeline, and stop cleanly.

        Harmless when that was done. Raises ProcessError with the server's last words when
        recovery fails.
        """
        ready = self._folder(restore_id) / _READY
        if ready.exists():
            return
        self.take_away(restore_id)
        self._ground.data_folder(f"{PROGRAM}-{restore_id}")
        data = self.data(restore_id)
        with step(self._observer, "restore: base backup laid down"):
            lay_down(self._backups, plan, data, self._observer)
        with step(self._observer, f"restore: WAL replayed for {plan.target.sentence}"):
            host = self._backups.host
            address = (self._ground.address(host), self._service.address[1])
            place_alone(self._ground, self._service.installation, PROGRAM, host, address, data)
            server = superuser_of(self._ground, address, "postgres")
            watch(self._ground, PROGRAM, server, plan, self._observer)
            # Before any standby is copied from it, and with it what recovery was told.
            forget_recovery(server)
            with connect(server, purpose="restore") as connection:
                connection.execute("CHECKPOINT")
        self._ground.remove(PROGRAM)
        ready.touch()

    def timeline(self, restore_id: str) -> int:
        """The timeline that recovery has begun."""
        return control_of(self._service.installation, self.data(restore_id)).timeline

    def hand_over(self, restore_id: str, place: Path) -> None:
        """Move the data to where the first member expects them; harmless when that was done."""
        data = self.data(restore_id)
        if data.exists():
            (data / "naru.conf").write_text("")
            data.rename(place)
        shutil.rmtree(self._folder(restore_id), ignore_errors=True)

    def take_away(self, restore_id: str) -> None:
        """Stop its server and delete its data."""
        self._ground.remove(PROGRAM)
        shutil.rmtree(self._folder(restore_id), ignore_errors=True)
