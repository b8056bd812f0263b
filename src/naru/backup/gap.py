"""The gap: what of the service's commits is not on the backup host yet."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from naru.backup.waldump import Arrival
from naru.errors import NaruError
from naru.postgres import Connection, Dsn, Lsn, connect, fetch_one

PATIENCE_SECONDS = 2.0
_EVERY = 0.05


@dataclass(frozen=True)
class Gap:
    """How far the backup host is behind the service (RPO), measured now."""

    seconds: float | None
    """At most what was committed within this time would be lost; None when unknown."""
    bytes: int | None
    """WAL that has not arrived; None when the service does not tell."""
    closed: bool
    """True if all that was committed when it was asked had arrived within two seconds."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def flushed(connection: Connection) -> Arrival:
    """Where a primary's WAL ends, as far as it is on its disk."""
    name, lsn = fetch_one(
        connection, "SELECT pg_walfile_name(lsn), lsn::text FROM pg_current_wal_flush_lsn() AS lsn"
    )
    return Arrival(int(name[:8], 16), Lsn.parse(lsn))


def measure_gap(service: Dsn, received: Callable[[], Arrival], streaming: Path) -> Gap:
    """Ask the service where its WAL ends, and wait a moment until that has arrived.

    When it arrives, the gap is the time it took. When it does not, the gap reaches back to
    when the last WAL arrived.
    """
    began = time.monotonic()
    try:
        with connect(service, purpose="gap", seconds=2) as connection:
            wanted = flushed(connection)
    except NaruError:
        return judge(None, received(), 0.0, _silence(streaming))
    while True:
        have, waited = received(), time.monotonic() - began
        if have >= wanted or waited > PATIENCE_SECONDS:
            return judge(wanted, have, waited, _silence(streaming))
        time.sleep(_EVERY)


def judge(wanted: Arrival | None, have: Arrival, waited: float, silence: float | None) -> Gap:
    """The gap, from where WAL ends at the service and here, how long was waited for it, and
    for how long nothing has arrived."""
    if wanted is None:
        return Gap(None, None, closed=False)
    if have >= wanted:
        return Gap(round(waited, 2), 0, closed=True)
    return Gap(
        None if silence is None else round(silence, 1), max(0, wanted.lsn - have.lsn), closed=False
    )


def _silence(streaming: Path) -> float | None:
    """Seconds since WAL arrived last; None when none ever did."""
    try:
        last = max(path.stat().st_mtime for path in streaming.iterdir())
    except (OSError, ValueError):
        return None
    return max(0.0, time.time() - last)
