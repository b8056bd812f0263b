"""A standby that is being copied: how far it is, and when it follows."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from naru.errors import DeadlineError, NaruError
from naru.postgres import connect, fetch_value
from naru.service.cluster import Service
from naru.system import Observer

STILL_SECONDS = 180.0
"""A copy may take as long as its data grow, and so long without."""

_SIZE = "SELECT sum(pg_database_size(oid))::int8 FROM pg_database"


def watch_copy(service: Service, name: str, observer: Observer) -> None:
    """Wait until member `name` streams, or leads, telling how much of it has been copied.

    Raises DeadlineError when its data have not grown for three minutes.
    """
    data = next(one.data for one in service.members() if one.name == name)
    total, size, since = size_of(service), -1, time.monotonic()
    while not _streams(service, name):
        began = time.monotonic()
        now = folder_size(data)
        if now != size:
            size, since = now, time.monotonic()
        if total:
            observer.progress(f"{name} copied", min(now, total - 1), total, "bytes")
        if time.monotonic() - since > STILL_SECONDS:
            raise DeadlineError(
                f"{name} does not follow: its data have not grown for {STILL_SECONDS:g} s",
                remedy=f"see its log under {service.ground.log(name)}; run the same command again",
            )
        # Looking at very many files must not become all that the disk does.
        time.sleep(min(10.0, max(0.3, 5 * (time.monotonic() - began))))
    if total:
        observer.progress(f"{name} copied", total, total, "bytes")


def _streams(service: Service, name: str) -> bool:
    return any(
        one.name == name and (one.state == "streaming" or one.role == "primary")
        for one in service.status().members
    )


def size_of(service: Service) -> int:
    """Bytes of all databases, as the primary tells them; 0 when there is no answer."""
    with contextlib.suppress(NaruError):
        with connect(service.writer("postgres"), purpose="copy", seconds=3) as connection:
            return int(fetch_value(connection, _SIZE))
    return 0


def folder_size(folder: Path) -> int:
    """Bytes of all files below `folder`, as far as they stay while one looks."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(where, name)).st_size  # noqa: PTH118
    return total
