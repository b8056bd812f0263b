"""The WAL on the backup host around a restore in place: put aside, brought back, forgotten."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from naru.backup.manager import Backups
from naru.backup.segments import Segment
from naru.errors import NaruError, ServerError
from naru.postgres import Installation, Lsn, connect, fetch_all
from naru.service import Service
from naru.system import give_to, run

_SUBSCRIPTIONS = """
SELECT datname, subname FROM pg_subscription JOIN pg_database ON pg_database.oid = subdbid
WHERE subenabled ORDER BY 1, 2
"""
_CHECKPOINT = re.compile(r"^Latest checkpoint location: +([0-9A-F]+/[0-9A-F]+)", re.MULTILINE)
_LATEST = re.compile(r"^Latest checkpoint's TimeLineID: +(\d+)", re.MULTILINE)
_TIMELINE = re.compile(r"([0-9A-F]{8})(?:[0-9A-F]{16})?(?:\.partial|\.history|\..*\.backup)?")


class WalKeeping:
    """What a restore in place does to the WAL that was received."""

    def __init__(self, service: Service, backups: Backups) -> None:
        self._service = service
        self._backups = backups

    def timelines(self) -> tuple[int, ...]:
        """Every timeline of which there is WAL, or a history."""
        found = self._backups.inventory()
        return tuple(sorted({one.timeline for one in found.paths} | set(found.histories)))

    def subscriptions(self) -> list[tuple[str, str]]:
        """Enabled subscriptions, with their database; none when the service does not answer."""
        try:
            with connect(self._service.writer("postgres"), purpose="restore") as connection:
                return [(row[0], row[1]) for row in fetch_all(connection, _SUBSCRIPTIONS)]
        except NaruError:
            return []

    def put_aside(self) -> tuple[str, ...]:
        """Clear the place where WAL arrives, whose receiver is stopped; the names of its files.

        The receiver would go on where they end, which the restored service never was. They
        stay at hand for recovery.
        """
        self._backups.barman.archive()
        store = self._backups.store
        names = sorted(path.name for path in store.streaming.iterdir() if path.is_file())
        for name in names:
            (store.streaming / name).replace(store.ended / name)
        return tuple(names)

    def take_over(self, data: Path, timeline: int) -> None:
        """Have the WAL of `timeline` that a stopped server has in `data`, as if it had arrived.

        So the receiver goes on where it ends, and nothing between is missing.
        """
        store, size = self._backups.store, self._backups.keeping.segment_size
        end = control_of(self._service.installation, data).checkpoint
        last = Segment(timeline, end // size).name(size)
        for path in sorted((data / "pg_wal").glob(f"{timeline:08X}*")):
            # What PostgreSQL keeps ready for later has names beyond the last one.
            if path.name <= last or path.suffix == ".history":
                name = f"{path.name}.partial" if path.name == last else path.name
                shutil.copyfile(path, store.streaming / name)
                (store.streaming / name).chmod(0o600)
                give_to(store.streaming / name, self._backups.account)

    def bring_back(self, names: Iterable[str]) -> None:
        """Undo `put_aside`. What lies there now belongs to timelines that are forgotten."""
        store = self._backups.store
        for name in names:
            if (store.ended / name).exists():
                (store.ended / name).replace(store.streaming / name)

    def forget_timelines(self, keep: Iterable[int]) -> None:
        """Delete the WAL, histories and backups of all timelines but those to `keep`.

        A later failover of the old service would give the same number to another timeline.
        """
        kept, store = set(keep), self._backups.store
        for backup in reversed(self._backups.catalogue()):
            if backup.timeline and backup.timeline not in kept:
                self._backups.barman.delete(backup.id)
        for folder in store.wal_folders:
            for path in list(folder.rglob("*")):
                timeline = timeline_of(path.name)
                if path.is_file() and timeline is not None and timeline not in kept:
                    path.unlink()
        self._backups.barman.rebuild()


@dataclass(frozen=True)
class Control:
    """What a stopped server's control file says."""

    checkpoint: Lsn
    timeline: int


def control_of(installation: Installation, data: Path) -> Control:
    """Read the control file in `data`. Raises ServerError when it tells no checkpoint."""
    done = run([installation.tool("pg_controldata"), data], seconds=30, env={"LC_ALL": "C"})
    found, timeline = _CHECKPOINT.search(done.stdout), _LATEST.search(done.stdout)
    if found is None or timeline is None:
        raise ServerError(f"pg_controldata tells no checkpoint of {data}")
    return Control(Lsn.parse(found[1]), int(timeline[1]))


def timeline_of(name: str) -> int | None:
    """The timeline that a file of WAL, or a history, belongs to; None for other files."""
    found = _TIMELINE.fullmatch(name)
    return int(found[1], 16) if found else None
