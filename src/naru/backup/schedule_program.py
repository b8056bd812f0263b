"""What happens on the backup host by itself: WAL into the archive, the day's backup, retention.

This file is copied into the environment and run from there, so it imports nothing of ours.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import zoneinfo
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

TICK_SECONDS = 2.0
RETRY_SECONDS = 300.0
REFUSED_SECONDS = 15.0
"""After a backup that did not even begin: WAL may just be about to arrive again."""

_REFUSED = "Impossible to start the backup"
"""What Barman says before it has copied anything, when one of its checks fails."""

_BACKUP_SECONDS = 24 * 3600
_CALL_SECONDS = 600


@dataclass(frozen=True)
class Schedule:
    """When what is due. Times are seconds since the epoch."""

    zone: str
    start_hour: int
    archive_minutes: int
    full_every_days: int

    def slot(self, now: float) -> float:
        """The last moment, up to `now`, at which a day's backup was to begin."""
        here = datetime.fromtimestamp(now, zoneinfo.ZoneInfo(self.zone))
        slot = here.replace(hour=self.start_hour, minute=0, second=0, microsecond=0)
        return (slot if slot <= here else slot - timedelta(days=1)).timestamp()

    def due(self, now: float, notes: Notes) -> str | None:
        """What kind of backup is due; None when there is none.

        The first one is due at once, so that there is a way back from the beginning. After
        one that failed some minutes pass before the next try.
        """
        pause = REFUSED_SECONDS if notes.refused else RETRY_SECONDS
        if notes.failed is not None and now - notes.failed < pause:
            return None
        if notes.full is None or notes.wanted:
            return "full"
        slot = self.slot(now)
        if max(notes.full, notes.latest or 0.0) >= slot:
            return None
        # A full one that began a little after its hour still counts for that day.
        days = (slot - self.slot(notes.full)) / 86400
        return "full" if round(days) >= self.full_every_days else "incremental"

    def archive_due(self, now: float, last: float) -> bool:
        """Whether the segment being written is to be closed."""
        return now - last >= self.archive_minutes * 60


@dataclass(frozen=True)
class Notes:
    """What was done: when the latest full backup began, and the latest of any kind."""

    full: float | None = None
    latest: float | None = None
    failed: float | None = None
    wanted: bool = False
    """Something happened after which only a new full backup leads on."""
    trouble: str | None = None
    """Why the last one failed; None when it did not."""
    refused: bool = False
    """Whether that one did not even begin."""


class Keeper:
    """Looks every two seconds what is due, and does it."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._barman = [settings["barman"], "-c", settings["config"]]
        self._server = settings["server"]
        self._streaming = Path(settings["streaming"])
        self._notes_file = Path(settings["notes"])
        self._wanted = Path(settings["wanted"])
        self._schedule = Schedule(
            settings["zone"], settings["start_hour"], settings["archive_minutes"],
            settings["full_every_days"],
        )  # fmt: skip
        self._closed = time.time()
        self._children: list[subprocess.Popen[str]] = []
        self.stopping = threading.Event()

    def run(self) -> None:
        worker = threading.Thread(target=self._take_backups)
        worker.start()
        while not self.stopping.wait(TICK_SECONDS):
            self._archive()
        worker.join()

    def _archive(self) -> None:
        """What arrived whole goes into the archive; the open segment is closed in time."""
        if self._schedule.archive_due(time.time(), self._closed):
            self._closed = time.time()
            self._call("switch-wal", self._server)
        whole = [path for path in self._streaming.glob("*") if path.suffix != ".partial"]
        # Barman leaves one that arrived whole, so that the receiver knows where it was.
        if len(whole) > 1 or (whole and any(self._streaming.glob("*.partial"))):
            self._call("archive-wal", self._server)

    def _take_backups(self) -> None:
        while not self.stopping.wait(TICK_SECONDS):
            kind = self._schedule.due(time.time(), self._notes())
            if kind is not None:
                self._take(kind)
                self._apply_retention()

    def _take(self, kind: str) -> None:
        begun = time.time()
        done = self._backup(kind)
        if self.stopping.is_set():
            return
        if done.returncode != 0 and kind == "incremental":
            # A new primary may lack the summaries of WAL that it needs.
            kind, begun = "full", time.time()
            done = self._backup(kind)
        if done.returncode == 0:
            if kind == "full":
                self._serve(begun)
            self._note(failed=None, trouble=None, refused=False)
        else:
            said = (done.stdout + done.stderr).strip()
            self._note(failed=begun, trouble=said[-1000:], refused=_REFUSED in said)

    def _serve(self, begun: float) -> None:
        """What was asked for before a full backup began is done; what was asked since is not."""
        with contextlib.suppress(FileNotFoundError):
            if self._wanted.stat().st_mtime < begun:
                self._wanted.unlink()

    def _backup(self, kind: str) -> subprocess.CompletedProcess[str]:
        more = ["--incremental", "latest"] if kind == "incremental" else []
        return self._call(
            "backup", "--wait", "--wait-timeout", "600", *more, self._server,
            seconds=_BACKUP_SECONDS,
        )  # fmt: skip

    def _apply_retention(self) -> None:
        """Delete what no point in time within the retention needs any more, as Barman judges."""
        for backup in obsolete(self._call("-f", "json", "list-backups", self._server).stdout):
            self._call("delete", self._server, backup)

    def _notes(self) -> Notes:
        begun = begun_backups(self._streaming.parent)
        kept = self._kept()
        return Notes(
            full=max((at for at, full in begun if full), default=None),
            latest=max((at for at, _ in begun), default=None),
            failed=kept.get("failed"),
            trouble=kept.get("trouble"),
            refused=kept.get("refused", False),
            wanted=self._wanted.exists(),
        )

    def _kept(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._notes_file.read_text())
        except (OSError, ValueError):
            return {}
        return found

    def _note(self, **changes: Any) -> None:
        text = json.dumps({**asdict(self._notes()), **changes})
        aside = self._notes_file.with_suffix(".new")
        aside.write_text(text)
        aside.replace(self._notes_file)

    def stop(self, *_: object) -> None:
        """End, and with it what Barman is doing: a backup that is cut off counts for nothing."""
        self.stopping.set()
        for child in list(self._children):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGINT)

    def _call(
        self, *words: str, seconds: float = _CALL_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        child = subprocess.Popen(
            [*self._barman, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
        self._children.append(child)
        try:
            said, complaints = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            said, complaints = child.communicate()
        finally:
            self._children.remove(child)
        if child.returncode != 0:
            print(f"barman {' '.join(words)}: {said}{complaints}", flush=True)
        return subprocess.CompletedProcess(words, child.returncode, said, complaints)


def obsolete(listed: str) -> list[str]:
    """The backups that Barman's list calls obsolete; incremental ones first."""
    try:
        servers = json.loads(listed)
    except ValueError:
        return []
    found = [one for backups in servers.values() for one in backups]
    # Newest first, so that none goes before those that build on it.
    return sorted(
        (one["backup_id"] for one in found if one.get("retention_status") == "OBSOLETE"),
        reverse=True,
    )


def begun_backups(home: Path) -> list[tuple[float, bool]]:
    """When each whole backup began, and whether it is a full one."""
    found = []
    for path in (*home.glob("base/*/backup.info"), *home.glob("meta/*-backup.info")):
        try:
            info = dict(re.findall(r"^(\w+)=(.*)$", path.read_text(), re.MULTILINE))
        except OSError:  # it is being deleted
            continue
        if info.get("status") in ("DONE", "WAITING_FOR_WALS"):
            at = datetime.fromisoformat(info["begin_time"]).timestamp()
            found.append((at, info.get("parent_backup_id", "None") == "None"))
    return found


def main() -> None:
    """Work until SIGTERM, as the file of settings named as the only argument says."""
    keeper = Keeper(json.loads(Path(sys.argv[1]).read_text()))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, keeper.stop)
    keeper.run()


if __name__ == "__main__":
    main()
