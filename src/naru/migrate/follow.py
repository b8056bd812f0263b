"""Following: how far the other side is behind, and waiting until it is not."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from naru.errors import StoppedError
from naru.migrate import flow
from naru.migrate.flow import Applying, ChannelFacts
from naru.migrate.record import Record
from naru.migrate.retention import ANEW
from naru.migrate.sides import explained
from naru.postgres import Connection, Lsn
from naru.system import SILENT, Observer
from naru.system.units import human_bytes, human_seconds

CAUGHT_UP_BYTES = 1024 * 1024
LARGE_SECONDS = 3.0
"""A transaction that is being applied for longer counts as lag, however few bytes are left."""
STUCK_SECONDS = 120.0
"""Without any progress for this long, something is wrong at one of the ends."""

_EVERY = 0.25


@dataclass(frozen=True)
class Lag:
    """All channels of a migration together, the slowest one counting."""

    bytes: int
    seconds: float
    retained_bytes: int
    wal_status: str
    connected: bool
    errors: int
    current: Lsn

    disabled: tuple[str, ...] = ()
    """Subscriptions that somebody has disabled, or dropped."""
    applying: Applying = Applying()  # noqa: RUF009
    """The worker that has been longest in one transaction."""

    full_disk: str | None = None
    """What has run out at the receiving side."""

    @property
    def applies_a_large_one(self) -> bool:
        """True if a transaction is applied that has been sent already, and counts no bytes."""
        return self.applying.seconds > LARGE_SECONDS

    @property
    def position(self) -> int:
        """Up to where everything has been applied."""
        return self.current - self.bytes

    @property
    def problem(self) -> tuple[str, str] | None:
        """What keeps changes from flowing and what to do about it, as far as can be seen."""
        if self.wal_status == "missing":
            return "the slot is gone: dropped, or a failover came before the standbys had it", (
                "changes since then are on one side only: `naru migrate finish` to stay where"
                f" writes are; before the cutover {ANEW}"
            )
        if self.wal_status == "lost":
            return "the slot has lost WAL", (f"raise max_slot_wal_keep_size; then {ANEW}")
        if self.disabled:
            name = self.disabled[0]
            return f"subscription {name} is disabled, or gone", (
                f'ALTER SUBSCRIPTION "{name}" ENABLE on the receiving side; if it is gone,'
                " abort and start again"
            )
        if self.applies_a_large_one and (pid := self.applying.blocked_by) is not None:
            return f"applying waits for a lock that process {pid} of that server holds", (
                f"let it end, or on the receiving server: SELECT pg_terminate_backend({pid})"
            )
        if self.applies_a_large_one:
            return None  # the walsender may give it up meanwhile: the worker comes back to it
        if self.full_disk is not None:
            return f"the receiving server cannot apply: {self.full_disk}", (
                "make room on it, and it goes on by itself"
            )
        if not self.connected and self.errors:
            return f"applying fails ({self.errors} times so far)", (
                "the receiving server's log names the table and the row: take away what is in"
                " the way there, and it goes on by itself"
            )
        if not self.connected:
            return "no worker of the receiving server reads the slot", (
                "see that server's log: it must reach this one, and have a worker free"
                " (max_logical_replication_workers)"
            )
        return None

    def to_json(self) -> dict[str, Any]:
        return {
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "retained_bytes": self.retained_bytes,
            "wal_status": self.wal_status,
            "connected": self.connected,
            "errors": self.errors,
            "disabled": list(self.disabled),
            "applying_seconds": round(self.applying.seconds, 3),
            "current_lsn": str(self.current),
        }


def combine(facts: Sequence[ChannelFacts]) -> Lag:
    """The lag of several channels: each figure from the one that is worst."""
    worst = ("missing", "lost", "unreserved", "extended", "reserved", "unknown")
    return Lag(
        bytes=max((one.lag_bytes for one in facts), default=0),
        seconds=max((max(one.seconds, one.applying.seconds) for one in facts), default=0.0),
        retained_bytes=max((one.retained_bytes for one in facts), default=0),
        wal_status=min((one.wal_status for one in facts), key=worst.index, default="unknown"),
        connected=bool(facts) and all(one.connected for one in facts),
        errors=sum(one.errors for one in facts),
        current=max((one.current for one in facts), default=Lsn(0)),
        disabled=tuple(one.name for one in facts if not one.enabled),
        full_disk=next((one.full_disk for one in facts if one.full_disk), None),
        applying=max(
            (one.applying for one in facts), key=lambda one: one.seconds, default=Applying()
        ),
    )


def observe_lag(record: Record, live: Connection, other: Connection) -> Lag:
    """The lag now, over open connections to the side that is written and to the other."""
    return combine([flow.observe(one, live, other) for one in record.channels])


def catch_up(record: Record, observer: Observer = SILENT) -> Lag:
    """Wait until the other side is nearly at the end of the WAL.

    Raises StoppedError when nothing moves for two minutes, or when the slot is lost.
    """
    with record.live.connect("follow") as live, record.other.connect("follow") as other:
        first = observe_lag(record, live, other).position
        best, written, moved_at = first, Lsn(0), time.monotonic()
        while True:
            lag = observe_lag(record, live, other)
            note_lag(record, lag)
            _must_flow(record, lag, moved_at)
            total = max(1, lag.current - first)
            if lag.connected and lag.bytes <= CAUGHT_UP_BYTES and not lag.applies_a_large_one:
                observer.progress("following", total, total, "bytes")
                return lag
            is_applied = lag.applies_a_large_one and lag.applying.written > written
            if lag.position > best or is_applied:
                best, moved_at = max(best, lag.position), time.monotonic()
            written = lag.applying.written
            done = min(total - 1, max(0, lag.position - first))
            observer.progress("following", done, total, "bytes", detail=_behind(lag))
            time.sleep(_EVERY)


def _behind(lag: Lag) -> str:
    behind = f"{human_bytes(lag.bytes)} behind"
    if lag.applies_a_large_one:
        behind += f", one transaction applied for {human_seconds(lag.applying.seconds)}"
    return behind


def note_lag(record: Record, lag: Lag) -> None:
    """Keep a point of the lag's series in the journal."""
    record.run.sample("lag", bytes=lag.bytes, seconds=round(lag.seconds, 3))


def _must_flow(record: Record, lag: Lag, moved_at: float) -> None:
    if lag.wal_status in {"lost", "missing"} and lag.problem:
        text, remedy = lag.problem
        raise StoppedError(f"{record.live}: {text}", remedy=remedy)
    if time.monotonic() - moved_at > STUCK_SECONDS:
        text, remedy = lag.problem or (
            "changes arrive too slowly", "see what that server is busy with, and its log"
        )  # fmt: skip
        raise StoppedError(
            f"{record.other}: following makes no progress ({lag.bytes:,} bytes behind): {text}",
            remedy=f"{remedy}; then run the same command again",
        )


class LagWatch:
    """Samples the lag into the journal every now and then, on connections of its own."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._stack = contextlib.ExitStack()
        self._links: tuple[Connection, Connection] | None = None

    def sample(self) -> Lag:
        """Observe, keep and give the lag; reconnects by itself after an error."""
        try:
            if self._links is None:
                self._links = (
                    self._stack.enter_context(self._record.live.connect("lag")),
                    self._stack.enter_context(self._record.other.connect("lag")),
                )
            with explained(self._record.live, "reading the lag"):
                lag = observe_lag(self._record, *self._links)
        except BaseException:
            self.close()
            raise
        note_lag(self._record, lag)
        return lag

    def close(self) -> None:
        self._links = None
        self._stack.close()
