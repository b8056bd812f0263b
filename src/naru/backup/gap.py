"""The gap: what of the service's commits is not on the backup host yet."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from naru.errors import NaruError
from naru.postgres import Dsn, Lsn, connect, fetch_value

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


def measure_gap(service: Dsn, received: Callable[[], Lsn], streaming: Path) -> Gap:
    """Ask the service where its WAL ends, and wait a moment until that has arrived.

    When it arrives, the gap is the time it took. When it does not, the gap reaches back to
    when the last WAL arrived.
    """
    began = time.monotonic()
    try:
        with connect(service, purpose="gap", seconds=2) as connection:
            position = fetch_value(connection, "SELECT pg_current_wal_flush_lsn()")
            wanted = Lsn.parse(str(position))
    except NaruError:
        return judge(None, received(), 0.0, _silence(streaming))
    while True:
        have, waited = received(), time.monotonic() - began
        if have >= wanted or waited > PATIENCE_SECONDS:
            return judge(wanted, have, waited, _silence(streaming))
        time.sleep(_EVERY)


def judge(wanted: Lsn | None, have: Lsn, waited: float, silence: float | None) -> Gap:
    """The gap, from where WAL ends at the service and here, how long was waited for it, and
    for how long nothing has arrived."""
    if wanted is None:
        return Gap(None, None, closed=False)
    if have >= wanted:
        return Gap(round(waited, 2), 0, closed=True)
    return Gap(None if silence is None else round(silence, 1), wanted - have, closed=False)


def _silence(streaming: Path) -> float | None:
    """Seconds since WAL arrived last; None when none ever did."""
    try:
        last = max(path.stat().st_mtime for path in streaming.iterdir())
    except (OSError, ValueError):
        return None
    return max(0.0, time.time() - last)
