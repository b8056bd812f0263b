"""A small disk of its own for a member: so that it can be filled, or slowed, and no other is.

A file with a file system in it is mounted beside the member's data, and the data go there for
as long as the drill lasts.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import threading
from collections.abc import Iterator

from naru.ground import Ground
from naru.system import give_to, run, wait_until

SPARE_BYTES = 160 * 2**20
"""What the disk has beyond the data that go there."""

_FREEZE, _THAW = 0xC0045877, 0xC0045878
"""FIFREEZE and FITHAW of linux/fs.h: until the second, whoever writes there waits."""

_SECONDS = 120.0


class SmallDisk:
    """The disk of one member; every method may be called again after a crash in the middle."""

    def __init__(self, ground: Ground, member: str) -> None:
        self._ground = ground
        self._member = member
        self._data = ground.folder / "data" / member / "pgdata"
        self.path = ground.folder / "data" / f"{member}.disk"
        self._image = ground.folder / "data" / f"{member}.image"

    def put_on(self) -> None:
        """Stop the member, take its data there, and start it."""
        self._ground.stop(self._member)
        size = sum(one.lstat().st_size for one in self._data.rglob("*")) + SPARE_BYTES
        with self._image.open("wb") as file:
            file.truncate(size)
        self.path.mkdir(mode=0o700, exist_ok=True)
        run(["mkfs.ext4", "-q", "-m", "0", self._image], seconds=_SECONDS)
        run(["mount", "-o", "loop", self._image, self.path], seconds=_SECONDS)
        self.path.chmod(0o700)
        give_to(self.path, self._ground.account)
        run(["cp", "-a", self._data, self.path], seconds=_SECONDS)
        shutil.rmtree(self._data)
        self._data.symlink_to(self.path / "pgdata")
        self._ground.start(self._member)

    def take_off(self) -> None:
        """Bring the data back to where they were, and have the member running there."""
        with contextlib.suppress(OSError):
            self.thaw()
        self._ground.stop(self._member)
        aside = self._data.with_name("pgdata.back")
        if self._data.is_symlink():
            shutil.rmtree(aside, ignore_errors=True)
            if (self.path / "pgdata").exists():
                run(["cp", "-a", self.path / "pgdata", aside], seconds=_SECONDS)
            self._data.unlink()
        if aside.exists() and not self._data.exists():
            aside.rename(self._data)
        if self.path.is_mount():
            wait_until(self._unmounted, f"{self.path} to be left by all", _SECONDS)
        with contextlib.suppress(OSError):
            self.path.rmdir()
        self._image.unlink(missing_ok=True)
        self._ground.start(self._member)

    def _unmounted(self) -> bool:
        return run(["umount", self.path], seconds=_SECONDS, check=False).code == 0

    def fill(self, leave: int) -> None:
        """Take all its space but `leave` bytes."""
        left = os.statvfs(self.path)
        size = left.f_bavail * left.f_frsize - leave
        with (self.path / "ballast").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, size))

    def freeze(self) -> None:
        """Let whoever writes to it, or has it flushed, wait."""
        self._order(_FREEZE)

    def thaw(self) -> None:
        """End that. Raises OSError when it is not frozen."""
        self._order(_THAW)

    def _order(self, what: int) -> None:
        handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(handle, what, 0)
        finally:
            os.close(handle)


@contextlib.contextmanager
def stalling(disk: SmallDisk, still: float, between: float) -> Iterator[threading.Event]:
    """Freeze the disk again and again while the block lasts; set the event to end it sooner."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            disk.freeze()
            over.wait(still)
            disk.thaw()
            over.wait(between)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield over
    finally:
        over.set()
        thread.join(timeout=10)
